"""What an operator is told to do about a refusal."""

from __future__ import annotations

import pytest

from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.exchange.remedies import remedy_for


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_kind_has_a_remedy(kind: ErrorKind) -> None:
    assert remedy_for(make_error("x", kind))


@pytest.mark.parametrize(
    ("text", "code", "kind", "part"),
    [
        ("position idx not match position mode", 10001, ErrorKind.RESYNC, "not in hedge mode"),
        ("openapi sign params error", 10001, ErrorKind.AUTH, "API key"),
        ("price out of range", 110003, ErrorKind.PARAM, "narrow the grid"),
        ("minimum order value", 110094, ErrorKind.PARAM, "raise amount"),
        ("reduce-only rule not satisfied", 110017, ErrorKind.RESYNC, "cancel the order that closes it"),
        ("x; gridbot does not know this code", 181001, ErrorKind.AMBIGUOUS, "report it"),
        ("params error", 10001, ErrorKind.PARAM, "read again"),
        ("no margin", 110007, ErrorKind.BALANCE, "add funds"),
    ],
)
def test_texts_go_before_codes_and_codes_before_kinds(text: str, code: int, kind: ErrorKind, part: str) -> None:
    assert part in remedy_for(make_error(text, kind, ret_code=code))
