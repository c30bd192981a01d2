"""What is wrong with the days that there are: `gridbot-supervisor data check`. Reads files.

A finding is something that a backtest would be wrong by; a note is something that it will say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gridbot.market.day import DAY_MS, Day, DayRefused, check_day
from gridbot.market.day_document import DayDocument
from gridbot.market.day_files import check_files, open_day
from gridbot.market.mark_holes import HOLE_MS, SPARED_MS, is_unmarked
from gridbot.market.market_error import MarketError
from gridbot.market.market_root import Damaged, Market
from gridbot.market.pyramid import levels_of
from gridbot.market.text_columns import mixed

__all__ = ["CheckLimits", "Finding", "check_symbol", "days_between"]

NAMED: Final = 5
TICKS: Final = ("times_ms", "prices", "sizes", "sides")
LOOKED_AT: Final = 50_000
"""Trades among which those that say the same are looked for, wherever they are."""
Whole: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CheckLimits:
    """From where on something is absurd.

    `jump`: a change of price from one tick to the next, or a mark price that far from the last, as a fraction.
    `alike`: how much of a day may be trades that say the same as another one, as a fraction.
    """

    jump: float = 0.05
    alike: float = 0.5


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a day, None of a symbol as a whole. `is_note`: nothing is wrong, but a backtest will say it."""

    symbol: str
    date: date | None
    text: str
    is_note: bool = False


def check_symbol(
    market: Market, symbol: str, first: date | None, last: date | None, limits: CheckLimits | None = None
) -> Iterator[Finding]:
    """Look at each day of a symbol, from `first` to `last` inclusive; a day between that is not there is found too.

    Raise MarketError where days cannot be listed.
    """
    limits = limits or CheckLimits()
    before = _Before(None)
    damaged: dict[date, MarketError] = {}
    readable = days_between(market, symbol, first, last, damaged.__setitem__)
    chosen = sorted([*(document.date for document in readable), *damaged])
    documents = {document.date: document for document in readable}
    if not chosen:
        asked = f" from {first or 'the first day'} to {last or 'the last day'}" if first or last else ""
        yield Finding(symbol, first or last, f"expected days{asked}, there are none; import or fetch them")
        return
    if first is not None and (missing := (chosen[0] - first).days):
        yield Finding(symbol, first, f"expected this day, {missing} are missing before {chosen[0]}")
    for day in chosen:
        if before.day is not None and (missing := (day - before.day).days - 1):
            next_day = before.day + timedelta(days=1)
            yield Finding(symbol, next_day, f"expected a day after {before.day}, {missing} are missing before {day}")
        if day in damaged:
            yield Finding(symbol, day, str(damaged[day]))
            before = _Before(day, 0, before.marked_ms)
            continue
        document = documents[day]
        closed = before.price if before.day is not None and day - before.day == timedelta(days=1) else None
        found = list(_check(market, document, before._replace(price=closed), limits))
        yield from (Finding(symbol, day, text) for text in found)
        yield from (Finding(symbol, day, text, is_note=True) for text in _notes(document))
        if document.kind is not None:
            before = _last_of(market, document, before, is_right=not found)
    if last is not None and (missing := (last - chosen[-1]).days):
        yield Finding(symbol, last, f"expected this day, {missing} are missing after {chosen[-1]}")


def days_between(
    market: Market, symbol: str, first: date | None, last: date | None, damaged: Damaged | None = None
) -> list[DayDocument]:
    """What there is of a symbol from `first` to `last` inclusive, oldest first. `damaged`, and errors, as those of
    `Market.documents`, of these days."""
    begin, end = first or date.min, last or date.max

    def tell(day: date, error: MarketError) -> None:
        if begin <= day <= end:
            if damaged is None:
                raise error
            damaged(day, error)

    return [document for document in market.documents(symbol, tell) if begin <= document.date <= end]


class _Before(NamedTuple):
    """What was before a day: the newest day, its last price (ticks; 0 or None where nobody knows), the newest mark."""

    day: date | None
    price: int | None = None
    marked_ms: int | None = None


def _check(market: Market, document: DayDocument, before: _Before, limits: CheckLimits) -> Iterator[str]:
    """What is wrong with one day."""
    directory = market.directory(document.symbol, document.date)
    damage = check_files(directory, document)
    yield from damage
    if damage:
        return
    try:
        day = open_day(directory)
        if day is None:
            yield "expected ticks, got marks or fundings alone; import trades or candles"
            return
        check_day(day)
    except (MarketError, DayRefused) as error:
        yield str(error)
        return
    yield from _gaps(document)
    yield from _jumps(day, before.price, limits)
    yield from _steps(day, document)
    yield from _marks(day, before.marked_ms, limits)
    if not _pyramid_fits(day):
        yield "expected a pyramid over the prices, got one over others; import the day again"
    if day.kind == "trades" and (share := _alike(day)) > limits.alike:
        yield f"{share:.0%} of the trades say the same as another one: was a file imported twice?"


def _notes(document: DayDocument) -> Iterator[str]:
    for words in document.notes.values():
        yield from words
    if document.kind is not None:
        if "marks" not in document.columns:
            yield "no mark prices: the last price is taken for them"
        if not document.fundings:
            yield "no fundings: none is paid on this day"
        elif document.instrument is not None and (minutes := document.instrument.funding_interval_minutes) > 0:
            wanted = 1440 // minutes  # contracts with an end have 0 minutes, and no fundings
            if (count := len(document.fundings)) < wanted:
                was = "was the interval another one, or are some missing?"
                yield f"{count} funding{'' if count == 1 else 's'}, where the rules say {wanted}: {was}"
        if document.instrument is not None and not document.instrument.tiers:
            yield "no risk-limit tiers: those of the lowest tier hold for any size"


def _gaps(document: DayDocument) -> Iterator[str]:
    for begin, end in document.gaps[:NAMED]:
        yield f"nothing from {_clock(begin)} to {_clock(end, is_end=True)} UTC ({_length(end - begin)})"
    if len(document.gaps) > NAMED:
        yield f"and {len(document.gaps) - NAMED} more gaps"


def _length(ms: int) -> str:
    seconds = round(ms / 1000)
    number, unit = (seconds, "second") if seconds < 60 else (round(ms / 60_000), "minute")
    return f"{number} {unit}{'' if number == 1 else 's'}"


def _jumps(day: Day, closed: int | None, limits: CheckLimits) -> Iterator[str]:
    prices = day.prices if not closed else np.concatenate([[closed], day.prices])
    shift = 1 if closed else 0
    change = np.diff(prices) / prices[:-1]
    far = np.flatnonzero(np.abs(change) > limits.jump)
    for at in far[:NAMED]:
        index = int(at) + 1 - shift
        when = _clock(int(day.times_ms[index]))
        before, after = (day.instrument.price(int(prices[place])) for place in (at, at + 1))
        yield f"tick {index} at {when} UTC: a jump of {change[at]:+.1%}, from {before} to {after}"
    if len(far) > NAMED:
        yield f"and {len(far) - NAMED} more jumps of over {limits.jump:.0%}"


def _steps(day: Day, document: DayDocument) -> Iterator[str]:
    rules = day.instrument
    common = int(np.gcd.reduce(day.prices))
    if common > 1 and len(np.unique(day.prices[:100_000])) > NAMED:
        yield (
            f"all prices are multiples of {rules.price(common)}, but the tick size is {rules.tick_size}: "
            "are the rules of that time?"
        )
    if document.form == "trades":
        least = rules.min_order_qty / rules.qty_step
        small = np.flatnonzero(day.sizes < float(least))
        if len(small):
            yield (
                f"{len(small)} trades are smaller than the least order of {rules.min_order_qty}, "
                f"the first is tick {small[0]} of {day.sizes[small[0]] * rules.qty_step}"
            )


def _marks(day: Day, marked_ms: int | None, limits: CheckLimits) -> Iterator[str]:
    if not len(day.marks):
        return
    unmarked = is_unmarked(day, marked_ms, SPARED_MS)
    if unmarked is not None:
        first = _clock(int(day.times_ms[int(unmarked.argmax())]))
        minutes = HOLE_MS // 60_000
        yield (
            f"{np.count_nonzero(unmarked)} ticks have no mark price of the last {minutes} minutes, "
            f"the first at {first} UTC: the last price is taken for it"
        )
    last = np.searchsorted(day.times_ms, day.marks_ms, "right") - 1
    there = last >= 0
    marks = day.marks[there] * float(day.mark_unit)
    prices = day.prices[last[there]] * float(day.instrument.tick_size)
    # What happened long ago says nothing about a mark price of now.
    fresh = day.marks_ms[there] - day.times_ms[last[there]] < 600_000
    far = np.flatnonzero(fresh & (np.abs(marks / prices - 1) > limits.jump))
    if len(far):
        when = _clock(int(day.marks_ms[there][far[0]]))
        yield (
            f"{len(far)} mark prices are over {limits.jump:.0%} away from the last price, "
            f"the first at {when} UTC: {marks[far[0]]:g} beside {prices[far[0]]:g}"
        )


def _pyramid_fits(day: Day) -> bool:
    wanted = levels_of(day.prices)
    found = day.pyramid.levels
    return len(wanted) == len(found) and all(
        np.array_equal(np.asarray(mine), theirs)
        for level, other in zip(found, wanted, strict=True)
        for mine, theirs in zip(level, other, strict=True)
    )


def _alike(day: Day) -> float:
    """The part of a day's trades that say the same as the one before them, or of its first ones as any other."""
    if len(day) < 2:
        return 0.0
    said = np.stack([getattr(day, name)[:LOOKED_AT] for name in TICKS], axis=1).astype(np.int64)
    others = len(said) - len(np.unique(mixed(said.view(np.uint64))))
    same: Any = np.ones(len(day) - 1, bool)
    for name in TICKS:
        column = getattr(day, name)
        same &= column[1:] == column[:-1]
    return float(max(np.count_nonzero(same) / len(same), others / (len(said) - 1)))


def _last_of(market: Market, document: DayDocument, before: _Before, *, is_right: bool) -> _Before:
    """What is before the day after. The price of a day in which something is wrong is not held against that one."""
    try:
        day = market.day(document.symbol, document.date)
    except MarketError:
        return _Before(document.date, 0, before.marked_ms)
    marked_ms = int(day.marks_ms[-1]) if len(day.marks) else before.marked_ms
    return _Before(document.date, int(day.prices[-1]) if is_right else 0, marked_ms)


def _clock(ms: int, *, is_end: bool = False) -> str:
    if is_end and ms % DAY_MS == 0:
        return "24:00:00"
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%H:%M:%S")
