"""The life of a contract: not open yet, trading, announced to be delisted, settling, closed (docs/bybit.md 2.3). Pure.

Before its launch it has phases: in a call auction orders are collected (`call_auction`), and when that is over they are
matched at one price. At its delivery time every order of the symbol ends as CancelBySettle. What is held is closed at
the mean index price of the half hour before, by an execution of type Delivery that has no order: at once, or after a
while of status Settling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import NewOrder
from gridbot.paper.api_error import ApiError
from gridbot.paper.engine.admission import Admission
from gridbot.paper.engine.call_auction import NO_CHANGES, CallAuction
from gridbot.paper.ledger.exchange_state import ExchangeState
from gridbot.paper.ledger.strange_executions import StrangeExecutions
from gridbot.paper.market.announced import Announced
from gridbot.paper.market.instruments import PRE_LAUNCH, Listing, Phase
from gridbot.paper.rows.outbox import Outbox

__all__ = ["NO_OPENS_MS", "ListingChanges"]

NO_OPENS_MS = 6 * 3600 * 1000
"""So long before its delivery nothing can be opened any more; how long it is on Bybit nobody has written."""
MEAN_OF_MS = 30 * 60 * 1000


class ListingChanges:
    """Refuses what a symbol does not take, and ends it when its time has come."""

    def __init__(
        self,
        state: ExchangeState,
        admission: Admission,
        strange: StrangeExecutions,
        auction: CallAuction,
        outbox: Outbox,
        announced: Announced,
    ) -> None:
        self._state = state
        self._announced = announced
        self._admission = admission
        self._strange = strange
        self._auction = auction
        self._outbox = outbox

    def check(self, account: Account, request: NewOrder, now_ms: int) -> None:
        """Refuse an order because of the state of its symbol or its leg."""
        listing = self._state.markets[request.symbol].listing
        instrument = listing.instrument
        if listing.is_collecting:
            self._auction.check(request)
        elif listing.phase == "CrossMatching":
            raise ApiError(110095, NO_CHANGES)
        elif not self._trades(listing):
            raise ApiError(110074, "This contract is not live")
        ends_ms = instrument.delivery_ms or 0
        ends_soon = ends_ms > 0 and now_ms >= ends_ms - NO_OPENS_MS
        leg = account.legs.get((request.symbol, request.position_idx))
        is_cut = leg is not None and leg.reduce_only
        if (ends_soon or is_cut) and not self._admission.is_closing(account, request):
            if ends_soon:
                raise ApiError(30228, "No new positions during delisting.")
            raise ApiError(110023, "Currently you can only reduce your position on this contract")

    def change(
        self, symbol: str, now_ms: int, *, status: str | None = None, delivery_ms: int | None = None, phase: str = ""
    ) -> None:
        """List a symbol with another status, or set when it is delivered (ms UTC, 0: not at all); `phase` is that of
        a symbol that is PreLaunch. Phases that were to follow by themselves do no more."""
        listing = self._state.markets[symbol].listing
        instrument = replace(
            listing.instrument,
            status=status or listing.instrument.status,
            delivery_ms=listing.instrument.delivery_ms if delivery_ms is None else delivery_ms,
        )
        price = listing.delivery_price if delivery_ms is None else None
        phase = phase or listing.auction_phase
        self._relist(
            replace(listing, instrument=instrument, auction_phase=phase, phases=(), delivery_price=price), now_ms
        )

    def launch(self, symbol: str, phases: Sequence[Phase], now_ms: int) -> None:
        """The symbol goes through these phases by itself, and trades like any other when the last has ended."""
        listing = self._state.markets[symbol].listing
        instrument = replace(listing.instrument, status=PRE_LAUNCH)
        self._relist(
            replace(listing, instrument=instrument, phases=tuple(phases), auction_phase=phases[0].name), now_ms
        )

    def delist(self, symbol: str, ends_ms: int, now_ms: int, *, settling_ms: int = 0) -> None:
        """Announce the end of a symbol (ms UTC). It is Settling for so long before positions are closed."""
        self._announced.delisting(symbol, ends_ms, now_ms)
        listing = self._state.markets[symbol].listing
        instrument = replace(listing.instrument, delivery_ms=ends_ms)
        self._relist(replace(listing, instrument=instrument, settling_ms=settling_ms, delivery_price=None), now_ms)

    def on_time(self, symbol: str, now_ms: int) -> None:
        """Go on to the phase whose time has come, and end the symbol when its time has."""
        listing = self._state.markets[symbol].listing
        if listing.phase:
            self._follow_phases(listing, now_ms)
        self.deliver_due(symbol, now_ms)

    def _follow_phases(self, listing: Listing, now_ms: int) -> None:
        phases = [phase for phase in listing.phases if phase.start_ms <= now_ms]
        if phases and phases[-1] is listing.phases[-1] and 0 < phases[-1].end_ms <= now_ms:
            instrument = replace(listing.instrument, status="Trading")
            listing = replace(listing, instrument=instrument, phases=(), launch_ms=phases[-1].end_ms)
            self._relist(listing, now_ms)
        elif phases and phases[-1].name != listing.auction_phase:
            self._relist(replace(listing, auction_phase=phases[-1].name), now_ms)
        elif listing.is_collecting:
            self._auction.indicate(listing.symbol)

    def _relist(self, listing: Listing, now_ms: int) -> None:
        """List it so. An auction that is over by this is matched, unless the symbol goes without having traded."""
        market = self._state.markets[listing.symbol]
        was_collecting = market.listing.is_collecting
        market.relist(listing)
        self._state.listings.changed(listing.symbol)
        if was_collecting and not listing.is_collecting:
            market.pre_open = None
            if listing.phase == "CrossMatching" or self._trades(listing):
                self._auction.cross(listing.symbol, now_ms)
            else:
                for account in self._state.accounts.values():
                    self._strange.end_orders(account, listing.symbol, now_ms)

    def _trades(self, listing: Listing) -> bool:
        return listing.instrument.status == "Trading" or bool(listing.phase and listing.matches)

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
        price = market.listing.delivery_price
        if price is None:
            price = market.mean_index(ends_ms - MEAN_OF_MS)
            instrument = replace(market.instrument, status="Settling")
            market.relist(replace(market.listing, instrument=instrument, delivery_price=price))
            self._state.listings.changed(symbol)
            for account in self._state.accounts.values():
                self._strange.end_orders(account, symbol, now_ms)
        if now_ms >= ends_ms + market.listing.settling_ms:
            market.relist(replace(market.listing, instrument=replace(market.instrument, status="Closed")))
            self._state.listings.changed(symbol)
            for account in self._state.accounts.values():
                self._strange.deliver(account, symbol, price, now_ms)
