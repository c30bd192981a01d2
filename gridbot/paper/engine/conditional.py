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
from gridbot.paper.engine.admission import Admission
from gridbot.paper.engine.taking import Taking
from gridbot.paper.ledger.exchange_state import ExchangeState, working_price
from gridbot.paper.ledger.settlement import Settlement
from gridbot.paper.ledger.waiting_orders import WaitingOrders
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.rows.outbox import Outbox
from gridbot.paper.stops.stop_orders import StopOrders

__all__ = ["ConditionalOrders", "check_trigger"]

ZERO = Decimal(0)
MAX_WAITING = 10


class ConditionalOrders:
    """Waiting orders, from their placing to the moment when they enter the market."""

    def __init__(
        self,
        state: ExchangeState,
        admission: Admission,
        waiting: WaitingOrders,
        settlement: Settlement,
        stop_orders: StopOrders,
        taking: Taking,
        outbox: Outbox,
    ) -> None:
        self._state = state
        self._admission = admission
        self._waiting = waiting
        self._settlement = settlement
        self._stop_orders = stop_orders
        self._taking = taking
        self._outbox = outbox

    def place(self, account: Account, request: NewOrder, trigger: Trigger, now_ms: int) -> Order:
        if self._waiting.conditional_count(account, request.symbol) >= MAX_WAITING:
            raise ApiError(110009, "The number of stop orders exceeds the maximum allowable limit")
        check_trigger(trigger, self._state.markets[request.symbol])
        closing = self._admission.is_closing(account, request)
        order = self._state.new_order(request, now_ms, closing=closing)
        order.status = OrderStatus.UNTRIGGERED
        account.add_open(order)
        self._waiting.add(account, order)
        self._outbox.order_changed(account, order)
        self._outbox.flush()
        return order

    def trigger_due(self, symbol: str, now_ms: int) -> None:
        """Trigger the orders of a symbol whose price has been reached."""
        waiting = self._waiting.on(symbol)
        if not waiting:
            return
        market = self._state.markets[symbol]
        for account, order in waiting:
            if order.request.trail is not None:
                self._follow(account, order, order.request.trail, market, now_ms)
        due = [(account, order) for account, order in waiting if _is_due(order, market)]
        for account, order in due:
            if order.is_waiting:
                self._release(account, order, market, now_ms)
        if due:
            self._outbox.flush()

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
        account.changes.order(order)
        if moved is not trail:
            self._outbox.order_changed(account, order)
            self._outbox.flush()

    def _release(self, account: Account, order: Order, market: SymbolMarket, now_ms: int) -> None:
        """The price is there: a stop's sibling goes, closing orders give way, and the order enters the market."""
        self._stop_orders.end_sibling(account, order, "CancelByTpSlTsClear", now_ms)
        if order.request.close_on_trigger:
            leg = account.leg(order.symbol, order.request.position_idx)
            wanted = leg.size if order.request.close_all else order.qty
            self._settlement.uncover(account, leg, max(ZERO, leg.size - wanted), now_ms)
        self._waiting.remove(account, order)
        order.status = OrderStatus.TRIGGERED
        order.updated_ms = now_ms
        self._outbox.order_changed(account, order)
        try:
            request, closing = self._admission.fit_to_position(account, order.request)
            account.becomes(order, closing=closing)
            request = self._admission.fit_to_band(account, request)
        except ApiError as error:
            uncovered = error.code == 110017
            kind, reason = ("CancelByReduceOnly", "EC_NoError") if uncovered else ("UNKNOWN", "EC_ReachRiskPriceLimit")
            self._settlement.end(account, order, now_ms, cancel_type=kind, reason=reason)
            return
        order.request, order.qty = request, request.qty
        order.price = working_price(request, market)
        order.status = OrderStatus.NEW
        valuation = self._state.valuation
        margin = valuation.order_margin(account, order)
        if margin.initial > 0 and margin.initial > valuation.available(account):
            self._settlement.end(account, order, now_ms, status=OrderStatus.REJECTED, reason="EC_Others")
            return
        account.reserve(order, margin)
        self._taking.enter(account, order, now_ms)


def _is_due(order: Order, market: SymbolMarket) -> bool:
    trigger, trail = order.request.trigger, order.request.trail
    if trigger is None or (trail is not None and not trail.follows):
        return False
    return trigger.is_met(market.watched(trigger.by))


def check_trigger(trigger: Trigger, market: SymbolMarket) -> None:
    """Refuse a trigger that is met already."""
    price = market.watched(trigger.by)
    if not trigger.is_met(price):
        return
    rises = trigger.direction == 1
    raise ApiError(
        110092 if rises else 110093,
        f"expect {'Rising' if rises else 'Falling'}, but trigger_price[{trigger.price:f}] {'<=' if rises else '>='} "
        f"current[{price:f}]??{trigger.by}",
    )
