"""Amends of resting and of waiting orders (docs/bybit.md 3.6). Pure."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import Amendment, NewOrder, Order
from gridbot.paper.accounts.stop_kinds import Attached, StopKind, TpslMode
from gridbot.paper.api_error import ApiError, insufficient_balance
from gridbot.paper.engine.admission import Admission
from gridbot.paper.engine.conditional import check_trigger
from gridbot.paper.engine.taking import Taking
from gridbot.paper.ledger.exchange_state import ExchangeState
from gridbot.paper.ledger.resting_orders import RestingOrders
from gridbot.paper.ledger.waiting_orders import WaitingOrders
from gridbot.paper.rows.outbox import Outbox
from gridbot.paper.stops.stop_checks import check_attached, check_attached_count, check_part

__all__ = ["Amending"]


class Amending:
    """Changes open orders, or refuses with `ApiError` and changes nothing."""

    def __init__(
        self,
        state: ExchangeState,
        admission: Admission,
        resting: RestingOrders,
        waiting: WaitingOrders,
        taking: Taking,
        outbox: Outbox,
    ) -> None:
        self._state = state
        self._admission = admission
        self._resting = resting
        self._waiting = waiting
        self._taking = taking
        self._outbox = outbox

    def amend(self, account: Account, order: Order, change: Amendment, now_ms: int) -> None:
        """Change quantity, price, trigger or attached stops. A new price or more quantity goes to the queue's end."""
        if order.is_waiting:
            self._amend_waiting(account, order, change, now_ms)
        else:
            self._amend_resting(account, order, change, now_ms)
        self._outbox.flush()

    def _amend_resting(self, account: Account, order: Order, change: Amendment, now_ms: int) -> None:
        if change.trigger_price is not None or change.trigger_by is not None:
            raise ApiError(10001, "params error: triggerPrice invalid, the order does not wait for a trigger")
        new_qty, new_price = change.qty or order.qty, order.price
        if change.price is not None:
            wanted = replace(order.request, price=change.price)
            new_price = self._admission.fit_to_band(account, wanted).price or change.price
        limit = None if order.is_market else new_price
        request = replace(order.request, attached=_attached_after(order, change))
        if new_qty == order.qty and new_price == order.price and request == order.request:
            raise _unchanged()
        if new_qty <= order.cum_qty:
            raise ApiError(110064, "The modified quantity cannot be less than or equal to the executed quantity")
        self._check_stops(account, order, replace(request, price=limit))
        if order.closing and new_qty > order.qty:
            room = self._admission.closable(account, order.request) + order.unfilled
            new_qty = min(new_qty, order.cum_qty + room)
        keeps_place = new_price == order.price and new_qty <= order.qty
        self._reprice(account, order, new_qty, new_price)
        order.request = request
        order.updated_ms = now_ms
        if keeps_place:
            self._resting.shrink(order)
            self._outbox.order_changed(account, order)
        else:
            self._resting.remove(order)
            self._taking.enter(account, order, now_ms)

    def _reprice(self, account: Account, order: Order, qty: Decimal, price: Decimal) -> None:
        """Set quantity and price, and lock the margin they need, if there is enough."""
        old_qty, old_price, valuation = order.qty, order.price, self._state.valuation
        order.qty, order.price = qty, price
        margin = valuation.order_margin(account, order)
        more = margin.initial - order.reserved
        if more > 0 and more > (available := valuation.available(account)):
            order.qty, order.price = old_qty, old_price
            raise insufficient_balance(available)
        account.reserve(order, margin)

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
            check_trigger(new_trigger, self._state.markets[order.symbol])
        if kind is not None and change.qty is not None:
            leg = account.leg(order.symbol, order.request.position_idx)
            check_part(self._waiting, account, leg, kind, change.qty - order.qty)
        self._check_stops(account, order, request)
        order.request, order.qty = request, request.qty
        order.price = request.price or order.price
        order.updated_ms = now_ms
        if kind is not None:
            self._waiting.show(account, order)
        self._outbox.order_changed(account, order)

    def _check_stops(self, account: Account, order: Order, request: NewOrder) -> None:
        """Refuse stops that the order would bring along and that do not fit what it becomes."""
        new, old = request.attached, order.request.attached
        if new is None or request == order.request:
            return
        check_attached(request, new, self._state.markets[order.symbol])
        if old is None or old.mode is not TpslMode.PARTIAL:
            check_attached_count(self._waiting, account, request, new)


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
