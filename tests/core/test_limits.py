"""A limit of money as text, as a value, and in USDT."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.core.limits import DrawdownLimit, Limit
from tests.case_table import case_table


@case_table("text", ["20000", "x10", "0.5", "x0.25"])
def test_a_limit_is_written_as_it_was_read(text):
    assert str(Limit.parse(text)) == text


@case_table("text", ["", "x", "0", "-1", "x-1", "NaN", "Infinity", "much", "10x"])
def test_only_a_positive_number_is_a_limit(text):
    with pytest.raises(ValueError, match="expected USDT such as 20000"):
        Limit.parse(text)


def test_limits_resolve_against_the_wallet():
    assert Limit.parse("x0.25").resolve(Decimal(1000)) == Decimal(250)
    assert Limit.parse("x0.25").resolve(Decimal(-5)) == 0
    assert Limit.parse("500").resolve(Decimal(-5)) == 500


@case_table("text", ["500", "20%", "0.5%", "99.9%"])
def test_a_drawdown_is_written_as_it_was_read(text: str) -> None:
    assert str(DrawdownLimit.parse(text)) == text
    assert DrawdownLimit.parse("20 %") == DrawdownLimit.parse("20%")


@case_table("text", ["", "%", "0", "0%", "-5%", "100%", "x0.2", "NaN%", "%20", "5%%"])
def test_only_usdt_or_a_share_below_all_is_a_drawdown(text: str) -> None:
    with pytest.raises(ValueError, match="expected USDT such as 500 or a share of the peak such as 20%"):
        DrawdownLimit.parse(text)


def test_drawdowns_resolve_against_the_peak() -> None:
    assert DrawdownLimit.parse("20%").resolve(Decimal(1500)) == Decimal(300)
    assert DrawdownLimit.parse("20%").resolve(Decimal(-5)) == 0
    assert DrawdownLimit.parse("500").resolve(Decimal(-5)) == 500
