"""Ids of the exchange as they are stored: a UUID in 16 bytes instead of 36 characters, and any other text as it is.

Bybit's ids of executions, orders and trades are UUIDs, written in lower case with dashes. Such a text is stored as the
UUID that it says. Any other one (`E-1` of a shadow strategy, a UUID in upper case) is stored as the MD5 of it, and
the text itself stands in the column `odd_ids`, as JSON by column name; an empty text is the UUID of zeros alone. So a
column is a key of its texts: two of them are equal where the texts are. `rows_query` gives the texts again, byte for
byte.

Nobody reads these columns but by `rows_query`, which the views of the records are made of.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from gridbot.store.sql_columns import as_stored, sql_type, table_columns

__all__ = [
    "IDS",
    "ODD",
    "as_texts",
    "has_texts",
    "kept_from",
    "kept_row",
    "kept_steps",
    "kept_types",
    "kept_values",
    "rows_query",
]

IDS: Final[dict[str, tuple[str, ...]]] = {
    "executions": ("exec_id", "order_id"),
    "corrections": ("exec_id",),
    "orders": ("order_id",),
    "public_trades": ("trade_id",),
}
"""Columns with ids of the exchange, by table."""
ODD: Final = "odd_ids"
_NIL: Final = "00000000-0000-0000-0000-000000000000"
_USUAL: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def kept_types(table: str) -> dict[str, str]:
    """Types of the columns in which a record table's rows are stored, by name and in order."""
    ids = IDS.get(table, ())
    found = {
        column.name: ("UUID" if column.name in ids else sql_type(column)) + ("" if column.nullable else " NOT NULL")
        for column in table_columns(table)
    }
    return found | {ODD: "VARCHAR"} if ids else found


def rows_query(table: str, source: str = "") -> str:
    """Query of the rows that are stored in `source` (the table's own, when empty), with the columns that users read."""
    ids = IDS.get(table, ())
    listed = ", ".join(
        f"{_text(column.name)} AS {column.name}" if column.name in ids else f'"{column.name}"'
        for column in table_columns(table)
    )
    return f"SELECT {listed} FROM {source or as_stored(table)}"


def as_texts(query: str) -> str:
    """Query with the ids of the rows of `query` as they are: a table of it is read by `rows_query`, too."""
    return f"SELECT *, CAST(NULL AS VARCHAR) AS {ODD} FROM ({query})"


def _text(name: str) -> str:
    usual = f"CASE CAST({name} AS VARCHAR) WHEN '{_NIL}' THEN '' ELSE CAST({name} AS VARCHAR) END"
    return f"CASE WHEN {ODD} IS NULL THEN {usual} ELSE coalesce({ODD} ->> '{name}', {usual}) END"


def kept_values(table: str, values: Mapping[str, str]) -> dict[str, str]:
    """Expressions of the stored columns, from those of the columns that users read."""
    ids = IDS.get(table, ())
    found = {name: _key(value) if name in ids else value for name, value in values.items()}
    return found | {ODD: _odd({name: values[name] for name in ids})} if ids else found


def _key(text: str) -> str:
    uuid = f"TRY_CAST({text} AS UUID)"
    others = f"CAST(CASE {text} WHEN '' THEN '{_NIL}' ELSE md5({text}) END AS UUID)"
    return f"CASE WHEN {_is_usual(text)} THEN {uuid} ELSE {others} END"


def _is_usual(text: str) -> str:
    return f"(CAST(TRY_CAST({text} AS UUID) AS VARCHAR) = {text} AND {text} <> '{_NIL}')"


def _odd(texts: Mapping[str, str]) -> str:
    usual = " AND ".join(f"coalesce({_is_usual(text)} OR {text} = '', false)" for text in texts.values())
    pairs = ", ".join(f"'{name}', {text}" for name, text in texts.items())
    return f"CASE WHEN NOT ({usual}) THEN CAST(json_object({pairs}) AS VARCHAR) END"


def kept_row(table: str, names: Sequence[str], row: Sequence[Any]) -> tuple[Any, ...]:
    """The same of one row of values: `row` has them in the order of `names`, the columns that users read."""
    ids = IDS.get(table, ())
    if not ids:
        return tuple(row)
    kept, odd = list(row), {}
    for name in ids:
        at = names.index(name)
        text = kept[at]
        if text == "":
            kept[at] = _NIL
        elif type(text) is str and (_USUAL.fullmatch(text) is None or text == _NIL):
            odd[name] = text
            kept[at] = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    kept.append(orjson.dumps(odd).decode() if odd else None)
    return tuple(kept)


# -- rows that were stored as texts ------------------------------------------------------------------------------------


def has_texts(table: str, types: Mapping[str, str]) -> bool:
    """Whether stored rows of a table with columns of these types have their ids as texts, as up to version 7."""
    return any(types.get(name) == "VARCHAR" for name in IDS.get(table, ()))


def kept_from(table: str, types: Mapping[str, str]) -> str:
    """What to select of stored rows with columns of these types, so that they are as they are stored today."""
    if not has_texts(table, types):
        return "*"
    ids = [name for name in IDS[table] if name in types]
    changed = ", ".join(f"{_key(name)} AS {name}" for name in ids)
    return f"* REPLACE ({changed}), {_odd({name: name for name in ids})} AS {ODD}"


def kept_steps(table: str, name: str) -> list[str]:
    """Statements that change the ids of the table `name` from texts, each column by itself: they take no more memory
    for more rows."""
    ids = IDS[table]
    odd = _odd({each: each for each in ids})
    return [
        f"ALTER TABLE {name} ADD COLUMN {ODD} VARCHAR",
        f"UPDATE {name} SET {ODD} = {odd} WHERE {odd} IS NOT NULL",
        *(f"ALTER TABLE {name} ALTER COLUMN {each} TYPE UUID USING {_key(each)}" for each in ids),
    ]
