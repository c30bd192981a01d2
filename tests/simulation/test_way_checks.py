"""What counts as a second try that may not be made yet."""

from __future__ import annotations

from typing import Any

import pytest

from gridbot.bybit.error_mapping import from_ret_code
from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.simulation.way_checks import SentOnce


def found(*steps: tuple[str, Any]) -> list[str]:
    findings: list[str] = []
    sent = SentOnce(lambda invariant, text: findings.append(f"{invariant}: {text}"))
    for what, value in steps:
        getattr(sent, what)(*value)
    return findings


LEFT = ("left", (["a", "b"], "WebSocket"))
AGAIN = ("left", (["a"], "HTTP"))


@pytest.mark.parametrize(
    "between",
    [
        ("settled", (["a"],)),
        ("answered", (["a", "b"], from_ret_code(10006, "too many"))),
        ("answered", (["a", "b"], make_error("no connection", ErrorKind.RETRY))),
        ("answered", (["a", "b"], {"retExtInfo": {"list": [{"code": 110007}, {"code": 0}]}})),
    ],
)
def test_what_had_no_effect_or_was_looked_up_may_be_sent_again(between: tuple[str, Any]) -> None:
    assert found(LEFT, between, AGAIN) == []


@pytest.mark.parametrize(
    "between",
    [
        ("settled", (["b"],)),
        ("answered", (["a", "b"], make_error("lost", ErrorKind.AMBIGUOUS))),
        ("answered", (["a", "b"], from_ret_code(10019, "restarts"))),
        ("answered", (["a", "b"], {"retExtInfo": {"list": [{"code": 0}, {"code": 110007}]}})),
        ("answered", (["a"], {"retExtInfo": {}})),
        ("answered", (["a"], KeyboardInterrupt())),
    ],
)
def test_what_may_have_had_its_effect_may_not(between: tuple[str, Any]) -> None:
    (finding,) = found(LEFT, between, AGAIN)
    assert finding == "unresolved-stays: a leaves by HTTP, and its try by WebSocket is not resolved"
