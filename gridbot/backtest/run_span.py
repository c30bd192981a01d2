"""The market of a run's span, symbol by symbol, and what is to be known of it before believing what comes of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any, Final

from gridbot.backtest.cannot_run import CannotRun
from gridbot.backtest.run_days import RunDays
from gridbot.backtest.run_file import utc_of
from gridbot.backtest.run_sums import RunSums
from gridbot.backtest.symbol_feed import SymbolFeed
from gridbot.command_line import pasteable
from gridbot.commands.wording import counted
from gridbot.config.account_models import StrategyConfig
from gridbot.market.day import Day, day_start_ms
from gridbot.market.mark_holes import SPARED_MS, is_unmarked

__all__ = ["end_of_data", "feeds_of"]

NAMED: Final = 5
"""Spans of missing days, at most."""


def end_of_data(symbols: Iterable[str], market: RunDays, begin: int, end: int, sums: RunSums) -> int:
    """Where a run from `begin` up to `end` (µs UTC) ends: at the latest with the last day of any of these symbols.

    Nothing can happen behind it, and each second of it would take its time.
    """
    days = [day for symbol in symbols for day in market.days(symbol)]
    if not days:
        return end
    last = max(days)
    reached = day_start_ms(last + timedelta(days=1)) * 1000
    if not begin < reached < end:
        return end
    sums.warn(f"the data ends with {last}, and so does the run, which was to last until {utc_of(end):%Y-%m-%d %H:%M}")
    return reached


def feeds_of(
    strategies: Sequence[StrategyConfig], market: RunDays, begin: int, end: int, sums: RunSums
) -> dict[str, tuple[SymbolFeed, dict[str, Any]]]:
    """For each symbol its days in the span, and what is to be known of them."""
    found: dict[str, tuple[SymbolFeed, dict[str, Any]]] = {}
    whose = strategies[0].account if strategies else ""
    for symbol in dict.fromkeys(each.symbol for each in strategies):
        first, last = utc_of(begin).date(), utc_of(end - 1).date()
        there = [day for day in market.days(symbol) if first <= day <= last]
        fetch = pasteable(f"data fetch {symbol} --from {first} --to {last}")
        how = f"run {fetch}, or {pasteable('data import FILE')}"
        if not there:
            of = ", ".join(each.strat_id for each in strategies if each.symbol == symbol)
            others = "--account and --strategy run a part of the configuration"
            raise CannotRun(
                f"expected market data of {symbol} from {first} to {last} for {of} of {whose}, there is none: {how}; "
                f"{others}"
            )
        feed = SymbolFeed(symbol, [partial(market.day, symbol, day) for day in there], begin // 1000, end // 1000)
        if feed.is_empty:
            raise CannotRun(f"expected trades of {symbol} in the span, its days have none there: {how}")
        about = _about(symbol, (market.day(symbol, day) for day in there), begin // 1000, end // 1000, sums)
        if missing := _missing(there, first, last):
            days, wanted = sum((upto - since).days + 1 for since, upto in missing), (last - first).days + 1
            sums.warn(f"{symbol}: {days} of {wanted} days are missing and were jumped over: {_named(missing)}")
        found[symbol] = feed, about
    return found


def _missing(there: Sequence[date], first: date, last: date) -> list[tuple[date, date]]:
    """The spans of days from `first` to `last` that are not there, each with its first and last day."""
    day, found = timedelta(days=1), []
    for before, after in itertools.pairwise([first - day, *there, last + day]):
        if after - before > day:
            found.append((before + day, after - day))
    return found


def _named(spans: Sequence[tuple[date, date]]) -> str:
    texts = [f"{first}" if first == last else f"{first} to {last}" for first, last in spans[:NAMED]]
    return ", ".join(texts) + (f" and {len(spans) - NAMED} more" if len(spans) > NAMED else "")


def _about(symbol: str, days: Iterable[Day], begin_ms: int, end_ms: int, sums: RunSums) -> dict[str, Any]:
    """Of the span; gaps of its first and last day that lie outside are none of it.

    Each day is looked at and let go: a mapped one holds open files.
    """
    dates: list[str] = []
    gaps: list[tuple[int, int]] = []
    kinds: set[str] = set()
    sources: set[str] = set()
    has_marks, unmarked, unfunded = False, 0, 0
    marked_ms: int | None = None
    for day in days:
        dates.append(day.date.isoformat())
        cut = ((max(low, begin_ms), min(high, end_ms)) for low, high in day.gaps)
        gaps += [(low, high) for low, high in cut if low < high]
        kinds.add(day.kind)
        sources.update(day.sources)
        has_marks = has_marks or len(day.marks) > 0
        unmarked += is_unmarked(day, marked_ms, SPARED_MS) is not None
        unfunded += not day.fundings
        marked_ms = int(day.marks_ms[-1]) if len(day.marks) else marked_ms
    if gaps:
        minutes = sum(to_ms - from_ms for from_ms, to_ms in gaps) / 60_000
        length = f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"
        sums.warn(f"{symbol}: {counted(len(gaps), 'gap')} in the data, {length} together")
    if "candles" in kinds:
        sums.warn(f"{symbol}: made of candles: what happened within a minute, and volumes at a price, are guessed")
    if not has_marks:
        sums.warn(f"{symbol}: no mark prices, so the last price is taken for it, in margins and liquidation too")
    elif unmarked:
        sums.warn(
            f"{symbol}: mark prices are missing on {unmarked} of {len(dates)} days: the last price is taken there"
        )
    if unfunded == len(dates):
        sums.warn(f"{symbol}: no fundings in the data: none was paid")
    elif unfunded:
        sums.warn(f"{symbol}: no fundings in the data on {unfunded} of {len(dates)} days: none was paid on them")
    return {
        "kinds": sorted(kinds),
        "sources": sorted(sources),
        "days": dates,
        "gaps": gaps,
        "marks": has_marks,
        "fundings": unfunded < len(dates),
    }
