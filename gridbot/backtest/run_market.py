"""The market of one symbol as its columns have it: what `SymbolMarket` works out from trades is read instead.

Orders meet the last price and the modelled book; margin, liquidation and funding go by the mark price of the data, or
by the last price where the data has none. Candles, figures of the day and the list of recent trades are not kept:
nobody asks for them here. The premium of the price band is looked up where a price is outside without it (`premiums`).
"""

from __future__ import annotations

from bisect import bisect_right
from decimal import Decimal
from typing import Final

from gridbot.backtest.premiums import Premiums
from gridbot.backtest.symbol_feed import OpenDay, Place, SymbolFeed
from gridbot.core.events import TickerEvent
from gridbot.core.price_limits import price_limits
from gridbot.core.vocabulary import Side
from gridbot.paper.market.instruments import Listing
from gridbot.paper.market.symbol_market import PublicTrade, SymbolMarket

__all__ = ["MarkMoves", "RunMarket"]

ZERO: Final = Decimal(0)
KEPT_PRICES: Final = 20_000
"""Of all markets together, 0.2 kB each."""
NEVER_MS: Final = 4_102_444_800_000
"""When the next funding is, where the data has none (the year 2100): shadow strategies pay one when it has passed."""


class MarkMoves:
    """How often a mark price has changed, of all markets that share and count it, and how many prices each keeps."""

    __slots__ = ("count", "kept_prices")

    def __init__(self, markets: int) -> None:
        self.count = 0
        self.kept_prices = max(100, KEPT_PRICES // max(1, markets))


class RunMarket(SymbolMarket):
    """A `SymbolMarket` that can be moved to any later tick."""

    def __init__(
        self, feed: SymbolFeed, listing: Listing, level_notional: Decimal, now_ms: int, moves: MarkMoves
    ) -> None:
        self._feed, self.marked_ms, self._moves = feed, now_ms, moves
        self.has_marks = bool(feed.marks)
        """Whether the data has mark prices; without them the last price is taken for it."""
        opened = feed.open(feed.first.day)
        first = listing.instrument.price(opened.prices[feed.first.at])
        super().__init__(listing, first, level_notional, now_ms)
        self.fundings_due = feed.fundings
        self.premiums = Premiums(feed)
        """Of the price band."""
        self.newest: Place | None = None
        """The newest trade that has happened."""
        self.told: Place | None = None
        """The newest trade of which the worker was told."""
        self._prices: dict[int, Decimal] = {}
        self.mark = self.mark_before = self.index = self._mark_at(now_ms)
        self.set_funding(now_ms)

    def marks_leave(self, low: Decimal, high: Decimal) -> int:
        """When (ms UTC) the mark price, after it was looked at last, first leaves an interval (USDT)."""
        return self._feed.marks.next_outside(self.marked_ms, low, high)

    def set_funding(self, now_ms: int) -> None:
        """What the next funding is, after `now_ms`."""
        rate, due_ms = self.funding_after(now_ms)
        self.funding_rate = Decimal(0) if rate is None else rate
        if due_ms is not None:
            self.next_funding_ms = due_ms

    def funding_after(self, now_ms: int) -> tuple[Decimal | None, int | None]:
        """Rate and time (ms UTC) of the first funding after `now_ms`; (None, None) where the data has none."""
        if not self.fundings_due:
            return None, None
        at = bisect_right(self.fundings_due, now_ms, key=lambda each: each[0])
        if at >= len(self.fundings_due):
            return None, None
        due_ms, rate = self.fundings_due[at]
        return rate, due_ms

    def in_band(self, side: Side, price: Decimal) -> Decimal:
        """As `SymbolMarket.in_band`. Without its premium the band is tightest."""
        limit = super().in_band(side, price)
        if limit == price or self.newest is None:
            return limit
        listing, premium = self.listing, self.premiums.of_trades(self.newest)
        x, y, tick = listing.price_limit_x, listing.price_limit_y, listing.instrument.tick_size
        highest, lowest = price_limits(self.mark, self.index, premium, x=x, y=y, tick=tick)
        return min(price, highest) if side is Side.BUY else max(price, lowest)

    def apply(self, side: Side, ticks: int, size: Decimal, now_ms: int) -> PublicTrade | None:
        """A trade happened."""
        self.seq += 1
        self._to(side, ticks, now_ms)
        return None

    def jump(self, place: Place, count: int, opened: OpenDay) -> None:
        """`count` trades have passed that met no order, the last of them at `place`, of a day that is open."""
        index = place.at
        self.newest = place
        self.seq += count
        side = Side.BUY if opened.sides[index] > 0 else Side.SELL
        self._to(side, opened.prices[index], opened.times[index])

    def _to(self, side: Side, ticks: int, now_ms: int) -> None:
        self.depth.follow(side, ticks)
        if ticks != self.last_ticks:
            self.last_ticks = ticks
            self.last = self._prices.get(ticks) or self._new_price(ticks)
        self.updated_ms = now_ms
        if self.has_marks:
            self.revalue(now_ms)
            return
        self.mark_before, self.marked_ms = self.mark, now_ms
        if self.last is not self.mark:
            self.mark = self.index = self.last
            self._moves.count += 1

    def revalue(self, now_ms: int) -> None:
        """Bring the mark price up to the present time."""
        self.mark_before, self.marked_ms = self.mark, now_ms
        mark = self._mark_at(now_ms)
        if mark is not self.mark:
            self.mark = self.index = mark
            self._moves.count += 1

    def price_of(self, ticks: int) -> Decimal:
        """A number of ticks as a price; the same few come again and again."""
        return self._prices.get(ticks) or self._new_price(ticks)

    def _new_price(self, ticks: int) -> Decimal:
        known = self._prices
        if len(known) >= self._moves.kept_prices:
            known.clear()
        price = known[ticks] = self.instrument.price(ticks)
        return price

    def _mark_at(self, now_ms: int) -> Decimal:
        return (self._feed.marks.at(now_ms) or self.last) if self.has_marks else self.last

    def ticker(self, place: Place, received_us: int) -> TickerEvent:
        """What the public stream tells of a tick."""
        self.told = place
        opened, known = self._feed.open(place.day), self._prices
        index = place.at
        ticks, at_ms = opened.prices[index], opened.times[index]
        last = known.get(ticks) or self.price_of(ticks)
        mark = (self._feed.marks.at(at_ms) or last) if self.has_marks else last
        bids, asks = (ticks - 1, ticks) if opened.sides[index] > 0 else (ticks, ticks + 1)
        rate, due_ms = self.funding_after(at_ms)
        return TickerEvent(
            self.listing.symbol,
            last,
            at_ms,
            mark,
            mark,
            known.get(bids) or self.price_of(bids),
            known.get(asks) or self.price_of(asks),
            rate or ZERO,
            due_ms or NEVER_MS,
            received_us * 1000,
        )
