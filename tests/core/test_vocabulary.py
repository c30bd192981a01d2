"""Sides and directions (docs/strategy.md 0)."""

from __future__ import annotations

import pytest

from gridbot.core import Direction, Side
from tests.core.helpers import BUY, LONG, SELL, SHORT


def test_sides_and_directions():
    assert (BUY.opposite, SELL.opposite) == (SELL, BUY)
    assert (LONG.opposite, SHORT.opposite) == (SHORT, LONG)
    assert [(x.position_idx, x.open_side, x.close_side) for x in Direction] == [(1, BUY, SELL), (2, SELL, BUY)]
    assert [Direction.from_position_idx(idx) for idx in (1, 2)] == [LONG, SHORT]
    for idx in (0, 3, -1):
        with pytest.raises(ValueError, match=f"got {idx}; is the symbol in hedge mode"):
            Direction.from_position_idx(idx)
    assert Direction.of_order(BUY, reduce_only=False) is Direction.of_order(SELL, reduce_only=True) is LONG
    assert Direction.of_order(SELL, reduce_only=False) is Direction.of_order(BUY, reduce_only=True) is SHORT
    assert [str(word) for word in (*Side, *Direction)] == ["Buy", "Sell", "long", "short"]
