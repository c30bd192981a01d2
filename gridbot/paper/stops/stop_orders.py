"""The conditional orders behind a position's stops: set, moved, triggered, and never without a position. Pure.

    set ──> Untriggered ── price reached ──> Triggered ──> closes its quantity, as any conditional order
                 ├── position gone or turned ──> Deactivated (CancelByTpSlTsClear)
                 └── its sibling was triggered ──> Deactivated (CancelByTpSlTsClear)

When one triggers, the position's resting closing orders make room for it. Take-profit and stop-loss that were set in
one request are siblings: a cancel of one cancels both. The quantity of a stop follows the position: all of it for one
of the whole position; partial ones shrink, the newest first, when together they would close more than there is.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from gridbot.core.events import OrderStatus
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import NewOrder, Order, Trigger
from gridbot.paper.accounts.leg import Leg
from gridbot.paper.accounts.stop_kinds import StopKind, StopPrice, Trail
from gridbot.paper.ledger.exchange_state import ExchangeState
from gridbot.paper.ledger.settlement import Settlement
from gridbot.paper.ledger.waiting_orders import WaitingOrders
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.rows.outbox import Outbox

__all__ = ["StopOrders", "bind", "unbind"]


class StopOrders:
    """Makes, moves, pairs and ends the stops of positions."""

    def __init__(self, state: ExchangeState, waiting: WaitingOrders, settlement: Settlement, outbox: Outbox) -> None:
        self._state = state
        self._waiting = waiting
        self._settlement = settlement
        self._outbox = outbox

    def add(
        self,
        account: Account,
        leg: Leg,
        kind: StopKind,
        wanted: StopPrice | Trail,
        now_ms: int,
        *,
        qty: Decimal | None = None,
        parent: str = "",
    ) -> Order:
        """A new stop for a quantity, or without one for the whole position. `parent` is a link id."""
        limit = wanted.limit if isinstance(wanted, StopPrice) else None
        request = NewOrder(
            leg.symbol,
            leg.direction.close_side,
            leg.size if qty is None else qty,
            limit,
            leg.position_idx,
            "IOC" if limit is None else "GTC",
            reduce_only=True,
            close_on_trigger=True,
            close_all=qty is None,
            create_type=kind.create_type,
            trigger=_trigger(leg, kind, wanted, self._state.markets[leg.symbol]),
            trail=_trail(wanted),
            parent_link_id=parent,
        )
        order = self._state.new_order(request, now_ms, closing=True)
        order.status = OrderStatus.UNTRIGGERED
        account.add_open(order)
        self._waiting.add(account, order)
        self._outbox.order_changed(account, order)
        return order

    def move(
        self,
        account: Account,
        leg: Leg,
        order: Order,
        wanted: StopPrice | Trail,
        now_ms: int,
        parent: str | None = None,
    ) -> None:
        """Move a stop of the whole position; it stays the same order."""
        kind = order.stop_kind
        assert kind is not None
        order.request = replace(
            order.request,
            trigger=_trigger(leg, kind, wanted, self._state.markets[leg.symbol]),
            trail=_trail(wanted),
            parent_link_id=order.request.parent_link_id if parent is None else parent,
        )
        order.updated_ms = now_ms
        self._waiting.show(account, order)
        self._outbox.order_changed(account, order)

    def resize(self, account: Account, order: Order, qty: Decimal, now_ms: int) -> None:
        order.request, order.qty = replace(order.request, qty=qty), qty
        order.updated_ms = now_ms
        self._outbox.order_changed(account, order)

    @property
    def are_none(self) -> bool:
        """Whether no position of any account has a stop that waits: there is nothing to `fit`."""
        return self._waiting.has_no_stops

    def fit(self, account: Account, leg: Leg, now_ms: int) -> None:
        """After a fill: end the stops of what is no longer held, and let the others close no more than there is."""
        stops = self._waiting.stops_of(account, leg)
        free = dict.fromkeys(StopKind, leg.size) if stops else {}
        for order in stops:
            kind = order.stop_kind
            assert kind is not None
            wanted = min(order.qty, free[kind]) if kind.is_partial else leg.size
            free[kind] -= wanted
            if not wanted or order.side is not leg.direction.close_side:
                self._settlement.end(account, order, now_ms, cancel_type="CancelByTpSlTsClear")
            elif wanted != order.qty:
                self.resize(account, order, wanted, now_ms)

    def end_sibling(self, account: Account, order: Order, cancel_type: str, now_ms: int) -> None:
        """End the other one of a pair of stops, if it still waits."""
        sibling = account.open.get(order.sibling_id)
        if sibling is not None and sibling.is_waiting:
            self._settlement.end(account, sibling, now_ms, cancel_type=cancel_type)


def bind(orders: list[Order]) -> None:
    """Make a pair of two stops, or let a single one stand alone."""
    for order in orders:
        order.sibling_id = next((other.order_id for other in orders if other is not order), "")


def unbind(account: Account, order: Order) -> None:
    """Let both stops of a pair stand alone."""
    sibling = account.open.get(order.sibling_id)
    order.sibling_id = ""
    account.changes.order(order)
    if sibling is not None:
        sibling.sibling_id = ""
        account.changes.order(sibling)


def _trail(wanted: StopPrice | Trail) -> Trail | None:
    return wanted if isinstance(wanted, Trail) else None


def _trigger(leg: Leg, kind: StopKind, wanted: StopPrice | Trail, market: SymbolMarket) -> Trigger:
    direction = kind.direction(leg.direction)
    if isinstance(wanted, Trail):
        return Trigger(wanted.first_trigger(leg.direction, market.last), direction, "LastPrice")
    return Trigger(wanted.price, direction, wanted.by)
