"""Orders as the engine sees them."""

from __future__ import annotations

from gridbot.core import LimitOrder, LimitOrders
from tests.core.helpers import BUY, LONG, SHORT


def test_limit_orders_are_copied_and_answer_by_direction():
    mine = [LimitOrder("a", BUY, 1)]
    orders = LimitOrders(long=mine, version=3)
    mine.clear()
    assert orders[LONG] == orders.long == [LimitOrder("a", BUY, 1, False)]
    assert (orders[SHORT], orders.version) == ([], 3)
    assert LimitOrders().version == 0
    assert repr(LimitOrders()) == "LimitOrders(long=[], short=[], version=0)"
