"""Columns of the record types as SQL: their types, and how a value of a frame's JSON becomes one.

Here stand also the names under which rows are stored. Users read `executions`, a view; its rows are in the table
`executions_stored`, and for up to two minutes in `landed` (see `gridbot.store.landing`).
"""

from __future__ import annotations

from typing import Final

from gridbot.records.columns import RECORD_TYPES, Column, ColumnKind, columns_of
from gridbot.records.record_types import Header

__all__ = [
    "LANDED",
    "OFFSETS",
    "as_stored",
    "json_type",
    "known_name",
    "quote",
    "sql_type",
    "table_columns",
    "value_sql",
]

LANDED: Final = "landed"
"""Table of what has arrived and is not in the tables of its kind yet."""
OFFSETS: Final = "ingest_offsets"

_SQL_TYPES: Final = {
    ColumnKind.TEXT: "VARCHAR",
    ColumnKind.INTEGER: "BIGINT",
    ColumnKind.BOOLEAN: "BOOLEAN",
    ColumnKind.DECIMAL: "DECIMAL(38, 12)",
    ColumnKind.UTC_MS: "TIMESTAMP",
    ColumnKind.UTC_US: "TIMESTAMP",
    ColumnKind.JSON: "JSON",
}


def as_stored(name: str) -> str:
    """Table in which the rows are kept that users read under this name."""
    return f"{name}_stored"


_KNOWN_NAMES: Final = {
    LANDED: "records of the last two minutes, of any kind",
    as_stored("execution_rows"): "executions",
    as_stored("execution_contexts"): "what executions have in common",
    as_stored("execution_contexts_again"): "what executions have in common",
}


def known_name(table: str) -> str:
    """What people call a table of rows; any other table by its name."""
    return _KNOWN_NAMES.get(table) or table.removesuffix(as_stored(""))


def table_columns(table: str) -> tuple[Column, ...]:
    """Columns of a record table: the header's, then the record's own."""
    return columns_of(Header) + columns_of(RECORD_TYPES[table])


def sql_type(column: Column) -> str:
    """DuckDB type of a column."""
    return _SQL_TYPES[column.kind]


def json_type(column: Column) -> str:
    """Type in which a JSON reader takes a value of a column."""
    if column.kind in (ColumnKind.UTC_MS, ColumnKind.UTC_US):
        return "BIGINT"
    return "VARCHAR" if column.kind is ColumnKind.JSON else sql_type(column)


def value_sql(column: Column, name: str, cast: str = "CAST") -> str:
    """Expression of a column's value, made of one that was read as `json_type`."""
    if column.kind is ColumnKind.UTC_MS:
        return f"make_timestamp({name} * 1000)"
    if column.kind is ColumnKind.UTC_US:
        return f"make_timestamp({name})"
    return f"{cast}({name} AS JSON)" if column.kind is ColumnKind.JSON else name


def quote(text: str) -> str:
    """SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
