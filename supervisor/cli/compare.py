"""`gridbot-supervisor compare`: what two strategies wanted and did, or a strategy and another program, side by side."""

from __future__ import annotations

import contextlib
import functools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from gridbot.atomic_file import put_in_place, remove_abandoned, temporary_beside
from gridbot.compare.log_file import LogMistake
from gridbot.compare.store_side import DECISIONS, FILLS
from gridbot.compare.tolerances import EXACT_WORDS, Reach, Tolerance, tolerance_of
from gridbot.config.errors import ConfigError
from gridbot.config.paths import data_directory
from gridbot.doors.plain_text import one_line
from gridbot.store.file_errors import first_line
from supervisor.cli.options import Seconds, UtcTime, example, memory_option, place_options
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.store.query import Limits, Query, SqlFailed

if TYPE_CHECKING:
    from gridbot.compare.comparison import Money, Source
    from gridbot.compare.log_map import LogMap
    from gridbot.compare.log_reader import Reading
    from supervisor.cli.compare_report import CompareReport
    from supervisor.store.compared_sides import Facts

__all__ = ["Asked", "Sides", "compare", "report_of", "show"]

Command = TypeVar("Command", bound=Callable[..., Any])
CODES: Final = {"same": ExitCode.OK, "differs": ExitCode.DIFFERS, "nothing": ExitCode.NOTHING}
KINDS: Final = {"all": (*DECISIONS, *FILLS), "decisions": DECISIONS, "fills": FILLS}
MILLISECOND: Final = timedelta(milliseconds=1)
PERCENT: Final = 10_000
"""A percent in parts in a million."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How to compare, and what to do with what is found."""

    since: datetime | None
    until: datetime | None
    kinds: tuple[str, ...]
    tolerance: Tolerance
    reach: Reach
    into: Path | None
    limits: Limits
    as_json: bool
    brief: bool
    rows: int


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


def _tolerance(_: click.Context, parameter: click.Parameter, values: Sequence[str]) -> Tolerance:
    try:
        return tolerance_of(values)
    except ValueError as error:
        raise click.BadParameter(str(error), param=parameter) from None


def _reach(_: click.Context, parameter: click.Parameter, values: Sequence[str]) -> Reach:
    try:
        found = tolerance_of(values, Tolerance(price=Decimal("0.05"), time=Decimal(60)))
    except ValueError as error:
        raise click.BadParameter(str(error), param=parameter) from None
    return Reach(int(found.time * 1000), min(int(found.price * PERCENT), 100 * PERCENT - 1))


def comparison_options(command: Command) -> Command:
    """The options of every comparison, as `Asked`."""

    @functools.wraps(command)
    def with_asked(**given: Any) -> Any:
        names = ("since", "until", "tolerance", "reach", "into", "as_json", "brief", "rows")
        found = {name: given.pop(name) for name in names}
        limits = Limits(given.pop("wait_s"), given.pop("timeout_s"), given.pop("memory"))
        asked = Asked(**found, kinds=KINDS[given.pop("only")], limits=limits)
        return command(**given, asked=asked)

    text = "Seconds to wait for the file."
    options = (
        click.option("--from", "since", type=UtcTime(), help="Begin, UTC [default: as soon as both have begun]."),
        click.option("--to", "until", type=UtcTime(), help="End, UTC [default: as long as both are recorded]."),
        click.option("--only", type=click.Choice(tuple(KINDS)), default="all", help="Leave out fills, or all else."),
        click.option("--tolerance", multiple=True, metavar="NAME=NUMBER,...", callback=_tolerance,
                     help=f"What is still the same: {EXACT_WORDS} [default: {Tolerance()}]."),
        click.option("--reach", multiple=True, metavar="NAME=NUMBER,...", callback=_reach,
                     help="How far apart a pair may be, in time (seconds) and price (percent) "
                     "[default: time=60,price=0.05]."),
        click.option("--into", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.duckdb",
                     help="Keep every row in this database, for SQL."),
        click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object."),
        click.option("--brief", is_flag=True, help="One line, for alerts; nothing when all is the same."),
        click.option("--rows", type=click.IntRange(min=0, max=5), default=5, show_default=True,
                     help="Differences that are told, of the first and of the worst."),
        click.option("--wait", "wait_s", type=Seconds(least=0), default=5.0, show_default=True, help=text),
        click.option("--timeout", "timeout_s", type=Seconds(), default=600.0, show_default=True,
                     help="Seconds each step may take."),
        memory_option(),
    )  # fmt: skip
    for option in reversed(options):
        with_asked = option(with_asked)
    return with_asked  # type: ignore[return-value]


@click.group("compare")
def compare() -> None:
    """What two sides wanted and did: the same, only on one side, or at another price, size or time."""


@compare.command("shadow", epilog=example("compare shadow alice/alice-btc alice/alice-btc-shadow --tolerance time=2"))
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
    with _plain(), tempfile.TemporaryDirectory(prefix="gridbot-compare-") as temporary:
        show(_of_stores(queries, (here, there), Path(temporary), asked), asked)


@compare.command("log", epilog=example("compare log alice/alice-btc old.log --map conf/maps/original-console.yaml"))
@click.argument("here", metavar="ACCOUNT/STRATEGY")
@click.argument("log", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--map", "map_file", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="What the lines of the log mean; conf/maps has some.")  # fmt: skip
@place_options("Data directory of the bot, or a .duckdb file.")
@comparison_options
def log_command(here: str, log: Path, map_file: Path, config: str | None, data_dir: str | None, asked: Asked) -> None:
    """Compare a strategy of the records with the log of another program: JSON lines, CSV or text, plain or gzip.

    Exit code 0: the same within --tolerance. 8: they differ. 9: nothing to compare. 4: the map is wrong, or a line is
    not what it says.
    """
    from gridbot.compare.log_map import load_map

    query = Query(data_directory(data_dir, config), asked.limits)
    with _plain(), tempfile.TemporaryDirectory(prefix="gridbot-compare-") as temporary:
        show(_of_log(query, here, log, load_map(map_file), Path(temporary), asked), asked)


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
    since, until = _span(asked, [fact.first for fact in facts], [fact.alive for fact in facts])
    (here, ours), (there, theirs) = (
        taken
        for number, (query, _) in enumerate(groups)
        for taken in take(
            query, [fact.side for fact in found[number]], since, until, asked.kinds, directory / f"{number}.parquet"
        )
    )
    ticks = {symbol: tick for fact in facts for symbol, tick in fact.ticks.items() if tick is not None}
    notes = [note for fact in facts for note in _notes(fact)]
    return report_of(
        Sides((names[0], names[1]), since, until, (here, there), (ours, theirs), ticks, notes), directory, asked
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
    return since, max(since, until)


_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - times of the records are UTC and name no zone


# ---------------------------------------------------------------------- a strategy and a log


def _of_log(query: Query, here: str, log: Path, meaning: LogMap, directory: Path, asked: Asked) -> CompareReport:
    from gridbot.compare.comparison import Money, Source, working
    from gridbot.compare.log_side import COUNT_UNKNOWN, SPAN, load_log, log_money, log_rows
    from supervisor.store.compared_sides import facts_of, take

    [facts] = facts_of(query, [here])
    kinds = tuple(kind for kind in asked.kinds if kind in meaning.actions)
    with _result_file(asked.into) as into, working(directory, asked.limits.memory, into) as con:
        reading = load_log(con, directory, log, meaning)
        [(first_ms, last_ms)] = con.execute(SPAN).fetchall()
        last_ms = max(filter(None, (last_ms, reading.last_ms)), default=None)
        since, until = _span(asked, [facts.first, _moment(first_ms)], [facts.alive, _moment(last_ms)])
        span = (_ms(since), _ms(until))
        symbols = list(facts.ticks)
        [(ours, our_money)] = take(query, [facts.side], since, until, kinds, directory / "rows.parquet")
        [sums] = con.execute(log_money(symbols, *span)).fetchall()
        [(unknown,)] = con.execute(COUNT_UNKNOWN).fetchall()
        others = con.execute("SELECT DISTINCT symbol FROM log_rows WHERE symbol IS NOT NULL").fetchall()
        notes = [
            *_notes(facts),
            *_log_notes(log, reading, unknown, sorted({symbol for (symbol,) in others} - set(symbols))),
            *(f"the map says nothing of a {kind}" for kind in asked.kinds if kind not in kinds),
        ]
        ticks = {symbol: tick for symbol, tick in facts.ticks.items() if tick is not None}
        sources = (ours, Source(log_rows(symbols, *span, kinds)))
        sides = Sides((here, log.name), since, until, sources, (our_money, Money(*sums)), ticks, notes)
        return _finish(con, sides, directory, asked)


def _log_notes(log: Path, reading: Reading, unknown: int, others: Sequence[str]) -> Iterator[str]:
    if not reading.rows:
        first = f"; the first is: {reading.first_other}" if reading.first_other else ""
        yield one_line(f"none of the {reading.lines} lines of {log.name} is what the map looks for{first}")
    elif reading.others:
        yield f"{reading.others} of {reading.lines} lines of {log.name} are other messages"
    if reading.cut:
        yield f"the last line of {log.name} is being written, and was left out"
    if unknown:
        yield f"{unknown} cancels name orders that {log.name} does not place, and were left out"
    if others:
        yield one_line(f"rows of other symbols were left out: {', '.join(others[:10])}")
    if reading.without_direction:
        yield "the log does not say whether an order is long or short: levels are compared by side and price"


def _ms(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp() * 1000)


def _moment(ms: int | None) -> datetime | None:
    return None if ms is None else _EPOCH + timedelta(milliseconds=ms)


# ---------------------------------------------------------------------- both


def report_of(sides: Sides, directory: Path, asked: Asked) -> CompareReport:
    """Pair the rows of two sides; what is to be kept is in the file `asked.into` then."""
    from gridbot.compare.comparison import working

    with _result_file(asked.into) as into, working(directory, asked.limits.memory, into) as con:
        return _finish(con, sides, directory, asked)


def _finish(con: Any, sides: Sides, directory: Path, asked: Asked) -> CompareReport:
    from gridbot.compare.comparison import compare as pair_up
    from gridbot.compare.comparison import keep_result
    from supervisor.cli.compare_report import CompareReport
    from supervisor.store.interruptible import call

    until = time.monotonic() + asked.limits.timeout_s
    outcome = call(
        con,
        lambda: pair_up(con, directory, sides.sources, sides.ticks, asked.tolerance, asked.reach),
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


@contextlib.contextmanager
def _result_file(into: Path | None) -> Iterator[Path | None]:
    """A new file that gets the name `into` when all is in it. Raise CommandError when it cannot be written."""
    if into is None:
        yield None
        return
    import duckdb

    target = into.resolve()
    new = temporary_beside(target)
    try:
        remove_abandoned(target)
        yield new
        put_in_place(new, target)
    except OSError as error:
        code = ExitCode.REFUSED if isinstance(error, PermissionError) else ExitCode.UNEXPECTED
        raise CommandError(f"{into} cannot be written: {error.strerror or error}", code) from error
    except duckdb.IOException as error:
        raise CommandError(f"{into} cannot be written: {first_line(error)}", ExitCode.UNEXPECTED) from error
    finally:
        with contextlib.suppress(OSError):
            new.unlink()


@contextlib.contextmanager
def _plain() -> Iterator[None]:
    """What may be expected to fail, in a sentence."""
    import duckdb

    from supervisor.store.interruptible import Late

    try:
        yield
    except SqlFailed as error:
        raise CommandError(str(error), error.exit_code) from None
    except (LogMistake, ConfigError) as error:
        raise CommandError(str(error), ExitCode.CONFIG) from None
    except Late:
        raise CommandError("not done in time; give it longer with --timeout", ExitCode.TIMEOUT) from None
    except (MemoryError, duckdb.OutOfMemoryException):
        text = "the comparison needs more memory or disk; compare a shorter time, or raise --memory"
        raise CommandError(text, ExitCode.UNEXPECTED) from None
