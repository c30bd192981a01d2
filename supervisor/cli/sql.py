"""`gridbot-supervisor sql`: one read-only statement on the records, or a prompt for many."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Final

import click

from gridbot.atomic_file import put_in_place, remove_abandoned, temporary_beside
from gridbot.config.paths import data_directory
from gridbot.store.reading import database_path
from supervisor.cli import sql_prompt
from supervisor.cli.answer_output import rendered
from supervisor.cli.options import Seconds, example, memory_option, place_options
from supervisor.exit_codes import ExitCode
from supervisor.status.screen_width import UNBOUNDED, screen_width
from supervisor.store.query import Limits, Query, SqlFailed

__all__ = ["sql"]

FORMATS: Final = ("table", "csv", "json", "parquet")
AHEAD_CHARACTERS: Final = 2_000_000
"""What is printed only once the statement is done; of a longer answer the rest is printed as it comes."""


@click.command("sql", epilog=example('sql "SELECT symbol, count(*) FROM fills GROUP BY ALL"'))
@click.argument("statement", required=False)
@click.option("--format", "style", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write there instead of the screen.")
@place_options("Data directory of the bot, or a .duckdb file.")
@click.option(
    "--wait",
    "wait_s",
    type=Seconds(least=0),
    default=5.0,
    show_default=True,
    help="Seconds to wait for the file.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=Seconds(),
    default=60.0,
    show_default=True,
    help="Seconds a statement may take.",
)
@memory_option()
@click.option("--fleet", "of_fleet", is_flag=True, help="Ask what all hosts of the fleet have shipped.")
def sql(
    statement: str | None,
    style: str,
    out: Path | None,
    config: str | None,
    data_dir: str | None,
    wait_s: float,
    timeout_s: float,
    memory: str,
    of_fleet: bool,
) -> None:
    """Ask the records one SQL question; without one, read it from standard input or open a prompt on a terminal.

    docs/tables.md describes tables and views; "SHOW TABLES" lists them. Works while the bot runs. A row that is wider
    than the screen comes as a line per column; in a pipe rows stay whole, unless COLUMNS says how wide it is.
    """
    limits = Limits(wait_s, timeout_s, memory)
    with contextlib.ExitStack() as kept:
        place = None
        if of_fleet:
            from supervisor.cli.fleet_records import shipped_records

            place = kept.enter_context(shipped_records(config, data_dir, timeout_s, statement))
        _answer(Query(place or data_directory(data_dir, config), limits), statement, style, out)


def _answer(query: Query, statement: str | None, style: str, out: Path | None) -> None:
    if statement is None and out is None and style != "parquet" and sys.stdin.isatty():
        _interactive(query, style)
        return
    try:
        if style == "parquet" and out is None:
            raise SqlFailed("--format parquet needs --out FILE", ExitCode.USAGE)
        text = statement if statement is not None else sys.stdin.read()
        if out is None:
            _show(query, text, style)
        else:
            _write(query, text, style, out)
    except SqlFailed as exc:
        click.echo(f"error: {exc}", err=True)
        sys.exit(exc.exit_code)


def _interactive(query: Query, style: str) -> None:
    """Statements from the terminal until it ends."""
    try:
        names = query.ask(_NAMES).rows
    except SqlFailed as exc:
        click.echo(f"error: {exc}", err=True)
        sys.exit(exc.exit_code)
    tables = sorted({table for table, _ in names})

    def run(statement: str) -> None:
        try:
            _show(query, statement, style)
        except SqlFailed as exc:
            click.echo(f"error: {exc}", err=True)

    def command(word: str, rest: str) -> str:
        nonlocal style
        if word == "tables":
            from supervisor.cli.sentence_lines import wrapped

            return "\n".join(wrapped("  ".join(tables), screen_width()))
        if word == "format" and rest in FORMATS and rest != "parquet":
            style = rest
            return f"format is {style}"
        return f"expected .tables, .format table|csv|json, .help or .quit, got .{word} {rest}".rstrip()

    click.echo(f"records of {database_path(query.data_dir)}; .help says how, .quit or Ctrl-D ends")
    history = database_path(query.data_dir).parent / "sql_history"
    with sql_prompt.with_line_editing([name for row in names for name in row], history):
        sql_prompt.read_statements(run, command, show=click.echo)


_NAMES: Final = """
    SELECT table_name, column_name FROM duckdb_columns()
    WHERE NOT internal AND NOT ends_with(table_name, '_stored') AND table_name <> 'landed'
    ORDER BY ALL"""


def _show(query: Query, statement: str, style: str) -> None:
    """Print the answer. A short one is fetched whole first, so that a pager does not keep the writer from the file."""
    waiting: list[str] = []
    length = 0
    with query.rows(statement) as rows:
        for text in rendered(rows.columns, rows.batches, style, screen_width(UNBOUNDED)):
            waiting.append(text)
            length += len(text)
            if length > AHEAD_CHARACTERS:
                _print(waiting)
    _print(waiting)


def _print(texts: list[str]) -> None:
    for text in texts:
        click.echo(text, nl=False)
    texts.clear()


def _write(query: Query, statement: str, style: str, out: Path) -> None:
    """Put the answer into the file `out`, in place of what it has; when that fails the file stays as it was."""
    regular = not out.exists() or out.is_file()  # into /dev/stdout and the like it goes as it comes
    if regular:
        out = out.resolve()
        remove_abandoned(out)
    target = temporary_beside(out) if regular else out
    try:
        if style == "parquet":
            query.write_parquet(statement, target)
        else:
            with target.open("w", encoding="utf-8", newline="") as file, query.rows(statement) as rows:
                file.writelines(rendered(rows.columns, rows.batches, style))
        if regular:
            put_in_place(target, out)
    except OSError as exc:
        code = ExitCode.REFUSED if isinstance(exc, PermissionError) else ExitCode.UNEXPECTED
        raise SqlFailed(f"{out} cannot be written: {exc.strerror or exc}", code) from exc
    finally:
        if regular:
            with contextlib.suppress(OSError):  # in a place that is read-only, also where there is nothing
                target.unlink()
