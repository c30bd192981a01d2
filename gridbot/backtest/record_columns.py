"""Records of a backtest, from the objects that a worker's parts make of them into the tables of the results.

A worker's records become JSON: they go through a journal and another process. Here they stay as they are until there
are some thousands; then each table gets their columns, which wait until there are many: a transaction takes 60 ms,
whatever is in it. The rows are the same (`tests/backtest/test_record_columns.py`).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import duckdb
import orjson
import pyarrow as pa

from gridbot.core.quick_values import rows_reader
from gridbot.records import codec
from gridbot.records.arrow_schemas import PRECISION
from gridbot.records.columns import RECORD_TYPES, Column, ColumnKind, columns_of
from gridbot.records.record_types import Record
from gridbot.store.commit import Rows, commit
from gridbot.store.context_rows import put_rows
from gridbot.store.kept_ids import kept_query, kept_types
from gridbot.store.row_contexts import CONTEXT_TABLE
from gridbot.store.row_putting import Putting, putting
from gridbot.store.sql_columns import OFFSETS, as_stored, sql_type

__all__ = ["Kept", "KeptRecords", "PackedRecords", "put_records"]

Kept = tuple[int, int, "Record | bytes"]
"""Number, time (µs UTC), and the record; of an order that is sent its JSON, which is all that was made of it."""
AMOUNT: Final = pa.decimal128(*PRECISION)
_POOL: Final = pa.system_memory_pool()
WHOLE: Final = (ColumnKind.INTEGER, ColumnKind.UTC_MS, ColumnKind.UTC_US)


@dataclass(frozen=True, slots=True)
class KeptRecords:
    """Records of an account by table, in the order of their numbers; `last_seq` is the highest."""

    account: str
    run_id: str
    last_seq: int
    tables: Mapping[str, Sequence[Kept]]

    def bodies(self) -> dict[str, list[bytes]]:
        """As a worker's journal has them."""
        return {table: [self._body(table, *each) for each in kept] for table, kept in self.tables.items()}

    def _body(self, table: str, seq: int, at_us: int, record: Record | bytes) -> bytes:
        if isinstance(record, bytes):
            return codec.body_of_data(codec.head_of(table, self.account, self.run_id), seq, at_us, record)
        return codec.body_of(self.account, self.run_id, seq, at_us, record)


class PackedRecords:
    """Records of one account as columns, a quarter of their size, until there are enough of them to be put."""

    def __init__(self, account: str, run_id: str) -> None:
        self.account = account
        self.run_id = run_id
        self.last_seq = 0
        self.count = 0
        self._parts: dict[str, list[pa.Table]] = {}

    def add(self, records: KeptRecords) -> None:
        """Add those that come next. They are of the same account and run."""
        self.last_seq = records.last_seq
        for table, kept in records.tables.items():
            self.count += len(kept)
            self._parts.setdefault(table, []).append(_columns(table, kept))

    def tables(self) -> dict[str, pa.Table]:
        """All of each table together."""
        return {table: _together(parts) for table, parts in self._parts.items()}

    def bodies(self) -> dict[str, list[bytes]]:
        """As a worker's journal has them, but that numbers have no more digits than they need."""
        return {table: [self._body(table, row) for row in rows.to_pylist()] for table, rows in self.tables().items()}

    def _body(self, table: str, row: dict[str, Any]) -> bytes:
        seq, at_us = row.pop("seq"), row.pop("local_ts")
        for column in columns_of(RECORD_TYPES[table]):
            if column.kind is ColumnKind.DECIMAL and row[column.name] is not None:
                row[column.name] = f"{Decimal(row[column.name]).normalize():f}"
        return codec.body_of_data(codec.head_of(table, self.account, self.run_id), seq, at_us, orjson.dumps(row))


def put_records(con: duckdb.DuckDBPyConnection, records: PackedRecords) -> None:
    """Insert them in one transaction, without the rollups, and commit. What fits no table goes to ingest_rejects."""
    try:
        con.begin()
        shared = {"account": records.account, "run_id": records.run_id}
        for table, rows in records.tables().items():
            con.register("kept", rows)
            if table == CONTEXT_TABLE:
                put_rows(con, _putting(table), shared, rows.num_rows)
            else:
                con.execute(_insert_sql(table), shared)
            con.unregister("kept")
        now = datetime.now(UTC).replace(tzinfo=None)
        con.execute(
            f"INSERT OR REPLACE INTO {as_stored(OFFSETS)} VALUES (?, ?, ?)", [records.account, records.last_seq, now]
        )
        con.commit()
    except (duckdb.DataError, duckdb.IntegrityError, duckdb.InvalidInputException, pa.ArrowException):
        con.rollback()
        commit(con, Rows(records.bodies(), {records.account: records.last_seq}), rolls_up=False)


def _together(parts: Sequence[pa.Table]) -> pa.Table:
    """Numbers of one part may be texts, as they have more digits than those of the others: then all are texts."""
    fields = {field.name: field for part in parts for field in part.schema}
    fields |= {field.name: field for part in parts for field in part.schema if pa.types.is_string(field.type)}
    schema = pa.schema(fields.values())
    return pa.concat_tables([part if part.schema == schema else part.cast(schema) for part in parts])


def _columns(table: str, kept: Sequence[Kept]) -> pa.Table:
    seqs, times, records = zip(*kept, strict=True)
    of_records = _values_of(table)
    columns, numbers = columns_of(RECORD_TYPES[table]), _numbers_of(table)
    made = iter(of_records([each for each in records if type(each) is not bytes]))
    rows = [_parsed(numbers, each) if type(each) is bytes else next(made) for each in records]
    arrays = [_made(seqs, pa.int64()), _made(times, pa.int64())]
    arrays += [_array(column, values) for column, values in zip(columns, zip(*rows, strict=True), strict=True)]
    return pa.table(arrays, names=["seq", "local_ts", *(column.name for column in columns)])


def _array(column: Column, values: Iterable[Any]) -> pa.Array:
    if column.kind in WHOLE:
        return _made(values, pa.int64())
    if column.kind is ColumnKind.BOOLEAN:
        return _made(values, pa.bool_())
    if column.kind is ColumnKind.DECIMAL:
        with contextlib.suppress(pa.ArrowInvalid):
            return _made(values, AMOUNT)
        values = [None if value is None else str(value) for value in values]  # more decimals: DuckDB rounds as ever
    return _made(values, pa.string())


def _made(values: Iterable[Any], kind: pa.DataType) -> pa.Array:
    """By the system's allocator: pyarrow's own keeps 8 MB more for itself."""
    return pa.array(values, kind, memory_pool=_POOL)


@functools.cache
def _values_of(table: str) -> Callable[[Sequence[Any]], list[tuple[Any, ...]]]:
    return rows_reader([column.name for column in columns_of(RECORD_TYPES[table])])


@functools.cache
def _numbers_of(table: str) -> tuple[tuple[str, bool], ...]:
    """Names of the columns, and whether each is a number with decimals."""
    return tuple((column.name, column.kind is ColumnKind.DECIMAL) for column in columns_of(RECORD_TYPES[table]))


def _parsed(numbers: Iterable[tuple[str, bool]], text: bytes) -> list[Any]:
    """The values of a record that is JSON already."""
    values = orjson.loads(text)
    return [
        Decimal(value) if is_number and value is not None else value
        for name, is_number in numbers
        for value in (values[name],)
    ]


@functools.cache
def _insert_sql(table: str) -> str:
    names = ", ".join(f'"{name}"' for name in kept_types(table))
    return f"INSERT INTO {as_stored(table)} ({names}) {kept_query(table, _values_sql(table), 'kept')}"


@functools.cache
def _putting(table: str) -> Putting:
    return putting(_values_sql(table), "kept", frozenset(("account", "run_id")), texts=False)


def _values_sql(table: str) -> dict[str, str]:
    values = {"account": "CAST($account AS VARCHAR)", "run_id": "CAST($run_id AS VARCHAR)", "seq": "seq"}
    values["local_ts"] = "make_timestamp(local_ts)"
    return values | {column.name: _value(column) for column in columns_of(RECORD_TYPES[table])}


def _value(column: Column) -> str:
    name = f'"{column.name}"'
    match column.kind:
        case ColumnKind.UTC_MS:
            return f"make_timestamp({name} * 1000)"
        case ColumnKind.UTC_US:
            return f"make_timestamp({name})"
        case ColumnKind.DECIMAL | ColumnKind.JSON:
            return f"CAST({name} AS {sql_type(column)})"
    return name
