"""From a create request to an order: checks, margin, entry into the market. Pure."""

from __future__ import annotations

from gridbot.core.margin import LegMargin
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import NewOrder, Order
from gridbot.paper.api_error import insufficient_balance
from gridbot.paper.engine.admission import Admission
from gridbot.paper.engine.conditional import ConditionalOrders
from gridbot.paper.engine.listing_changes import ListingChanges
from gridbot.paper.engine.taking import Taking
from gridbot.paper.ledger.exchange_state import ExchangeState
from gridbot.paper.ledger.settlement import Settlement
from gridbot.paper.ledger.waiting_orders import WaitingOrders
from gridbot.paper.rows.outbox import Outbox
from gridbot.paper.stops.stop_checks import check_attached, check_attached_count

__all__ = ["Placing"]


class Placing:
    """Accepts orders, or refuses them with `ApiError` and changes nothing."""

    def __init__(
        self,
        state: ExchangeState,
        admission: Admission,
        waiting: WaitingOrders,
        conditional: ConditionalOrders,
        settlement: Settlement,
        taking: Taking,
        listing: ListingChanges,
        outbox: Outbox,
    ) -> None:
        self._state = state
        self._admission = admission
        self._waiting = waiting
        self._conditional = conditional
        self._settlement = settlement
        self._taking = taking
        self._listing = listing
        self._outbox = outbox

    def place(self, account: Account, request: NewOrder, now_ms: int) -> Order:
        """Accept an order, let it take liquidity if it may, and rest what is left; the first one if it is split."""
        self._check(account, request, now_ms)
        if request.trigger is not None:
            return self._conditional.place(account, request, request.trigger, now_ms)
        admission = self._admission
        admission.check_capacity(account, request.symbol)
        request, closing = admission.fit_to_position(account, request)
        collects = self._state.markets[request.symbol].listing.is_collecting
        if not collects:  # an auction has limits of its own
            request = admission.fit_to_band(account, request)
        if request.close_all:  # the closing orders that rest have covered the leg: they make room
            leg = account.leg(request.symbol, request.position_idx)
            self._settlement.uncover(account, leg, leg.size - request.qty, now_ms)
        first, *others = admission.split(request)
        placed = self._accept(account, first, now_ms, closing=closing, collects=collects)
        for request in others:
            if admission.closable(account, request) >= request.qty:
                self._accept(account, request, now_ms, closing=closing, collects=collects)
        self._outbox.flush()
        return placed

    def check(self, account: Account, request: NewOrder, now_ms: int) -> tuple[Order, LegMargin]:
        """The order that a request would become, and the margin it would add. Places nothing."""
        self._check(account, request, now_ms)
        self._admission.check_capacity(account, request.symbol)
        request, closing = self._admission.fit_to_position(account, request)
        request = self._admission.fit_to_band(account, request)
        order = self._state.new_order(request, now_ms, closing=closing)
        return order, self._state.valuation.order_margin(account, order)

    def _check(self, account: Account, request: NewOrder, now_ms: int) -> None:
        self._listing.check(account, request, now_ms)
        self._admission.check_link_id(account, request.order_link_id, now_ms)
        if request.attached is not None:
            check_attached(request, request.attached, self._state.markets[request.symbol])
            check_attached_count(self._waiting, account, request, request.attached)

    def _accept(self, account: Account, request: NewOrder, now_ms: int, *, closing: bool, collects: bool) -> Order:
        order = self._state.new_order(request, now_ms, closing=closing)
        valuation = self._state.valuation
        margin = valuation.order_margin(account, order)
        if margin.initial > 0:
            available = valuation.available(account)
            if margin.initial > available:
                raise insufficient_balance(available)
            account.reserve(order, margin)
        account.add_open(order)
        if collects:
            self._outbox.order_changed(account, order)
        else:
            self._taking.enter(account, order, now_ms)
        return order
