"""Stops of a position as `position/trading-stop` asks for them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import Order
from gridbot.paper.accounts.leg import Leg
from gridbot.paper.accounts.stop_kinds import StopKind, StopPrice, TradingStop, Trail
from gridbot.paper.api_error import ApiError
from gridbot.paper.ledger.exchange_state import ExchangeState
from gridbot.paper.ledger.settlement import Settlement
from gridbot.paper.ledger.waiting_orders import WaitingOrders
from gridbot.paper.rows.outbox import Outbox
from gridbot.paper.stops.stop_checks import check_part, check_room, check_stop
from gridbot.paper.stops.stop_orders import StopOrders, bind, unbind

__all__ = ["PositionStops"]

PAIR = (StopKind.TAKE_PROFIT, StopKind.STOP_LOSS)


class PositionStops:
    """Sets stops."""

    def __init__(
        self,
        state: ExchangeState,
        waiting: WaitingOrders,
        settlement: Settlement,
        stop_orders: StopOrders,
        outbox: Outbox,
    ) -> None:
        self._state = state
        self._waiting = waiting
        self._settlement = settlement
        self._stop_orders = stop_orders
        self._outbox = outbox

    def set_stops(self, account: Account, leg: Leg, wanted: TradingStop, now_ms: int) -> None:
        """Set, move, remove and add; nothing changes when one of them is refused."""
        if not leg.size:
            raise ApiError(10001, "can not set tp/sl/ts for zero position")
        present = {kind: self._waiting.stop_of(account, leg, kind) for kind in wanted.whole}
        changes = {kind: stop for kind, stop in wanted.whole.items() if not _stands(present[kind], stop)}
        if not changes and not wanted.parts:
            raise ApiError(34040, "not modified")
        market = self._state.markets[leg.symbol]
        for kind, stop in [*changes.items(), *wanted.parts.items()]:
            if stop is not None:
                check_stop(kind, stop, leg.direction, market)
        for kind in wanted.parts:
            check_part(self._waiting, account, leg, kind, wanted.qty)
        if wanted.parts:
            check_room(self._waiting, account, leg)
        self._change(account, leg, present, changes, now_ms)
        bind(
            [
                self._stop_orders.add(account, leg, kind, part, now_ms, qty=wanted.qty)
                for kind, part in wanted.parts.items()
            ]
        )
        self._outbox.leg_changed(account, leg)
        self._outbox.flush()

    def _change(
        self,
        account: Account,
        leg: Leg,
        present: Mapping[StopKind, Order | None],
        changes: Mapping[StopKind, StopPrice | Trail | None],
        now_ms: int,
    ) -> None:
        """Stops of the whole position; changing one of a pair alone unbinds it."""
        one_sided = sum(kind in changes for kind in PAIR) == 1
        for kind, stop in changes.items():
            old = present[kind]
            if old is not None and one_sided and kind in PAIR:
                unbind(account, old)
            if stop is None and old is not None:
                self._settlement.end(account, old, now_ms, cancel_type="CancelByUser")
            elif stop is not None and old is not None:
                self._stop_orders.move(account, leg, old, stop, now_ms)
            elif stop is not None:
                self._stop_orders.add(account, leg, kind, stop, now_ms)
        if changes.keys() >= set(PAIR):
            bind([order for kind in PAIR if (order := self._waiting.stop_of(account, leg, kind)) is not None])


def _stands(order: Order | None, wanted: StopPrice | Trail | None) -> bool:
    """True when a stop is already where it is wanted."""
    if order is None or wanted is None:
        return order is None and wanted is None
    trigger, trail = order.request.trigger, order.request.trail
    if isinstance(wanted, Trail):
        return trail is not None and (trail.distance, trail.active_price) == (wanted.distance, wanted.active_price)
    return trigger is not None and (trigger.price, trigger.by) == (wanted.price, wanted.by)
