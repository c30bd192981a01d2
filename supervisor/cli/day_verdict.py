"""`gridbot-supervisor verdict`: did an account trade on a day as the backtest of that day says it should have?"""

from __future__ import annotations

import functools
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gridbot.commands.wording import did_you_mean, one_of
from gridbot.compare.causes import CAUSES, Event, Hold, cause_of, missing_in
from gridbot.compare.pair_tables import SIDES
from gridbot.compare.store_side import DECISIONS, FILLS, AccountSide
from gridbot.config.paths import data_directory, find_config
from supervisor.cli.backtest import MATCHING
from supervisor.cli.backtest_extra import need_backtest_extra
from supervisor.cli.compare import CODES, show
from supervisor.cli.compare_options import Asked, plain, result_file, verdict_options
from supervisor.cli.options import Seconds, UtcTime, example, load_or_refuse, place_options
from supervisor.exit_codes import CommandError
from supervisor.store.query import Query

if TYPE_CHECKING:
    from gridbot.compare.comparison import Money
    from gridbot.config.account_models import StrategyConfig
    from gridbot.config.models import GridbotConfig
    from supervisor.cli.compare_report import CauseSum, CompareReport
    from supervisor.store.day_records import DayRecords

__all__ = ["verdict"]

ZERO: Final = Decimal(0)
DUST: Final = Decimal("0.000001")
"""USDT. Average entries are rounded, where a leg begins with one."""


@click.command("verdict", epilog=example("verdict --account alice --day 2026-11-02 --brief"))
@place_options()
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
    settings = load_or_refuse(find_config(config), data_dir)
    names = [each.name for each in settings.accounts]
    if account not in names:
        raise click.UsageError(f"--account: expected {one_of(names)}, got {account!r}{did_you_mean(account, names)}")
    begin = (day or datetime.now(UTC) - timedelta(days=1)).date()
    place = data_directory(data_dir, config)
    need_backtest_extra()
    from supervisor.cli.verdict_backtest import Assumed

    assumed = Assumed(matching, None if latency_s is None else latency_s * 1000)
    root = Path(market) if market else settings.storage.data_dir / "market"
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

        live = [each for each in self._config.strategies_of(self._account) if not each.shadow_mode]
        begin = datetime(self._day.year, self._day.month, self._day.day)  # noqa: DTZ001 - as the records have times
        records = day_records(self._query, self._account, [each.strat_id for each in live], begin)
        if records is None:
            return self._nothing(begin, "the account did not trade that day, or its ladders are not recorded")
        known = [each for each in live if each.strat_id in records.ladders]
        market = market_of(self._query, self._config, known, self._day, root, self._directory)
        followed = [each for each in known if each.symbol in {day.symbol for day in market.days}]
        if not followed:
            return self._nothing(begin, *market.notes)
        warnings = run_day(self._config, self._account, followed, records, market, assumed, self._file)
        notes = [*self._changes(records), *market.notes]
        notes += [f"{each.strat_id} is left out" for each in live if each not in followed]
        ticks = {day.symbol: day.instrument.tick_size for day in market.days}
        return self._compare(records, followed, ticks, [*notes, *(f"backtest: {text}" for text in warnings)])

    def _nothing(self, begin: datetime, *notes: str) -> CompareReport:
        from gridbot.compare.comparison import Money, Outcome
        from supervisor.cli.compare_report import CompareReport

        money = Money(0, ZERO, ZERO, ZERO, ZERO, ZERO)
        span = (begin, begin + timedelta(days=1))
        return CompareReport(self._names, span, self._asked.tolerance, Outcome({}), (money, money), "nothing", notes)

    def _changes(self, records: DayRecords) -> list[str]:
        from gridbot.config.snapshots import account_snapshot, snapshot_sha256

        now = snapshot_sha256(account_snapshot(self._config, self._account))
        others = [known for known in records.hashes if known and known != now]
        return ["it ran with other settings that day than the configuration has now"] if others else []

    def _compare(
        self, records: DayRecords, strategies: Sequence[StrategyConfig], ticks: Mapping[str, Decimal], notes: list[str]
    ) -> CompareReport:
        from gridbot.compare.comparison import compare, keep_result, working
        from supervisor.cli.compare_report import CompareReport
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
            rows = _rows(con, "FROM compared WHERE outcome <> 'same'")
            [(same,)] = con.execute(f"SELECT sum({_NET}) FROM compared WHERE outcome = 'same'").fetchall()
            causes = self._causes(rows, side, queries, records, {each.symbol: each.strat_id for each in strategies})
            _keep_causes(con, rows, causes)
            why = {_key(row): f"{cause}: {words}" for row, (cause, words) in zip(rows, causes, strict=True)}
            for row in (*outcome.first, *outcome.worst):
                row["why"] = why.get(_key(row), "")
            keep_result(con, self._names, span, asked.tolerance, outcome, money, verdict=judged, notes=notes)
        report = CompareReport(self._names, span, asked.tolerance, outcome, money, judged, notes)
        return replace(report, causes=_sums(rows, causes, same or ZERO, money))

    def _causes(
        self,
        rows: Sequence[Mapping[str, Any]],
        side: AccountSide,
        queries: tuple[Query, Query],
        records: DayRecords,
        strategy_of: Mapping[str, str],
    ) -> list[tuple[str, str]]:
        """Of each row the cause, and in words."""
        levels = {(row["symbol"], row["direction"], row["side"], row["price"]) for row in rows}
        events = {
            name: _events(query, side, records, {price for *_, price in levels}) if levels else {}
            for query, name in zip(queries, SIDES, strict=True)
        }
        found = []
        for row in rows:
            missing = missing_in(row["outcome"], _ms(row["here_at"]), _ms(row["there_at"]))
            if missing is None:
                found.append(("unexplained", f"another {row['outcome']}"))
                continue
            held: list[Hold] = []
            if missing.of == "here":
                held = [*records.holds.get("", ()), *records.holds.get(strategy_of.get(row["symbol"], ""), ())]
            level = (row["symbol"], row["direction"], row["side"], row["price"])
            found.append(cause_of(missing, events[missing.of].get(level, ()), held))
        return found


_NET: Final = """coalesce(there_realised, 0) - coalesce(there_fee, 0) - coalesce(here_realised, 0)
    + coalesce(here_fee, 0)"""
"""What the other side made more of a row, USDT."""


def _rows(con: Any, statement: str) -> list[dict[str, Any]]:
    cursor = con.execute(f"SELECT *, {_NET} AS net {statement}")
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _events(
    query: Query, side: AccountSide, records: DayRecords, prices: set[Decimal]
) -> dict[tuple[str, str, str, Decimal], list[Event]]:
    """What a side did at levels of these prices, by level, sorted by time."""
    span = (records.since, records.until)
    listed = ", ".join(f"{price:f}" for price in sorted(prices))
    statement = f"""
        SELECT symbol, direction, side, price, epoch_ms(moment), what, reason
        FROM ({side.rows(*span, (*DECISIONS, *FILLS))} UNION ALL {side.refusals(*span)}
            UNION ALL {side.rejections(*span)})
        WHERE price IN ({listed}) ORDER BY moment, CASE what WHEN 'fill' THEN 0 WHEN 'cancel' THEN 1 ELSE 2 END"""
    found: dict[tuple[str, str, str, Decimal], list[Event]] = defaultdict(list)
    for symbol, direction, leg, price, at_ms, what, reason in query.ask(statement).rows:
        found[symbol, direction, leg, price].append(Event(at_ms, what, reason or ""))
    return found


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("symbol", "direction", "side", "price", "here_at", "there_at", "here_id"))


def _keep_causes(con: Any, rows: Sequence[Mapping[str, Any]], causes: Sequence[tuple[str, str]]) -> None:
    con.execute("""
        CREATE TABLE compared_causes (symbol VARCHAR, direction VARCHAR, side VARCHAR, price DECIMAL(38, 12),
            outcome VARCHAR, here_at TIMESTAMP, there_at TIMESTAMP, cause VARCHAR, why VARCHAR, net DECIMAL(38, 12))""")
    names = ("symbol", "direction", "side", "price", "outcome", "here_at", "there_at")
    kept = [[*(row[name] for name in names), *cause, row["net"]] for row, cause in zip(rows, causes, strict=True)]
    if kept:
        con.executemany("INSERT INTO compared_causes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", kept)


def _sums(
    rows: Sequence[Mapping[str, Any]],
    causes: Sequence[tuple[str, str]],
    same: Decimal,
    money: tuple[Money, Money],
) -> list[CauseSum]:
    """Of each cause how many fills and how much money; with the same fills and funding it is all of the difference."""
    from supervisor.cli.compare_report import CauseSum

    found = []
    for name in CAUSES:
        of = [row for row, (cause, _) in zip(rows, causes, strict=True) if cause == name]
        if of:
            found.append(CauseSum(name, len(of), sum((row["net"] for row in of), ZERO)))
    here, there = money
    funding = (here.funding or ZERO) - (there.funding or ZERO)
    apart = (there.net or ZERO) - (here.net or ZERO)
    rest = apart - sum((each.net for each in found), ZERO) - same - funding
    for name, net in (("fills that are the same", same), ("funding", funding), ("other bookings", rest)):
        if abs(net) >= DUST:
            found.append(CauseSum(name, None, net))
    return found


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.replace(tzinfo=UTC).timestamp() * 1000)
