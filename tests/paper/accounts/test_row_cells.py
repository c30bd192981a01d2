"""Rows as cells: nothing of a row is lost, and the short way of writing orders writes what the plain one does."""

from __future__ import annotations

from dataclasses import MISSING, fields
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.core.events import OrderStatus
from gridbot.core.vocabulary import Direction, Side
from gridbot.paper.accounts.bookings import ClosedPnl, Transfer
from gridbot.paper.accounts.exchange_order import Execution, NewOrder, Order, Slippage, Trigger
from gridbot.paper.accounts.leg import Leg
from gridbot.paper.accounts.row_cells import (
    CLOSED_PNL,
    EXECUTIONS,
    LEGS,
    ORDERS,
    TRANSFERS,
    CellFormat,
    ExecutionCells,
)
from gridbot.paper.accounts.stop_kinds import Attached, StopPrice, TpslMode, Trail
from tests.case_table import case_table
from tests.examples import examples

amounts = st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**6), max_value=10**6)
prices = st.one_of(st.none(), amounts)
stops = st.one_of(st.none(), st.builds(StopPrice, amounts, st.sampled_from(["LastPrice", "MarkPrice"]), prices))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(-1, 10**13),
    "str": st.text(max_size=3),
    "bool": st.booleans(),
    "Decimal": amounts,
    "Decimal | None": prices,
    "Side": st.sampled_from(Side),
    "Direction": st.sampled_from(Direction),
    "OrderStatus": st.sampled_from(OrderStatus),
    "tuple[str, ...]": st.lists(st.text(max_size=3), max_size=2).map(tuple),
    "Trigger | None": st.one_of(st.none(), st.builds(Trigger, amounts, st.sampled_from([1, 2]), st.just("LastPrice"))),
    "Trail | None": st.one_of(st.none(), st.builds(Trail, amounts, prices, st.booleans())),
    "Attached | None": st.one_of(st.none(), st.builds(Attached, st.sampled_from(TpslMode), stops, stops)),
    "Slippage | None": st.one_of(st.none(), st.builds(Slippage, st.just("Percent"), amounts)),
}


def rows(kind: Any, **given_values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Rows of a class with any values in its fields, or their defaults."""
    values = {}
    for each in fields(kind):
        value = given_values.get(each.name, VALUES.get(str(each.type), st.nothing()))
        values[each.name] = value if each.default is MISSING else st.one_of(st.just(each.default), value)
    return st.builds(kind, **values)


requests = rows(NewOrder)
orders = rows(Order, request=requests)
ROWS = [
    (ORDERS, orders),
    (EXECUTIONS, rows(Execution)),
    (LEGS, rows(Leg)),
    (TRANSFERS, rows(Transfer)),
    (CLOSED_PNL, rows(ClosedPnl, order=orders)),
]


@settings(max_examples=examples(25))
@pytest.mark.parametrize(("form", "made"), ROWS)
@given(st.data())
def test_what_is_read_is_what_was_written(form: CellFormat[Any], made: Any, data: st.DataObject) -> None:
    row = data.draw(made)
    read = form.row(orjson.loads(orjson.dumps(form.cells(row), default=str)))
    assert read == row


@given(orders)
def test_an_order_is_written_as_the_plain_way_writes_it(order: Order) -> None:
    plain = CellFormat.cells(ORDERS, order)
    assert orjson.dumps(ORDERS.cells(order), default=str) == orjson.dumps(plain, default=str)


plain = st.builds(NewOrder, *(VALUES[kind] for kind in ("str", "Side", "Decimal", "Decimal", "int")), st.just("GTC"))


@given(plain, VALUES["bool"], amounts, st.integers(0, 10**13), amounts)
def test_a_plain_order_that_was_placed_comes_back_whole(
    asked: NewOrder, closing: bool, last: Decimal, now_ms: int, reserved: Decimal
) -> None:
    assert asked.price is not None
    order = Order(7, "id", asked, asked.qty, asked.price, closing, last, now_ms, now_ms, reserved=reserved)
    cells = ORDERS.placed("alice", order)
    assert ORDERS.placed_row(orjson.loads(orjson.dumps(cells))) == ("alice", order)


@given(orders)
def test_of_any_order_only_a_plain_one_is_told_by_fewer_cells(order: Order) -> None:
    cells = ORDERS.placed("alice", order)
    if cells is not None:
        assert ORDERS.placed_row(orjson.loads(orjson.dumps(cells))) == ("alice", order)


@case_table(
    "differs",
    [
        *({"qty": Decimal("0.2")}, {"price": Decimal(5)}, {"updated_ms": 2}, {"cum_qty": Decimal(1)}),
        *({"status": status} for status in OrderStatus if status is not OrderStatus.NEW),
        *({"request": NewOrder("BTCUSDT", Side.BUY, Decimal(1), None, 1)}, {"sibling_id": "other"}),
        {"request": NewOrder("BTCUSDT", Side.BUY, Decimal(1), Decimal(6), 1, close_on_trigger=True)},
    ],
)
def test_an_order_that_is_more_than_placed_needs_all_its_cells(differs: dict[str, Any]) -> None:
    request = differs.pop("request", NewOrder("BTCUSDT", Side.BUY, Decimal("0.1"), Decimal(6), 1))
    order = Order(7, "id", request, request.qty, request.price or Decimal(6), False, Decimal(5), 1, 1)
    for name, value in differs.items():
        setattr(order, name, value)
    assert ORDERS.placed("alice", order) is None


@case_table("form", [form for form, _ in ROWS])
def test_too_few_cells_are_refused(form: CellFormat[Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        form.row([1, "2"])


@given(rows(Execution))
def test_the_cells_of_an_execution_have_the_names_of_its_fields(execution: Execution) -> None:
    named = ExecutionCells(*orjson.loads(orjson.dumps(EXECUTIONS.cells(execution), default=str)))
    assert named._fields == tuple(each.name for each in fields(Execution))
    for name, cell in named._asdict().items():
        value = getattr(execution, name)
        assert (Decimal(cell) if isinstance(value, Decimal) else cell) == value


def test_a_new_order_has_few_cells() -> None:
    request = NewOrder("BTCUSDT", Side.BUY, Decimal("0.1"), Decimal(6), 1, order_link_id="mine")
    order = Order(7, "id", request, Decimal("0.1"), Decimal(6), False, Decimal(5), 1, 1)
    assert orjson.loads(orjson.dumps(ORDERS.cells(order), default=str)) == [
        *(7, "id", ["BTCUSDT", "Buy", "0.1", "6", 1, "GTC", "mine", False]),
        *("0.1", "6", False, "5", 1, 1, "New", "0"),
    ]
