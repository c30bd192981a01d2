"""What shadow strategies have in place of executor and private stream: orders go to a `ShadowVenue`, news comes back.

News never comes within the decision that caused it, but right after it, as from the exchange: a cancel that is not
confirmed yet holds its level, and a fill is heard after the price that caused it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gridbot.core import ExecutionEvent, OrderUpdateEvent, PositionEvent, TickerEvent, WalletEvent
from gridbot.orders.order import TrackedOrder
from gridbot.orders.shadow_account import ShadowAccount
from gridbot.orders.shadow_venue import ShadowVenue
from gridbot.ports import Clock, Timer
from gridbot.risk.gate import Gate

__all__ = ["ShadowHearer", "ShadowNews", "ShadowWire", "Shadows"]

ShadowNews = ExecutionEvent | OrderUpdateEvent


class ShadowHearer(Protocol):
    """A shadow strategy, as its wire sees it. None of these raises."""

    def hear(self, news: Sequence[ShadowNews]) -> None:
        """What became of its orders, in the order in which it did."""

    def hear_wallet(self, wallet: WalletEvent) -> None:
        """The account's wallet as it would be."""


class Shadows:
    """The shadow strategies of an account: one hypothetical account, and one gate with its funds, for all of them."""

    def __init__(self, clock: Clock, gate: Gate) -> None:
        self.account = ShadowAccount()
        self.gate = gate
        self._clock = clock
        self._hearers: list[ShadowHearer] = []

    def wire(self, venue: ShadowVenue) -> ShadowWire:
        """The wire of one strategy."""
        return ShadowWire(venue, self, self._clock)

    def enroll(self, hearer: ShadowHearer) -> None:
        """A strategy that hears of the wallet from now on."""
        self._hearers.append(hearer)

    def withdraw(self, hearer: ShadowHearer) -> None:
        """It is gone."""
        self._hearers = [each for each in self._hearers if each is not hearer]

    def on_wallet(self, wallet: WalletEvent) -> None:
        """The exchange's wallet has come."""
        self.account.seen(wallet)
        if self._hearers:  # else nobody asks what it would be
            self.wallet_changed()

    def wallet_changed(self) -> None:
        """Tell every strategy how the wallet would be now."""
        wallet = self.account.funds()
        if wallet is not None:
            self.gate.wallet_seen(wallet, self._clock.monotonic_s())
            for hearer in self._hearers:
                hearer.hear_wallet(wallet)


class ShadowWire:
    """One per shadow strategy."""

    def __init__(self, venue: ShadowVenue, shadows: Shadows, clock: Clock) -> None:
        self.shadows = shadows
        self._venue = venue
        self._clock = clock
        self._hearer: ShadowHearer | None = None
        self._news: list[ShadowNews] = []
        self._timer: Timer | None = None

    def connect(self, hearer: ShadowHearer) -> None:
        """Tell this strategy what becomes of its orders."""
        self._hearer = hearer
        self.shadows.enroll(hearer)

    def disconnect(self) -> None:
        """Nobody hears of it any more."""
        if self._hearer is not None:
            self.shadows.withdraw(self._hearer)
            self._hearer = None

    def place(self, order: TrackedOrder) -> None:
        """Send an order."""
        self._tell(self._venue.place(order, self._clock.wall_ms()))

    def cancel(self, order: TrackedOrder) -> None:
        """Send a cancel."""
        self._tell(self._venue.cancel(order, self._clock.wall_ms()))

    def on_ticker(self, ticker: TickerEvent) -> None:
        """A price of the market, which may fill orders."""
        for event in self._venue.on_ticker(ticker):
            self._tell(event)

    def nearest(self) -> tuple[int | None, int | None]:
        """Highest Buy and lowest Sell that rest, in whole ticks; None for none."""
        return self._venue.nearest()

    def positions(self) -> list[PositionEvent]:
        """Both legs, flat ones included."""
        return self._venue.positions(self._clock.wall_ms())

    def _tell(self, event: ShadowNews) -> None:
        self._news.append(event)
        if self._timer is None:
            self._timer = self._clock.call_later(0.0, self._deliver)

    def _deliver(self) -> None:
        self._timer = None
        news, self._news = self._news, []
        if self._hearer is not None:
            self._hearer.hear(news)
