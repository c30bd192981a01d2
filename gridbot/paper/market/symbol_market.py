"""What the public sees of one symbol: prices, modelled book, trades, candles. Pure.

The market is made of trades. Best bid and ask follow from them: a buyer took the ask at its price, a seller the bid.
Depth behind them is a fixed function of the price, so that queues, taker fills and the order book agree.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from gridbot.core.vocabulary import Side
from gridbot.paper.market.instruments import Listing
from gridbot.paper.market.market_history import MINUTE_MS, Candle, CandleSeries, RollingMean

__all__ = ["PublicTrade", "SymbolMarket"]

ZERO = Decimal(0)
MILLIONTH = Decimal("0.000001")
KEEP_TRADES = 1000
PREMIUM_WINDOW_MS = 30_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


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
    """Market state of one symbol. Prices are given in ticks where they decide, as Decimal where they are shown."""

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
        self.level_notional = level_notional
        ticks = self.instrument.ticks(price)
        self.last_ticks = ticks
        self.bid_ticks = ticks - 1
        self.ask_ticks = ticks + 1
        self.last = self.instrument.price(ticks)
        self.mark = self.last
        self.index = self.last
        self.first = self.last
        self.prev_24h = self.last
        self.prev_1h = self.last
        self.high = self.last
        self.low = self.last
        self.volume = ZERO
        self.turnover = ZERO
        self.tick = "ZeroPlusTick"
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
        self._band = self.last, self.last
        self._band_of: tuple[Decimal, Decimal, int] | None = None  # mark, index, premium it was computed from
        self._premium = RollingMean(PREMIUM_WINDOW_MS)
        self.updates = 1
        self.trade_count = 0
        self.trades: deque[PublicTrade] = deque(maxlen=KEEP_TRADES)
        self._minute = now_ms // MINUTE_MS
        self._traded = CandleSeries()
        self._marks = CandleSeries()
        self._indexes = CandleSeries()
        self._premiums = CandleSeries()

    @property
    def candles(self) -> deque[Candle]:
        """Minutes of the traded price."""
        return self._traded.candles

    @property
    def mark_candles(self) -> deque[Candle]:
        """Minutes of the mark price."""
        return self._marks.candles

    @property
    def index_candles(self) -> deque[Candle]:
        """Minutes of the index price."""
        return self._indexes.candles

    @property
    def premium_candles(self) -> deque[Candle]:
        """Minutes of what the last price is above the index, as a fraction of it."""
        return self._premiums.candles

    @property
    def bid(self) -> Decimal:
        return self.instrument.price(self.bid_ticks)

    @property
    def ask(self) -> Decimal:
        return self.instrument.price(self.ask_ticks)

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
        self.updated_ms = now_ms
        if size <= 0:
            return None
        self.trade_count += 1
        value = size * self.last
        self.volume += size
        self.turnover += value
        trade_id = f"{self.listing.symbol_id:08x}-0000-5000-8000-{seq:012x}"
        trade = PublicTrade(trade_id, side, self.last, size, now_ms, self.tick, seq)
        self.trades.append(trade)
        self._traded.add(self.last, now_ms, size, value)
        return trade

    def reopen(self, price: Decimal, now_ms: int) -> None:
        """Begin again at a price, as if nothing had been before."""
        ticks = self.instrument.ticks(price)
        self.last_ticks, self.bid_ticks, self.ask_ticks = ticks, ticks - 1, ticks + 1
        self.last = self.mark = self.index = self.instrument.price(ticks)
        self.first = self.prev_24h = self.prev_1h = self.high = self.low = self.last
        self._average, self._averaged_ms = float(self.last), now_ms
        for series in (self._traded, self._marks, self._indexes, self._premiums):
            series.clear()

    def revalue(self, now_ms: int) -> None:
        """Let index and mark follow the last price up to now, and minutes pass."""
        self._revalue(now_ms)
        self._note_prices(now_ms)
        self._traded.roll(now_ms)
        if now_ms // MINUTE_MS != self._minute:
            self._minute = now_ms // MINUTE_MS
            self._roll_day(now_ms)

    def _roll_day(self, now_ms: int) -> None:
        """Let the figures of 24 hours and of one hour forget what is older."""
        candles = self.candles
        if not candles or candles[0].start_ms > now_ms - HOUR_MS:
            return
        self.prev_1h = next(c.open for c in candles if c.start_ms > now_ms - HOUR_MS)
        if candles[0].start_ms > now_ms - DAY_MS:
            return
        day = [candle for candle in candles if candle.start_ms > now_ms - DAY_MS]
        self.prev_24h = day[0].open
        self.high, self.low = max(c.high for c in day), min(c.low for c in day)
        self.volume = sum((c.volume for c in day), ZERO)
        self.turnover = sum((c.turnover for c in day), ZERO)

    def _note_prices(self, now_ms: int) -> None:
        self._marks.add(self.mark, now_ms)
        self._indexes.add(self.index, now_ms)
        self._premiums.add(((self.last - self.index) / self.index).quantize(MILLIONTH), now_ms)
        middle = (self.bid_ticks + self.ask_ticks) / 2 * float(self.instrument.tick_size)
        self._premium.add(middle - float(self.mark), now_ms)

    def _revalue(self, now_ms: int) -> None:
        """The index is an exponential average of the last price, the mark is `index * (1 + rate * time to funding /
        interval)`: it adds the part of the funding rate that is still to come. What is pinned stays where it is."""
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
        """True once per interval that has passed; moves on to the next one."""
        if now_ms < self.next_funding_ms:
            return False
        self.fundings.append((self.next_funding_ms, self.funding_rate))
        self.next_funding_ms += self.funding_interval_ms
        return True

    def level_qty(self, ticks: int) -> Decimal:
        """Market quantity shown at a price: 0.5 to 1.5 times `level_notional`, fixed per price."""
        price = self.instrument.price(max(1, ticks))
        share = Decimal(500 + ticks * 2_654_435_761 % 1001) / 1000
        step = self.instrument.qty_step
        return (self.level_notional * share / price / step).to_integral_value(ROUND_CEILING) * step

    def crosses(self, side: Side, ticks: int) -> bool:
        """True when an order at this price would take liquidity."""
        return ticks >= self.ask_ticks if side is Side.BUY else ticks <= self.bid_ticks

    def shown_volume(self, side: Side, ticks: int) -> Decimal:
        """Market volume standing at a price on that side: none inside the spread."""
        if side is Side.BUY:
            return self.level_qty(ticks) if ticks <= self.bid_ticks else ZERO
        return self.level_qty(ticks) if ticks >= self.ask_ticks else ZERO

    def book(self, depth: int) -> tuple[list[tuple[int, Decimal]], list[tuple[int, Decimal]]]:
        """Bids (descending) and asks (ascending) as (ticks, quantity), `depth` levels each."""
        bids = [(t, self.level_qty(t)) for t in range(self.bid_ticks, max(0, self.bid_ticks - depth), -1)]
        asks = [(t, self.level_qty(t)) for t in range(self.ask_ticks, self.ask_ticks + depth)]
        return bids, asks

    def price_band(self) -> tuple[Decimal, Decimal]:
        """(highest buy, lowest sell) allowed now (docs/bybit.md 3.13); the premium is middle less mark over 30 s."""
        made_of = self.mark, self.index, self._premium.changes
        if self._band_of == made_of:
            return self._band
        x, y = self.listing.price_limit_x, self.listing.price_limit_y
        premium = Decimal(self._premium.value)
        highest = min(self.mark * (1 + y), max(self.index, self.mark * (1 + x) + max(ZERO, premium)))
        lowest = max(self.mark * (1 - y), min(self.index, self.mark * (1 - x) + min(ZERO, premium)))
        tick = self.instrument.tick_size
        self._band_of = made_of
        self._band = (
            (highest / tick).to_integral_value(ROUND_FLOOR) * tick,
            (lowest / tick).to_integral_value(ROUND_CEILING) * tick,
        )
        return self._band

    def _move(self, side: Side, ticks: int) -> None:
        if ticks > self.last_ticks:
            self.tick = "PlusTick"
        elif ticks < self.last_ticks:
            self.tick = "MinusTick"
        else:
            self.tick = "ZeroPlusTick" if self.tick.endswith("PlusTick") else "ZeroMinusTick"
        if side is Side.BUY:
            self.ask_ticks = ticks
            self.bid_ticks = ticks - 1
        else:
            self.bid_ticks = ticks
            self.ask_ticks = ticks + 1
        if ticks != self.last_ticks:
            self.last_ticks = ticks
            self.last = self.instrument.price(ticks)
            if not self._halflife_ms:
                self.index = self.last if self.pinned_index is None else self.pinned_index
                self.mark = self.last if self.pinned_mark is None else self.pinned_mark
            self.high = max(self.high, self.last)
            self.low = min(self.low, self.last)
