"""What changed of an account since somebody last took note, for the journal. Pure.

Rows are kept by reference and read when they are taken, at the end of a turn, so a row that changes twice counts once.
"""

from __future__ import annotations

from typing import Any

from gridbot.paper.accounts.bookings import ClosedPnl, Transfer
from gridbot.paper.accounts.exchange_order import Order
from gridbot.paper.accounts.leg import Leg

__all__ = ["AccountChanges", "Unnoticed"]


class Unnoticed:
    """Nobody takes note: the exchange has no state file."""

    __slots__ = ()

    def order(self, order: Order) -> None:
        """An open order is new or differs; harmless for one that has been closed."""

    def closed(self, order: Order) -> None:
        """An order is closed and in its final state."""

    def leg(self, leg: Leg) -> None: ...

    def execution(self, packed: bytes) -> None:
        """A new execution, as text."""

    def transfer(self, transfer: Transfer) -> None: ...

    def closed_pnl(self, row: ClosedPnl) -> None: ...

    def money(self) -> None:
        """Wallet and totals differ."""

    def settings(self) -> None:
        """Leverage, position mode or another setting differs."""


class AccountChanges(Unnoticed):
    """Notes all of it. An account that changed puts itself into `dirty`, which all accounts share, by its name.

    `is_more` is False when open orders are all that changed.
    """

    __slots__ = (
        *("_dirty", "_name", "closed_orders", "closed_pnl_rows", "executions", "has_money", "has_settings"),
        *("is_more", "legs", "orders", "transfers"),
    )

    def __init__(self, name: str, dirty: dict[str, AccountChanges]) -> None:
        self._name = name
        self._dirty = dirty
        self.orders: dict[str, Order] = {}
        self.closed_orders: list[Order] = []
        self.legs: dict[tuple[str, int], Leg] = {}
        self.executions: list[bytes] = []
        self.transfers: list[Transfer] = []
        self.closed_pnl_rows: dict[str, ClosedPnl] = {}
        self.is_more = self.has_money = self.has_settings = False

    def clear(self) -> None:
        """Forget what was noted; the caller has written it, and takes the account out of `dirty`."""
        for rows in self._rows():
            rows.clear()
        self.is_more = self.has_money = self.has_settings = False

    @property
    def row_count(self) -> int:
        return sum(map(len, self._rows()))

    def _rows(self) -> tuple[dict[Any, Any] | list[Any], ...]:
        return (self.orders, self.closed_orders, self.legs, self.executions, self.transfers, self.closed_pnl_rows)

    def order(self, order: Order) -> None:
        if order.order_id not in self.orders and order.is_open:
            self.orders[order.order_id] = order
            self._dirty[self._name] = self

    def closed(self, order: Order) -> None:
        self.orders.pop(order.order_id, None)
        self.closed_orders.append(order)
        self._note()

    def leg(self, leg: Leg) -> None:
        self.legs[(leg.symbol, leg.position_idx)] = leg
        self._note()

    def execution(self, packed: bytes) -> None:
        self.executions.append(packed)
        self.has_money = True
        self._note()

    def transfer(self, transfer: Transfer) -> None:
        self.transfers.append(transfer)
        self.has_money = True
        self._note()

    def closed_pnl(self, row: ClosedPnl) -> None:
        self.closed_pnl_rows[row.order.order_id] = row
        self.has_money = True
        self._note()

    def money(self) -> None:
        self.has_money = True
        self._note()

    def settings(self) -> None:
        self.has_settings = True
        self._note()

    def _note(self) -> None:
        self.is_more = True
        self._dirty[self._name] = self
