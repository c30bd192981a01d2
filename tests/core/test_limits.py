"""A limit of money as text, as a value, and in USDT."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.core.limits import Limit


@pytest.mark.parametrize("text", ["20000", "x10", "0.5", "x0.25"])
def test_a_limit_is_written_as_it_was_read(text):
    assert str(Limit.parse(text)) == text


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "x-1", "NaN", "Infinity", "much", "10x"])
def test_only_a_positive_number_is_a_limit(text):
    with pytest.raises(ValueError, match="expected USDT such as 20000"):
        Limit.parse(text)


def test_limits_resolve_against_the_wallet():
    assert Limit.parse("x0.25").resolve(Decimal(1000)) == Decimal(250)
    assert Limit.parse("x0.25").resolve(Decimal(-5)) == 0
    assert Limit.parse("500").resolve(Decimal(-5)) == 500
