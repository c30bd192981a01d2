"""What engine, gate and sizer see of the orders, and that they see it anew after each change only."""

from __future__ import annotations

from decimal import Decimal

from gridbot.core import Direction, LimitOrder, Side
from gridbot.orders.book_views import EngineView, Exposure
from gridbot.orders.order import OrderState
from gridbot.orders.order_index import OrderIndex
from tests.orders.helpers import make_order

D = Decimal


def test_the_engine_sees_both_legs_without_what_is_being_withdrawn() -> None:
    index = OrderIndex()
    view = EngineView(index)
    long, filling, short, leaving, unwanted = (make_order(n, ticks=1000 + n) for n in range(5))
    short.direction = Direction.SHORT
    filling.cum_exec_qty = D("0.001")
    leaving.state = OrderState.PENDING_CANCEL
    unwanted.withdrawn = "outside_grid"
    for order in (long, filling, short, leaving, unwanted):
        index.add(order)
    shown = view.current()
    assert shown.long == [
        LimitOrder(long.key, Side.BUY, 1000, has_fills=False),
        LimitOrder(filling.key, Side.BUY, 1001, has_fills=True),
    ]
    assert shown.short == [LimitOrder(short.key, Side.BUY, 1002, has_fills=False)]


def test_the_engine_can_tell_by_the_version_that_nothing_has_changed() -> None:
    """docs/core.md: while the version stays the same, the engine answers without a look at the lists."""
    index = OrderIndex()
    view = EngineView(index)
    order = make_order()
    index.add(order)
    before = view.current().version
    order.withdrawn = "not a change that the index knows of"
    assert (view.current().version, len(view.current().long)) == (before, 1)
    index.version += 1
    assert (view.current().version, view.current().long) == (before + 1, [])
    assert view.current() is view.current()


def test_sums_of_what_may_still_execute_per_leg() -> None:
    index = OrderIndex()
    exposure = Exposure(index)
    assert exposure.of(Direction.LONG, closing=False) == 0
    opening, more = make_order(1), make_order(2, ticks=990)
    closing = make_order(3, ticks=1010, side=Side.SELL, qty="0.020")
    short = make_order(4, ticks=1010, side=Side.SELL, direction=Direction.SHORT)
    opening.cum_exec_qty = D("0.004")
    for order in (opening, more, closing, short):
        index.add(order)
    assert exposure.of(Direction.LONG, closing=False) == D("0.006") * 100 + D("0.010") * 99
    assert exposure.of(Direction.LONG, closing=True) == D("0.020")
    assert exposure.of(Direction.SHORT, closing=False) == D("0.010") * 101
    assert exposure.of(Direction.SHORT, closing=True) == 0
    opening.state = OrderState.FILLED
    assert exposure.of(Direction.LONG, closing=False) == D("0.006") * 100 + D("0.010") * 99, "the same version"
    index.version += 1
    assert exposure.of(Direction.LONG, closing=False) == D("0.010") * 99


def test_an_added_order_is_counted_alone_when_nothing_else_has_changed() -> None:
    index = OrderIndex()
    exposure = Exposure(index)
    first, second, third = (make_order(n, ticks=1000 + n) for n in range(3))
    index.add(first)
    exposure.added(first)  # the sums are older still: they are made anew when they are asked for
    assert exposure.count() == 1
    index.add(second)
    exposure.added(second)
    assert exposure.count() == 2
    assert exposure.of(Direction.LONG, closing=False) == first.qty * first.price + second.qty * second.price
    third.state = OrderState.CANCELLED
    index.add(third)
    exposure.added(third)
    assert exposure.count() == 2
