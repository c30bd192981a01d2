"""The life of a symbol: not open yet, trading, announced to be delisted, settled, closed (docs/bybit.md 2.3). Pure.

At its delivery time every order of the symbol ends as CancelBySettle, and what is held is closed at the index price, by
an execution of type Delivery that has no order.
"""

from __future__ import annotations

from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import NewOrder
from gridbot.paper.api_error import ApiError
from gridbot.paper.engine.admission import Admission
from gridbot.paper.ledger.exchange_state import ExchangeState
from gridbot.paper.ledger.strange_executions import StrangeExecutions
from gridbot.paper.rows.outbox import Outbox

__all__ = ["NO_OPENS_MS", "ListingChanges"]

NO_OPENS_MS = 6 * 3600 * 1000
"""So long before its delivery nothing can be opened any more; how long it is on Bybit nobody has written."""


class ListingChanges:
    """Refuses what a symbol does not take, and ends it when its time has come."""

    def __init__(self, state: ExchangeState, admission: Admission, strange: StrangeExecutions, outbox: Outbox) -> None:
        self._state = state
        self._admission = admission
        self._strange = strange
        self._outbox = outbox

    def check(self, account: Account, request: NewOrder, now_ms: int) -> None:
        """Refuse an order because of the state of its symbol or its leg."""
        instrument = self._state.markets[request.symbol].instrument
        if instrument.status != "Trading":
            raise ApiError(110074, "This contract is not live")
        ends_soon = bool(instrument.delivery_ms) and now_ms >= instrument.delivery_ms - NO_OPENS_MS
        leg = account.legs.get((request.symbol, request.position_idx))
        is_cut = leg is not None and leg.reduce_only
        if (ends_soon or is_cut) and not self._admission.is_closing(account, request):
            if ends_soon:
                raise ApiError(30228, "No new positions during delisting.")
            raise ApiError(110023, "Currently you can only reduce your position on this contract")

    def change(self, symbol: str, *, status: str | None = None, delivery_ms: int | None = None) -> None:
        """List a symbol with another status, or announce when it is delivered (ms UTC, 0: not at all)."""
        self._state.markets[symbol].change_listing(status=status, delivery_ms=delivery_ms)

    def cut_risk(self, account: Account, symbol: str, position_idx: int, *, reduce_only: bool) -> None:
        """Let a leg only be reduced, as after a cut of its risk tier, or let it be again."""
        leg = account.leg(symbol, position_idx)
        leg.reduce_only = reduce_only
        self._outbox.leg_changed(account, leg)
        self._outbox.flush()

    def deliver_due(self, symbol: str, now_ms: int) -> None:
        """End the symbol if its time has come."""
        market = self._state.markets[symbol]
        ends_ms = market.instrument.delivery_ms
        if not ends_ms or now_ms < ends_ms or market.instrument.status == "Closed":
            return
        market.change_listing(status="Closed")
        for account in self._state.accounts.values():
            self._strange.deliver(account, symbol, market.index, now_ms)
