"""Where mark prices are next of interest."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.backtest.symbol_feed import FAR, Marks

UNIT = Decimal("0.5")


@pytest.mark.parametrize(("low", "high", "at_ms"), [("49", "51", 30), ("50.2", "60", 30), ("51.1", "60", 20)])
def test_a_mark_leaves_an_interval_whose_bounds_lie_between_two_units(low: str, high: str, at_ms: int) -> None:
    marks = Marks(np.array([10, 20, 30]), np.array([104, 102, 100]) - [0, 0, 4], UNIT)  # 52, 51, 48
    assert marks.next_outside(5, Decimal(low), Decimal(high)) == (10 if Decimal(high) < 52 else at_ms)


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=300),
    st.integers(0, 310),
    st.decimals("0.1", 30, places=2),
    st.decimals("0.1", 30, places=2),
)
def test_it_is_the_first_one_outside(prices: list[int], after: int, low: Decimal, high: Decimal) -> None:
    marks = Marks(np.arange(1, len(prices) + 1), np.array(prices), UNIT)
    outside = (at for at, price in enumerate(prices, 1) if at > after and not low <= price * UNIT <= high)
    assert marks.next_outside(after, low, high) == next(outside, FAR)
