"""The public state of one symbol: prices, trades, candles, fundings. Pure.

The market is made of trades; the book and every other price follow from them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from decimal import Decimal

from gridbot.core.vocabulary import Side
from gridbot.paper.market.day_figures import DayFigures
from gridbot.paper.market.instruments import Listing
from gridbot.paper.market.market_depth import MarketDepth
from gridbot.paper.market.market_history import MINUTE_MS, CandleSeries
from gridbot.paper.market.price_band import PriceBand

__all__ = ["PublicTrade", "SymbolMarket"]

ZERO = Decimal(0)
MILLIONTH = Decimal("0.000001")
KEEP_TRADES = 1000


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """One public trade; `tick` is its tick direction as Bybit spells it."""

    trade_id: str
    side: Side
    price: Decimal
    size: Decimal
    time_ms: int
    tick: str
    seq: int


class SymbolMarket:
    """Market state of one symbol. Prices are given in ticks where they decide, as Decimal where they are shown.

    `depth` is the modelled book, `day` the figures of 24 hours; `mark_before` is the mark of one step ago. Candles are
    minutes: `candles` of the traded price, `mark_candles`, `index_candles`, and `premium_candles` of what the last
    price is above the index, as a fraction.
    """

    def __init__(
        self,
        listing: Listing,
        price: Decimal,
        level_notional: Decimal,
        now_ms: int,
        *,
        mark_halflife_s: float = 0.0,
        funding_rate: Decimal = Decimal("0.0001"),
        funding_interval_minutes: int | None = None,
    ) -> None:
        self.listing = listing
        self.instrument = listing.instrument
        self.last_ticks = ticks = self.instrument.ticks(price)
        self.depth = MarketDepth(self.instrument, level_notional, ticks)
        self.last = self.mark = self.mark_before = self.index = self.first = self.instrument.price(ticks)
        self.day = DayFigures(self.last)
        self.tick = "ZeroPlusTick"
        self.pre_open: tuple[Decimal, Decimal] | None = None
        """In a call auction: price and quantity that would be matched now."""
        self.pinned_mark: Decimal | None = None
        self.pinned_index: Decimal | None = None
        self.funding_rate = funding_rate
        self.funding_interval_ms = (funding_interval_minutes or self.instrument.funding_interval_minutes) * MINUTE_MS
        self.next_funding_ms = (now_ms // self.funding_interval_ms + 1) * self.funding_interval_ms
        self.fundings: deque[tuple[int, Decimal]] = deque(maxlen=200)
        self._halflife_ms = mark_halflife_s * 1000
        self._average = float(self.last)
        self._averaged_ms = now_ms
        self.seq = now_ms
        self.updated_ms = now_ms
        self._band = PriceBand(listing)
        self.updates = 1
        self.trade_count = 0
        self.trades: deque[PublicTrade] = deque(maxlen=KEEP_TRADES)
        self._minute = now_ms // MINUTE_MS
        self._traded, self._marks = CandleSeries(), CandleSeries()
        self._indexes, self._premiums = CandleSeries(), CandleSeries()
        self.candles, self.mark_candles = self._traded.candles, self._marks.candles
        self.index_candles, self.premium_candles = self._indexes.candles, self._premiums.candles

    def watched(self, by: str) -> Decimal:
        """The price that a trigger looks at: `LastPrice`, `MarkPrice` or `IndexPrice`."""
        if by == "MarkPrice":
            return self.mark
        return self.index if by == "IndexPrice" else self.last

    def next_seq(self) -> int:
        self.seq += 1
        return self.seq

    def apply(self, side: Side, ticks: int, size: Decimal, now_ms: int) -> PublicTrade | None:
        """A trade happened: move the prices. None when `size` is zero (the price moved without a trade)."""
        seq = self.next_seq()
        self.updates += 1
        self._revalue(now_ms)
        self._move(side, ticks)
        self._note_prices(now_ms)
        middle = (self.depth.bid_ticks + self.depth.ask_ticks) * self.instrument.tick_size / 2
        self._band.note(middle - self.mark, now_ms)
        self.updated_ms = now_ms
        if size <= 0:
            return None
        self.trade_count += 1
        value = size * self.last
        self.day.traded(size, value)
        trade_id = f"{self.listing.symbol_id:08x}-0000-5000-8000-{seq:012x}"
        trade = PublicTrade(trade_id, side, self.last, size, now_ms, self.tick, seq)
        self.trades.append(trade)
        self._traded.add(self.last, now_ms, size, value)
        return trade

    def reopen(self, price: Decimal, now_ms: int) -> None:
        """Begin again at a price, as if nothing had been before."""
        ticks = self.instrument.ticks(price)
        self.last_ticks = ticks
        self.depth.reopen(ticks)
        self.last = self.mark = self.mark_before = self.index = self.first = self.instrument.price(ticks)
        self.day.reopen(self.last)
        self._average, self._averaged_ms = float(self.last), now_ms
        for series in (self._traded, self._marks, self._indexes, self._premiums):
            series.clear()

    def change_rules(self, *, tick_size: Decimal | None = None, qty_step: Decimal | None = None) -> None:
        """The exchange changes the size of a tick (USDT) or of a lot (base coin) while trading goes on; None leaves it.

        The price is rounded to the new tick. Of another lot the smallest order is one.
        """
        before = self.instrument
        tick_size, qty_step = tick_size or before.tick_size, qty_step or before.qty_step
        least = before.min_order_qty if qty_step == before.qty_step else qty_step
        instrument = replace(before, tick_size=tick_size, qty_step=qty_step, min_order_qty=least)
        self.relist(replace(self.listing, instrument=instrument))

    def relist(self, listing: Listing) -> None:
        """The exchange lists the symbol in another way, perhaps with another tick or lot."""
        before, instrument = self.instrument, listing.instrument
        if listing.is_over and not self.listing.is_over:
            self.updates = 1  # the book begins again, with nothing in it
        self.listing, self.instrument = listing, instrument
        if (before.tick_size, before.qty_step) != (instrument.tick_size, instrument.qty_step):
            self.last_ticks = ticks = instrument.ticks(self.last)
            self.last = instrument.price(ticks)
            self.depth.change_rules(instrument, ticks)
            self._band.change_rules(listing)

    def mean_index(self, since_ms: int) -> Decimal:
        """Mean of the index at the ends of its minutes from then on (ms UTC), as far back as they go, on a tick."""
        closes = [candle.close for candle in self.index_candles if candle.start_ms >= since_ms] or [self.index]
        mean = sum(closes, ZERO) / len(closes)
        return self.instrument.price(self.instrument.ticks(mean))

    def revalue(self, now_ms: int) -> None:
        """Bring index, mark and candles up to the present time. Those of what is over stay where they were."""
        if self.listing.is_over:
            return
        self._revalue(now_ms)
        self._note_prices(now_ms)
        self._traded.roll(now_ms)
        if now_ms // MINUTE_MS != self._minute:
            self._minute = now_ms // MINUTE_MS
            self.day.forget(self.candles, now_ms)

    def _note_prices(self, now_ms: int) -> None:
        self._marks.add(self.mark, now_ms)
        self._indexes.add(self.index, now_ms)
        self._premiums.add(((self.last - self.index) / self.index).quantize(MILLIONTH), now_ms)

    def _revalue(self, now_ms: int) -> None:
        """The index is an exponential average of the last price, the mark is `index * (1 + rate * time to funding /
        interval)`: it adds the part of the funding rate that is still to come. What is pinned stays where it is."""
        self.mark_before = self.mark
        if not self._halflife_ms:
            self.mark = self.last if self.pinned_mark is None else self.pinned_mark
            self.index = self.last if self.pinned_index is None else self.pinned_index
            return
        elapsed = max(0, now_ms - self._averaged_ms)
        self._averaged_ms = now_ms
        self._average += (float(self.last) - self._average) * (1.0 - 0.5 ** (elapsed / self._halflife_ms))
        to_come = float(self.funding_rate) * (self.next_funding_ms - now_ms) / self.funding_interval_ms
        unit = Decimal(1).scaleb(-self.listing.price_scale)
        index = Decimal(self._average).quantize(unit)
        self.index = index if self.pinned_index is None else self.pinned_index
        mark = Decimal(self._average * (1.0 + to_come)).quantize(unit)
        self.mark = mark if self.pinned_mark is None else self.pinned_mark

    def funding_due(self, now_ms: int) -> bool:
        """True once for each interval that has passed; advances to the next one. What is over has no fundings."""
        if now_ms < self.next_funding_ms:
            return False
        if self.listing.is_over:
            self.next_funding_ms = (now_ms // self.funding_interval_ms + 1) * self.funding_interval_ms
            return False
        self.fundings.append((self.next_funding_ms, self.funding_rate))
        self.next_funding_ms += self.funding_interval_ms
        return True

    def price_band(self) -> tuple[Decimal, Decimal]:
        """(highest buy, lowest sell) allowed now."""
        return self._band.limits(self.mark, self.index)

    def in_band(self, side: Side, price: Decimal) -> Decimal:
        """The nearest price (USDT) to a limit that is allowed now."""
        highest, lowest = self.price_band()
        return min(price, highest) if side is Side.BUY else max(price, lowest)

    def _move(self, side: Side, ticks: int) -> None:
        if ticks > self.last_ticks:
            self.tick = "PlusTick"
        elif ticks < self.last_ticks:
            self.tick = "MinusTick"
        else:
            self.tick = "ZeroPlusTick" if self.tick.endswith("PlusTick") else "ZeroMinusTick"
        self.depth.follow(side, ticks)
        if ticks != self.last_ticks:
            self.last_ticks = ticks
            self.last = self.instrument.price(ticks)
            if not self._halflife_ms:
                self.index = self.last if self.pinned_index is None else self.pinned_index
                self.mark = self.last if self.pinned_mark is None else self.pinned_mark
            self.day.moved(self.last)
