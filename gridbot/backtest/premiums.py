"""The premium of the price band, worked out from the columns where a price lies outside of the band without it.

Exchange and worker sample it, as they go (`RollingMean`): one with each trade, the other with the first price of each
second. Here nothing is sampled, since most trades are jumped over; what would have been is read when it is asked for.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

import numpy as np

from gridbot.backtest.symbol_feed import Place, SymbolFeed
from gridbot.core.price_limits import SECOND_MS, first_counted_ms
from gridbot.market.day import Whole

__all__ = ["Premiums"]

ZERO: Final = Decimal(0)


class _Samples(NamedTuple):
    """Trades: times (ms UTC), prices (ticks), and 1 where the taker bought, -1 where it sold."""

    times: Whole
    prices: Whole
    sides: Whole

    def at(self, places: Whole) -> _Samples:
        """Some of them."""
        return _Samples(self.times[places], self.prices[places], self.sides[places])


class Premiums:
    """Of one symbol; USDT."""

    def __init__(self, feed: SymbolFeed) -> None:
        self._feed = feed

    def of_trades(self, place: Place) -> Decimal:
        """As the exchange has it when `place` was its newest trade: each counts."""
        trades = self._before(place)
        return self._mean(self._counted(trades))

    def of_tickers(self, place: Place) -> Decimal:
        """As the worker has it when `place` is the newest of which it was told: the first price of each second counts.
        Of several trades in one millisecond the worker sees the last one."""
        trades = self._before(place)
        firsts = np.flatnonzero(np.diff(trades.times // SECOND_MS, prepend=-1))
        seen = trades.at(np.searchsorted(trades.times, trades.times[firsts], side="right") - 1)
        return self._mean(self._counted(seen))

    def _before(self, place: Place) -> _Samples:
        """The trades up to `place`, of at least as long as may count."""
        feed, number = self._feed, place.day
        since_ms = first_counted_ms(feed.open(number).times[place.at] // SECOND_MS * SECOND_MS)
        parts: list[_Samples] = []
        end = place.at + 1
        while True:
            opened = feed.open(number)
            times = np.asarray(opened.times)
            begin = int(np.searchsorted(times[:end], since_ms))
            if number == feed.first.day:
                begin = max(begin, feed.first.at)
            columns = (opened.times, opened.prices, opened.sides)
            parts.append(_Samples(*(np.asarray(each[begin:end]).astype(np.int64) for each in columns)))
            if begin > 0 or number <= feed.first.day:
                break
            number -= 1
            end = feed.open(number).size
        return _Samples(*(np.concatenate(column) for column in zip(*reversed(parts), strict=True)))

    @staticmethod
    def _counted(samples: _Samples) -> _Samples:
        """Those that count with the last of them."""
        times = samples.times
        if not len(times):
            return samples
        first = int(np.searchsorted(times, times[-1] // SECOND_MS * SECOND_MS))
        return samples.at(np.flatnonzero(times >= first_counted_ms(int(times[first]))))

    def _mean(self, samples: _Samples) -> Decimal:
        """Of the middle of the book less the mark price, which is the last price where the data has none."""
        count = len(samples.times)
        if not count:
            return ZERO
        marks, there = self._feed.marks.newest(samples.times)
        unmarked = samples.prices[~there].sum()
        halves = int((2 * samples.prices - samples.sides).sum() - 2 * unmarked)
        known = self._feed.marks.unit * int(marks[there].sum())
        return (self._feed.instrument.tick_size * halves / 2 - known) / count
