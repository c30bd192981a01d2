"""Orders as the engine sees them, and the identity of a level (docs/strategy.md 3.1)."""

from __future__ import annotations

from typing import Any

from gridbot.core import LimitOrder, LimitOrders, client_order_id
from tests.core.helpers import BUY, LONG, SELL, SHORT, SYMBOL


def test_limit_orders_are_copied_and_answer_by_direction():
    mine = [LimitOrder("a", BUY, 1)]
    orders = LimitOrders(long=mine, version=3)
    mine.clear()
    assert orders[LONG] == orders.long == [LimitOrder("a", BUY, 1, False)]
    assert (orders[SHORT], orders.version) == ([], 3)
    assert LimitOrders().version == 0
    assert repr(LimitOrders()) == "LimitOrders(long=[], short=[], version=0)"


def test_the_documented_identity():
    """The recipe never changes while orders rest under it (incident L4)."""
    assert client_order_id("s1", SYMBOL, BUY, 198, LONG) == "d8325c17c4b4173a"


def test_every_part_of_an_identity_counts():
    """Quantity, level index and reduceOnly are no arguments at all (docs/strategy.md 3.1)."""
    base: list[Any] = ["grid-1", SYMBOL, BUY, 990, LONG]
    other: list[Any] = ["grid-2", "YUSDT", SELL, 991, SHORT]

    def changed(place: int) -> str:
        parts = base.copy()
        parts[place] = other[place]
        strat_id, symbol, side, ticks, direction = parts
        return client_order_id(strat_id, symbol, side, ticks, direction)

    ids = {changed(place) for place in range(5)} | {client_order_id("grid-1", SYMBOL, BUY, 990, LONG)}
    assert len(ids) == 6
    assert all(len(text) == 16 and set(text) <= set("0123456789abcdef") for text in ids)
