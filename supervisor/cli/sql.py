"""`gridbot-supervisor sql`: one read-only statement on the records, or a prompt for many."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Final

import click

from gridbot.store.reading import database_path
from supervisor.cli import sql_prompt
from supervisor.cli.answer_output import render
from supervisor.cli.options import memory_option, records_option
from supervisor.exit_codes import ExitCode
from supervisor.store.query import Answer, Limits, Query, SqlFailed

__all__ = ["sql"]

FORMATS: Final = ("table", "csv", "json", "parquet")


@click.command("sql")
@click.argument("statement", required=False)
@click.option("--format", "style", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write there instead of the screen.")
@records_option("Data directory of the bot, or a .duckdb file.")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0),
    default=5.0,
    show_default=True,
    help="Seconds to wait for the file.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0.001),
    default=60.0,
    show_default=True,
    help="Seconds a statement may take.",
)
@memory_option()
def sql(
    statement: str | None, style: str, out: Path | None, data_dir: Path, wait_s: float, timeout_s: float, memory: str
) -> None:
    """Ask the records one SQL question; without one, read it from standard input or open a prompt on a terminal.

    docs/tables.md describes tables and views; "SHOW TABLES" lists them. Works while the bot runs.
    """
    query = Query(data_dir, Limits(wait_s, timeout_s, memory))
    if statement is None and out is None and style != "parquet" and sys.stdin.isatty():
        _interactive(query, style)
        return
    try:
        if style == "parquet" and out is None:
            raise SqlFailed("--format parquet needs --out FILE", ExitCode.USAGE)
        text = statement if statement is not None else sys.stdin.read()
        answer = query.ask(text, parquet=out if style == "parquet" else None)
        if style != "parquet":
            _deliver(answer, style, out)
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
            render(query.ask(statement), style, sys.stdout)
        except SqlFailed as exc:
            click.echo(f"error: {exc}", err=True)

    def command(word: str, rest: str) -> str:
        nonlocal style
        if word == "tables":
            return "  ".join(tables)
        if word == "format" and rest in FORMATS and rest != "parquet":
            style = rest
            return f"format is {style}"
        return f"expected .tables, .format table|csv|json, .help or .quit, got .{word} {rest}".rstrip()

    click.echo(f"records of {database_path(query.data_dir)}; .help says how, .quit or Ctrl-D ends")
    history = database_path(query.data_dir).parent / "sql_history"
    with sql_prompt.with_line_editing([name for row in names for name in row], history):
        sql_prompt.read_statements(run, command, show=click.echo)


_NAMES: Final = """
    SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal ORDER BY ALL"""


def _deliver(answer: Answer, style: str, out: Path | None) -> None:
    if out is None:
        with contextlib.suppress(BrokenPipeError):
            render(answer, style, sys.stdout)
        return
    try:
        with out.open("w", encoding="utf-8", newline="") as file:
            render(answer, style, file)
    except OSError as exc:
        raise SqlFailed(f"{out} cannot be written: {exc.strerror or exc}", ExitCode.UNEXPECTED) from exc
