"""A backtest from configuration and market data to its results: `gridbot.backtest.run`.

Accounts share nothing, so they are run one after the other, each on an exchange of its own.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from gridbot.backtest.account_job import AccountJob
from gridbot.backtest.beginning import NEW, Beginning
from gridbot.backtest.cannot_run import AskedWrongly, CannotRun
from gridbot.backtest.held_interrupt import held_interrupt
from gridbot.backtest.mark_feed import DayRefusedHere
from gridbot.backtest.overrides import with_overrides
from gridbot.backtest.result import Result
from gridbot.backtest.run_days import MarketDays, RunDays
from gridbot.backtest.run_file import DIRECTORY, RunFile, file_of, new_name, utc_of
from gridbot.backtest.run_options import Options
from gridbot.backtest.run_span import end_of_data, feeds_of
from gridbot.backtest.run_sums import OnProgress, Progress, RunSums
from gridbot.config.account_models import StrategyConfig
from gridbot.config.loading import load_config
from gridbot.config.models import GridbotConfig
from gridbot.config.snapshots import account_snapshot
from gridbot.doors.typed_years import TYPED_YEARS, is_typed_year
from gridbot.lock_file import Locked
from gridbot.paper.settings import PaperConfig
from gridbot.version import __version__

__all__ = ["run"]


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
    Raise CannotRun (AskedWrongly for such a span, account, strategy or name), ConfigError, MarketError for days
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
    sums, days = RunSums(reached_us=begin), RunDays(market)
    end = end_of_data({each.symbol for each in chosen}, days, begin, end, sums)
    feeds = {
        name: feeds_of([s for s in loaded.strategies_of(name) if s.strat_id in wanted], days, begin, end, sums)
        for name in accounts
    }
    made_at = datetime.now(UTC).replace(tzinfo=None)
    name = name or (into.stem if into else new_name(loaded.storage.data_dir, made_at))
    try:
        path = into or file_of(loaded.storage.data_dir, name)
    except ValueError as error:
        raise AskedWrongly(f"--name: {error}") from None
    try:
        file = RunFile(path, loaded.storage.data_dir / DIRECTORY)
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
    if not is_typed_year(value):
        raise AskedWrongly(f"expected --{name} {TYPED_YEARS}, got {value}")
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
    else:
        moment = datetime(value.year, value.month, value.day, tzinfo=UTC) + timedelta(days=1 if ends else 0)
    return round(moment.timestamp() * 1_000_000)


def _strategies(config: GridbotConfig, account: str, wanted: set[str]) -> list[dict[str, Any]]:
    return [s.model_dump(mode="json") for s in config.strategies_of(account) if s.strat_id in wanted]


def _plain(overrides: Sequence[str] | Mapping[str, Any]) -> list[str]:
    return [f"{key}={value}" for key, value in overrides.items()] if isinstance(overrides, Mapping) else list(overrides)
