"""The days of one symbol as one row of ticks, and places in it. Reads memory-mapped columns; keeps few days open."""

from __future__ import annotations

import mmap
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Final, NamedTuple

from gridbot.backtest.mark_feed import FAR, NO_MARKS, DayRefusedHere, MarkColumns, Marks, map_of, view
from gridbot.core.instrument import Instrument
from gridbot.market.day import Day

__all__ = ["Cursor", "OpenDay", "Place", "SymbolFeed"]

KEPT_OPEN: Final = 3
"""Days: that of exchange and worker, and those where either looks next. Each holds seven open files."""
LOOKED_AHEAD: Final = 256
"""Ticks in which a gap is looked for at once."""
NEAR: Final = 4
"""Ticks among which a time is looked for first: of candles that is where it mostly is."""
_new_tuple: Final = tuple.__new__
"""Makes a named tuple in half the time."""


class Place(NamedTuple):
    """A tick: number of the day, place in it."""

    day: int
    at: int


@dataclass(slots=True)
class OpenDay:
    """A day's columns as memoryviews, which give Python's own numbers."""

    day: Day
    times: memoryview
    prices: memoryview
    sizes: memoryview
    sides: memoryview
    size: int
    """How many ticks of it count: those before the end of the run."""
    maps: Sequence[mmap.mmap]
    """The files behind them."""


class SymbolFeed:
    """`load` gives each of the days, oldest first. `first` is the place of the first tick from `from_ms` on."""

    def __init__(self, symbol: str, loads: Sequence[Callable[[], Day]], from_ms: int, to_ms: int) -> None:
        self.symbol = symbol
        self.count = len(loads)
        self._loads = loads
        self._to_ms = to_ms
        self._open: dict[int, OpenDay] = {}
        self._spans: dict[int, tuple[int, int]] = {}
        """Lowest and highest price of each day that was open once."""
        self.instrument: Instrument = self.open(0).day.instrument
        fundings: list[tuple[int, Decimal]] = []
        self._has_marks = False
        self._marked_before: list[int | None] = []
        """When (ms UTC) the newest mark price before each day was."""
        newest: int | None = None
        for load in loads:
            day = load()
            fundings += day.fundings
            self._marked_before.append(newest)
            newest = int(day.marks_ms[-1]) if len(day.marks) else newest
            self._has_marks = self._has_marks or len(day.marks) > 0
        self.fundings = sorted(fundings)
        self.marks = Marks(symbol, [partial(self._marks_of, number) for number in range(self.count)])
        self.first = Place(0, 0)
        self._find_first(from_ms)

    def _find_first(self, from_ms: int) -> None:
        for number in range(self.count):
            opened = self.open(number)
            index = bisect_left(opened.times, from_ms, 0, opened.size)
            if index < opened.size:
                self.first = Place(number, index)
                return
        self.first = Place(self.count, 0)

    @property
    def is_empty(self) -> bool:
        """Whether no tick lies in the span."""
        return self.first.day >= self.count

    def open(self, number: int) -> OpenDay:
        """The columns of a day. DayRefusedHere where it is not in the ticks of the first one."""
        known = self._open.get(number)
        if known is not None:
            return known
        found = self._open[number] = self._opened(number)
        self._spans.setdefault(number, found.day.pyramid.span)
        while len(self._open) > KEPT_OPEN:
            del self._open[next(iter(self._open))]  # the oldest: never the one that is wanted now
        return found

    def _marks_of(self, number: int) -> MarkColumns:
        if not self._has_marks:
            return NO_MARKS
        opened = self._open.get(number)
        day = self._loads[number]() if opened is None else opened.day
        return MarkColumns.filled(day, self._marked_before[number])

    def let_go(self) -> None:
        """Give back the memory of what was read of the open days; what is looked at again comes from the file again."""
        self.marks.let_go()
        for opened in self._open.values():
            for each in opened.maps:
                each.madvise(mmap.MADV_DONTNEED)

    def stays(self, number: int, low: int, high: int) -> bool:
        """Whether a day is known to have no price (ticks) below `low` or above `high`: it need not be opened again."""
        span = self._spans.get(number)
        return span is not None and low <= span[0] and span[1] <= high

    def _opened(self, number: int) -> OpenDay:
        day = self._loads[number]()
        rules = getattr(self, "instrument", day.instrument)
        if (day.instrument.tick_size, day.instrument.qty_step) != (rules.tick_size, rules.qty_step):
            raise DayRefusedHere(
                f"{self.symbol}: its tick or quantity step changes on {day.date}, from {rules.tick_size} and "
                f"{rules.qty_step} to {day.instrument.tick_size} and {day.instrument.qty_step}: "
                "run the days before and those from then on apart"
            )
        times, prices, sizes, sides = view(day.times_ms), view(day.prices), view(day.sizes), view(day.sides)
        size = bisect_left(times, self._to_ms)
        maps = [found for each in (day.times_ms, day.prices, day.sizes, day.sides) if (found := map_of(each))]
        return OpenDay(day, times, prices, sizes, sides, size, maps)


class Cursor:
    """A place in a feed that only goes on: the next tick that somebody has not seen. `passed` counts those behind."""

    __slots__ = ("_feed", "at", "day", "index", "next_ms", "passed", "seen")

    def __init__(self, feed: SymbolFeed) -> None:
        self._feed = feed
        self.day, self.index = feed.first
        self.passed = 0
        self.seen: Place | None = None
        """The newest tick behind."""
        self.at: OpenDay | None = None if feed.is_empty else feed.open(self.day)
        self.next_ms = 0
        """When the next tick is, or any time before."""
        self._look()

    def go_before(self, ms: int) -> int:
        """Go on to the first tick that is not before `ms`; how many were passed."""
        if ms <= self.next_ms:
            return 0
        count = 0
        while (opened := self.at) is not None:
            times, size, near = opened.times, opened.size, self.index + NEAR
            index = bisect_left(times, ms, self.index, near if near < size and times[near] >= ms else size)
            if index > self.index:
                count += index - self.index
                self.seen = _new_tuple(Place, (self.day, index - 1))
                self.index = index
            if index < size:
                self.passed += count
                self.next_ms = times[index]
                return count
            self._next_day()
        self.passed += count
        self.next_ms = FAR
        return count

    def newest_before(self, ms: int) -> int | None:
        """When (ms UTC) the newest tick before `ms` was, of those behind and of the day; None when there is none."""
        opened = self.at
        if opened is not None and ms > self.next_ms:
            return opened.times[bisect_left(opened.times, ms, self.index, opened.size) - 1]
        return None if self.seen is None else self._feed.open(self.seen.day).times[self.seen.at]

    def fresh_until(self, ms: int, most_ms: int) -> int:
        """Up to when (ms UTC) the newest tick before then is at most so old, from `ms` on, as far as this looked ahead;
        -1 where none is at `ms`."""
        newest_ms, opened = self.newest_before(ms), self.at
        if newest_ms is None or ms - newest_ms > most_ms:
            return -1
        if opened is None:
            return newest_ms + most_ms
        index = bisect_left(opened.times, ms, self.index, opened.size)
        times = opened.times[index : min(index + LOOKED_AHEAD, opened.size)].tolist()
        for after_ms in times:
            if after_ms - newest_ms > most_ms:
                break
            newest_ms = after_ms
        return newest_ms + most_ms

    def go_behind(self, place: Place) -> int:
        """Go on to the tick after `place`; how many were passed."""
        count = 0
        while (opened := self.at) is not None:
            if self.day == place.day:
                count += place.at + 1 - self.index
                self.index = place.at + 1
                self.seen = place
                if self.index >= opened.size:
                    self._next_day()
                break
            count += opened.size - self.index
            self._next_day()
        self.passed += count
        self._look()
        return count

    def _look(self) -> None:
        opened = self.at
        self.next_ms = FAR if opened is None else opened.times[self.index]

    def _next_day(self) -> None:
        feed = self._feed
        self.day, self.index, self.at = self.day + 1, 0, None
        while self.day < feed.count:
            opened = feed.open(self.day)
            if opened.size:
                self.at = opened
                return
            self.day += 1

    def next(self) -> Place | None:
        """The next tick; None at the end."""
        return None if self.at is None else Place(self.day, self.index)

    def at_or_after(self, ms: int) -> Place | None:
        """The next tick that is not before a time (ms UTC); None at the end."""
        number, index, opened = self.day, self.index, self.at
        while opened is not None:
            found = bisect_left(opened.times, ms, index, opened.size)
            if found < opened.size:
                return Place(number, found)
            number, index = number + 1, 0
            opened = self._feed.open(number) if number < self._feed.count else None
        return None

    def next_outside(self, low: int, high: int, after: Place | None = None) -> Place | None:
        """The next tick (behind `after`) whose price (ticks) is below `low` or above `high`; None if none is."""
        feed = self._feed
        number, index, opened = self.day, self.index, self.at
        if after is not None:
            number, index, opened = after.day, after.at + 1, feed.open(after.day)
        while opened is not None:
            found = opened.day.pyramid.next_outside(index, low, high)
            if found < opened.size:
                return Place(number, found)
            number, index, opened = number + 1, 0, None
            while number < feed.count and feed.stays(number, low, high):
                number += 1
            if number < feed.count:
                opened = feed.open(number)
        return None

    def last_of_moment(self, place: Place) -> Place:
        """The last tick with the time of `place`: of what comes at one moment only the newest is seen."""
        opened = self._feed.open(place.day)
        times, index = opened.times, place.at
        moment, after = times[index], index + 1
        if after >= opened.size or times[after] != moment:
            return place
        return Place(place.day, bisect_right(times, moment, after, opened.size) - 1)
