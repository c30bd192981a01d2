"""Takes over what can be read of an old, perhaps damaged database: table by table, money first.

DuckDB checks each block that it reads against its checksum. A table is copied by ranges of rows; a range that cannot be
read is halved until only the rows of the damaged blocks are left out. Those are counted, never guessed. An error of any
other kind ends the rescue: it says nothing about the old file.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

import duckdb

from gridbot.records.columns import RECORD_TYPES
from gridbot.store.context_rows import take_over_rows
from gridbot.store.file_errors import first_line, is_damage
from gridbot.store.grid_marks import mark_all
from gridbot.store.kept_ids import kept_from, kept_types
from gridbot.store.rollups import KEPT_SQLS, ROLLUPS
from gridbot.store.row_contexts import (
    CONTEXT_TABLE,
    CONTEXTS,
    CONTEXTS_AGAIN,
    FOUND,
    ROWS,
    rows_of_version_9,
    whole_rows,
)
from gridbot.store.sql_columns import LANDED, OFFSETS, as_stored, known_name
from supervisor.store.row_ranges import Rows, read_in_pieces, row_ranges

__all__ = ["TableLoss", "Taken", "committed_numbers", "take_over"]

log = logging.getLogger("supervisor.store")

MONEY_FIRST: Final = ("executions", "corrections", "adjustments", "wallets", "position_events", "orders")
TABLES: Final = (*MONEY_FIRST, *(table for table in RECORD_TYPES if table not in MONEY_FIRST))
NUMBERS: Final = (
    dict.fromkeys((as_stored(table) for table in TABLES), "seq")
    | {LANDED: "seq"}
    | {"ingest_gaps": "to_seq", "ingest_rejects": "seq"}
)
"""Tables in the order in which they are copied, each with the column that has the record's number."""


@dataclass(frozen=True, slots=True)
class TableLoss:
    """Rows of a table of the old file that no journal has and that cannot be read; `rows` is None when unknown."""

    table: str
    rows: int | None
    reason: str

    def __str__(self) -> str:
        rows = "an unknown number of rows" if self.rows is None else f"{self.rows} rows"
        return f"{self.table}: {rows} of the old file cannot be read ({self.reason})"


@dataclass(frozen=True, slots=True)
class Taken:
    """What `take_over` did: rows copied by table (tables without any are left out), and what is lost."""

    copied: Mapping[str, int]
    losses: tuple[TableLoss, ...]


def committed_numbers(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Number of the last record of each account in the attached database `old`.

    Where the table that tells it cannot be read, the largest number that a readable table has.
    """
    try:
        return dict(con.execute(f"SELECT account, seq FROM old.{OFFSETS}").fetchall())
    except duckdb.Error as exc:
        _require_unreadable(exc)
        log.warning("ingest_offsets of the old file cannot be read (%s); the rows' own numbers count", first_line(exc))
    numbers: dict[str, int] = {}
    known = _old_tables(con)
    for table in (*map(as_stored, TABLES), LANDED):
        name = known.get(table)
        if name is None:
            continue
        try:
            read_in_pieces(row_ranges(con, f"old.{name}"), partial(_note_largest, con, _rows_of(con, name), numbers))
        except duckdb.Error as exc:
            _require_unreadable(exc)
    return numbers


def take_over(con: duckdb.DuckDBPyConnection, befores: Mapping[str, int]) -> Taken:
    """Copy from the attached database `old` into `fresh` each account's records below its number in `befores`."""
    con.execute("CREATE OR REPLACE TEMP TABLE befores (account VARCHAR PRIMARY KEY, before BIGINT NOT NULL)")
    con.executemany("INSERT INTO befores VALUES (?, ?)", list(befores.items()) or [("", 0)])
    copied: dict[str, int] = {}
    losses: list[TableLoss] = []
    known = _old_tables(con)
    for table in (table for table in NUMBERS if table in known):
        count, loss = _copy_table(con, table, known[table])
        if count:
            copied[known_name(table)] = count
        if loss:
            losses.append(loss)
    now = datetime.now(UTC).replace(tzinfo=None)
    for account, before in befores.items():
        con.execute(f"INSERT INTO fresh.{as_stored(OFFSETS)} VALUES (?, ?, ?)", [account, before - 1, now])
    losses += _copy_rollups(con, befores, known)
    return Taken(copied, tuple(losses))


def _old_tables(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """What the old file calls the tables of today. One of an earlier version does not have them all, and up to version
    4 the stored rows were under the names that are views since."""
    found = con.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'old'").fetchall()
    names = {str(name) for (name,) in found}
    known = {as_stored(name): name for name in names} | {name: name for name in names}
    return known | {as_stored(CONTEXT_TABLE): ROWS} if ROWS in names else known


def _rows_of(con: duckdb.DuckDBPyConnection, name: str) -> str:
    """The rows of a table of the old file, as something to select from. Of executions they may be in two tables."""
    if name != ROWS:
        return f"old.{name}"
    contexts = _readable_contexts(con)
    columns = con.execute(f"SELECT name FROM pragma_table_info('old.{contexts}')").fetchall()
    if {column for (column,) in columns}.isdisjoint(FOUND):
        return f"({rows_of_version_9(f'old.{ROWS}', f'old.{contexts}')})"
    return f"({whole_rows('old.', contexts)})"


def _readable_contexts(con: duckdb.DuckDBPyConnection) -> str:
    """The one of the two tables of the same contexts that can be read; where neither can, the first. The first files
    of version 9 had that one alone."""
    known = _old_tables(con)
    for table in (table for table in (CONTEXTS, CONTEXTS_AGAIN) if table in known):
        try:
            con.execute(f"SELECT bit_xor(hash(COLUMNS(*))) FROM old.{table}").fetchall()
        except duckdb.Error as exc:
            _require_unreadable(exc)
            log.warning("%s cannot be read in the old file (%s)", table, first_line(exc))
        else:
            return table
    return CONTEXTS


def _require_unreadable(error: duckdb.Error) -> None:
    """Raise what says nothing about the old file, such as a want of memory or of room: nothing is lost by it."""
    if not is_damage(error):
        raise error


def _copy_table(con: duckdb.DuckDBPyConnection, table: str, name: str) -> tuple[int, TableLoss | None]:
    """Rows copied into `table` from the one that the old file calls `name`, and what could not be."""
    copied = 0
    types = _types(con, name)

    def copy(rows: Rows) -> None:
        nonlocal copied
        wanted = f"(SELECT * {_wanted(con, table, name, rows)})"
        if table == as_stored(CONTEXT_TABLE):
            copied += take_over_rows(con, types, wanted, "fresh.")
            return
        copied += _count(con, f"INSERT INTO fresh.{table} BY NAME {kept_from(_kind_of(table), types, wanted)}")

    try:
        failed = read_in_pieces(row_ranges(con, f"old.{name}"), copy)
    except duckdb.Error as exc:
        _require_unreadable(exc)
        return 0, TableLoss(known_name(table), None, first_line(exc))
    lost = sum(_count_lost(con, table, name, rows) for rows, _ in failed)
    reason = first_line(failed[0][1]) if failed else _NO_CONTEXT
    if name == ROWS:
        read_in_pieces(row_ranges(con, f"old.{name}"), partial(_count_nameless, con, found := list[int]()))
        lost += sum(found)
    return copied, TableLoss(known_name(table), lost, reason) if lost else None


_NO_CONTEXT: Final = "what they have in common, such as their account, is lost"


def _count_nameless(con: duckdb.DuckDBPyConnection, found: list[int], rows: Rows) -> None:
    """Executions that can be read, but not whose they are; without those that some journal has, whosever they are."""
    known = f"SELECT context FROM old.{_readable_contexts(con)}"
    below = "(SELECT max(before) FROM befores)"
    statement = f"SELECT count(*) FROM old.{ROWS} AS o WHERE {rows.sql} AND seq < {below} AND context NOT IN ({known})"
    found.append(_count(con, statement))


def _types(con: duckdb.DuckDBPyConnection, name: str) -> dict[str, str]:
    """Columns of the rows of a table of the old file with their types: it may have ids as texts."""
    if name == ROWS:
        return kept_types(CONTEXT_TABLE)
    return dict(con.execute(f"SELECT name, type FROM pragma_table_info('old.{name}')").fetchall())


def _kind_of(table: str) -> str:
    """The kind whose columns a table has."""
    kinds = {as_stored(kind): kind for kind in RECORD_TYPES} | {rollup.table: rollup.source for rollup in ROLLUPS}
    return kinds.get(table, table)


def _wanted(con: duckdb.DuckDBPyConnection, table: str, name: str, rows: Rows) -> str:
    rows_sql = f"{rows.sql} AND kind <> '{OFFSETS}'" if table == LANDED else rows.sql
    below = "(SELECT before FROM befores AS b WHERE b.account = o.account)"
    return f"FROM {_rows_of(con, name)} AS o WHERE {rows_sql} AND coalesce(o.{NUMBERS[table]}, 0) < {below}"


def _count_lost(con: duckdb.DuckDBPyConnection, table: str, name: str, rows: Rows) -> int:
    """How many of the unreadable rows no journal has; all of them where their numbers cannot be read either."""
    try:
        return _count(con, f"SELECT count(*) {_wanted(con, table, name, rows)}")
    except duckdb.Error as exc:
        _require_unreadable(exc)
        return _count(con, f"SELECT count(*) FROM old.{name} WHERE {rows.sql}")


def _copy_rollups(
    con: duckdb.DuckDBPyConnection, befores: Mapping[str, int], known: Mapping[str, str]
) -> list[TableLoss]:
    """Make the rollups of the copied rows, and copy what the old file has of rows that retention has removed."""
    losses = {}
    con.execute("USE fresh")
    for rollup in ROLLUPS:
        for statement in rollup.statements(as_stored(rollup.source)):
            con.execute(statement)
    mark_all(con)
    for table, statement in KEPT_SQLS:
        name = known.get(as_stored(table))
        if name is None:
            continue
        for account, before in befores.items():
            try:
                rows = kept_from(_kind_of(as_stored(table)), _types(con, name), f"old.{name}")
                con.execute(statement.format(rows=f"({rows})"), [account, before])
            except duckdb.Error as exc:
                _require_unreadable(exc)
                losses[table] = TableLoss(table, None, first_line(exc))
    con.execute("USE memory")
    return list(losses.values())


def _note_largest(con: duckdb.DuckDBPyConnection, table: str, numbers: dict[str, int], rows: Rows) -> None:
    statement = f"SELECT account, max(seq) FROM {table} WHERE {rows.sql} GROUP BY account"
    for account, seq in con.execute(statement).fetchall():
        numbers[account] = max(seq, numbers.get(account, 0))


def _count(con: duckdb.DuckDBPyConnection, statement: str) -> int:
    row = con.execute(statement).fetchone()
    return int(row[0]) if row else 0
