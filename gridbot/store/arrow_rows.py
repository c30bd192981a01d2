"""Live rows of PostgreSQL as Arrow tables, which DuckDB reads where they are: psycopg's COPY, pyarrow, DuckDB.

No more CPU for a row than by a file of CSV that DuckDB reads itself, a quarter less at best (docs/scaling.md). Where
pyarrow is not installed, and in processes that are to stay small, it is that (`fleet_rows`); the rows are the same.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, LiteralString

from gridbot.records.columns import RECORD_TYPES
from gridbot.store.fleet_rows import BATCH_BYTES, RAW, copied, streamed, with_raw

if TYPE_CHECKING:
    import duckdb
    import psycopg
    import pyarrow

__all__ = ["batches", "has_arrow", "tables_of"]


def has_arrow() -> bool:
    """Whether pyarrow is installed."""
    return importlib.util.find_spec("pyarrow") is not None


def batches(
    con: duckdb.DuckDBPyConnection,
    connection: psycopg.Connection[Any],
    select: LiteralString,
    values: Iterable[dict[str, Any]],
    *,
    arrow: bool,
) -> Iterator[list[str]]:
    """The rows of a query, asked with each of these values, batch by batch in `RAW`; the kinds in it that are known.

    `arrow`: by way of Arrow, or by a file. Raises psycopg.Error.
    """
    if not arrow:
        for path in copied(connection, select, values):
            with with_raw(con, path) as kinds:
                yield kinds
        return
    for table in tables_of(connection, select, values):
        con.register(RAW, table)
        try:
            found = sorted(table.column("kind").unique().to_pylist())
            yield [kind for kind in found if kind in RECORD_TYPES]
        finally:
            con.unregister(RAW)


def tables_of(
    connection: psycopg.Connection[Any],
    select: LiteralString,
    values: Iterable[dict[str, Any]],
    batch_bytes: int = BATCH_BYTES,
) -> Iterator[pyarrow.Table]:
    """The rows of a query, asked with each of these values, batch by batch, in the columns of `fleet_rows.RAW`.

    Small answers share a table. Raises psycopg.Error.
    """
    batch = io.BytesIO()
    for data in streamed(connection, select, values):
        batch.write(data)
        if batch.tell() >= batch_bytes:
            yield _table(batch.getvalue())
            batch = io.BytesIO()
    if batch.tell():
        yield _table(batch.getvalue())


def _table(data: bytes) -> pyarrow.Table:
    import pyarrow as pa
    from pyarrow import csv

    types = {"account": pa.string(), "seq": pa.int64(), "kind": pa.string(), "day": pa.date32(), "body": pa.string()}
    return csv.read_csv(
        pa.BufferReader(data),
        # One block: a row may be as long as it likes, and have line breaks in it.
        read_options=csv.ReadOptions(column_names=list(types), use_threads=False, block_size=len(data) + 1),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(column_types=types, strings_can_be_null=False),
    )
