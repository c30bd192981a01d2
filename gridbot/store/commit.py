"""One transaction of the store: inserting records with their offsets, deleting those that are too old.

The rows and the number of each account's last record change together, so a crash leaves both or neither. That is what
makes records arrive exactly once: the tables themselves have no keys.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import duckdb

from gridbot.records import codec
from gridbot.records.block_reader import Part
from gridbot.records.codec import CodecError
from gridbot.records.columns import RECORD_TYPES
from gridbot.store.bulk import LOAD_FROM, append, load, load_parts
from gridbot.store.context_rows import keep_contexts_again, make_finer
from gridbot.store.file_errors import first_line
from gridbot.store.grid_marks import mark_corrections, mark_executions
from gridbot.store.grid_retention import forget_gone
from gridbot.store.rollups import REMOVED_SUMS, ROLLUP_SOURCES, ROLLUPS
from gridbot.store.row_contexts import CONTEXT_TABLE, local_time, rows_table
from gridbot.store.schema import create_table_sql
from gridbot.store.sql_columns import OFFSETS, as_stored

__all__ = ["GONE_AT_ONCE", "Rows", "commit", "delete_older", "roll_up", "stored_offsets"]

log = logging.getLogger("gridbot.store")

_MISFIT: Final = (
    duckdb.DataError,
    duckdb.IntegrityError,
    duckdb.ProgrammingError,
    duckdb.InvalidInputException,
    CodecError,
)
"""What says that a record fits no row. Others, such as a want of memory, say nothing about a record."""
_PAIRED: Final[dict[str, Callable[[duckdb.DuckDBPyConnection, str], None]]] = {
    "executions": mark_executions,
    "corrections": mark_corrections,
}
"""What notes that pairs are to be matched because of rows of these tables, in this order."""
GONE_AT_ONCE: Final = 500_000
"""Rows that a transaction deletes because of their age: 0.1 s of executions, which are added up, 20 ms of others."""
_CLOCKS_APART: Final = timedelta(hours=1)
"""An execution whose time on the exchange is more than this after our own is deleted so much later."""
_SCRATCH: Final[dict[str, Any]] = {"threads": 1, "async_threads": 1, "memory_limit": "1GB"}


@dataclass(slots=True)
class Rows:
    """What goes into one transaction: bodies of frames by table, offsets by account, and what was wrong.

    `parts`: parts of blocks by table.
    """

    tables: dict[str, list[bytes]] = field(default_factory=dict)
    offsets: dict[str, int] = field(default_factory=dict)
    gaps: list[tuple[str, int, int, str]] = field(default_factory=list)
    rejects: list[tuple[str, int | None, str | None, str, str]] = field(default_factory=list)
    seen_at: dict[str, datetime] = field(default_factory=dict)
    """When an account's newest record came, UTC, where that is not now."""
    parts: dict[str, list[Part]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        bodies = sum(len(rows) for rows in self.tables.values())
        return bodies + sum(part.count for parts in self.parts.values() for part in parts)

    def take_apart(self) -> None:
        """Make bodies of all parts of blocks. One that cannot be taken apart is a reject."""
        parts, self.parts = self.parts, {}
        for table, found in parts.items():
            bodies = self.tables.setdefault(table, [])
            for part in found:
                try:
                    bodies += [body for _, body in part.numbered()]
                except CodecError as exc:
                    self.rejects.append((part.account, None, table, str(exc), part.lines))
                    log.error("records of account %s cannot be read: %s", part.account, exc)

    def __bool__(self) -> bool:
        return bool(self.offsets or self.gaps or self.rejects)


def stored_offsets(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Last committed number per account."""
    return dict(con.execute(f"SELECT account, seq FROM {OFFSETS}").fetchall())


def commit(con: duckdb.DuckDBPyConnection, rows: Rows, *, rolls_up: bool = True, replaces: str = "") -> None:
    """Insert everything in one transaction and commit it. Records that fit no table go to ingest_rejects.

    Without `rolls_up` the rollups stay as they are: of many small commits it is quicker to `roll_up` some together.
    `replaces`: a table that is emptied in the same transaction, since the rows were in it.
    """
    try:
        _commit(con, rows, bulk=True, rolls_up=rolls_up, replaces=replaces)
    except _MISFIT:
        with contextlib.suppress(duckdb.Error):
            con.rollback()
        rows.take_apart()
        _reject_misfits(rows)
        _commit(con, rows, bulk=False, rolls_up=rolls_up, replaces=replaces)


def roll_up(con: duckdb.DuckDBPyConnection, account: str, above: int) -> None:
    """Add the rows of an account that are numbered above `above`, and were committed without, to the rollups, and
    note which pairs are to be matched (`keep_all`)."""
    con.begin()
    text = account.replace("'", "''")
    for rollup in ROLLUPS:
        for statement in rollup.statements(
            f"(SELECT * FROM {as_stored(rollup.source)} WHERE account = '{text}' AND seq > {above})"
        ):
            con.execute(statement)
    for table, mark in _PAIRED.items():
        mark(con, f"(SELECT * FROM {as_stored(table)} WHERE account = '{text}' AND seq > {above})")
    con.commit()


def _commit(con: duckdb.DuckDBPyConnection, rows: Rows, *, bulk: bool, rolls_up: bool, replaces: str) -> None:
    con.begin()
    if replaces:
        con.execute(f"DELETE FROM {replaces}")
    now = datetime.now(UTC).replace(tzinfo=None)
    if CONTEXT_TABLE in rows.tables or CONTEXT_TABLE in rows.parts:
        keep_contexts_again(con)
    for table in dict.fromkeys((*rows.tables, *rows.parts)):
        bodies, parts = rows.tables.get(table, []), rows.parts.get(table, [])
        if bodies or parts:
            fill = _filling(bodies, parts, bulk=bulk)
            if rolls_up:
                _insert(con, table, fill)
            else:
                fill(con, table, "")
    if CONTEXT_TABLE in rows.tables or CONTEXT_TABLE in rows.parts:
        make_finer(con, _first_uncommitted())
    if rolls_up:
        _mark_pairs(con, rows)
    for account, seq in rows.offsets.items():
        values = [account, seq, rows.seen_at.get(account, now)]
        con.execute(f"INSERT OR REPLACE INTO {as_stored(OFFSETS)} VALUES (?, ?, ?)", values)
    for gap in rows.gaps:
        con.execute("INSERT INTO ingest_gaps VALUES (?, ?, ?, ?, ?)", [*gap, now])
    for reject in rows.rejects:
        con.execute("INSERT INTO ingest_rejects VALUES (?, ?, ?, ?, ?, ?)", [*reject, now])
    con.commit()


def delete_older(
    con: duckdb.DuckDBPyConnection, table: str, days: float, now_us: int, at_once: int = GONE_AT_ONCE
) -> int:
    """Delete rows of a record table that were recorded more than `days` before `now_us` (µs UTC), `at_once` at most;
    return how many.

    The first in the table, which are the oldest: DuckDB lets go of whole row groups, at 0.02 µs a row.
    """
    if table not in RECORD_TYPES:
        raise ValueError(f"expected one of {', '.join(RECORD_TYPES)}, got {table!r}")
    before = datetime.fromtimestamp(now_us / 1e6, UTC).replace(tzinfo=None) - timedelta(days=days)
    is_before = f"< TIMESTAMP '{before.isoformat(' ')}'"
    if table == CONTEXT_TABLE:  # a time that is worked out passes over no row group
        is_before += f" AND exchange_ts < TIMESTAMP '{(before + _CLOCKS_APART).isoformat(' ')}'"
    is_old, is_old_row = f"local_ts {is_before}", f"{local_time(table)} {is_before}"
    con.begin()
    some = f"SELECT max(rowid) FROM (SELECT rowid FROM {rows_table(table)} WHERE {is_old_row} LIMIT {at_once})"
    [(last,)] = con.execute(some).fetchall()
    if last is None:
        con.rollback()
        return 0
    is_gone = f"{is_old} AND rowid <= {last}"
    gone = f"(SELECT * FROM {as_stored(table)} WHERE {is_gone})"
    if table == REMOVED_SUMS.source:
        for statement in REMOVED_SUMS.statements(gone):
            con.execute(statement)
    if table == "executions":
        forget_gone(con, gone, f"(SELECT * FROM {as_stored(table)} WHERE NOT ({is_gone}))")
    row = con.execute(f"DELETE FROM {rows_table(table)} WHERE {is_old_row} AND rowid <= {last}").fetchone()
    con.commit()
    return int(row[0]) if row else 0


_Fill = Callable[[duckdb.DuckDBPyConnection, str, str], None]
"""Puts the records of a table into it, or into another one of that name."""


def _filling(bodies: list[bytes], parts: list[Part], *, bulk: bool) -> _Fill:
    def fill(con: duckdb.DuckDBPyConnection, table: str, into: str) -> None:
        if bodies:
            (load if bulk and len(bodies) >= LOAD_FROM else append)(con, table, bodies, into)
        if parts:
            load_parts(con, table, parts, into)

    return fill


def _insert(con: duckdb.DuckDBPyConnection, table: str, fill: _Fill) -> None:
    """Put records into their table, and what they change into its rollups."""
    rollups = [rollup for rollup in ROLLUPS if rollup.source == table] if table in ROLLUP_SOURCES else []
    fresh = _fresh(table)
    if any(rollup.newest for rollup in rollups):  # DuckDB 2.0 cannot look for newest rows among those of `_fresh`
        fresh = f"temp.fresh_{table}"
        con.execute(create_table_sql(table, f"fresh_{table}", temporary=True))
        fill(con, table, fresh)
        con.execute(f"INSERT INTO {as_stored(table)} BY NAME SELECT * FROM {fresh}")
    else:
        fill(con, table, "")
    for rollup in rollups:
        for statement in rollup.statements(fresh):
            con.execute(statement)
    if fresh.startswith("temp."):
        con.execute(f"DROP TABLE {fresh}")


def _fresh(table: str) -> str:
    """Query of the rows that this transaction has put into a table."""
    return f"(SELECT * FROM {as_stored(table)} WHERE rowid >= {_first_uncommitted()})"


@functools.cache
def _first_uncommitted() -> int:
    """Where DuckDB counts the rows of a transaction from, far above all that are committed. It keeps them apart, and
    with a bound for `rowid` it looks at nothing else, however large the table is (`tests/store/test_commit.py`)."""
    with duckdb.connect(config=_SCRATCH) as scratch:
        scratch.execute("CREATE TABLE found (n INTEGER); BEGIN; INSERT INTO found VALUES (1)")
        [(first,)] = scratch.execute("SELECT min(rowid) FROM found").fetchall()
        return int(first)


def _mark_pairs(con: duckdb.DuckDBPyConnection, rows: Rows) -> None:
    """Note which legs have executions to be matched, once all of them are in their tables."""
    for table, mark in _PAIRED.items():
        if table in ROLLUP_SOURCES and (rows.tables.get(table) or rows.parts.get(table)):
            mark(con, _fresh(table))


def _reject_misfits(rows: Rows) -> None:
    """Try the records in memory; move those that do not fit to the rejects."""
    with duckdb.connect(config=_SCRATCH) as scratch:
        for table, bodies in rows.tables.items():
            scratch.execute(create_table_sql(table))
            errors = _misfits(scratch, table, bodies, range(len(bodies)))
            for at, error in errors.items():
                doc = codec.parse(bodies[at])
                rows.rejects.append((doc["account"], doc["seq"], table, error, bodies[at].decode()))
                log.error("record %s of account %s fits no row of %s: %s", doc["seq"], doc["account"], table, error)
            rows.tables[table] = [body for at, body in enumerate(bodies) if at not in errors]


def _misfits(con: duckdb.DuckDBPyConnection, table: str, bodies: list[bytes], tried: range) -> dict[int, str]:
    """Which of the records that are tried fit no row, with the reason.

    All of them at once, and where that fails each half: alone, executions take 20 ms each, and a transaction may have
    84,000.
    """
    if not tried:
        return {}
    try:
        append(con, table, bodies[tried.start : tried.stop])
    except _MISFIT as exc:
        if len(tried) == 1:
            return {tried.start: first_line(exc)}
        half = len(tried) // 2
        return _misfits(con, table, bodies, tried[:half]) | _misfits(con, table, bodies, tried[half:])
    return {}
