"""What an amend changes, of orders that rest and of orders that wait (docs/bybit.md 3.6). Pure."""

from __future__ import annotations

from dataclasses import replace

from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import Amendment, NewOrder, Order
from gridbot.paper.accounts.stop_kinds import Attached, StopKind, TpslMode
from gridbot.paper.api_error import ApiError
from gridbot.paper.engine.conditional import check_trigger
from gridbot.paper.stops.position_stops import PositionStops

__all__ = ["Amending"]


class Amending(PositionStops):
    """Changes open orders, or refuses and changes nothing."""

    def amend(self, account: Account, order: Order, change: Amendment, now_ms: int) -> None:
        """Change quantity, price, trigger or attached stops. A new price or more quantity goes to the queue's end."""
        if order.is_waiting:
            self._amend_waiting(account, order, change, now_ms)
            return
        if change.trigger_price is not None or change.trigger_by is not None:
            raise ApiError(10001, "params error: triggerPrice invalid, the order does not wait for a trigger")
        market = self.markets[order.symbol]
        new_qty, new_price = change.qty or order.qty, order.price
        if change.price is not None:
            wanted = replace(order.request, price=change.price)
            new_price = self._fit_to_band(account, wanted, market).price or change.price
        limit = None if order.is_market else new_price
        request = replace(order.request, attached=_attached_after(order, change))
        if new_qty == order.qty and new_price == order.price and request == order.request:
            raise _unchanged()
        if new_qty <= order.cum_qty:
            raise ApiError(110064, "The modified quantity cannot be less than or equal to the executed quantity")
        self._check_amended(account, order, replace(request, price=limit))
        if order.closing and new_qty > order.qty:
            room = self._closable(account, order.request) + order.unfilled
            new_qty = min(new_qty, order.cum_qty + room)
        old = (order.qty, order.price, order.reserved)
        order.qty, order.price = new_qty, new_price
        cost = self._cost(account, order)
        if cost > old[2] and cost - old[2] > self.totals(account).available:
            order.qty, order.price = old[0], old[1]
            raise ApiError(110007, "ab not enough for new order")
        order.request = request
        account.reserve(order, cost)
        order.updated_ms = now_ms
        if new_price == old[1] and new_qty <= old[0]:
            self.books[order.symbol].shrink(order.order_id, order.unfilled)
            self._order_changed(account, order)
        else:
            self.books[order.symbol].remove(order.order_id)
            self._owners.pop(order.order_id, None)
            self._enter(account, order, market, now_ms)
        self._flush()

    def _amend_waiting(self, account: Account, order: Order, change: Amendment, now_ms: int) -> None:
        trigger, kind = order.request.trigger, order.stop_kind
        assert trigger is not None
        if kind is StopKind.TRAILING or (kind is not None and not kind.is_partial and change.qty is not None):
            raise ApiError(10001, f"params error: a {kind} order can be changed by position/trading-stop only")
        new_trigger = replace(trigger, price=change.trigger_price or trigger.price, by=change.trigger_by or trigger.by)
        request = replace(
            order.request,
            qty=change.qty or order.qty,
            price=None if order.is_market else change.price or order.request.price,
            trigger=new_trigger,
            attached=_attached_after(order, change),
        )
        if request == order.request:
            raise _unchanged()
        if new_trigger != trigger:
            check_trigger(new_trigger, self.markets[order.symbol])
        if kind is not None and change.qty is not None:
            leg = self.leg(account, order.symbol, order.request.position_idx)
            self._check_part(account, leg, kind, change.qty - order.qty)
        self._check_amended(account, order, request)
        order.request, order.qty = request, request.qty
        order.price = request.price or order.price
        order.updated_ms = now_ms
        if kind is not None:
            self._note(account, order)
        self._order_changed(account, order)
        self._flush()

    def _check_amended(self, account: Account, order: Order, request: NewOrder) -> None:
        """Refuse stops that the order would bring along and that do not fit what it becomes."""
        new, old = request.attached, order.request.attached
        if new is None or request == order.request:
            return
        self._check_attached(request, new)
        if old is None or old.mode is not TpslMode.PARTIAL:
            self._check_count(account, request, new)


def _unchanged() -> ApiError:
    return ApiError(10001, "The order remains unchanged as the parameters entered match the existing ones.")


def _attached_after(order: Order, change: Amendment) -> Attached | None:
    old, new = order.request.attached, change.attached
    if new is None or (new or None) == old:
        return old
    if order.closing:
        raise ApiError(10001, "params error: takeProfit and stopLoss cannot be set for an order that closes a position")
    if order.cum_qty:
        raise ApiError(110059, "Not allowed to modify the TP/SL of a partially filled open order")
    return new or None
