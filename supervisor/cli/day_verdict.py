"""`gridbot-supervisor verdict`: did an account trade on a day as the backtest of that day says it should have?"""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import orjson

from gridbot.commands.wording import did_you_mean, one_of
from gridbot.compare.pair_tables import SIDES
from gridbot.compare.store_side import FILLS, AccountSide
from gridbot.config.paths import data_directory, find_config
from gridbot.doors.plain_text import one_line
from supervisor.cli.backtest import MATCHING
from supervisor.cli.backtest_extra import need_backtest_extra
from supervisor.cli.compare import CODES, show
from supervisor.cli.compare_options import Asked, plain, result_file, verdict_options
from supervisor.cli.data_commands import market_to_read
from supervisor.cli.options import Seconds, UtcTime, example, load_or_refuse, place_options
from supervisor.exit_codes import CommandError
from supervisor.store.query import Query

if TYPE_CHECKING:
    from gridbot.config.account_models import StrategyConfig
    from gridbot.config.models import GridbotConfig
    from supervisor.cli.compare_report import CompareReport
    from supervisor.store.day_records import DayRecords

__all__ = ["verdict"]

ZERO: Final = Decimal(0)


@click.command("verdict", epilog=example("verdict --account alice --day 2026-11-02 --brief"))
@place_options("Data directory of the bot, or a .duckdb file.")
@click.option("--account", required=True, help="Account to judge.")
@click.option("--day", type=UtcTime(), help="Day, UTC [default: yesterday].")
@click.option("--matching", type=click.Choice(MATCHING), help="When an order fills [default: paper.matching].")
@click.option("--latency", "latency_s", type=Seconds(least=0),
              help="Seconds each way [default: half of what was recorded from decision to answer].")  # fmt: skip
@click.option("--market", metavar="DIR", help="Where imported market data is [default: market in the data directory].")
@click.option("--keep", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.duckdb",
              help="Keep the records of the backtest there.")  # fmt: skip
@verdict_options
def verdict(
    config: str | None,
    data_dir: str | None,
    account: str,
    day: datetime | None,
    matching: str | None,
    latency_s: float | None,
    market: str | None,
    keep: Path | None,
    asked: Asked,
) -> None:
    """Compare the fills of an account on a day, live or paper, with a backtest of that day, fill by fill.

    The backtest begins as the account stood, with the configuration, on the market that was imported or else recorded.
    Each difference has a cause by what was recorded (queue, latency, cap, halt, refusal), or is unexplained, and its
    money. Exit code 0: the same within --tolerance. 8: they differ. 9: nothing to compare.
    """
    place = data_directory(data_dir, config)
    settings = load_or_refuse(find_config(config), str(place.parent) if place.is_file() else data_dir)
    names = [each.name for each in settings.accounts]
    if account not in names:
        raise click.UsageError(f"--account: expected {one_of(names)}, got {account!r}{did_you_mean(account, names)}")
    begin = (day or datetime.now(UTC) - timedelta(days=1)).date()
    need_backtest_extra()
    from supervisor.cli.verdict_backtest import Assumed

    assumed = Assumed(matching, None if latency_s is None else latency_s * 1000)
    own = data_directory(None, config)  # a copy of the database has no market beside it
    root = market_to_read(market, settings.storage.data_dir / "market", *([own / "market"] if place.is_file() else []))
    query = Query(place, asked.limits)
    with plain(), tempfile.TemporaryDirectory(prefix="gridbot-verdict-") as temporary, result_file(keep) as kept:
        judge = _Judge(settings, query, account, begin, asked, Path(temporary), kept or Path(temporary) / "run.duckdb")
        report = judge.report(root, assumed)
        if kept is not None and not kept.exists():
            raise CommandError(report.line(), CODES[report.verdict])
    show(report, asked)


class _Judge:
    """One account on one day."""

    def __init__(
        self, config: GridbotConfig, query: Query, account: str, day: date, asked: Asked, directory: Path, file: Path
    ) -> None:
        self._config, self._query, self._account, self._day = config, query, account, day
        self._asked, self._directory, self._file = asked, directory, file
        self._names = (f"{account} on {day}", "its backtest")

    def report(self, root: Path, assumed: Any) -> CompareReport:
        """Run the backtest, compare, and say why. Raise CommandError, SqlFailed."""
        from supervisor.cli.verdict_backtest import market_of, run_day
        from supervisor.store.day_records import day_records

        settings_note = self._take_settings_of_the_day()
        live = [each for each in self._config.strategies_of(self._account) if not each.shadow_mode]
        begin = _naive(self._day)
        records = day_records(self._query, self._account, [each.strat_id for each in live], begin)
        if records is None:
            return self._nothing(begin, "the account did not trade that day, or its ladders are not recorded")
        known = [each for each in live if each.strat_id in records.ladders]
        market = market_of(self._query, self._config, known, self._day, root, self._directory)
        followed = [each for each in known if each.symbol in {day.symbol for day in market.days}]
        if not followed:
            return self._nothing(begin, *market.notes)
        warnings = run_day(self._config, self._account, followed, records, market, assumed, self._file)
        notes = [*settings_note, *self._changes(records), *market.notes]
        notes += [f"{each.strat_id} is left out" for each in live if each not in followed]
        ticks = {day.symbol: day.instrument.tick_size for day in market.days}
        return self._compare(records, followed, ticks, [*notes, *(f"backtest: {text}" for text in warnings)])

    def _nothing(self, begin: datetime, *notes: str) -> CompareReport:
        from gridbot.compare.comparison import Money, Outcome
        from supervisor.cli.compare_report import CompareReport

        money = Money(0, ZERO, ZERO, ZERO, ZERO, ZERO)
        span = (begin, begin + timedelta(days=1))
        return CompareReport(self._names, span, self._asked.tolerance, Outcome({}), (money, money), "nothing", notes)

    def _take_settings_of_the_day(self) -> list[str]:
        """From here on the configuration is the one that the account ran with; what is to be said of that."""
        from gridbot.config.snapshots import account_snapshot, config_of, snapshot_sha256
        from supervisor.store.day_records import settings_of_day

        recorded = settings_of_day(self._query, self._account, _naive(self._day))
        if recorded is None:  # such as a backtest's database, or records of a day whose runs are gone
            return ["its settings of that day are not recorded, so the configuration's are taken"]
        try:
            of_day = config_of(orjson.loads(recorded), self._config)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            why = one_line(str(error), 200)
            return [f"its settings of that day cannot be read by this version, so the configuration's are taken: {why}"]
        # Both as this version records them: another one had keys that are gone, or has not recorded those that are new.
        then, now = (snapshot_sha256(account_snapshot(each, self._account)) for each in (of_day, self._config))
        if then == now:
            return []
        self._config = of_day
        return ["with the settings it had that day; the configuration has others now"]

    def _changes(self, records: DayRecords) -> list[str]:
        if len(records.hashes) <= 1:
            return []
        return ["its settings were changed that day; the backtest has those with which it began"]

    def _compare(
        self, records: DayRecords, strategies: Sequence[StrategyConfig], ticks: Mapping[str, Decimal], notes: list[str]
    ) -> CompareReport:
        from gridbot.compare.comparison import compare, keep_result, working
        from supervisor.cli.compare_report import CompareReport
        from supervisor.cli.verdict_causes import (
            causes_of,
            differing_rows,
            keep_causes,
            key_of,
            net_of_same,
            sums_of,
            told,
        )
        from supervisor.store.compared_sides import take
        from supervisor.store.interruptible import call

        asked, span = self._asked, (records.since, records.until)
        side = AccountSide(self._account, self._account, tuple(each.strat_id for each in strategies))
        queries = (self._query, Query(self._file, asked.limits))
        taken = [
            take(query, [side], *span, FILLS, self._directory / f"{name}.parquet")[0]
            for query, name in zip(queries, SIDES, strict=True)
        ]
        sources, money = (taken[0][0], taken[1][0]), (taken[0][1], taken[1][1])
        with result_file(asked.into) as into, working(self._directory, asked.limits.memory, into) as con:
            until = time.monotonic() + asked.limits.timeout_s
            work = functools.partial(compare, con, self._directory, sources, ticks, asked.tolerance, asked.reach)
            outcome = call(con, work, until=until)
            judged = outcome.verdict(asked.tolerance, money)
            rows, same = differing_rows(con), net_of_same(con)
            causes = causes_of(rows, side, queries, records, {each.symbol: each.strat_id for each in strategies})
            keep_causes(con, rows, causes)
            why = dict(zip(map(key_of, rows), told(rows, causes), strict=True))
            for row in (*outcome.first, *outcome.worst):
                row["why"] = why.get(key_of(row), "")
            keep_result(con, self._names, span, asked.tolerance, outcome, money, verdict=judged, notes=notes)
        report = CompareReport(self._names, span, asked.tolerance, outcome, money, judged, notes)
        return replace(report, causes=sums_of(rows, causes, same, money))


def _naive(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 - times of the records are UTC and name no zone
