"""A backtest from configuration and market data to its results: `gridbot.backtest.run`.

Accounts share nothing, so they are run one after the other, each on an exchange of its own.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from gridbot.backtest.account_job import AccountJob, Counts
from gridbot.backtest.beginning import NEW, Beginning
from gridbot.backtest.held_interrupt import held_interrupt
from gridbot.backtest.mark_feed import DayRefusedHere
from gridbot.backtest.overrides import with_overrides
from gridbot.backtest.result import Result
from gridbot.backtest.run_days import MarketDays, RunDays
from gridbot.backtest.run_file import DIRECTORY, RunFile, file_of, new_name, utc_of
from gridbot.backtest.run_options import Options
from gridbot.backtest.symbol_feed import SymbolFeed
from gridbot.command_line import pasteable
from gridbot.commands.wording import counted
from gridbot.config.account_models import StrategyConfig
from gridbot.config.loading import load_config
from gridbot.config.models import GridbotConfig
from gridbot.config.snapshots import account_snapshot
from gridbot.lock_file import Locked
from gridbot.market.day import Day
from gridbot.market.mark_holes import SPARED_MS, is_unmarked
from gridbot.paper.settings import PaperConfig
from gridbot.version import __version__

__all__ = ["AskedWrongly", "CannotRun", "DaysInMemory", "MarketDays", "Progress", "run"]

MOST_WARNINGS: Final = 300
"""Kinds of them; what is told again and again is one."""
_NUMBERS: Final = re.compile(r"\d[\d.,]*")


class CannotRun(Exception):
    """The backtest cannot be made; the text says what was expected, what is there, and what to do."""


class AskedWrongly(CannotRun):
    """There is no such span, account or strategy: what was asked for has to be another."""


class DaysInMemory:
    """Days that were made by `ticks_of`."""

    def __init__(self, days: Iterable[Day]) -> None:
        self._days = {(day.symbol, day.date): day for day in days}

    def days(self, symbol: str) -> list[date]:
        """The days of a symbol, oldest first."""
        return sorted(day for name, day in self._days if name == symbol)

    def day(self, symbol: str, day: date) -> Day:
        """One of them."""
        return self._days[symbol, day]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: the account, the simulated time (µs UTC) in its span, and what has happened so far."""

    account: str
    now_us: int
    from_us: int
    to_us: int
    ticks: int
    fills: int


OnProgress = Callable[[Progress], None]


@dataclass(slots=True)
class _Alert:
    """What an operator would have been told, the first time that it was; then again, `count` times in all."""

    first_us: int
    text: str
    last_us: int
    count: int = 1

    def line(self) -> str:
        again = f" ({self.count:,} times until {utc_of(self.last_us):%Y-%m-%d %H:%M})" if self.count > 1 else ""
        return f"{utc_of(self.first_us):%Y-%m-%d %H:%M} {self.text}{again}"


@dataclass(slots=True)
class _Sums:
    """Of all accounts of a run."""

    ticks: int = 0
    looks: int = 0
    fills: int = 0
    reached_us: int = 0
    said: dict[str, None] = field(default_factory=dict)
    alerts: dict[tuple[str, str], _Alert] = field(default_factory=dict)
    unkept: int = 0

    def warn(self, text: str) -> None:
        self.said[text] = None

    def told(self, account: str, now_us: int, strategy: str, text: str) -> None:
        """An operator would have been told. What differs by its numbers alone is the same again."""
        whose = strategy or account
        key = (whose, _NUMBERS.sub("", text))
        if (known := self.alerts.get(key)) is not None:
            known.count, known.last_us = known.count + 1, now_us
        elif len(self.alerts) < MOST_WARNINGS:
            self.alerts[key] = _Alert(now_us, f"{whose}: {text}", now_us)
        else:
            self.unkept += 1

    @property
    def warnings(self) -> list[str]:
        more = [f"{self.unkept:,} more things were told, of other kinds"] if self.unkept else []
        return [*self.said, *(alert.line() for alert in self.alerts.values()), *more]

    def before(self) -> tuple[int, int, int]:
        return self.ticks, self.looks, self.fills

    def progress(self, job: AccountJob, before: tuple[int, int, int], on_progress: OnProgress, counts: Counts) -> None:
        """The account that runs is that far; those before it had come to `before`."""
        ticks, looks, fills = before
        self.ticks, self.looks, self.fills = ticks + counts.ticks, looks + counts.looks, fills + counts.fills
        self.reached_us = counts.now_us
        on_progress(Progress(job.account, counts.now_us, job.from_us, job.to_us, self.ticks, self.fills))


def run(
    config: GridbotConfig | str | Path,
    market: MarketDays,
    *,
    from_: date | datetime | str,
    to: date | datetime | str,
    account: str | None = None,
    strategy: str | None = None,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    options: Options | None = None,
    beginnings: Mapping[str, Beginning] | None = None,
    name: str = "",
    into: Path | None = None,
    on_progress: OnProgress = lambda progress: None,
) -> Result:
    """Trade the strategies of a configuration on the market of the past, from `from_` up to `to` (UTC).

    A date as `to` counts to its end. `account` and `strategy` choose, `overrides` change settings
    (`gridbot.backtest.overrides`). `beginnings`: how accounts stand at first, by name; others are new.

    The results go into a DuckDB file: `into`, or `backtests/NAME.duckdb` in the data directory. Ctrl-C leaves in it
    what there is, says so in `summary["finished"]`, and returns.
    Raise CannotRun (AskedWrongly where there is no such span, account or strategy), ConfigError, MarketError for days
    that cannot be read, and DayRefusedHere for days that do not fit together, or that are changed while the run lasts.
    """
    loaded = config if isinstance(config, GridbotConfig) else load_config(config)
    options, starts = options or Options(), beginnings or {}
    begin, end = _moment(from_, "from"), _moment(to, "to", ends=True)
    if begin >= end:
        raise AskedWrongly(f"expected --from before --to, got {from_} and {to}")
    chosen = _chosen(loaded, account, strategy)
    accounts = list(dict.fromkeys(each.account for each in chosen))
    loaded = with_overrides(loaded, overrides, accounts, [each.strat_id for each in chosen])
    wanted = {each.strat_id for each in chosen}
    sums, days = _Sums(reached_us=begin), RunDays(market)
    feeds = {
        name: _feeds([s for s in loaded.strategies_of(name) if s.strat_id in wanted], days, begin, end, sums)
        for name in accounts
    }
    made_at = datetime.now(UTC).replace(tzinfo=None)
    name = name or (into.stem if into else new_name(loaded.storage.data_dir, made_at))
    try:
        file = RunFile(into or file_of(loaded.storage.data_dir, name), loaded.storage.data_dir / DIRECTORY)
    except Locked as process:
        raise CannotRun(
            f"expected a name that no other run has now, got {name!r}, which process {process} is running: "
            "choose another --name, or wait"
        ) from None
    paper = _paper(loaded.paper, options)
    row: dict[str, Any] = {
        "name": name,
        "from_ts": utc_of(begin),
        "accounts": accounts,
        "config": {
            each: account_snapshot(loaded, each) | {"strategies": _strategies(loaded, each, wanted)}
            for each in accounts
        },
        "options": options.as_json() | {"matching": paper.matching.value, "overrides": _plain(overrides)},
        "market": {symbol: about for each in feeds.values() for symbol, (_, about) in each.items()},
        "made_at": made_at,
        "version": __version__,
    }
    started_s, finished = time.perf_counter(), False

    def describe() -> dict[str, Any]:
        told = row | {
            "to_ts": utc_of(end if finished else sums.reached_us),
            "ticks": sums.ticks,
            "looks": sums.looks,
            "fills": sums.fills,
            "wall_s": time.perf_counter() - started_s,
            "finished": finished,
            "warnings": sums.warnings,
        }
        file.describe(told)
        return told

    with held_interrupt() as look, contextlib.closing(file):

        def told(progress: Progress) -> None:
            on_progress(progress)
            days.look()
            look()

        describe()
        try:
            for each in accounts:
                strategies = [s for s in loaded.strategies_of(each) if s.strat_id in wanted]
                parts = strategies, {symbol: feed for symbol, (feed, _) in feeds[each].items()}, paper, options
                job = AccountJob(loaded, each, *parts, begin, end, starts.get(each, NEW))
                try:
                    job.run(file.put, partial(sums.told, each), partial(sums.progress, job, sums.before(), told))
                finally:
                    file.put_samples(job, sums.reached_us)
            days.look()
            look()
            finished = True
        except DayRefusedHere as refused:
            sums.warn(f"broken off: {refused}")
            raise
        except KeyboardInterrupt:
            sums.warn(f"broken off at {utc_of(sums.reached_us):%Y-%m-%d %H:%M} UTC: what is here ends there")
        finally:
            summary = describe()
    return Result(file.path, summary)


def _chosen(config: GridbotConfig, account: str | None, strategy: str | None) -> list[StrategyConfig]:
    accounts = [each.name for each in config.accounts]
    if account is not None and account not in accounts:
        raise AskedWrongly(f"expected an account of the configuration ({', '.join(accounts)}), got {account!r}")
    found = [each for each in config.strategies if account in (None, each.account)]
    names = [each.strat_id for each in found]
    if strategy is not None and strategy not in names:
        of = f" of {account}" if account else ""
        raise AskedWrongly(f"expected a strategy{of} ({', '.join(names)}), got {strategy!r}")
    found = [each for each in found if strategy in (None, each.strat_id)]
    if not found:
        raise CannotRun(f"expected strategies to run, {account or 'the configuration'} has none")
    return found


def _feeds(
    strategies: Sequence[StrategyConfig], market: RunDays, begin: int, end: int, sums: _Sums
) -> dict[str, tuple[SymbolFeed, dict[str, Any]]]:
    """For each symbol its days in the span, and what is to be known of them."""
    found: dict[str, tuple[SymbolFeed, dict[str, Any]]] = {}
    whose = strategies[0].account if strategies else ""
    for symbol in dict.fromkeys(each.symbol for each in strategies):
        first, last = utc_of(begin).date(), utc_of(end - 1).date()
        there = [day for day in market.days(symbol) if first <= day <= last]
        missing = (last - first).days + 1 - len(there)
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
        if missing:
            sums.warn(f"{symbol}: {missing} of {(last - first).days + 1} days are missing and were jumped over")
        found[symbol] = feed, about
    return found


def _about(symbol: str, days: Iterable[Day], begin_ms: int, end_ms: int, sums: _Sums) -> dict[str, Any]:
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
        hours = sum(to_ms - from_ms for from_ms, to_ms in gaps) / 3_600_000
        sums.warn(f"{symbol}: {counted(len(gaps), 'gap')} in the data, {hours:.1f} h together")
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


def _paper(paper: PaperConfig, options: Options) -> PaperConfig:
    """The exchange of the run: no faults, nothing saved, positions as a worker wants them."""
    changes: dict[str, Any] = {"faults": (), "state_file": None, "query_lag_ms": 0, "fault_seed": options.seed}
    if options.matching is not None:
        changes["matching"] = options.matching
    return paper.model_copy(update=changes)


def _moment(value: date | datetime | str, name: str, *, ends: bool = False) -> int:
    """µs UTC; a day as an end is its end."""
    try:
        if isinstance(value, str):
            value = date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
    except ValueError:
        raise AskedWrongly(f"expected --{name} as 2026-01-31 or 2026-01-31T12:00, got {value!r}") from None
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
    else:
        moment = datetime(value.year, value.month, value.day, tzinfo=UTC) + timedelta(days=1 if ends else 0)
    return round(moment.timestamp() * 1_000_000)


def _strategies(config: GridbotConfig, account: str, wanted: set[str]) -> list[dict[str, Any]]:
    return [s.model_dump(mode="json") for s in config.strategies_of(account) if s.strat_id in wanted]


def _plain(overrides: Sequence[str] | Mapping[str, Any]) -> list[str]:
    return [f"{key}={value}" for key, value in overrides.items()] if isinstance(overrides, Mapping) else list(overrides)
