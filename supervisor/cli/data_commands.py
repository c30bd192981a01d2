"""`gridbot-supervisor data`: market data of the past. numpy is imported by the command that needs it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import click

from gridbot.command_line import pasteable
from gridbot.commands.wording import counted
from gridbot.config.paths import data_directory
from gridbot.doors.plain_text import one_line
from supervisor.cli.backtest_extra import need_backtest_extra
from supervisor.cli.data_map import KINDS, column_options, described_by
from supervisor.cli.options import example, place_options
from supervisor.exit_codes import CommandError, ExitCode

if TYPE_CHECKING:
    from gridbot.market.archive import Fetched
    from gridbot.market.importer import ImportResult
    from gridbot.market.market_error import MarketError
    from gridbot.market.market_root import Market

__all__ = ["data", "market_option", "market_to_read", "opened_market"]

DAY: Final = click.DateTime(["%Y-%m-%d"])
NAMED: Final = 20
Command = TypeVar("Command", bound=Callable[..., Any])


@click.group("data")
def data() -> None:
    """Market data of the past, for backtests: fetch or import it, list it, check it."""


def market_option(command: Command) -> Command:
    """--market as `market`, text or None: where market data is kept."""
    option = click.option("--market", help="Where market data is kept [default: market in the data directory].")
    return option(command)


def opened_market(market: str | None, config: str | None, data_dir: str | None) -> Market:
    """The market data that the options name. Raise CommandError without the extra `backtest`."""
    need_backtest_extra()
    from gridbot.market.market_root import Market

    return Market(Path(market) if market is not None else data_directory(data_dir, config) / "market")


def market_to_read(market: str | None, *usual: Path) -> Path:
    """The directory that --market names, else the first of the usual ones that is there, else the first of them.

    Raise UsageError for one that is named and is not there.
    """
    if market is None:
        return next((place for place in usual if place.is_dir()), usual[0])
    if not Path(market).is_dir():
        raise click.UsageError(
            f"--market: expected a directory of market data, as {pasteable('data import')} makes it, got {market!r}, "
            f"which is {'no directory' if Path(market).exists() else 'not there'}"
        )
    return Path(market)


def _span_options(command: Command) -> Command:
    first = click.option("--from", "first", type=DAY, help="The first day (UTC).")
    return first(click.option("--to", "last", type=DAY, help="The last day (UTC), itself included.")(command))


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """What is wrong with files and data as a sentence and exit code 7."""
    from gridbot.market.market_error import MarketError

    try:
        yield
    except MarketError as error:
        raise CommandError(str(error), ExitCode.REFUSED) from None


@data.command("import", epilog=example("data import BTCUSDT2026-09-01.csv.gz"))
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@market_option
@click.option("--symbol", help="What all rows are of, where files do not say so.")
@click.option("--as", "kind", type=click.Choice(KINDS), help="What the files have, where their columns do not say so.")
@click.option("--column", "columns", multiple=True, help="PART=NAME, such as time=when: what a column is called.")
@click.option("--map", "column_map", type=click.Path(path_type=Path), help="A YAML file with as, symbol and columns.")
@click.option("--instruments", type=click.Path(path_type=Path), help="Answers of market/instruments-info: the rules.")
@click.option("--derive", is_flag=True, help="Work tick size and quantity step out from the data.")
@click.option("--skip-bad", is_flag=True, help="Leave wrong rows out, and name them, instead of refusing the file.")
@click.option("--replace", is_flag=True, help="Let candles take the place of trades.")
@click.option(
    "--gap",
    type=click.IntRange(1, 1440),
    default=5,
    show_default=True,
    help="Minutes without a trade from which on data is missing.",
)
@place_options()
def import_command(
    files: tuple[Path, ...],
    market: str | None,
    symbol: str | None,
    kind: str | None,
    columns: tuple[str, ...],
    column_map: Path | None,
    instruments: Path | None,
    derive: bool,
    skip_bad: bool,
    replace: bool,
    gap: int,
    config: str | None,
    data_dir: str | None,
) -> None:
    """Import FILES, or all files of market data below directories.

    Bybit's trade dumps and klines (.csv, .csv.gz), Parquet, Feather, REST answers and frames (.json, .jsonl), and our
    own records (.duckdb). A day that is imported again is replaced as a whole. A file with a wrong row is refused (exit
    code 7), and each day that it is a part of stays as it was.
    """
    place = opened_market(market, config, data_dir)
    if derive and instruments is not None:
        raise click.UsageError("expected --derive or --instruments, got both")
    from gridbot.market.day_rows import SYMBOL
    from gridbot.market.importer import ImportOptions, import_files
    from gridbot.market.rule_book import RuleBook, read_instruments
    from supervisor.cli.data_progress import row_progress

    said = described_by(column_map)
    symbol = said.symbol if symbol is None else symbol
    if symbol is not None and not SYMBOL.fullmatch(symbol):
        raise click.UsageError(f"--symbol: expected a symbol such as BTCUSDT, got {symbol!r}")
    with _plain_errors():
        rules = RuleBook(read_instruments(instruments) if instruments else None, str(instruments), derive=derive)
        options = ImportOptions(
            kind=kind or said.kind,
            symbol=symbol,
            columns={**said.columns, **column_options(columns)},
            skip_bad=skip_bad,
            replace=replace,
            quiet_ms=gap * 60_000,
        )
        with row_progress(files) as on_rows:
            done = import_files(place, files, rules, options, on_rows)
    _tell_import(done)
    if done.refused:
        sys.exit(ExitCode.REFUSED)
    if not done.days:
        click.echo("nothing to import: no rows")
        sys.exit(ExitCode.NOTHING)


def _tell_import(done: ImportResult) -> None:
    from supervisor.cli.data_tables import day_table

    if done.days:
        click.echo(day_table(done.days))
    for text in done.passed_over:
        click.echo(one_line(text, 1000))
    for file in done.files:
        if not file.rows and file.refused is None:
            click.echo(f"no rows: {one_line(str(file.path))}")
        for line in file.named:
            click.echo(f"left out: {one_line(line)}")
        if file.skipped > len(file.named):
            click.echo(f"left out: {file.skipped - len(file.named)} more rows of {file.path}")
    for text in done.refused:
        click.echo(f"refused: {one_line(text, 1000)}", err=True)
    if any(file.refused is not None for file in done.files):
        text = "nothing of a refused file is in: get it again or correct it; --skip-bad leaves wrong rows out"
        click.echo(text, err=True)
    days, rows = sum(day.refused is None for day in done.days), sum(file.rows for file in done.files)
    refused = sum(file.refused is not None for file in done.files)
    click.echo(
        f"{counted(len(done.files), 'file')}, {refused} refused, {counted(rows, 'row')} read, {counted(days, 'day')}"
    )


@data.command("fetch", epilog=example("data fetch BTCUSDT --from 2026-09-01 --to 2026-09-07"))
@click.argument("symbol")
@click.option("--from", "first", type=DAY, required=True, help="The first day (UTC).")
@click.option("--to", "last", type=DAY, required=True, help="The last day (UTC), itself included.")
@click.option("--candles", is_flag=True, help="Minute candles where the archive has no trades of a day.")
@click.option("--again", is_flag=True, help="Also days that are there.")
@click.option("--derive", is_flag=True, help="Work tick size and quantity step out from the data.")
@click.option("--skip-bad", is_flag=True, help="Leave wrong rows out, and name them, instead of refusing the file.")
@click.option(
    "--archive",
    envvar="GRIDBOT_ARCHIVE_URL",
    default="https://public.bybit.com",
    show_default=True,
    help="Where the daily files are.",
)
@click.option(
    "--rest", envvar="GRIDBOT_REST_URL", default="https://api.bybit.com", show_default=True, help="Where REST is."
)
@market_option
@place_options()
def fetch_command(
    symbol: str,
    first: datetime,
    last: datetime,
    candles: bool,
    again: bool,
    derive: bool,
    skip_bad: bool,
    archive: str,
    rest: str,
    market: str | None,
    config: str | None,
    data_dir: str | None,
) -> None:
    """Fetch days of SYMBOL: trades of Bybit's archive; mark prices, fundings and the contract's rules of its REST.

    Only public data is read, without keys. What breaks off is taken up where it was, by this command or the next one.
    Exit code 7: a day is not there or was refused; the others are. 9: nothing came.
    """
    _span(first, last)
    place = opened_market(market, config, data_dir)
    import asyncio

    from gridbot.market.archive import ARCHIVE, REST, Wanted, fetch
    from gridbot.market.download import Download, FetchFailed, require_address
    from supervisor.cli.data_progress import byte_progress
    from supervisor.cli.data_tables import spans_in_words

    for option, url, usual in (("--archive", archive, ARCHIVE), ("--rest", rest, REST)):
        try:
            require_address(option, url, usual)
        except FetchFailed as error:
            raise click.UsageError(str(error)) from None
    wanted = Wanted(symbol, first.date(), last.date(), candles, again, derive, skip_bad, archive, rest)

    async def run() -> Fetched:
        with byte_progress() as on_bytes:
            async with Download(on_bytes=on_bytes) as download:
                return await fetch(place, wanted, download)

    with _plain_errors():
        done = asyncio.run(run())
    _tell_import(done.result)
    if done.there:
        are = "was" if len(done.there) == 1 else "were"
        click.echo(f"{counted(len(done.there), 'day')} {are} there already; --again fetches what is there all the same")
    for span in spans_in_words(done.missing):
        click.echo(f"missing: the archive has no trades of {symbol} {span}; --candles takes minute candles", err=True)
    if done.missing or done.result.refused:
        sys.exit(ExitCode.REFUSED if done.result.days else ExitCode.NOTHING)


@data.command("list", epilog=example("data list"))
@click.argument("symbols", nargs=-1)
@market_option
@place_options()
def list_command(symbols: tuple[str, ...], market: str | None, config: str | None, data_dir: str | None) -> None:
    """Show what is there, by symbol; with SYMBOLS day by day. Exit code 7: a day cannot be read; the others are shown.

    9: there is nothing.
    """
    place = opened_market(market, config, data_dir)
    from supervisor.cli.data_tables import document_table, symbol_table

    damaged: list[MarketError] = []
    with _plain_errors():
        names = symbols or place.known()
        documents = [
            document for name in names for document in place.documents(name, lambda _, error: damaged.append(error))
        ]
    if documents:
        click.echo((document_table if symbols else symbol_table)(documents))
    for error in damaged:
        click.echo(f"left out: {one_line(str(error), 1000)}", err=True)
    if damaged:
        sys.exit(ExitCode.REFUSED)
    if not documents:
        _end_with_nothing(place, symbols)


@data.command("check", epilog=example("data check BTCUSDT"))
@click.argument("symbols", nargs=-1)
@_span_options
@click.option(
    "--jump",
    type=click.IntRange(1, 100),
    default=5,
    show_default=True,
    help="Per cent from which on a change of price from one tick to the next is absurd.",
)
@market_option
@place_options()
def check_command(
    symbols: tuple[str, ...],
    first: datetime | None,
    last: datetime | None,
    jump: int,
    market: str | None,
    config: str | None,
    data_dir: str | None,
) -> None:
    """Look for gaps, missing days, damage, absurd prices, and rules that are not of that time.

    Exit code 0: nothing is wrong; notes say what a backtest will mention. 8: something is. 9: there is nothing.
    """
    place = opened_market(market, config, data_dir)
    from gridbot.market.day_check import CheckLimits, check_symbol, days_between

    begin, end = _span(first, last)
    wrong = 0
    with _plain_errors():
        names = symbols or place.known()
        unread: list[date] = []
        days = sum(len(days_between(place, symbol, begin, end, lambda day, _: unread.append(day))) for symbol in names)
        days += len(unread)
        for symbol in names if days else ():
            notes: dict[str, int] = {}
            for found in check_symbol(place, symbol, begin, end, CheckLimits(jump=jump / 100)):
                if found.is_note:
                    notes[found.text] = notes.get(found.text, 0) + 1
                else:
                    click.echo(f"{symbol}{f' {found.date}' if found.date else ''} wrong: {one_line(found.text)}")
                    wrong += 1
            for text, count in notes.items():
                click.echo(f"{symbol} note on {counted(count, 'day')}: {one_line(text)}")
    if not days:
        _end_with_nothing(place, symbols, begin, end)
    click.echo(f"{counted(days, 'day')} looked at, {counted(wrong, 'thing')} wrong")
    sys.exit(ExitCode.DIFFERS if wrong else ExitCode.OK)


@data.command("export", epilog=example("data export BTCUSDT --out parquet"))
@click.argument("symbol")
@_span_options
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="A directory.")
@market_option
@place_options()
def export_command(
    symbol: str,
    first: datetime | None,
    last: datetime | None,
    out: Path,
    market: str | None,
    config: str | None,
    data_dir: str | None,
) -> None:
    """Write the days of SYMBOL as Parquet, which `data import` takes back."""
    place = opened_market(market, config, data_dir)
    from gridbot.market.day_check import days_between
    from gridbot.market.parquet_days import write_parquet

    begin, end = _span(first, last)
    with _plain_errors():
        chosen = [day for day in days_between(place, symbol, begin, end) if day.kind is not None]
        for document in chosen:
            for path in write_parquet(place.day(symbol, document.date), document, out):
                click.echo(str(path))
    if not chosen:
        _end_with_nothing(place, [symbol], begin, end)


def _end_with_nothing(
    place: Market, symbols: Sequence[str], begin: date | None = None, end: date | None = None
) -> NoReturn:
    """Say that nothing is there of what was asked for, and what is; exit code 9."""
    with _plain_errors():
        there = place.known()
    of = f" of {', '.join(symbols)}" if symbols else ""
    of += f" from {begin or 'the first day'} to {end or 'the last day'}" if begin or end else ""
    known = f"; there is data of {', '.join(there[:20])}" if of and there else ""
    click.echo(f"no market data{of} in {place.root}{known}")
    sys.exit(ExitCode.NOTHING)


def _span(first: datetime | None, last: datetime | None) -> tuple[date | None, date | None]:
    """The days of --from and --to. Raise UsageError for a span that ends before it begins."""
    if first is not None and last is not None and last < first:
        text = f"expected --to on the day of --from or after it, got {first.date()} to {last.date()}; swap them"
        raise click.UsageError(text)
    return first.date() if first is not None else None, last.date() if last is not None else None
