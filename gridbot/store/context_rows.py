"""Stores executions by the statements of `gridbot.store.row_contexts`, inside the caller's transaction."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, Final

import duckdb

from gridbot.records.codec import CodecError
from gridbot.store.kept_ids import text_of
from gridbot.store.row_contexts import CONTEXTS, CONTEXTS_AGAIN, user_types
from gridbot.store.row_putting import Putting, putting
from gridbot.store.row_units import FINER, HAS_TEXTS, POORLY_SAID

__all__ = ["keep_contexts_again", "make_finer", "put_rows", "take_over_rows"]

_VALUE: Final = re.compile(r"\$([a-z_]+)")


_MOST_KEPT: Final = 64
_KEPT: Final = dict[str, duckdb.Statement]()
"""Statements as DuckDB has parsed them, by their text: to parse one of these takes 7 ms, to plan it 10."""


def _parsed(con: duckdb.DuckDBPyConnection, statement: str) -> duckdb.Statement:
    """The statement, parsed once for all connections."""
    found = _KEPT.get(statement)
    if found is None:
        [found] = con.extract_statements(statement)
        if len(_KEPT) >= _MOST_KEPT:
            _KEPT.clear()
        _KEPT[statement] = found
    return found


@functools.lru_cache(maxsize=512)
def _wanted(statement: str) -> frozenset[str]:
    return frozenset(_VALUE.findall(statement))


def put_rows(
    con: duckdb.DuckDBPyConnection,
    statements: Putting,
    values: Mapping[str, Any],
    count: int | None,
    path: str = "",
    into: str = "",
) -> int:
    """Store all rows of the source, which are `count` (None: it is not known), and return how many.

    `path`: of the file that the source reads as `$path`; `into`: as of `putting`. Raise duckdb.Error, CodecError
    where they are not as many.
    """

    def execute(statement: str, **more: Any) -> int:
        known = {"path": path, **values, **more}
        wanted = {name: known[name] for name in _wanted(statement)}
        row = con.execute(_parsed(con, statement), wanted).fetchone()
        return int(row[0]) if row else 0

    if count is None:
        execute(statements.learn)
    stored = execute(statements.put)
    if count is not None and stored < count:
        [(before,)] = con.execute(f"SELECT coalesce(max(context), 0) FROM {into}{CONTEXTS}").fetchall()
        if execute(statements.learn):
            stored += execute(statements.put_rest, before=before)
    if count is not None and stored != count:
        raise CodecError(f"expected {count} rows of executions, got {stored}")
    return stored


def keep_contexts_again(con: duckdb.DuckDBPyConnection) -> None:
    """Write once more the contexts that earlier transactions have made."""
    highest = f"(SELECT coalesce(max(context), 0) FROM {CONTEXTS_AGAIN})"
    con.execute(f"INSERT INTO {CONTEXTS_AGAIN} FROM {CONTEXTS} WHERE context > {highest}")


def make_finer(con: duckdb.DuckDBPyConnection, fresh: int) -> None:
    """Make contexts that suit the next rows, where more than a few of the newest had to be stored as texts. `fresh`:
    where the rows of this transaction begin."""
    if con.execute(HAS_TEXTS, {"fresh": fresh}).fetchone() is None:
        return
    [(contexts,)] = con.execute(POORLY_SAID, {"fresh": fresh}).fetchall()
    if contexts:
        con.execute(FINER, {"contexts": contexts, "fresh": fresh})


def take_over_rows(con: duckdb.DuckDBPyConnection, types: Mapping[str, str], source: str, into: str = "") -> int:
    """Store the rows of `source`, a table with these columns as any version has stored them, or a query of such rows
    in parentheses. How many. `into`: a database, with a dot behind it. Raise duckdb.Error.
    """
    texts = {name: text_of(name) if types.get(name, "").startswith("UUID") else name for name in user_types()}
    values = {name: texts[name] if name in types else f"CAST(NULL AS {kind})" for name, kind in user_types().items()}
    return put_rows(con, putting(values, source, into=into, texts=False), {}, None, into=into)
