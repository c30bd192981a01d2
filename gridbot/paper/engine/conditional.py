"""Conditional orders: they wait outside the book until a price is reached, then enter as any other order. Pure.

    place ──> Untriggered ── price reached ──> Triggered ──> New, PartiallyFilled, Filled, Cancelled (as a plain order)
                   └── cancelled ──> Deactivated   └── does not fit any more ──> Cancelled (reduce-only), Rejected

Position and balance count when it triggers, not before: a waiting order locks no margin and covers no position.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from gridbot.core.events import OrderStatus
from gridbot.core.vocabulary import Direction, Side
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import NewOrder, Order, Trigger
from gridbot.paper.accounts.stop_kinds import Trail
from gridbot.paper.api_error import ApiError
from gridbot.paper.engine.taking import Taking
from gridbot.paper.market.symbol_market import SymbolMarket

__all__ = ["Conditional", "check_trigger", "watched"]

MAX_WAITING = 10


class Conditional(Taking):
    """Waiting orders of all accounts."""

    def _place_waiting(self, account: Account, request: NewOrder, trigger: Trigger, now_ms: int) -> Order:
        market = self.markets[request.symbol]
        if self._waiting_of(account, request) >= MAX_WAITING:
            raise ApiError(110009, "The number of stop orders exceeds the maximum allowable limit")
        check_trigger(trigger, market)
        closing = self._is_closing(account, request)
        order = self._new_order(request, closing, market, now_ms)
        order.status = OrderStatus.UNTRIGGERED
        account.add_open(order)
        self._wait(account, order)
        self._order_changed(account, order)
        self._flush()
        return order

    def _waiting_of(self, account: Account, request: NewOrder) -> int:
        """How many orders of an account wait on the request's symbol; stops of positions do not count."""
        waiting = self._waiting.get(request.symbol)
        return (
            sum(
                owner is account and order.request.create_type == "CreateByStopOrder"
                for owner, order in waiting.values()
            )
            if waiting
            else 0
        )

    def _wait(self, account: Account, order: Order) -> None:
        self._waiting.setdefault(order.symbol, {})[order.order_id] = account, order

    def _unwait(self, account: Account, order: Order) -> None:
        del self._waiting[order.symbol][order.order_id]

    def _trigger_due(self, symbol: str, now_ms: int) -> None:
        """Let in the orders whose price has been reached."""
        waiting = self._waiting.get(symbol)
        if not waiting:
            return
        market = self.markets[symbol]
        for account, order in waiting.values():
            if order.request.trail is not None:
                self._follow(account, order, order.request.trail, market, now_ms)
        due = [(account, order) for account, order in waiting.values() if _is_due(order, market)]
        for account, order in due:
            if order.is_waiting:
                self._release(account, order, market, now_ms)
        if due:
            self._flush()

    def _follow(self, account: Account, order: Order, trail: Trail, market: SymbolMarket, now_ms: int) -> None:
        """Let a trailing stop move with the price; only that it begins to follow is pushed, not each step."""
        trigger = order.request.trigger
        assert trigger is not None
        position = Direction.LONG if order.side is Side.SELL else Direction.SHORT
        moved, price = trail.follow(position, trigger.price, market.last)
        if price == trigger.price and moved is trail:
            return
        order.request = replace(order.request, trail=moved, trigger=replace(trigger, price=price))
        order.updated_ms = now_ms
        if moved is not trail:
            self._order_changed(account, order)
            self._flush()

    def _release(self, account: Account, order: Order, market: SymbolMarket, now_ms: int) -> None:
        self._unwait(account, order)
        order.status = OrderStatus.TRIGGERED
        order.updated_ms = now_ms
        self._order_changed(account, order)
        try:
            request, order.closing = self._fit_to_position(account, order.request)
            request = self._fit_to_band(account, request, market)
        except ApiError as error:
            kind = "CancelByReduceOnly" if error.code == 110017 else "UNKNOWN"
            reason = "EC_NoError" if error.code == 110017 else "EC_ReachRiskPriceLimit"
            self._end(account, order, OrderStatus.CANCELLED, now_ms, cancel_type=kind, reason=reason)
            return
        order.request, order.qty = request, request.qty
        order.price = self._working_price(request, market)
        order.status = OrderStatus.NEW
        cost = self._cost(account, order)
        if cost > 0 and cost > self.totals(account).available:
            self._end(account, order, OrderStatus.REJECTED, now_ms, reason="EC_Others")
            return
        account.reserve(order, cost)
        self._enter(account, order, market, now_ms)

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
            self._unwait(account, order)
            status = OrderStatus.DEACTIVATED
        super()._end(account, order, status, now_ms, cancel_type=cancel_type, reason=reason)


def watched(by: str, market: SymbolMarket) -> Decimal:
    """The price that a trigger looks at: `LastPrice`, `MarkPrice` or `IndexPrice`."""
    if by == "MarkPrice":
        return market.mark
    return market.index if by == "IndexPrice" else market.last


def _is_due(order: Order, market: SymbolMarket) -> bool:
    trigger, trail = order.request.trigger, order.request.trail
    if trigger is None or (trail is not None and not trail.follows):
        return False
    return trigger.is_met(watched(trigger.by, market))


def check_trigger(trigger: Trigger, market: SymbolMarket) -> None:
    """A trigger that is met already is refused."""
    price = watched(trigger.by, market)
    if not trigger.is_met(price):
        return
    rises = trigger.direction == 1
    raise ApiError(
        110092 if rises else 110093,
        f"expect {'Rising' if rises else 'Falling'}, but trigger_price[{trigger.price:f}] {'<=' if rises else '>='} "
        f"current[{price:f}]??{trigger.by}",
    )
