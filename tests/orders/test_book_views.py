"""What engine, gate and sizer see of the orders, and that they see it anew after each change only."""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal

from gridbot.core import Direction, LimitOrder, Side
from gridbot.orders.book_views import BookViews
from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.orders.order_index import OrderIndex
from tests.orders.helpers import make_order

D = Decimal


def test_the_engine_sees_both_legs_without_what_is_being_withdrawn() -> None:
    index = OrderIndex()
    views = BookViews(index)
    long, filling, short, leaving, unwanted = (make_order(n, ticks=1000 + n) for n in range(5))
    short.direction = Direction.SHORT
    filling.cum_exec_qty = D("0.001")
    leaving.state = OrderState.PENDING_CANCEL
    unwanted.withdrawn = "outside_grid"
    for order in (long, filling, short, leaving, unwanted):
        index.add(order)
        views.count()
    shown = views.resting
    assert shown.long == [
        LimitOrder(long.key, Side.BUY, 1000, has_fills=False),
        LimitOrder(filling.key, Side.BUY, 1001, has_fills=True),
    ]
    assert shown.short == [LimitOrder(short.key, Side.BUY, 1002, has_fills=False)]


def test_what_both_legs_may_open_is_seen_anew_after_each_change() -> None:
    index = OrderIndex()
    views = BookViews(index)
    long, short = make_order(1, ticks=1000), make_order(2, ticks=1001)
    short.direction = Direction.SHORT
    index.add(long)
    assert views.opening() == long.qty * long.price
    index.add(short)
    assert views.opening() == long.qty * long.price + short.qty * short.price
    assert views.opening() == sum(views.exposure(leg, closing=False) for leg in Direction)


def test_the_engine_can_tell_by_the_version_that_nothing_has_changed() -> None:
    """docs/core.md: while the version stays the same, the engine answers without a look at the lists."""
    index = OrderIndex()
    views = BookViews(index)
    order = make_order()
    index.add(order)
    before = views.resting.version
    order.withdrawn = "not a change that the index knows of"
    assert (views.resting.version, len(views.resting.long)) == (before, 1)
    index.touch(order)
    assert (views.resting.version, views.resting.long) == (before + 1, [])
    assert views.resting is views.resting


def test_what_the_engine_does_not_see_is_no_news_for_it() -> None:
    """An acknowledgement, the end of an order that was being withdrawn: the answer to the next price is known."""
    index = OrderIndex()
    views = BookViews(index)
    order, leaving = make_order(1), make_order(2, ticks=990)
    leaving.state = OrderState.PENDING_CANCEL
    index.add(order)
    index.add(leaving)
    before = views.resting.version
    order.state = OrderState.OPEN
    index.touch(order)
    leaving.state = OrderState.CANCELLED
    index.retire(leaving)
    assert (views.resting.version, views.count()) == (before, 1)


def test_an_order_that_is_wanted_again_has_its_place_among_the_others_again() -> None:
    index = OrderIndex()
    views = BookViews(index)
    first, second, third = (make_order(n, ticks=1000 + n) for n in range(3))
    for order in (first, second, third):
        index.add(order)
        _ = views.resting
    second.withdrawn = "outside_grid"
    index.touch(second)
    assert [row.key for row in views.resting.long] == [first.key, third.key]
    second.withdrawn = ""
    index.touch(second)
    version = views.resting.version
    assert [row.key for row in views.resting.long] == [first.key, second.key, third.key]
    second.cum_exec_qty = D("0.001")
    index.touch(second)
    assert [row.has_fills for row in views.resting.long] == [False, True, False]
    assert views.resting.version == version + 1


def test_sums_of_what_may_still_execute_per_leg() -> None:
    index = OrderIndex()
    views = BookViews(index)
    assert views.exposure(Direction.LONG, closing=False) == 0
    opening, more = make_order(1), make_order(2, ticks=990)
    closing = make_order(3, ticks=1010, side=Side.SELL, qty="0.020")
    short = make_order(4, ticks=1010, side=Side.SELL, direction=Direction.SHORT)
    opening.cum_exec_qty = D("0.004")
    for order in (opening, more, closing, short):
        index.add(order)
    assert views.exposure(Direction.LONG, closing=False) == D("0.006") * 100 + D("0.010") * 99
    assert views.exposure(Direction.LONG, closing=True) == D("0.020")
    assert views.exposure(Direction.SHORT, closing=False) == D("0.010") * 101
    assert views.exposure(Direction.SHORT, closing=True) == 0
    opening.state = OrderState.FILLED
    assert views.exposure(Direction.LONG, closing=False) == D("0.006") * 100 + D("0.010") * 99, "nobody was told"
    index.touch(opening)
    assert views.exposure(Direction.LONG, closing=False) == D("0.010") * 99


def test_the_views_are_those_of_an_index_that_is_read_for_the_first_time() -> None:
    """Whatever changes, and however often somebody looks between two changes."""
    for seed in range(40):
        draw = random.Random(seed)
        index, numbers = OrderIndex(), iter(range(1000))
        views = BookViews(index)
        for _ in range(60):
            _change(index, numbers.__next__, draw)
            if draw.random() < 0.4:
                shown = views.resting
                assert shown.sides(Direction.LONG) == {row.ticks: row.side for row in shown.long}
                assert shown.sides(Direction.SHORT) == {row.ticks: row.side for row in shown.short}
        fresh = _read_anew(index)
        assert (views.resting.long, views.resting.short) == (fresh.resting.long, fresh.resting.short)
        assert views.count() == fresh.count()
        for direction in Direction:
            for closing in (True, False):
                assert views.exposure(direction, closing=closing) == fresh.exposure(direction, closing=closing)


def _change(index: OrderIndex, number: Callable[[], int], draw: random.Random) -> None:
    known: list[TrackedOrder] = [*index.live.values(), *index.finished.values()]
    if not known or draw.random() < 0.3:
        direction = draw.choice(list(Direction))
        index.add(
            make_order(number(), ticks=1000 + draw.randrange(9), side=draw.choice(list(Side)), direction=direction)
        )
        return
    order = draw.choice(known)
    if order.key in index.finished:
        order.state = OrderState.OPEN
        index.bring_back(order)
        return
    match draw.randrange(4):
        case 0:
            order.withdrawn = draw.choice(["", "outside_grid"])
            index.touch(order)
        case 1:
            order.state = draw.choice([OrderState.OPEN, OrderState.PENDING_CANCEL, OrderState.FILLED])
            index.touch(order)
        case 2:
            order.cum_exec_qty = order.cum_exec_qty + D("0.001")
            index.touch(order)
        case 3:
            order.state = OrderState.CANCELLED
            index.retire(order)


def _read_anew(index: OrderIndex) -> BookViews:
    other = OrderIndex()
    for order in index.live.values():
        other.add(order)
    return BookViews(other)
