"""Two ways to insert bodies of frames into a table, inside the caller's transaction.

`append` converts row by row in Python and uses DuckDB's appender: best for the few rows of an ordinary flush. `load`
hands the bodies to DuckDB's JSON reader as they are: three to five times faster when there is much to catch up with.
Both give the same rows. `load` may refuse what `append` takes, such as an older frame without a newer field; then the
caller uses `append`.
"""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final

import duckdb
import orjson

from gridbot.records.columns import columns_of
from gridbot.records.record_types import Header
from gridbot.store.row_values import row_of
from gridbot.store.sql_columns import as_stored, json_type, quote, table_columns, value_sql

__all__ = ["LOAD_FROM", "append", "load", "memory_file"]

LOAD_FROM: Final = 200
"""Number of rows from which `load` is faster (measured: 8 against 11 ms)."""

_LINES_AT_ONCE: Final = 2000
_OPEN_FILES: Final = Path("/proc/self/fd")


def append(con: duckdb.DuckDBPyConnection, table: str, bodies: Sequence[bytes], into: str = "") -> None:
    """Put bodies of a record table into it, or into another table with its columns.

    Raise CodecError or duckdb.Error when a body fits no row of the table.
    """
    names = [column.name for column in table_columns(table)]
    with con.appender(into or as_stored(table), columns=names) as appender:
        appender.append_rows([row_of(orjson.loads(body)) for body in bodies])


def load(con: duckdb.DuckDBPyConnection, table: str, bodies: Sequence[bytes], into: str = "") -> None:
    """As `append`. Raise duckdb.Error when a body fits no row of the table, OSError when there is no memory file."""
    with memory_file() as (file, path):
        _write_lines(file, bodies)
        file.flush()
        con.execute(_load_sql(table, into or as_stored(table)).replace("$path", quote(path), 1))


@contextlib.contextmanager
def memory_file() -> Iterator[tuple[IO[bytes], str]]:
    """An empty file, and a path under which DuckDB can use it. Where the system can do that it is in memory, and where
    it names open files it has no name of its own: nothing is left of it when this process is killed."""
    with _nameless() if _OPEN_FILES.is_dir() else tempfile.NamedTemporaryFile(suffix=".ndjson") as file:
        yield file, str(_OPEN_FILES / str(file.fileno())) if _OPEN_FILES.is_dir() else file.name


def _nameless() -> Any:
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("gridbot-ingest", os.MFD_CLOEXEC), "w+b")
    return tempfile.TemporaryFile()


def _write_lines(file: Any, bodies: Sequence[bytes]) -> None:
    for first in range(0, len(bodies), _LINES_AT_ONCE):  # not all in one: that would be one more copy of everything
        file.write(b"\n".join([*bodies[first : first + _LINES_AT_ONCE], b""]))


@functools.cache
def _load_sql(table: str, into: str) -> str:
    header, own = columns_of(Header), table_columns(table)[len(columns_of(Header)) :]
    outer = [f"{column.name}: {quote(json_type(column))}" for column in header]
    inner = ", ".join(f'"{column.name}" {json_type(column)}' for column in own)
    outer.append(f"data: {quote(f'STRUCT({inner})')}")
    values = [value_sql(column, column.name) for column in header]
    values += [value_sql(column, f'data."{column.name}"') for column in own]
    names = ", ".join(f'"{column.name}"' for column in table_columns(table))
    return (
        f"INSERT INTO {into} ({names}) SELECT {', '.join(values)} FROM read_json($path, "
        f"format = 'newline_delimited', compression = 'none', columns = {{{', '.join(outer)}}})"
    )
