"""Orders as the engine sees them."""

from __future__ import annotations

from gridbot.core import LimitOrder, LimitOrders
from tests.core.helpers import BUY, LONG, SELL, SHORT


def test_limit_orders_are_copied_and_answer_by_direction():
    mine = [LimitOrder("a", BUY, 1)]
    orders = LimitOrders(long=mine, version=3)
    mine.clear()
    assert orders[LONG] == orders.long == [LimitOrder("a", BUY, 1, False)]
    assert (orders[SHORT], orders.version) == ([], 3)
    assert LimitOrders().version == 0
    assert repr(LimitOrders()) == "LimitOrders(long=[], short=[], version=0)"


def test_sides_of_a_leg_are_those_of_its_orders_until_the_version_is_another():
    orders = LimitOrders(long=[LimitOrder("a", BUY, 1)], short=[LimitOrder("b", SELL, 2), LimitOrder("c", BUY, 2)])
    assert (orders.sides(LONG), orders.sides(SHORT)) == ({1: BUY}, {2: BUY})
    assert orders.sides(LONG) is orders.sides(LONG)
    orders.long.append(LimitOrder("d", SELL, 3))
    orders.version += 1
    assert orders.sides(LONG) == {1: BUY, 3: SELL}
