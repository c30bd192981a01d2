"""The mark prices of one symbol over all days of a run. What is in memory is of few days, whatever the length."""

from __future__ import annotations

import mmap
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from math import gcd
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridbot.core.exact import WIDE
from gridbot.market.day import Day, Whole
from gridbot.market.mark_holes import is_unmarked
from gridbot.market.pyramid import Pyramid

__all__ = ["FAR", "NO_MARKS", "DayRefusedHere", "MarkColumns", "Marks", "map_of", "view"]

FAR: Final = 1 << 62
KEPT_OPEN: Final = 2
"""Days: that of the exchange, and that of the worker or where either looks next."""


class DayRefusedHere(ValueError):
    """The days of a symbol do not make one row; the text says why, and what to do."""


class MarkColumns(NamedTuple):
    """Of one day, times in ms UTC, prices in `unit` (USDT); perhaps none."""

    times: Whole
    marks: Whole
    unit: Decimal

    @classmethod
    def of(cls, day: Day) -> MarkColumns:
        """Those of a day of the market."""
        return cls(day.marks_ms, day.marks, day.mark_unit)

    @classmethod
    def filled(cls, day: Day, before_ms: int | None) -> MarkColumns:
        """Those of a day, and its last prices where it has none: a mark price of long ago would hide a liquidation.

        `before_ms`: when the newest mark price before the day was; None where there was none.
        """
        unmarked, tick = is_unmarked(day, before_ms), day.instrument.tick_size
        if unmarked is None:
            return cls.of(day)
        moved = np.diff(day.prices, prepend=-1) != 0
        ticks = np.flatnonzero(unmarked & (moved | np.diff(unmarked, prepend=False)))
        times, prices = day.times_ms[ticks], day.prices[ticks]
        if not len(day.marks):
            return cls(times, prices, tick)
        unit = _common(tick, day.mark_unit)
        marks = day.marks * int(day.mark_unit / unit)
        times = np.concatenate([day.marks_ms, times])
        order = np.argsort(times, kind="stable")
        return cls(times[order], np.concatenate([marks, prices * int(tick / unit)])[order], unit)


NO_MARKS: Final = MarkColumns(np.empty(0, np.int64), np.empty(0, np.int64), Decimal(1))


def _common(one: Decimal, other: Decimal) -> Decimal:
    """The largest unit that both are multiples of."""
    (a, b), (c, d) = one.as_integer_ratio(), other.as_integer_ratio()
    return Decimal(gcd(a * d, c * b)) / Decimal(b * d)


class _About(NamedTuple):
    """What is kept of a day that is not open: time of its first, and the lowest and the highest, in its own `unit`."""

    unit: Decimal
    first_ms: int
    low: int
    high: int


def _about(columns: MarkColumns) -> _About | None:
    if not len(columns.marks):
        return None
    return _About(columns.unit, int(columns.times[0]), int(columns.marks.min()), int(columns.marks.max()))


@dataclass(slots=True)
class _Open:
    """A day in the unit of all. `maps` are the files behind its columns."""

    times: memoryview
    marks: memoryview
    pyramid: Pyramid
    maps: Sequence[mmap.mmap]


class Marks:
    """The newest at a moment, and where they next leave an interval. `loads` give each of the days, oldest first."""

    def __init__(self, symbol: str, loads: Sequence[Callable[[], MarkColumns]]) -> None:
        told = [(load, about) for load in loads if (about := _about(load()))]
        self.unit = min((about.unit for _, about in told), default=Decimal(1))
        scales = [about.unit / self.unit for _, about in told]
        if any(scale % 1 for scale in scales):
            what = "mark prices in units that are no multiples of each other; import them again"
            raise DayRefusedHere(f"{symbol}: {what}")
        self._loads = [load for load, _ in told]
        self._scales = [int(scale) for scale in scales]
        self._firsts = [about.first_ms for _, about in told]
        self._spans = [
            (about.low * scale, about.high * scale) for (_, about), scale in zip(told, self._scales, strict=True)
        ]
        self._open: dict[int, _Open] = {}
        self._from_ms, self._until_ms = 0, 0
        """Between these (the second one excluded) `_times` has the newest."""
        self._day: _Open | None = None
        self._at, self._price = -1, Decimal(0)

    def __bool__(self) -> bool:
        return bool(self._loads)

    def at(self, ms: int) -> Decimal | None:
        """The newest at a time (ms UTC); None before the first."""
        if not self._from_ms <= ms < self._until_ms:
            self._go_to(ms)
        day = self._day
        if day is None:
            return None
        number = bisect_right(day.times, ms) - 1
        if number != self._at:
            self._at, self._price = number, WIDE.multiply(self.unit, Decimal(day.marks[number]))
        return self._price

    def _go_to(self, ms: int) -> None:
        number, firsts = bisect_right(self._firsts, ms) - 1, self._firsts
        self._from_ms = firsts[number] if number >= 0 else -FAR
        self._until_ms = firsts[number + 1] if number + 1 < len(firsts) else FAR
        self._day, self._at = (self._opened(number) if number >= 0 else None), -1

    def newest(self, times_ms: Whole) -> tuple[Whole, NDArray[np.bool_]]:
        """The newest at each of some times, in `unit`; and where there is one."""
        days = np.searchsorted(self._firsts, times_ms, side="right") - 1
        there = days >= 0
        found = np.zeros(len(times_ms), np.int64)
        for number in np.unique(days[there]):
            mine, day = days == number, self._opened(int(number))
            at = np.searchsorted(np.asarray(day.times), times_ms[mine], side="right") - 1
            found[mine] = np.asarray(day.marks)[at]
        return found, there

    def next_outside(self, after_ms: int, low: Decimal, high: Decimal) -> int:
        """When (ms UTC) one after `after_ms` is first below `low` or above `high`; far away if none is."""
        lowest = int((low / self.unit).to_integral_value(ROUND_CEILING))
        highest = int(high / self.unit)
        number = bisect_right(self._firsts, after_ms) - 1
        if number >= 0:
            day = self._opened(number)
            at = day.pyramid.next_outside(bisect_right(day.times, after_ms), lowest, highest)
            if at < len(day.times):
                return int(day.times[at])
        for later in range(number + 1, len(self._spans)):
            least, most = self._spans[later]
            if least < lowest or most > highest:
                day = self._opened(later)
                return int(day.times[day.pyramid.next_outside(0, lowest, highest)])
        return FAR

    def let_go(self) -> None:
        """Give back the memory of what was read of the files."""
        for day in self._open.values():
            for each in day.maps:
                each.madvise(mmap.MADV_DONTNEED)

    def _opened(self, number: int) -> _Open:
        found = self._open.get(number)
        if found is None:
            columns, scale = self._loads[number](), self._scales[number]
            marks = columns.marks if scale == 1 else columns.marks * scale
            maps = [each for column in (columns.times, columns.marks) if (each := map_of(column))]
            found = self._open[number] = _Open(view(columns.times), view(marks), Pyramid(marks), maps)
            while len(self._open) > KEPT_OPEN:
                del self._open[next(iter(self._open))]  # the oldest: never the one that is wanted now
        return found


def map_of(column: NDArray[Any]) -> mmap.mmap | None:
    """The file behind an array; None of one that is in memory."""
    base: Any = column
    while base is not None and not isinstance(base, mmap.mmap):
        base = getattr(base, "base", None)
    return base


def view(column: NDArray[Any]) -> memoryview:
    """A column as what gives Python's own numbers, in a third of the time."""
    return memoryview(column)  # type: ignore[arg-type]  # numpy's arrays are buffers
