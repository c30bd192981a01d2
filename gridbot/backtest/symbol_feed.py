"""The days of one symbol as one row of ticks, and places in it. Reads memory-mapped columns; keeps few days open."""

from __future__ import annotations

import mmap
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridbot.core.exact import WIDE
from gridbot.core.instrument import Instrument
from gridbot.market.day import Day, Whole
from gridbot.market.pyramid import Pyramid

__all__ = ["FAR", "Cursor", "DayRefusedHere", "Marks", "Place", "SymbolFeed"]

KEPT_OPEN: Final = 3
"""Days: that of exchange and worker, and those where either looks next. Each holds seven open files."""
LOOKED_AHEAD: Final = 256
"""Ticks in which a gap is looked for at once."""
FAR: Final = 1 << 62


_new_tuple: Final = tuple.__new__
"""Makes a named tuple in half the time."""


class DayRefusedHere(ValueError):
    """The days of a symbol do not make one row; the text says why, and what to do."""


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
        self.marks = _marks(loads)
        self.fundings = sorted(funding for load in loads for funding in load().fundings)
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
        if number in self._open:
            return self._open[number]
        found = self._open[number] = self._opened(number)
        self._spans.setdefault(number, found.day.pyramid.span)
        while len(self._open) > KEPT_OPEN:
            del self._open[next(iter(self._open))]  # the oldest: never the one that is wanted now
        return found

    def let_go(self) -> None:
        """Give back the memory of what was read of the open days; what is looked at again comes from the file again."""
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
        maps = [found for each in (day.times_ms, day.prices, day.sizes, day.sides) if (found := _map_of(each))]
        return OpenDay(day, times, prices, sizes, sides, size, maps)


def _map_of(column: NDArray[Any]) -> mmap.mmap | None:
    """The file behind an array; None of one that is in memory."""
    base: Any = column
    while base is not None and not isinstance(base, mmap.mmap):
        base = getattr(base, "base", None)
    return base


def view(column: NDArray[Any]) -> memoryview:
    """A column as what gives Python's own numbers, in a third of the time."""
    return memoryview(column)  # type: ignore[arg-type]  # numpy's arrays are buffers


class Marks:
    """Mark prices over time: the newest at a moment, and where they next leave an interval."""

    def __init__(self, times: Whole, marks: Whole, unit: Decimal) -> None:
        self._all_times, self._all = times, marks
        self._times, self._marks = view(times), view(marks)
        self._pyramid = Pyramid(marks)
        self.unit = unit
        self._at, self._price = -1, Decimal(0)

    def __bool__(self) -> bool:
        return len(self._times) > 0

    def at(self, ms: int) -> Decimal | None:
        """The newest at a time (ms UTC); None before the first."""
        number = bisect_right(self._times, ms) - 1
        if number < 0:
            return None
        if number != self._at:
            self._at, self._price = number, WIDE.multiply(self.unit, Decimal(self._marks[number]))
        return self._price

    def newest(self, times_ms: Whole) -> tuple[Whole, NDArray[np.bool_]]:
        """The newest at each of some times, in `unit`; and where there is one."""
        at = np.searchsorted(self._all_times, times_ms, side="right") - 1
        there = at >= 0
        found = np.zeros(len(times_ms), np.int64)
        found[there] = self._all[at[there]]
        return found, there

    def next_outside(self, after_ms: int, low: Decimal, high: Decimal) -> int:
        """When (ms UTC) one after `after_ms` is first below `low` or above `high`; far away if none is."""
        lowest = int((low / self.unit).to_integral_value(ROUND_CEILING))
        at = self._pyramid.next_outside(bisect_right(self._times, after_ms), lowest, int(high / self.unit))
        return self._times[at] if at < len(self._times) else FAR


def _marks(loads: Sequence[Callable[[], Day]]) -> Marks:
    """Copied day by day: each day that stays mapped holds seven open files."""
    found: list[tuple[Whole, Whole, Decimal]] = []
    for load in loads:
        day = load()
        if len(day.marks):
            found.append((np.array(day.marks_ms), np.array(day.marks), day.mark_unit))
    if not found:
        return Marks(np.empty(0, np.int64), np.empty(0, np.int64), Decimal(1))
    unit = min(of for *_, of in found)
    scales = [of / unit for *_, of in found]
    if any(scale % 1 for scale in scales):
        what = "mark prices in units that are no multiples of each other; import them again"
        raise DayRefusedHere(f"{day.symbol}: {what}")
    marks = [prices * int(scale) for (_, prices, _), scale in zip(found, scales, strict=True)]
    return Marks(np.concatenate([times for times, *_ in found]), np.concatenate(marks), unit)


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
            index, size = bisect_left(opened.times, ms, self.index, opened.size), opened.size
            if index > self.index:
                count += index - self.index
                self.seen = _new_tuple(Place, (self.day, index - 1))
                self.index = index
            if index < size:
                self.passed += count
                self.next_ms = opened.times[index]
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
