"""Take-profit and stop-loss of a whole position (`position/trading-stop`, tpslMode Full, at the market). Pure.

Each is a conditional order that closes everything. When it triggers, the position's resting closing orders make room
for it; when the position is gone, it goes too (`CancelByTpSlTsClear`).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from gridbot.core.events import OrderStatus
from gridbot.core.vocabulary import Direction
from gridbot.paper.account import Account, Leg
from gridbot.paper.conditional import Conditional, watched
from gridbot.paper.errors import ApiError
from gridbot.paper.market import SymbolMarket
from gridbot.paper.orders import NewOrder, Order, Trigger

__all__ = ["PositionStops", "direction_of"]

CREATE_TYPES = {"TakeProfit": "CreateByTakeProfit", "StopLoss": "CreateByStopLoss"}


def direction_of(kind: str, position: Direction) -> int:
    """1 when the price has to rise to it, 2 when it has to fall."""
    return 1 if (kind == "TakeProfit") is (position is Direction.LONG) else 2


class PositionStops(Conditional):
    """Stops of positions, `TakeProfit` and `StopLoss`."""

    def set_stops(self, account: Account, leg: Leg, wanted: Mapping[str, Trigger | None], now_ms: int) -> None:
        """Set, move or (None) remove the kinds that are named; nothing changes when one of them is refused."""
        if not leg.size:
            raise ApiError(10001, "can not set tp/sl/ts for zero position")
        present = {kind: self.stop_of(account, leg, kind) for kind in wanted}
        if all(_trigger_of(present[kind]) == trigger for kind, trigger in wanted.items()):
            raise ApiError(34040, "not modified")
        market = self.markets[leg.symbol]
        for kind, trigger in wanted.items():
            if trigger is not None and trigger.is_met(watched(trigger, market)):
                raise ApiError(
                    10001,
                    f"{kind}:{trigger.price:f} set for {leg.direction.open_side.value} position should be "
                    f"{'higher' if trigger.direction == 1 else 'lower'} than base_price:{watched(trigger, market):f}",
                )
        for kind, trigger in wanted.items():
            old = present[kind]
            if old is not None and _trigger_of(old) != trigger:
                self._end(account, old, OrderStatus.CANCELLED, now_ms, cancel_type="CancelByTpSlTsClear")
            if trigger is not None and _trigger_of(old) != trigger:
                self._add_stop(account, leg, kind, trigger, market, now_ms)
        self._touch(account, leg)
        self._flush()

    def stop_of(self, account: Account, leg: Leg, kind: str) -> Order | None:
        """The waiting stop of a position."""
        for owner, order in self._waiting.get(leg.symbol, {}).values():
            request = order.request
            if (
                owner is account
                and request.create_type == CREATE_TYPES[kind]
                and request.position_idx == leg.position_idx
            ):
                return order
        return None

    def _add_stop(
        self, account: Account, leg: Leg, kind: str, trigger: Trigger, market: SymbolMarket, now_ms: int
    ) -> None:
        request = NewOrder(
            leg.symbol,
            leg.direction.close_side,
            leg.size,
            None,
            leg.position_idx,
            "IOC",
            reduce_only=True,
            close_on_trigger=True,
            close_all=True,
            create_type=CREATE_TYPES[kind],
            trigger=trigger,
        )
        order = self._new_order(request, True, market, now_ms)
        order.status = OrderStatus.UNTRIGGERED
        account.add_open(order)
        self._wait(account, order)
        self._note(account, order, trigger)
        self._order_changed(account, order)

    def _release(self, account: Account, order: Order, market: SymbolMarket, now_ms: int) -> None:
        if order.request.create_type in CREATE_TYPES.values():
            self._note(account, order, None)
            for other in account.resting_on(order.symbol):
                same = other.request.position_idx == order.request.position_idx and other.side is order.side
                if other.closing and same and not other.is_waiting:
                    self._end(account, other, OrderStatus.CANCELLED, now_ms, cancel_type="CancelByReduceOnly")
        super()._release(account, order, market, now_ms)

    def _end(
        self,
        account: Account,
        order: Order,
        status: OrderStatus,
        now_ms: int,
        *,
        cancel_type: str = "UNKNOWN",
        reason: str = "EC_NoError",
    ) -> None:
        if order.status is OrderStatus.UNTRIGGERED:
            self._note(account, order, None)
        super()._end(account, order, status, now_ms, cancel_type=cancel_type, reason=reason)

    def _amend_waiting(
        self,
        account: Account,
        order: Order,
        *,
        qty: Decimal | None,
        price: Decimal | None,
        trigger_price: Decimal | None,
        now_ms: int,
    ) -> None:
        super()._amend_waiting(account, order, qty=qty, price=price, trigger_price=trigger_price, now_ms=now_ms)
        self._note(account, order, order.request.trigger)

    def _uncover(self, account: Account, leg: Leg, now_ms: int) -> None:
        super()._uncover(account, leg, now_ms)
        if not leg.size:
            for kind in CREATE_TYPES:
                stop = self.stop_of(account, leg, kind)
                if stop is not None:
                    self._end(account, stop, OrderStatus.CANCELLED, now_ms, cancel_type="CancelByTpSlTsClear")

    def _note(self, account: Account, order: Order, trigger: Trigger | None) -> None:
        """Let the position's row show its stops."""
        leg = self.leg(account, order.symbol, order.request.position_idx)
        price = None if trigger is None else trigger.price
        if order.request.create_type == CREATE_TYPES["TakeProfit"]:
            leg.take_profit = price
        elif order.request.create_type == CREATE_TYPES["StopLoss"]:
            leg.stop_loss = price


def _trigger_of(order: Order | None) -> Trigger | None:
    return None if order is None else order.request.trigger
