"""One symbol on one UTC day: what traded, the mark price, fundings, and the instrument's rules of that time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gridbot.core.instrument import Instrument, RiskTier
from gridbot.market.pyramid import Pyramid

__all__ = ["DAY_MS", "Day", "DayRefused", "Kind", "check_day", "day_start_ms", "sides_by_price", "ticks_of"]

DAY_MS: Final = 86_400_000
Kind: TypeAlias = Literal["trades", "candles"]
Whole: TypeAlias = NDArray[np.int64]


class DayRefused(ValueError):
    """What was given is no day; the text names the column and the place in it."""


@dataclass(frozen=True, slots=True, eq=False)
class Day:
    """Columns of one length, and what goes with them. The arrays are read-only.

    `times_ms` are ms UTC and never decrease; `prices` are whole ticks and `sizes` whole quantity steps of `instrument`;
    `sides` are +1 where the taker bought and -1 where it sold. Candles are four ticks each (docs/market-data.md), and
    so `kind` says what may be concluded from volumes and times between. A size of 0 is one that nobody knows.

    `marks` are mark prices in `mark_unit` (USDT) at `marks_ms`; without any, take the last price for it, and say so.
    `fundings` are (ms UTC, rate as a fraction); `gaps` are (from, to) in ms UTC where data is missing.
    `sources` says where it all came from and `notes` what is doubtful about it, for people.
    """

    symbol: str
    date: date
    kind: Kind
    instrument: Instrument
    times_ms: Whole
    prices: Whole
    sizes: Whole
    sides: NDArray[np.int8]
    pyramid: Pyramid = field(repr=False)
    marks_ms: Whole = field(default_factory=lambda: np.empty(0, np.int64))
    marks: Whole = field(default_factory=lambda: np.empty(0, np.int64))
    mark_unit: Decimal = Decimal("0.01")
    fundings: tuple[tuple[int, Decimal], ...] = ()
    gaps: tuple[tuple[int, int], ...] = ()
    sources: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    version: str = ""
    """Another one when anything but sources and notes is imported again; "" of a day that was made in memory."""

    def __len__(self) -> int:
        return len(self.prices)

    @property
    def tiers(self) -> tuple[RiskTier, ...] | None:
        """Risk-limit tiers of that time, lowest first; None when they are not known."""
        return self.instrument.tiers or None

    @property
    def start_ms(self) -> int:
        """The midnight (ms UTC) with which it begins."""
        return day_start_ms(self.date)


def day_start_ms(day: date) -> int:
    """The midnight (ms UTC) with which a day begins."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def ticks_of(
    instrument: Instrument,
    times_ms: ArrayLike,
    prices: ArrayLike,
    sizes: ArrayLike | None = None,
    sides: ArrayLike | None = None,
    *,
    kind: Kind = "trades",
    marks: Iterable[tuple[int, int]] = (),
    mark_unit: Decimal | None = None,
    fundings: Iterable[tuple[int, Decimal]] = (),
    gaps: Iterable[tuple[int, int]] = (),
    sources: Sequence[str] = ("made in memory",),
) -> Day:
    """A day of arrays, without files: for tests and notebooks. Units are those of `Day`.

    Without `sizes` each is one step; without `sides` the taker bought where the price rose, sold where it fell, and did
    as before where it stayed. `mark_unit` is the tick size when it is None. All times are of one UTC day, that of the
    first. Raise DayRefused when the arrays do not make a day.
    """
    times, steps = _whole("times_ms", times_ms), _whole("prices", prices)
    if not len(times):
        raise DayRefused("times_ms: expected at least one tick, got none")
    day = datetime.fromtimestamp(int(times[0]) / 1000, UTC).date()
    given = list(marks)
    made = Day(
        symbol=instrument.symbol,
        date=day,
        kind=kind,
        instrument=instrument,
        times_ms=times,
        prices=steps,
        sizes=np.ones(len(steps), np.int64) if sizes is None else _whole("sizes", sizes),
        sides=sides_by_price(steps) if sides is None else np.asarray(sides, np.int8),
        pyramid=Pyramid(steps),
        marks_ms=_whole("marks_ms", [at for at, _ in given]),
        marks=_whole("marks", [price for _, price in given]),
        mark_unit=instrument.tick_size if mark_unit is None else mark_unit,
        fundings=tuple(fundings),
        gaps=tuple(gaps),
        sources=tuple(sources),
    )
    for column in (made.times_ms, made.prices, made.sizes, made.sides, made.marks_ms, made.marks):
        column.setflags(write=False)
    check_day(made)
    return made


def sides_by_price(prices: Whole) -> NDArray[np.int8]:
    """+1 where the price rose, -1 where it fell, as before where it stayed; the first ones bought."""
    moves = np.sign(np.diff(prices, prepend=prices[:1]))
    last_move = np.maximum.accumulate(np.where(moves != 0, np.arange(len(moves)), 0))
    sides = moves[last_move]
    return np.where(sides == 0, 1, sides).astype(np.int8)


def check_day(day: Day) -> None:
    """Raise DayRefused, naming column and index, when the columns break what `Day` says of them."""
    start, size = day.start_ms, len(day.prices)
    for name in ("times_ms", "sizes", "sides"):
        if len(getattr(day, name)) != size:
            raise DayRefused(f"{name}: expected {size} entries, as many as prices, got {len(getattr(day, name))}")
    if len(day.marks_ms) != len(day.marks):
        raise DayRefused(f"marks_ms: expected {len(day.marks)} entries, as many as marks, got {len(day.marks_ms)}")
    for name in ("times_ms", "marks_ms"):
        times = getattr(day, name)
        _refuse(name, np.diff(times) < 0, times[1:], "a time not before the one in front of it", 1)
        _refuse(name, (times < start) | (times >= start + DAY_MS), times, f"a time of {day.date}")
    _refuse("prices", day.prices <= 0, day.prices, "a price above zero")
    _refuse("marks", day.marks <= 0, day.marks, "a price above zero")
    _refuse("sizes", day.sizes < 0, day.sizes, "a size not below zero")
    _refuse("sides", np.abs(day.sides) != 1, day.sides, "1 or -1")


def _refuse(name: str, wrong: NDArray[np.bool_], values: NDArray[Any], expected: str, ahead: int = 0) -> None:
    if len(wrong) and wrong.any():
        at = int(wrong.argmax())
        raise DayRefused(f"{name}, index {at + ahead}: expected {expected}, got {values[at]}")


def _whole(name: str, values: ArrayLike) -> Whole:
    """A column of its own. Raise DayRefused for numbers with a fraction: ticks are whole."""
    given = np.asarray(values)
    if given.size and given.dtype.kind not in "iu":
        raise DayRefused(f"{name}: expected whole numbers, got {given.dtype}")
    return given.astype(np.int64).ravel()
