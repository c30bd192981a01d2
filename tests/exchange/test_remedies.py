"""What an operator is told to do about a refusal."""

from __future__ import annotations

from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.exchange.remedies import reading_remedy, remedy_for
from tests.case_table import case_table


@case_table("kind", ErrorKind)
def test_every_kind_has_a_remedy(kind: ErrorKind) -> None:
    assert remedy_for(make_error("x", kind))


@case_table(
    ("text", "code", "kind", "part"),
    [
        ("position idx not match position mode", 10001, ErrorKind.RESYNC, "not in hedge mode"),
        ("openapi sign params error", 10001, ErrorKind.AUTH, "API key"),
        ("price out of range", 110003, ErrorKind.PARAM, "narrow the grid"),
        ("minimum order value", 110094, ErrorKind.PARAM, "raise amount"),
        ("reduce-only rule not satisfied", 110017, ErrorKind.RESYNC, "cancel the order that closes it"),
        ("The number of contracts exceeds maximum limit allowed: too large", 10001, ErrorKind.PARAM, "lower amount"),
        ("The number of contracts exceeds minimum limit allowed", 10001, ErrorKind.PARAM, "raise amount"),
        ("Not supported symbols", 10001, ErrorKind.PARAM, "correct it in the configuration"),
        ("params error: symbol invalid XUSDT", 10001, ErrorKind.PARAM, "correct it in the configuration"),
        ("buy: [1,2] invalid", 10001, ErrorKind.RETRY, "tries again by itself"),
        ("unknown parameter", 170003, ErrorKind.PARAM, "newer gridbot"),
        ("not unified", 10020, ErrorKind.HALT, "upgrade it on Bybit"),
        ("risk limit", 110016, ErrorKind.PARAM, "risk limit on Bybit"),
        ("revamping", 110071, ErrorKind.HALT, "wait until that is done"),
        ("not documented", 110119, ErrorKind.PARAM, "amount and grid_step"),
        ("event", 110135, ErrorKind.HALT, "event contract"),
        ("event", 110136, ErrorKind.HALT, "event contract"),
        ("event", 110137, ErrorKind.HALT, "event contract"),
        ("margin mode", 3400045, ErrorKind.PARAM, "margin mode on Bybit"),
        ("delisting", 30228, ErrorKind.SYMBOL, "closes only"),
        ("reduce", 110023, ErrorKind.SYMBOL, "closes only"),
        ("delivery", 110042, ErrorKind.SYMBOL, "closes only"),
        ("stands still", 110066, ErrorKind.SYMBOL, "tries again each minute"),
        ("not live", 110074, ErrorKind.SYMBOL, "waits until it trades"),
        ("auction", 110095, ErrorKind.SYMBOL, "read each minute"),
        ("params error", 10001, ErrorKind.PARAM, "read again"),
        ("no margin", 110007, ErrorKind.BALANCE, "add funds"),
    ],
)
def test_texts_go_before_codes_and_codes_before_kinds(text: str, code: int, kind: ErrorKind, part: str) -> None:
    assert part in remedy_for(make_error(text, kind, ret_code=code))


def test_a_code_that_is_in_no_table_is_to_be_looked_for_unless_its_text_says_more() -> None:
    assert "report it" in remedy_for(make_error("x", ErrorKind.AMBIGUOUS, ret_code=181001, is_unknown=True))
    told = make_error("symbol invalid", ErrorKind.AMBIGUOUS, ret_code=181001, is_unknown=True)
    assert "correct it in the configuration" in remedy_for(told)


ORDERS_ONLY = ("amount", "grid_", "resume", "orders wait", "looked up", "compared", "pause is over", "sends less")


@case_table("kind", ErrorKind)
@case_table("code", [None, 10003, 10004, 10005, 10010, 33004, 110071, 110110])
def test_what_is_said_of_a_reading_fits_one(kind: ErrorKind, code: int | None) -> None:
    """A wallet that could not be read was to be helped by "lower amount", and an answer that was lost by a look-up."""
    said = reading_remedy(make_error("x", kind, ret_code=code))
    assert said
    assert not [part for part in ORDERS_ONLY if part in said]


def test_a_reading_that_fails_with_a_code_that_is_in_no_table_is_to_be_reported() -> None:
    assert "report it" in reading_remedy(make_error("x", ErrorKind.AMBIGUOUS, ret_code=181001, is_unknown=True))
    assert "permission" in reading_remedy(make_error("x", ErrorKind.AUTH, ret_code=10005))
