"""Rows of PostgreSQL's `record` as typed columns of DuckDB: what readers of a fleet see live, and what its files have.

PostgreSQL sends them by COPY as they come; DuckDB reads that stream as CSV and takes the bodies of a batch apart by
columns, so no row becomes a Python object. A value that does not fit is NULL, one that an older program did not write
yet has the default of its field.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, LiteralString

import duckdb

from gridbot.records.columns import RECORD_TYPES, Column
from gridbot.store.bulk import memory_file
from gridbot.store.sql_columns import quote, sql_type, table_columns
from gridbot.store.stored_views import landed_query

if TYPE_CHECKING:
    import psycopg

__all__ = ["RAW", "columns_here", "copied", "newer_records", "streamed", "typed_query", "with_raw"]

RAW: Final = "raw_records"
"""Temporary table of a batch: account, number, kind, UTC day, body."""
BATCH_BYTES: Final = 48_000_000
LONGEST_BODY: Final = 16_000_000
_COLUMNS: Final = "{account: 'VARCHAR', seq: 'BIGINT', kind: 'VARCHAR', day: 'DATE', body: 'VARCHAR'}"


def copied(
    connection: psycopg.Connection[Any],
    select: LiteralString,
    values: Iterable[dict[str, Any]],
    batch_bytes: int = BATCH_BYTES,
) -> Iterator[str]:
    """Paths of files that have the rows of a query as CSV, batch by batch; each is there until the next is asked for.

    `values`: the query is asked with each of these, one after the other; small answers share a file. Its columns are
    those of `RAW`. Raises psycopg.Error.
    """
    rest = streamed(connection, select, values)
    is_more = True
    while is_more:
        with memory_file() as (file, path):
            size, is_more = 0, False
            for data in rest:
                size += file.write(data)
                if size >= batch_bytes:
                    is_more = True
                    break
            file.flush()
            if size:
                yield path


def streamed(
    connection: psycopg.Connection[Any], select: LiteralString, values: Iterable[dict[str, Any]]
) -> Iterator[bytes | bytearray | memoryview]:
    """The rows of a query, asked with each of these values, as CSV: whole rows, as they come. Raises psycopg.Error."""
    for each in values:
        with connection.cursor() as cursor, cursor.copy(f"COPY ({select}) TO STDOUT (FORMAT csv)", each) as stream:
            yield from stream


@contextlib.contextmanager
def with_raw(con: duckdb.DuckDBPyConnection, path: str) -> Iterator[list[str]]:
    """Put a batch into `RAW`, which is removed at the end; the kinds in it that this program knows."""
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {RAW} AS FROM read_csv({quote(path)}, columns = {_COLUMNS}, header = false, "
        f"auto_detect = false, delim = ',', quote = '\"', escape = '\"', parallel = false, "
        f"max_line_size = {LONGEST_BODY})"
    )
    try:
        found = [kind for (kind,) in con.execute(f"SELECT DISTINCT kind FROM {RAW} ORDER BY 1").fetchall()]
        yield [kind for kind in found if kind in RECORD_TYPES]
    finally:
        con.execute(f"DROP TABLE temp.{RAW}")


def newer_records(con: duckdb.DuckDBPyConnection, kinds: Iterable[str]) -> str:
    """What is in `RAW` that this program would lose, as another one with more kinds or, of these `kinds`, more fields
    has recorded it; "" when there is none."""
    found = {kind for (kind,) in con.execute(f"SELECT DISTINCT kind FROM {RAW}").fetchall()} - RECORD_TYPES.keys()
    for kind in kinds:
        fields = f"SELECT DISTINCT unnest(json_keys(body, '$.data')) FROM {RAW} WHERE kind = {quote(kind)}"
        known = {column.name for column in table_columns(kind)}
        found |= {f"{kind}.{name}" for (name,) in con.execute(fields).fetchall() if name not in known}
    if not found:
        return ""
    return f"expected records that this program knows, got some of a newer one, which has to write them: {min(found)}"


@functools.cache
def typed_query(kind: str, source: str = RAW) -> str:
    """Query of a kind's rows in `RAW`, or in a query of it in parentheses, with the columns of its table."""
    columns = table_columns(kind)
    return f"SELECT {', '.join(map(defaulted, columns))} FROM ({landed_query(kind, source)})"


def defaulted(column: Column) -> str:
    """A column with the default of its field in place of NULL, where it may not be NULL."""
    name = f'"{column.name}"'
    if column.nullable or column.required:
        return name
    return f"coalesce({name}, {literal(column)}) AS {name}"


def literal(column: Column) -> str:
    """The default of a column as SQL."""
    match column.default:
        case bool() | int() | Decimal():
            return f"CAST({str(column.default).lower()} AS {sql_type(column)})"
        case str():
            return quote(column.default)
    raise TypeError(f"expected a bool, a number or a text as the default of {column.name}, got {column.default!r}")


def columns_here(kind: str, there: Sequence[str]) -> str:
    """What to select of a file that has these columns, so that it has those of today."""
    return ", ".join(
        defaulted(column)
        if column.name in there
        else f"{'CAST(NULL AS ' + sql_type(column) + ')' if column.nullable or column.required else literal(column)} "
        f'AS "{column.name}"'
        for column in table_columns(kind)
    )
