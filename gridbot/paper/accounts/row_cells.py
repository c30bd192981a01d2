"""Rows of an account as lists of cells, as the journal has them: a third to a half of the bytes of named fields.

The cells are the fields of the row's class, in the order in which they are declared. Those behind the first `always`
are left out when all of them have their defaults. So a new field is declared last, with a default, and older cells can
still be read. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from decimal import Decimal
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import TypeAdapter

from gridbot.core.events import OrderStatus
from gridbot.core.vocabulary import SETTLE_COIN, Direction, Side
from gridbot.paper.accounts.bookings import ClosedPnl, Transfer
from gridbot.paper.accounts.exchange_order import Execution, NewOrder, Order, Slippage, Trigger
from gridbot.paper.accounts.leg import Leg
from gridbot.paper.accounts.stop_kinds import Attached, Trail

__all__ = ["CLOSED_PNL", "EXECUTIONS", "LEGS", "ORDERS", "TRANSFERS", "CellFormat", "ExecutionCells", "OrderCells"]

T = TypeVar("T")
Read = Callable[[Any], Any]
BUY, SELL, NEW = Side.BUY.value, Side.SELL.value, OrderStatus.NEW.value


def _decimal_or_none(cell: str | None) -> Decimal | None:
    return None if cell is None else Decimal(cell)


READ: dict[str, Read | None] = {
    **dict.fromkeys(("int", "str", "bool")),
    "Decimal": Decimal,
    "Decimal | None": _decimal_or_none,
    "Side": Side,
    "Direction": Direction,
    "OrderStatus": OrderStatus,
    "tuple[str, ...]": tuple,
    "Trigger | None": TypeAdapter(Trigger | None).validate_python,
    "Trail | None": TypeAdapter(Trail | None).validate_python,
    "Attached | None": TypeAdapter(Attached | None).validate_python,
    "Slippage | None": TypeAdapter(Slippage | None).validate_python,
}
"""What makes a field's value of its cell, by the field's type; None: the cell is the value."""


def _several(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Takes the values of any number of fields, also of none or one."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda row: tuple(getattr(row, name) for name in names)


class CellFormat(Generic[T]):
    """Rows of one class. `nested` are the formats of fields that are rows themselves, by type.

    `rest` takes the values behind the first `always` from a row, `defaults` are what they mostly are.
    """

    def __init__(self, kind: type[T], always: int, nested: dict[str, CellFormat[Any]] | None = None) -> None:
        described = fields(kind)  # type: ignore[arg-type]
        names, nested = [each.name for each in described], nested or {}
        self._kind = kind
        self._always = always
        self._values, self.rest = attrgetter(*names), _several(names[always:])
        self.defaults = tuple(each.default for each in described[always:])
        assert MISSING not in self.defaults
        types = [str(each.type) for each in described]
        self._decimals = [at for at, name in enumerate(types[:always]) if name == "Decimal"]
        self._nested = [(at, nested[name]) for at, name in enumerate(types) if name in nested]
        self._read = [nested[name].row if name in nested else READ[name] for name in types]

    def cells(self, row: T) -> list[Any]:
        """For `orjson.dumps(..., default=str)`, which would make text of any Decimal, but slowly."""
        cells = list(self._values(row))
        if self.rest(row) == self.defaults:
            del cells[self._always :]
        for at in self._decimals:
            cells[at] = str(cells[at])
        for at, form in self._nested:
            cells[at] = form.cells(cells[at])
        return cells

    def row(self, cells: Sequence[Any]) -> T:
        """The row. Raises ValueError, TypeError, KeyError or ArithmeticError for anything that is none."""
        if len(cells) < self._always:
            raise ValueError(f"expected {self._always} cells of {self._kind.__name__} or more, got {len(cells)}")
        values = [cell if read is None else read(cell) for read, cell in zip(self._read, cells, strict=False)]
        return self._kind(*values)


class ExecutionCells(NamedTuple):
    """The cells of an execution by the names of its fields; an `Execution` costs four times as much."""

    number: int
    exec_id: str
    symbol: str
    side: str
    price: str
    qty: str
    fee: str
    fee_rate: str
    exec_type: str
    is_maker: bool
    time_ms: int
    seq: int
    mark_price: str
    closed_size: str
    realised: str
    leaves_qty: str
    order_id: str
    order_link_id: str
    order_price: str
    order_qty: str
    order_type: str
    create_type: str
    position_size: str
    wallet: str
    fee_coin: str = SETTLE_COIN
    tax: str = "0"


_REQUESTS = CellFormat(NewOrder, 8)


class OrderCells(CellFormat[Order]):
    """The same cells in half the time, and fewer of an order that has just been placed: its answer waits for them."""

    def placed(self, account: str, order: Order) -> list[Any] | None:
        """An account's plain limit order as it was accepted, in one flat list; None when there is more to tell.

        Texts, not the members of an enumeration: asking one for its value takes as long as all the numbers. And no
        unpacked parts, with which it takes twice as long.
        """
        request = order.request
        qty, price = request.qty, request.price
        if (
            price is None
            or order.status is not OrderStatus.NEW
            or order.price is not price
            or order.qty is not qty
            or order.updated_ms != order.created_ms
            or self.rest(order) != self.defaults
            or _REQUESTS.rest(request) != _REQUESTS.defaults
        ):
            return None
        side, idx, link_id = BUY if request.side is Side.BUY else SELL, request.position_idx, request.order_link_id
        cells = [account, order.number, order.order_id, request.symbol, side, str(qty), str(price), idx]
        cells += [request.time_in_force, link_id, request.reduce_only, order.closing, str(order.last_price)]
        cells += [order.created_ms, NEW, str(order.reserved)]
        return cells

    def placed_row(self, cells: Sequence[Any]) -> tuple[str, Order]:
        """Account and order of the cells of `placed`. Raises as `row`."""
        account, number, order_id, symbol, side, qty, price, *asked = cells
        *asked, closing, last_price, created_ms, status, reserved = asked
        request = NewOrder(symbol, Side(side), Decimal(qty), Decimal(price), *asked)
        return account, Order(
            *(number, order_id, request, request.qty, Decimal(price), closing, Decimal(last_price)),
            *(created_ms, created_ms, OrderStatus(status), Decimal(reserved)),
        )

    def cells(self, order: Order) -> list[Any]:
        request = order.request
        price = request.price
        asked = [
            *(request.symbol, request.side, str(request.qty), None if price is None else str(price)),
            *(request.position_idx, request.time_in_force, request.order_link_id, request.reduce_only),
        ]
        rest = _REQUESTS.rest(request)
        if rest != _REQUESTS.defaults:
            asked += rest
        cells = [
            *(order.number, order.order_id, asked, str(order.qty), str(order.price), order.closing),
            *(str(order.last_price), order.created_ms, order.updated_ms, order.status, str(order.reserved)),
        ]
        rest = self.rest(order)
        if rest != self.defaults:
            cells += rest
        return cells


ORDERS = OrderCells(Order, 11, {"NewOrder": _REQUESTS})
EXECUTIONS = CellFormat(Execution, 24)
LEGS = CellFormat(Leg, 12)
TRANSFERS = CellFormat(Transfer, 5)
CLOSED_PNL = CellFormat(ClosedPnl, 13, {"Order": ORDERS})
