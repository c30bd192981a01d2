"""The life of a contract: not open yet, trading, announced to be delisted, settling, closed (docs/bybit.md 2.3). Pure.

At its delivery time every order of the symbol ends as CancelBySettle. What is held is closed at the mean index price of
the half hour before, by an execution of type Delivery that has no order: at once, or after a while of status Settling.
"""

from __future__ import annotations

from decimal import Decimal

from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import NewOrder
from gridbot.paper.api_error import ApiError
from gridbot.paper.engine.admission import Admission
from gridbot.paper.ledger.exchange_state import ExchangeState
from gridbot.paper.ledger.strange_executions import StrangeExecutions
from gridbot.paper.market.announced import Announced
from gridbot.paper.rows.outbox import Outbox

__all__ = ["NO_OPENS_MS", "ListingChanges"]

NO_OPENS_MS = 6 * 3600 * 1000
"""So long before its delivery nothing can be opened any more; how long it is on Bybit nobody has written."""
MEAN_OF_MS = 30 * 60 * 1000
TRADES_IN = "ContinuousTrading"
"""The phase of a contract that is not launched yet, and in which it trades all the same."""


class ListingChanges:
    """Refuses what a symbol does not take, and ends it when its time has come."""

    def __init__(
        self,
        state: ExchangeState,
        admission: Admission,
        strange: StrangeExecutions,
        outbox: Outbox,
        announced: Announced,
    ) -> None:
        self._state = state
        self._announced = announced
        self._admission = admission
        self._strange = strange
        self._outbox = outbox
        self._settling_ms: dict[str, int] = {}
        self._prices: dict[str, Decimal] = {}

    def check(self, account: Account, request: NewOrder, now_ms: int) -> None:
        """Refuse an order because of the state of its symbol or its leg."""
        market = self._state.markets[request.symbol]
        instrument, phase = market.instrument, market.listing.auction_phase
        if instrument.status == "PreLaunch" and phase not in ("NotStarted", TRADES_IN):
            raise ApiError(110095, "You cannot create, modify or cancel an order during call auction")
        if instrument.status != "Trading" and (instrument.status, phase) != ("PreLaunch", TRADES_IN):
            raise ApiError(110074, "This contract is not live")
        ends_soon = bool(instrument.delivery_ms) and now_ms >= instrument.delivery_ms - NO_OPENS_MS
        leg = account.legs.get((request.symbol, request.position_idx))
        is_cut = leg is not None and leg.reduce_only
        if (ends_soon or is_cut) and not self._admission.is_closing(account, request):
            if ends_soon:
                raise ApiError(30228, "No new positions during delisting.")
            raise ApiError(110023, "Currently you can only reduce your position on this contract")

    def change(
        self, symbol: str, *, status: str | None = None, delivery_ms: int | None = None, phase: str | None = None
    ) -> None:
        """List a symbol with another status, or set when it is delivered (ms UTC, 0: not at all); `phase` is that of
        the auction of a symbol that is PreLaunch."""
        if delivery_ms is not None:
            self._prices.pop(symbol, None)
        self._state.markets[symbol].change_listing(status=status, delivery_ms=delivery_ms, phase=phase)

    def delist(self, symbol: str, ends_ms: int, now_ms: int, *, settling_ms: int = 0) -> None:
        """Announce the end of a symbol (ms UTC). It is Settling for so long before positions are closed."""
        self._settling_ms[symbol] = settling_ms
        self._announced.delisting(symbol, ends_ms, now_ms)
        self.change(symbol, delivery_ms=ends_ms)

    def cut_risk(self, account: Account, symbol: str, position_idx: int, *, reduce_only: bool) -> None:
        """Let a leg only be reduced, as after a cut of its risk tier, or let it be again."""
        leg = account.leg(symbol, position_idx)
        leg.reduce_only = reduce_only
        self._outbox.leg_changed(account, leg)
        self._outbox.flush()

    def deliver_due(self, symbol: str, now_ms: int) -> None:
        """End the symbol if its time has come."""
        market = self._state.markets[symbol]
        ends_ms, status = market.instrument.delivery_ms, market.instrument.status
        if not ends_ms or now_ms < ends_ms or status == "Closed":
            return
        if symbol not in self._prices:
            self._prices[symbol] = market.mean_index(ends_ms - MEAN_OF_MS)
            market.change_listing(status="Settling")
            for account in self._state.accounts.values():
                self._strange.end_orders(account, symbol, now_ms)
        if now_ms >= ends_ms + self._settling_ms.get(symbol, 0):
            market.change_listing(status="Closed")
            price = self._prices.pop(symbol)
            for account in self._state.accounts.values():
                self._strange.deliver(account, symbol, price, now_ms)
