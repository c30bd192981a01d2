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
from gridbot.paper.accounts.account import Account, Leg
from gridbot.paper.accounts.exchange_order import Execution, NewOrder, Order, Trigger
from gridbot.paper.accounts.stop_kinds import StopKind, StopPrice, Trail
from gridbot.paper.api_error import ApiError
from gridbot.paper.engine.conditional import Conditional
from gridbot.paper.market.symbol_market import SymbolMarket

__all__ = ["StopOrders"]

ZERO = Decimal(0)


class StopOrders(Conditional):
    """Waiting stops of all positions, by leg."""

    def stops_of(self, account: Account, leg: Leg) -> list[Order]:
        """The waiting stops of a position, oldest first."""
        return list(self._stops.get((account.name, leg.symbol, leg.position_idx), {}).values())

    def stop_of(self, account: Account, leg: Leg, kind: StopKind) -> Order | None:
        """The waiting stop of a kind of which a position has one."""
        return next((order for order in self.stops_of(account, leg) if order.stop_kind is kind), None)

    def _add_stop(
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
        market = self.markets[leg.symbol]
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
            trigger=_trigger(leg, kind, wanted, market),
            trail=_trail(wanted),
            parent_link_id=parent,
        )
        order = self._new_order(request, True, market, now_ms)
        order.status = OrderStatus.UNTRIGGERED
        account.add_open(order)
        self._wait(account, order)
        self._order_changed(account, order)
        return order

    def _move_stop(
        self,
        account: Account,
        leg: Leg,
        order: Order,
        wanted: StopPrice | Trail,
        now_ms: int,
        parent: str | None = None,
    ) -> None:
        """Let a stop of the whole position stand elsewhere; it stays the same order."""
        kind, market = order.stop_kind, self.markets[leg.symbol]
        assert kind is not None
        order.request = replace(
            order.request,
            trigger=_trigger(leg, kind, wanted, market),
            trail=_trail(wanted),
            parent_link_id=order.request.parent_link_id if parent is None else parent,
        )
        order.updated_ms = now_ms
        self._note(account, order)
        self._order_changed(account, order)

    def _bind(self, orders: list[Order]) -> None:
        """Make a pair of two stops, or let a single one stand alone."""
        for order in orders:
            order.sibling_id = next((other.order_id for other in orders if other is not order), "")

    def _unbind(self, account: Account, order: Order) -> None:
        sibling = account.open.get(order.sibling_id)
        order.sibling_id = ""
        if sibling is not None:
            sibling.sibling_id = ""

    def _end_sibling(self, account: Account, order: Order, cancel_type: str, now_ms: int) -> None:
        """End the other one of a pair of stops, if it still waits."""
        sibling = account.open.get(order.sibling_id)
        if sibling is not None and sibling.is_waiting:
            self._end(account, sibling, OrderStatus.CANCELLED, now_ms, cancel_type=cancel_type)

    def _resize(self, account: Account, order: Order, qty: Decimal, now_ms: int) -> None:
        order.request, order.qty = replace(order.request, qty=qty), qty
        order.updated_ms = now_ms
        self._order_changed(account, order)

    def _fit_stops(self, account: Account, leg: Leg, now_ms: int) -> None:
        """After a fill: end the stops of what is no longer held, and let the others close no more than there is."""
        free = dict.fromkeys(StopKind, leg.size)
        for order in self.stops_of(account, leg):
            kind = order.stop_kind
            assert kind is not None
            wanted = min(order.qty, free[kind]) if kind.is_partial else leg.size
            free[kind] -= wanted
            if not wanted or order.side is not leg.direction.close_side:
                self._end(account, order, OrderStatus.CANCELLED, now_ms, cancel_type="CancelByTpSlTsClear")
            elif wanted != order.qty:
                self._resize(account, order, wanted, now_ms)

    def _filled(self, account: Account, order: Order, leg: Leg, execution: Execution) -> None:
        super()._filled(account, order, leg, execution)
        if self._stops:
            self._fit_stops(account, leg, execution.time_ms)

    def _wait(self, account: Account, order: Order) -> None:
        super()._wait(account, order)
        if order.stop_kind is not None:
            key = (account.name, order.symbol, order.request.position_idx)
            self._stops.setdefault(key, {})[order.order_id] = order
            self._note(account, order)

    def _unwait(self, account: Account, order: Order) -> None:
        super()._unwait(account, order)
        if order.stop_kind is not None:
            key = (account.name, order.symbol, order.request.position_idx)
            del self._stops[key][order.order_id]
            if not self._stops[key]:
                del self._stops[key]
            self._note(account, order, gone=True)

    def _release(self, account: Account, order: Order, market: SymbolMarket, now_ms: int) -> None:
        self._end_sibling(account, order, "CancelByTpSlTsClear", now_ms)
        if order.request.close_on_trigger:
            leg = self.leg(account, order.symbol, order.request.position_idx)
            wanted = leg.size if order.request.close_all else order.qty
            self._uncover(account, leg, max(ZERO, leg.size - wanted), now_ms)
        super()._release(account, order, market, now_ms)

    def _check_part(self, account: Account, leg: Leg, kind: StopKind, more: Decimal) -> None:
        """Refuse that the partial stops of a kind close more than the position."""
        taken = sum((order.qty for order in self.stops_of(account, leg) if order.stop_kind is kind), ZERO)
        if taken + more > leg.size:
            raise ApiError(
                110058,
                "Insufficient number of remaining position size to set take profit and stop loss: "
                f"at most {leg.size - taken:f} left, got {more:f}",
            )

    def _note(self, account: Account, order: Order, *, gone: bool = False) -> None:
        """Let the position's row show the stops of the whole position."""
        leg, trail, trigger = (
            self.leg(account, order.symbol, order.request.position_idx),
            order.request.trail,
            order.request.trigger,
        )
        price = None if gone or trigger is None else trigger.price
        match order.stop_kind:
            case StopKind.TAKE_PROFIT:
                leg.take_profit = price
            case StopKind.STOP_LOSS:
                leg.stop_loss = price
            case StopKind.TRAILING:
                leg.trailing_stop = None if gone or trail is None else trail.distance


def _trail(wanted: StopPrice | Trail) -> Trail | None:
    return wanted if isinstance(wanted, Trail) else None


def _trigger(leg: Leg, kind: StopKind, wanted: StopPrice | Trail, market: SymbolMarket) -> Trigger:
    direction = kind.direction(leg.direction)
    if isinstance(wanted, Trail):
        return Trigger(wanted.first_trigger(leg.direction, market.last), direction, "LastPrice")
    return Trigger(wanted.price, direction, wanted.by)
