"""`gridbot-supervisor compare`: what two strategies wanted and did, or a strategy and another program, side by side."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gridbot.commands.wording import counted
from gridbot.config.paths import data_directory
from gridbot.doors.plain_text import one_line
from supervisor.cli.compare_options import Asked, comparison_options, plain, result_file
from supervisor.cli.options import example, place_options
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.store.query import Query

if TYPE_CHECKING:
    from gridbot.compare.comparison import Money, Source
    from gridbot.compare.log_map import LogMap
    from gridbot.compare.log_reader import Reading
    from supervisor.cli.compare_report import CompareReport
    from supervisor.store.compared_sides import Facts

__all__ = ["Sides", "compare", "report_of", "show"]

CODES: Final = {"same": ExitCode.OK, "differs": ExitCode.DIFFERS, "nothing": ExitCode.NOTHING}
MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Sides:
    """Two sides that can be compared: `sources` of rows from `since` to `until`, of the `kinds` that both have."""

    names: tuple[str, str]
    since: datetime
    until: datetime
    sources: tuple[Source, Source]
    money: tuple[Money, Money]
    ticks: Mapping[str, Decimal]
    notes: Sequence[str]


@click.group("compare")
def compare() -> None:
    """What two sides wanted and did: the same, only on one side, or at another price, size or time."""


@compare.command("shadow", epilog=example("compare shadow alice/btc bob/shadow --tolerance time=2"))
@click.argument("here", metavar="ACCOUNT/STRATEGY")
@click.argument("there", metavar="ACCOUNT/STRATEGY")
@click.option("--other", "other_dir", help="Where the second is recorded: a data directory, or a .duckdb file.")
@place_options("Data directory of the bot, or a .duckdb file.")
@comparison_options
def shadow_command(
    here: str, there: str, other_dir: str | None, config: str | None, data_dir: str | None, asked: Asked
) -> None:
    """Compare two strategies of the records, order by order and fill by fill: live, paper or shadow, in any mixture.

    Exit code 0: the same within --tolerance. 8: they differ. 9: nothing to compare. Works while the bot runs.
    """
    queries = [Query(data_directory(data_dir, config), asked.limits)]
    queries.append(Query(Path(other_dir), asked.limits) if other_dir is not None else queries[0])
    with plain(), tempfile.TemporaryDirectory(prefix="gridbot-compare-") as temporary:
        show(_of_stores(queries, (here, there), Path(temporary), asked), asked)


@compare.command("log", epilog=example("compare log alice/btc old.log --map map.yaml"))
@click.argument("here", metavar="ACCOUNT/STRATEGY")
@click.argument("log", type=click.Path(path_type=Path))
@click.option(
    "--map",
    "map_file",
    required=True,
    type=click.Path(path_type=Path),
    help="What the lines of the log mean; conf/maps has some.",
)
@place_options("Data directory of the bot, or a .duckdb file.")
@comparison_options
def log_command(here: str, log: Path, map_file: Path, config: str | None, data_dir: str | None, asked: Asked) -> None:
    """Compare a strategy of the records with the log of another program: JSON lines, CSV or text, plain or gzip.

    Exit code 0: the same within --tolerance. 8: they differ. 9: nothing to compare. 4: the map is wrong, or a line is
    not what it says.
    """
    from gridbot.compare.log_map import load_map

    query = Query(data_directory(data_dir, config), asked.limits)
    with plain(), tempfile.TemporaryDirectory(prefix="gridbot-compare-") as temporary:
        with _readable(map_file):
            meaning = load_map(map_file)
        show(_of_log(query, here, log, meaning, Path(temporary), asked), asked)


def show(report: CompareReport, asked: Asked) -> None:
    """Print it, and end with its exit code."""
    if asked.as_json:
        click.echo(report.json())
    elif asked.brief:
        if report.verdict != "same":
            click.echo(report.line())
    else:
        report.write(sys.stdout, rows=asked.rows)
    raise SystemExit(CODES[report.verdict])


# ---------------------------------------------------------------------- two strategies


def _of_stores(queries: Sequence[Query], names: Sequence[str], directory: Path, asked: Asked) -> CompareReport:
    from supervisor.store.compared_sides import facts_of, take

    where = [query.data_dir for query in queries]
    if names[0] == names[1] and where[0] == where[1]:
        raise click.UsageError(f"expected two strategies, got {names[0]} twice")
    if where[0] == where[1]:
        groups = [(queries[0], list(names))]
    else:
        groups = [(query, [name]) for query, name in zip(queries, names, strict=True)]
    found = [facts_of(query, of) for query, of in groups]
    facts = [fact for of in found for fact in of]
    _require_a_symbol_of_both(names, *(list(fact.ticks) for fact in facts))
    since, until = _span(asked, [fact.first for fact in facts], [fact.alive for fact in facts])
    (here, ours), (there, theirs) = (
        taken
        for number, (query, _) in enumerate(groups)
        for taken in take(
            query,
            [fact.side for fact in found[number]],
            since,
            until,
            asked.kinds,
            directory / f"{number}.parquet",
            _edge(asked),
        )
    )
    ticks = {symbol: tick for fact in facts for symbol, tick in fact.ticks.items() if tick is not None}
    notes = [note for fact in facts for note in _notes(fact)]
    return report_of(
        Sides(_named(names, where), since, until, (here, there), (ours, theirs), ticks, notes), directory, asked
    )


def _named(names: Sequence[str], where: Sequence[Path]) -> tuple[str, str]:
    """What the sides are called; where both have one name, by their files, too."""
    here, there = names
    if here != there:
        return here, there
    return f"{here} of {_place(where[0])}", f"{there} of {_place(where[1])}"


def _place(place: Path) -> str:
    return place.stem if place.suffix == ".duckdb" else str(place)


def _require_a_symbol_of_both(names: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> None:
    here, there = sorted(ours), sorted(theirs)
    if here and there and not {*here} & {*there}:
        raise CommandError(
            f"nothing to compare: expected both on one symbol, got {names[0]} on {', '.join(here)} and "
            f"{names[1]} on {', '.join(there)}",
            ExitCode.NOTHING,
        )


def _notes(fact: Facts) -> Iterator[str]:
    if fact.lost:
        yield f"{fact.lost} records of {fact.side.account} are lost (ingest_gaps): orders may be among them"


def _span(
    asked: Asked, firsts: Sequence[datetime | None], lasts: Sequence[datetime | None]
) -> tuple[datetime, datetime]:
    """From when both had begun to when the first of them ends, where the user does not say otherwise; UTC, naive."""
    begun = [moment for moment in firsts if moment is not None]
    ended = [moment for moment in lasts if moment is not None]
    since = asked.since.replace(tzinfo=None) if asked.since else max(begun, default=_EPOCH)
    until = asked.until.replace(tzinfo=None) if asked.until else min(ended, default=_EPOCH) + MILLISECOND
    if len(begun) == len(ended) == 2 and until < since and not asked.until:
        raise CommandError(
            f"nothing to compare: expected both to be recorded from {since:%Y-%m-%d %H:%M} UTC on, one ends at "
            f"{min(ended):%Y-%m-%d %H:%M} UTC; choose another --from, or other records",
            ExitCode.NOTHING,
        )
    return since, max(since, until)


_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - times of the records are UTC and name no zone


# ---------------------------------------------------------------------- a strategy and a log


def _of_log(query: Query, here: str, log: Path, meaning: LogMap, directory: Path, asked: Asked) -> CompareReport:
    from gridbot.compare.comparison import Money, Source, working
    from gridbot.compare.log_side import COUNT_UNKNOWN, SPAN, leave_out_resting, load_log, log_money, log_rows
    from gridbot.compare.pair_tables import edged
    from supervisor.store.compared_sides import facts_of, take

    [facts] = facts_of(query, [here])
    kinds = tuple(kind for kind in asked.kinds if kind in meaning.actions)
    with result_file(asked.into) as into, working(directory, asked.limits.memory, into) as con:
        with _readable(log):
            reading = load_log(con, directory, log, meaning)
        [(first_ms, last_ms, each_ms)] = con.execute(SPAN).fetchall()
        last_ms = max(filter(None, (last_ms, reading.last_ms)), default=None)
        if last_ms is None:
            told = f"expected orders or times in {log}, found none in {reading.lines} lines; does the map fit?"
            raise CommandError(f"nothing to compare: {told}", ExitCode.NOTHING)
        since, until = _span(asked, [facts.first, _moment(first_ms)], [facts.alive, _moment(last_ms + each_ms - 1)])
        span = (_ms(since), _ms(until))
        symbols = list(facts.ticks)
        edge = _edge(asked)
        [(ours, our_money)] = take(query, [facts.side], since, until, kinds, directory / "rows.parquet", edge)
        rows, resting = leave_out_resting(con, ours.rows)
        [sums] = con.execute(log_money(symbols, *span)).fetchall()
        [(unknown,)] = con.execute(COUNT_UNKNOWN).fetchall()
        others = con.execute("SELECT DISTINCT symbol FROM log_rows WHERE symbol IS NOT NULL").fetchall()
        _require_a_symbol_of_both((here, log.name), symbols, [symbol for (symbol,) in others])
        notes = [
            *_notes(facts),
            *_log_notes(log, reading, unknown, resting, sorted({symbol for (symbol,) in others} - set(symbols))),
            *(f"the map says nothing of a {kind}" for kind in asked.kinds if kind not in kinds),
        ]
        ticks = {symbol: tick for symbol, tick in facts.ticks.items() if tick is not None}
        theirs = edged(partial(log_rows, symbols, kinds=kinds), *span, edge // MILLISECOND)
        sources = (replace(ours, rows=rows), Source(theirs))
        sides = Sides((here, log.name), since, until, sources, (our_money, Money(*sums)), ticks, notes)
        return _finish(con, sides, directory, asked)


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """A file that the user has named and that cannot be read is a mistake of the command line."""
    try:
        yield
    except OSError as error:
        if error.filename is None or Path(error.filename) != path:
            raise
        raise CommandError(f"expected a file to read, got {path}: {error.strerror}", ExitCode.USAGE) from None


def _log_notes(log: Path, reading: Reading, unknown: int, resting: int, others: Sequence[str]) -> Iterator[str]:
    if not reading.rows:
        first = f"; the first is: {reading.first_other}" if reading.first_other else ""
        yield one_line(f"none of the {reading.lines} lines of {log.name} is what the map looks for{first}")
    elif reading.others:
        yield f"{reading.others} of {reading.lines} lines of {log.name} are other messages"
    if reading.cut:
        yield f"the last line of {log.name} is being written, and was left out"
    if unknown:
        yield f"{unknown} cancels name orders that {log.name} does not place, and were left out"
    if resting:
        yield f"{log.name} begins in the middle: {counted(resting, 'order')} that rested here before were left out"
    if others:
        yield one_line(f"rows of other symbols were left out: {', '.join(others[:10])}")
    if reading.without_direction:
        yield "the log does not say whether an order is long or short: levels are compared by side and price"


def _edge(asked: Asked) -> timedelta:
    """How far outside a span the other half of a pair may be that is the same."""
    return min(timedelta(seconds=float(asked.tolerance.time)), timedelta(milliseconds=asked.reach.time_ms))


def _ms(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp() * 1000)


def _moment(ms: int | None) -> datetime | None:
    return None if ms is None else _EPOCH + timedelta(milliseconds=ms)


# ---------------------------------------------------------------------- both


def report_of(sides: Sides, directory: Path, asked: Asked) -> CompareReport:
    """Pair the rows of two sides; what is to be kept is in the file `asked.into` then."""
    from gridbot.compare.comparison import working

    with result_file(asked.into) as into, working(directory, asked.limits.memory, into) as con:
        return _finish(con, sides, directory, asked)


def _finish(con: Any, sides: Sides, directory: Path, asked: Asked) -> CompareReport:
    from gridbot.compare.comparison import compare as pair_up
    from gridbot.compare.comparison import keep_result
    from supervisor.cli.compare_report import CompareReport
    from supervisor.store.interruptible import call

    until = time.monotonic() + asked.limits.timeout_s
    outcome = call(
        con,
        lambda: pair_up(
            con,
            directory,
            sides.sources,
            sides.ticks,
            asked.tolerance,
            asked.reach,
            (_ms(sides.since), _ms(sides.until)),
        ),
        until=until,
    )
    notes = list(sides.notes)
    if outcome.off_tick:
        notes.append(f"{outcome.off_tick} prices are no whole number of ticks, and were rounded")
    if outcome.shift:
        higher, pairs, of = outcome.shift
        way = f"{abs(higher)} ticks {'higher' if higher > 0 else 'lower'}"
        notes.append(f"{pairs} of {of} pairs that differ in price are {way} there: ladders built around other prices?")
    verdict = outcome.verdict(asked.tolerance, sides.money)
    span = (sides.since, sides.until)
    keep_result(con, sides.names, span, asked.tolerance, outcome, sides.money, verdict=verdict, notes=notes)
    return CompareReport(sides.names, span, asked.tolerance, outcome, sides.money, verdict, notes)
