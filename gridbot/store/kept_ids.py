"""Ids of the exchange as they are stored: a UUID in 16 bytes instead of 36 characters, and any other text as it is.

Bybit's ids of executions, orders and trades are UUIDs, written in lower case with dashes. Such a text is stored as the
UUID that it says, an empty one as that of zeros alone. Any other one (`E-1` of a shadow strategy, a UUID in upper case)
is stored as the MD5 of it, and the text itself stands in the column `odd_ids`, as JSON by column name. So a column is a
key of its texts: two of them are equal where the texts are. `rows_query` gives the texts again, byte for byte.

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
    "kept_query",
    "kept_row",
    "kept_steps",
    "kept_types",
    "key_of",
    "odd_texts",
    "parsed",
    "rows_query",
    "text_of",
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
_ZEROS: Final = f"CAST('{_NIL}' AS UUID)"
_USUAL: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def kept_types(table: str) -> dict[str, str]:
    """Types of the columns in which a record table's rows are stored, by name and in order."""
    ids = IDS.get(table, ())
    found = {
        column.name: ("UUID" if column.name in ids else sql_type(column)) + ("" if column.nullable else " NOT NULL")
        for column in table_columns(table)
    }
    return found | {ODD: "VARCHAR"} if ids else found


def rows_query(table: str, source: str = "", *, only: Sequence[str] = ()) -> str:
    """Query of the rows that are stored in `source` (the table's own, when empty), with the columns that users read.

    `only`: with these of them, in the table's order.
    """
    ids = IDS.get(table, ())
    listed = ", ".join(
        f"{text_of(column.name)} AS {column.name}" if column.name in ids else f'"{column.name}"'
        for column in table_columns(table)
        if not only or column.name in only
    )
    return f"SELECT {listed} FROM {source or as_stored(table)}"


def as_texts(query: str) -> str:
    """Query with the ids of the rows of `query` as they are: a table of it is read by `rows_query`, too."""
    return f"SELECT *, '{{}}' AS {ODD} FROM ({query})"


def text_of(name: str, of: str = "") -> str:
    """Expression of the text of an id. `of`: the table in front of its column, with a dot."""
    odd, name, texts = name, of + name, of + ODD
    # TRY_CAST does nothing to a UUID; what a fleet has read is texts (`as_texts`), and none of them may end a query.
    usual = f"CASE WHEN TRY_CAST({name} AS UUID) = {_ZEROS} THEN '' ELSE CAST({name} AS VARCHAR) END"
    return f"CASE WHEN {texts} IS NULL THEN {usual} ELSE coalesce({texts} ->> '{odd}', CAST({name} AS VARCHAR)) END"


def kept_query(table: str, values: Mapping[str, str], source: str) -> str:
    """Query of rows as they are stored, from those of `source`. `values`: expressions of the columns that users read.

    The columns are in the order of `values`, and `ODD` behind them.
    """
    ids = IDS.get(table, ())
    if not ids:
        return f"SELECT {', '.join(values.values())} FROM {source}"
    read = ", ".join(f'{value} AS "{name}"' for name, value in values.items())
    kept = [key_of(name) if name in ids else f'"{name}"' for name in values]
    return f"SELECT {', '.join(kept)}, {_odd(ids)} FROM {parsed(ids, f'(SELECT {read} FROM {source})')}"


def parsed(ids: Sequence[str], source: str) -> str:
    """Query, in parentheses, of the rows of `source` with the UUID of each id, and whether that is all that its text
    says. By the way, each text is parsed once only: that takes as long as reading all other columns."""
    parsed = ", ".join(f"TRY_CAST({name} AS UUID) AS {name}_uuid" for name in ids)
    usual = ", ".join(
        f"coalesce(CAST({name}_uuid AS VARCHAR) = {name} AND {name}_uuid <> {_ZEROS}, false) AS {name}_told"
        for name in ids
    )
    return f"(SELECT *, {usual} FROM (SELECT *, {parsed} FROM {source}))"


def key_of(name: str) -> str:
    """Expression of the UUID under which an id of the rows of `parsed` is kept."""
    others = f"CAST(CASE {name} WHEN '' THEN '{_NIL}' ELSE md5({name}) END AS UUID)"
    return f"CASE WHEN {name}_told THEN {name}_uuid ELSE {others} END"


def _odd(ids: Sequence[str]) -> str:
    told = " AND ".join(f"({name}_told OR {name} = '')" for name in ids)
    return f"CASE WHEN {told} THEN NULL ELSE CAST(json_object({odd_texts(ids)}) AS VARCHAR) END"


def odd_texts(ids: Sequence[str]) -> str:
    """The texts of ids by their names, as arguments of `json_object`."""
    return ", ".join(f"'{name}', {name}" for name in ids)


def kept_row(table: str, names: Sequence[str], row: Sequence[Any]) -> tuple[Any, ...]:
    """The same of one row of values: `row` has them in the order of `names`, the columns that users read."""
    ids = IDS.get(table, ())
    if not ids:
        return tuple(row)
    kept, texts, odd = list(row), {}, False
    for name in ids:
        at = names.index(name)
        text = texts[name] = kept[at]
        if text == "":
            kept[at] = _NIL
        elif type(text) is str and (_USUAL.fullmatch(text) is None or text == _NIL):
            odd = True
            kept[at] = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    kept.append(orjson.dumps(texts).decode() if odd else None)
    return tuple(kept)


# -- rows that were stored as texts ------------------------------------------------------------------------------------


def has_texts(table: str, types: Mapping[str, str]) -> bool:
    """Whether stored rows of a table with columns of these types have their ids as texts, as up to version 7."""
    return any(types.get(name) == "VARCHAR" for name in IDS.get(table, ()))


def kept_from(table: str, types: Mapping[str, str], source: str) -> str:
    """Query of the rows of `source`, stored with columns of these types, as they are stored today."""
    if not has_texts(table, types):
        return f"SELECT * FROM {source}"
    ids = [name for name in IDS[table] if name in types]
    changed = ", ".join(f"{key_of(name)} AS {name}" for name in ids)
    added = ", ".join(f"{name}_{end}" for name in ids for end in ("uuid", "told"))
    return f"SELECT * EXCLUDE ({added}) REPLACE ({changed}), {_odd(ids)} AS {ODD} FROM {parsed(ids, source)}"


def kept_steps(table: str, name: str) -> list[str]:
    """Statements that change the ids of the table `name` from texts, each column by itself: they take no more memory
    for more rows."""
    ids = IDS[table]
    told = {each: f"coalesce(CAST({_uuid(each)} AS VARCHAR) = {each} AND {each} <> '{_NIL}', false)" for each in ids}
    odd, keys = _odd(ids), {each: key_of(each) for each in ids}
    for each in ids:
        odd = odd.replace(f"{each}_told", told[each])
        keys[each] = keys[each].replace(f"{each}_told", told[each]).replace(f"{each}_uuid", _uuid(each))
    return [
        f"ALTER TABLE {name} ADD COLUMN {ODD} VARCHAR",
        f"UPDATE {name} SET {ODD} = {odd} WHERE {odd} IS NOT NULL",
        *(f"ALTER TABLE {name} ALTER COLUMN {each} TYPE UUID USING {key}" for each, key in keys.items()),
    ]


def _uuid(text: str) -> str:
    return f"TRY_CAST({text} AS UUID)"
