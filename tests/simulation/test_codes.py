"""Codes that an exchange may answer a create with: each is in the table, and a worker does what the table says.

What is in `CODES` was seen in logs, or is in Bybit's list; texts as captured where one was (docs/bybit.md 4).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from gridbot.bybit.error_mapping import from_ret_code
from gridbot.bybit.ret_codes import RET_CODES
from gridbot.exchange.failures import ErrorKind
from gridbot.exchange.remedies import remedy_for
from gridbot.orders.outcomes import after_place
from gridbot.simulation import rest_link
from gridbot.simulation.run_faults import FaultKind
from tests.examples import examples
from tests.simulation.test_happenings import fault, story_of

PARAM, HALT, RESYNC = ErrorKind.PARAM, ErrorKind.HALT, ErrorKind.RESYNC
CODES = [
    (10003, "API key is invalid.", ErrorKind.AUTH, "mainnet, testnet and demo have keys of their own"),
    (10005, "Permission denied, please check your API key permissions.", ErrorKind.AUTH, "lacks a permission"),
    (
        10010,
        "Unmatched IP, please check your API key's bound IP addresses.",
        ErrorKind.AUTH,
        "bound to other addresses",
    ),
    (10020, "request only supported by unified accounts", HALT, "upgrade it on Bybit"),
    (30228, "No new positions during delisting.", ErrorKind.SYMBOL, "gridbot closes only"),
    (110007, "ab not enough for new order", ErrorKind.BALANCE, "add funds"),
    (110016, "the order would exceed the risk limit", PARAM, "choose a higher risk limit on Bybit"),
    (110043, "Set leverage has not been modified.", ErrorKind.NOOP, "compared with the exchange"),
    (110071, "Sorry, we're revamping the Unified Margin Account.", HALT, "wait until that is done"),
    (110072, "OrderLinkedID is duplicate", ErrorKind.DUPLICATE, "does another program trade with this account?"),
    (110119, "whatever it says", PARAM, "look at amount and grid_step"),
    (110135, "event contract", HALT, "take another one"),
    (110136, "event contract", HALT, "take another one"),
    (110137, "event contract", HALT, "take another one"),
    (170003, "An unknown parameter was sent.", PARAM, "look for a newer gridbot"),
    (3400045, "Set margin mode failed", PARAM, "set the margin mode on Bybit"),
    (10001, "position idx not match position mode", RESYNC, "not in hedge mode"),
    (10001, "params error: qty err", PARAM, "its instrument is read again"),
    (10001, "The number of contracts exceeds minimum limit allowed", PARAM, "raise amount"),
    (10001, "The number of contracts exceeds maximum limit allowed: too large", PARAM, "lower amount"),
    (10001, "Not supported symbols", PARAM, "correct it in the configuration"),
    (10001, "empty value: apiTimestamp[] apiKey[]: openapi sign params error!", ErrorKind.AUTH, "check the API key"),
    (10001, "order not modified", ErrorKind.NOOP, "compared with the exchange"),
    (10001, "[3f2a]buy: [100,101] invalid", ErrorKind.RETRY, "tries again by itself"),
    (181001, "nobody knows", ErrorKind.AMBIGUOUS, "and report it"),
]
"""(code, text, kind, a part of the remedy)."""
PLAYED = CODES if examples(1) > 1 else [*{after_place(from_ret_code(*case[:2])): case for case in CODES}.values()]
"""What a whole worker is answered: one code of each verdict, by which it acts; each code by `--long`."""
TOLD_BY = {ErrorKind.AUTH: "auth", HALT: "halt.BTCUSDT", ErrorKind.SYMBOL: "listing.BTCUSDT"}
"""The incident that tells of a kind; of all others `refused`."""


def ids_of(codes: list[tuple[int, str, ErrorKind, str]]) -> list[str]:
    return [f"{code} {text[:24]}" for code, text, *_ in codes]


@pytest.mark.parametrize(("code", "text", "kind", "remedy"), CODES, ids=ids_of(CODES))
def test_a_code_has_kind_words_and_remedy(code: int, text: str, kind: ErrorKind, remedy: str) -> None:
    error = from_ret_code(code, text)
    assert error.kind is kind
    assert error.is_unknown is (code not in RET_CODES) is (code == 181001)
    assert remedy in remedy_for(error)
    assert f"(retCode {code}, {kind})" in str(error)


@pytest.mark.parametrize(("code", "text", "kind", "remedy"), PLAYED, ids=ids_of(PLAYED))
def test_a_worker_does_what_the_table_says(
    code: int, text: str, kind: ErrorKind, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every create is answered so: one incident with code and remedy, and what the verdict of the kind demands."""
    monkeypatch.setitem(rest_link.TEXTS, code, text)
    seconds = 40.0 if kind is ErrorKind.RETRY else 12.0
    refused = fault(FaultKind.NO_CREATES, 0.1, for_s=seconds, endpoint="/v5/order/create", chance=1.0, code=code)
    result, story = story_of(refused, length_s=seconds)
    told = [line for line in story.splitlines() if f"alert {TOLD_BY.get(kind, 'refused.BTCUSDT')}:" in line]
    assert len(told) == 1
    assert f"(retCode {code}, {kind})" in told[0]
    assert remedy in told[0]
    verdict = after_place(from_ret_code(code, text))
    assert ("alert halt.BTCUSDT" in story) is verdict.halt
    assert ("alert listing.BTCUSDT" in story) is verdict.symbol
    assert ("alert auth" in story) is verdict.auth
    assert result.counts["fault no_creates"] >= (1 if verdict.halt or verdict.symbol else 3)


def test_the_codes_that_were_seen_are_on_the_page_of_facts() -> None:
    page = (Path(__file__).parents[2] / "docs" / "bybit.md").read_text()
    named = page[page.index("### 4.2 Codes") : page.index("### 4.3")]
    ranges = {110136: "110135-110137"}
    assert [code for code, *_ in CODES if code != 181001 and ranges.get(code, str(code)) not in named] == []
