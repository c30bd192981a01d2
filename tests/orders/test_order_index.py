"""Names, levels and memory of a book's orders."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.core import Direction, OrderStatus
from gridbot.orders.order import IllegalTransition, OrderState
from gridbot.orders.order_index import OrderIndex
from tests.orders.helpers import INSTRUMENT, make_order, update

LEVEL = (Direction.LONG, 1000)


def test_an_order_takes_its_level_until_it_is_retired() -> None:
    index = OrderIndex()
    one, other = make_order(1), make_order(2)
    index.add(one)
    index.add(other)
    assert index.levels == {LEVEL: 2}
    index.retire(one)
    assert (index.levels, index.live, index.finished) == ({LEVEL: 1}, {other.key: other}, {one.key: one})
    index.retire(other)
    assert index.levels == {}
    version = index.version
    index.retire(other)
    assert index.version == version, "retired once"


def test_a_level_is_crowded_by_another_order_that_is_wanted_there() -> None:
    index = OrderIndex()
    here, other = make_order(1), make_order(2)
    for order in (here, make_order(3, ticks=1001), make_order(4, direction=Direction.SHORT)):
        index.add(order)
    assert not index.is_crowded(here)
    index.add(other)
    assert index.is_crowded(here)
    other.withdrawn = "outside_grid"
    assert (index.is_crowded(here), index.is_crowded(other)) == (False, True)


def test_an_order_is_found_by_both_names() -> None:
    index = OrderIndex()
    adopted, new = make_order(1), make_order(2)
    adopted.order_id = "x1"
    index.add(adopted)
    index.add(new)
    assert index.names == 1
    index.name(new, "x2")
    index.name(new, "")
    assert (index.get("x1"), index.get("x2"), index.get(new.key), index.get("x3")) == (adopted, new, new, None)
    assert (new.order_id, index.names) == ("x2", 2)
    index.name(new, "x4")
    assert (index.get("x2"), index.get("x4"), index.names) == (None, new, 2), "one name of the exchange's at a time"


@pytest.mark.parametrize("is_over", [True, False])
def test_a_key_is_used_once(*, is_over: bool) -> None:
    index = OrderIndex()
    order = make_order()
    index.add(order)
    if is_over:
        index.retire(order)
    with pytest.raises(IllegalTransition, match=f"{order.key}: expected an id that was never used"):
        index.add(make_order())


def test_the_exchanges_terms_are_taken() -> None:
    """It re-prices silently outside its band (docs/bybit.md 3.13) and clamps reduce-only orders."""
    index = OrderIndex()
    order = make_order()
    order.on_wire = False
    index.add(order)
    version = index.version
    news = update(order, OrderStatus.PARTIALLY_FILLED, "0.002", 7, price=Decimal("101.5"), qty=Decimal("0.007"))
    index.take_terms(order, news, INSTRUMENT)
    assert (order.price, order.ticks, index.levels) == (Decimal("101.5"), 1015, {(Direction.LONG, 1015): 1})
    assert (order.qty, order.cum_exec_qty, order.exchange_ts) == (Decimal("0.007"), Decimal("0.002"), 7)
    assert (order.on_wire, index.version) == (True, version + 3)
    index.take_terms(order, news, INSTRUMENT)
    assert index.version == version + 3, "nothing new"
    older = update(order, OrderStatus.CANCELLED, "0.001", 5, price=Decimal(0), qty=Decimal(0))
    index.take_terms(order, older, INSTRUMENT)
    assert (order.ticks, order.qty, order.cum_exec_qty, order.exchange_ts) == (
        1015,
        Decimal("0.007"),
        Decimal("0.002"),
        7,
    )


def test_an_order_that_is_not_over_after_all_takes_its_level_again() -> None:
    index = OrderIndex()
    order = make_order()
    index.add(order)
    index.retire(order)
    version = index.version
    index.bring_back(order)
    assert (index.live, index.finished, index.levels) == ({order.key: order}, {}, {LEVEL: 1})
    assert index.version == version + 1
    index.bring_back(order)
    assert (index.levels, index.version) == ({LEVEL: 1}, version + 1)


def test_finished_orders_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridbot.orders.order_index.FINISHED_KEPT", 2)
    index = OrderIndex()
    orders = [make_order(n) for n in range(3)]
    for n, order in enumerate(orders):
        order.order_id = f"x{n}"
        index.add(order)
        order.state = OrderState.REJECTED
        index.retire(order)
    assert [index.get(order.key) for order in orders] == [None, *orders[1:]]
    assert [index.get(order.order_id) for order in orders] == [None, *orders[1:]]
    assert index.names == 2


def test_the_newest_are_kept_of_those_that_are_forgotten() -> None:
    index = OrderIndex()
    orders = [make_order(n) for n in range(4)]
    for n, order in enumerate(orders):
        order.order_id = f"x{n}"
        index.add(order)
        if n < 3:
            order.state = OrderState.REJECTED
            index.retire(order)
    index.forget(1)
    assert [index.get(order.order_id) for order in orders] == [None, None, *orders[2:]]
    assert (list(index.live), list(index.finished), index.names) == ([orders[3].key], [orders[2].key], 2)
    assert index.retired == 3
    index.forget(1)
    assert list(index.finished) == [orders[2].key]


def test_each_change_is_a_new_version() -> None:
    index = OrderIndex()
    order = make_order()
    seen = [index.version]
    for change in (lambda: index.add(order), lambda: index.retire(order)):
        change()
        seen.append(index.version)
    assert seen == [0, 1, 2]
