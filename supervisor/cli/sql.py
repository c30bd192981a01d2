"""`gridbot-supervisor sql`: one read-only statement on the records, while the bot runs and when it does not.

The statement runs on a read-only connection without access to files or network, with limits on time and memory. The
file is held only while the statement runs.
"""

from __future__ import annotations

import contextlib
import csv
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Final

import click
import duckdb
import orjson
import psutil
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gridbot.store.file_errors import is_damage
from gridbot.store.reading import DatabaseLocked, NoDatabase, ReadingError, connect, database_path
from supervisor.cli import sql_prompt

__all__ = ["Answer", "SqlFailed", "ask", "sql"]

EXIT_UNEXPECTED: Final = 1
EXIT_USAGE: Final = 2
EXIT_NO_DATABASE: Final = 3
EXIT_TIMEOUT: Final = 5
FORMATS: Final = ("table", "csv", "json", "parquet")


class SqlFailed(Exception):
    """The statement cannot be answered; carries the exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Answer:
    """Column names and rows."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


def ask(
    data_dir: Path,
    statement: str,
    *,
    wait_s: float = 5.0,
    timeout_s: float = 60.0,
    memory_limit: str = "1GB",
    threads: int = 2,
    parquet: Path | None = None,
) -> Answer:
    """Run one statement. With `parquet` the rows go to that file and the answer says how many. Raise SqlFailed."""
    limits = {
        "memory_limit": memory_limit,
        "threads": str(threads),
        "max_execution_time": str(max(1, int(timeout_s * 1000))),
    }
    with _plain_errors(timeout_s):
        statement = _one_select(statement)
        with connect(data_dir, timeout_s=wait_s, config=limits) as con:
            if parquet is not None:
                con.execute(f"SET allowed_paths = ['{_escaped(parquet)}']")
                statement = f"COPY ({statement}) TO '{_escaped(parquet)}' (FORMAT parquet)"
            con.execute("SET enable_external_access = false")
            con.execute("SET lock_configuration = true")
            cursor = con.execute(statement)
            return Answer([column[0] for column in cursor.description or []], cursor.fetchall())


def _fair_memory(total: int) -> str:
    """A quarter of the machine's bytes, but 1 to 4 GB: the bot runs beside."""
    return f"{min(4, max(1, total // 4 // 1024**3))}GB"


def _escaped(path: Path) -> str:
    return str(path.absolute()).replace("'", "''")


def _one_select(statement: str) -> str:
    """The statement without its semicolon. Raise SqlFailed unless it is exactly one that only reads."""
    found = duckdb.extract_statements(statement)
    if len(found) != 1:
        raise SqlFailed(f"expected one SQL statement, got {len(found)}", EXIT_USAGE)
    allowed = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
    if found[0].type not in allowed:
        kind = found[0].type.name
        raise SqlFailed(f"expected a statement that only reads (SELECT, DESCRIBE, EXPLAIN), got {kind}", EXIT_USAGE)
    return statement.strip().rstrip(";").rstrip()


@contextlib.contextmanager
def _plain_errors(timeout_s: float) -> Iterator[None]:
    try:
        yield
    except NoDatabase as exc:
        raise SqlFailed(str(exc), EXIT_NO_DATABASE) from exc
    except DatabaseLocked as exc:
        raise SqlFailed(str(exc), EXIT_TIMEOUT) from exc
    except ReadingError as exc:
        raise SqlFailed(str(exc), EXIT_UNEXPECTED) from exc
    except duckdb.InterruptException as exc:
        raise SqlFailed(f"not done after {timeout_s:g} s; give it longer with --timeout", EXIT_TIMEOUT) from exc
    except duckdb.OutOfMemoryException as exc:
        text = f"the query needs more memory than allowed ({str(exc).splitlines()[0]}); raise --memory"
        raise SqlFailed(text, EXIT_UNEXPECTED) from exc
    except duckdb.PermissionException as exc:
        raise SqlFailed(
            f"only the records can be read here, no files or network: {_headline(exc)}", EXIT_USAGE
        ) from exc
    except (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError) as exc:
        raise SqlFailed(_headline(exc), EXIT_USAGE) from exc
    except duckdb.Error as exc:
        hint = "; gridbot-supervisor rebuild makes the file anew" if is_damage(exc) else ""
        raise SqlFailed(_headline(exc) + hint, EXIT_UNEXPECTED) from exc


def _headline(exc: BaseException) -> str:
    """DuckDB's message as one line: what is wrong, the hint, and where."""
    lines = [line.strip() for line in str(exc).splitlines() if line.strip() and set(line.strip()) != {"^"}]
    return " ".join(lines)


# -- output -----------------------------------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    """Value for JSON: money stays text, so that no reader makes a float of it; times are ISO 8601 in UTC."""
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds") + ("" if value.tzinfo else "Z")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def _decimal(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="milliseconds")
    return str(value)


def render(answer: Answer, style: str, stream: IO[str]) -> None:
    """Write an answer as table, csv or json (a list of objects)."""
    if style == "json":
        rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
        text = orjson.dumps(rows, default=_plain, option=orjson.OPT_INDENT_2 | orjson.OPT_PASSTHROUGH_DATETIME)
        stream.write(text.decode() + "\n")
    elif style == "csv":
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(answer.columns)
        writer.writerows([_cell(value) for value in row] for row in answer.rows)
    else:
        _render_table(answer, stream)


def _render_table(answer: Answer, stream: IO[str]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, name in enumerate(answer.columns):
        numeric = any(
            isinstance(row[index], int | float | Decimal) and not isinstance(row[index], bool)
            for row in answer.rows[:100]
        )
        table.add_column(Text(name), justify="right" if numeric else "left", no_wrap=True)
    for row in answer.rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    # Rendered wide on purpose: a terminal wraps or a pager scrolls, but no number is ever shortened.
    buffer = io.StringIO()
    Console(file=buffer, width=10_000, highlight=False).print(table)
    stream.write("".join(f"{line.rstrip()}\n" for line in buffer.getvalue().splitlines()))


@click.command("sql")
@click.argument("statement", required=False)
@click.option("--format", "style", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write there instead of the screen.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=True, path_type=Path),
    envvar="GRIDBOT_DATA_DIR",
    default=Path("data"),
    show_default=True,
    help="Data directory of the bot, or a .duckdb file.",
)
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
@click.option(
    "--memory",
    default=lambda: _fair_memory(psutil.virtual_memory().total),
    show_default="a quarter of the machine's, 1 to 4 GB",
    help="Memory a statement may take.",
)
def sql(
    statement: str | None, style: str, out: Path | None, data_dir: Path, wait_s: float, timeout_s: float, memory: str
) -> None:
    """Ask the records one SQL question; without one, read it from standard input or open a prompt on a terminal.

    Tables and views are described in docs/sql.md; "SHOW TABLES" lists them. Works while the bot runs.
    """
    limits = Limits(data_dir, wait_s, timeout_s, memory)
    if statement is None and out is None and style != "parquet" and sys.stdin.isatty():
        _interactive(limits, style)
        return
    try:
        if style == "parquet" and out is None:
            raise SqlFailed("--format parquet needs --out FILE", EXIT_USAGE)
        text = statement if statement is not None else sys.stdin.read()
        answer = limits.ask(text, parquet=out if style == "parquet" else None)
        if style != "parquet":
            _deliver(answer, style, out)
    except SqlFailed as exc:
        click.echo(f"error: {exc}", err=True)
        sys.exit(exc.exit_code)


@dataclass(frozen=True, slots=True)
class Limits:
    """Where to ask, and the limits of each statement."""

    data_dir: Path
    wait_s: float
    timeout_s: float
    memory: str

    def ask(self, statement: str, *, parquet: Path | None = None) -> Answer:
        return ask(
            self.data_dir,
            statement,
            wait_s=self.wait_s,
            timeout_s=self.timeout_s,
            memory_limit=self.memory,
            parquet=parquet,
        )


def _interactive(limits: Limits, style: str) -> None:
    """Statements from the terminal until it ends."""
    try:
        names = limits.ask(_NAMES).rows
    except SqlFailed as exc:
        click.echo(f"error: {exc}", err=True)
        sys.exit(exc.exit_code)
    tables = sorted({table for table, _ in names})

    def run(statement: str) -> None:
        try:
            render(limits.ask(statement), style, sys.stdout)
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

    click.echo(f"records of {database_path(limits.data_dir)}; .help says how, .quit or Ctrl-D ends")
    history = database_path(limits.data_dir).parent / "sql_history"
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
        raise SqlFailed(f"{out} cannot be written: {exc.strerror or exc}", EXIT_UNEXPECTED) from exc
