"""The records of a whole fleet for reading: what its hosts have shipped, with the tables, views and names of today.

`fill` makes a DuckDB of what PostgreSQL has at one moment: live rows, sums of always, newest rows. With `history` the
rows that are in the fleet's Parquet files come from there, read by the queries that want them (`history_files`), and
only those above them are copied: so each is there once. Without, rows are those that PostgreSQL keeps. Tickers, public
trades and raw messages are not shipped: their tables are there, and empty.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, LiteralString

import duckdb

from gridbot.atomic_file import put_in_place, temporary_beside
from gridbot.command_line import install_line
from gridbot.doors.fleet_dsn import dsn_problem
from gridbot.records.columns import RECORD_TYPES
from gridbot.store.arrow_rows import batches, has_arrow
from gridbot.store.file_errors import first_line
from gridbot.store.fleet_rows import columns_here, typed_query
from gridbot.store.history_files import PROTOCOL, HistoryFiles
from gridbot.store.history_place import PlaceAway, mark_problem, place_at
from gridbot.store.kept_ids import IDS, as_texts
from gridbot.store.live_ranges import COPIED, spans_of, statements
from gridbot.store.reading import ReadingError, lock
from gridbot.store.rollups import SUM_KEYS, SUMMED
from gridbot.store.row_contexts import CONTEXT_TABLE, rows_table
from gridbot.store.schema import ensure_schema
from gridbot.store.sql_columns import OFFSETS, as_stored, quote
from gridbot.store.wanted_rows import EVERYTHING, Wanted, kinds_of, unknown_account, unknown_table

if TYPE_CHECKING:
    import psycopg

__all__ = ["Filled", "connect_fleet", "copy_tables", "fill", "filled", "keep_tables", "lay_tables"]

CONNECT_S: Final = 5
_VERSION: Final[LiteralString] = "SELECT version FROM gridbot.fleet"
OLDEST: Final = 5
"""The version of the fleet's tables from which they say which rows are in files."""
_DAY: Final[LiteralString] = "(at AT TIME ZONE 'UTC')::date"
_POSITIONS: Final[LiteralString] = (
    "SELECT account, seq, kind, " + _DAY + ", body FROM gridbot.newest WHERE kind = 'position_events'"
)
_ORDERS: Final[LiteralString] = (
    "SELECT account, seq, kind, " + _DAY + ", body FROM gridbot.newest WHERE kind = 'orders'"
    " AND lower(body->'data'->>'state') NOT IN ('filled', 'cancelled', 'rejected')"
)
_STARTS: Final[LiteralString] = """
    SELECT account, seq, kind, (at AT TIME ZONE 'UTC')::date, body FROM gridbot.newest AS n
    WHERE kind = 'run_events'
        AND NOT EXISTS (SELECT FROM gridbot.record AS r
            WHERE r.account = n.account AND r.epoch = n.epoch AND r.seq = n.seq)
        AND NOT (%(files)s AND EXISTS (SELECT FROM gridbot.history_file AS f
            WHERE f.account = n.account AND f.kind = n.kind AND f.state = 'there' AND f.first <= n.seq))
"""
"""Starts whose rows went before there was a history: they say what kind of money the sums of their accounts are. A file
that begins before a start was made after the history began, so that start is in a file, too."""
_SUMS: Final[LiteralString] = """
    SELECT day, account, strategy, symbol, direction, shadow, exec_type, is_maker, executions, volume, realised_pnl,
        fee, last_seq
    FROM gridbot.daily_sums ORDER BY account, last_seq
"""
_OFFSETS: Final[LiteralString] = (
    "SELECT account, max(seq), max(at) AT TIME ZONE 'UTC' FROM gridbot.shipped GROUP BY 1 ORDER BY 1"
)
_HOSTS: Final[LiteralString] = """
    SELECT g.host, g.complete_to AT TIME ZONE 'UTC', CASE
        WHEN (to_jsonb(g)->>'ended')::boolean AND EXISTS (SELECT FROM gridbot.host AS h
            WHERE h.name = g.host AND h.state = 'down') THEN 0
        ELSE extract(epoch FROM clock_timestamp() - g.complete_to) END::float8,
        (SELECT min(h.at) FROM gridbot.history_at AS h WHERE h.host = g.host) AT TIME ZONE 'UTC'
    FROM gridbot.shipping AS g WHERE EXISTS (SELECT FROM gridbot.host AS h WHERE h.name = g.host) ORDER BY g.host
"""
"""One that has ended in order, with all of its records here, is not behind. Tables before version 8 do not say so.
A host that was forgotten (`fleet forget`) is not among them; its records are."""
_HOSTS_TABLE: Final = """
    CREATE OR REPLACE TABLE fleet_hosts (
        host VARCHAR NOT NULL, complete_to TIMESTAMP, behind_s DOUBLE, history_to TIMESTAMP)"""
_ACCOUNTS: Final[LiteralString] = """
    SELECT account FROM gridbot.shipped
    UNION SELECT account FROM gridbot.lease WHERE NOT starts_with(account, '@')
    UNION SELECT o FROM gridbot.host, unnest(offers) AS o WHERE NOT starts_with(o, '@')
    UNION SELECT jsonb_object_keys(not_offered) FROM gridbot.host
"""
"""Every account that has records, a lease, or a host that knows of it."""
_PLACE: Final[LiteralString] = "SELECT place, mark FROM gridbot.history_place"
_FILES: Final[LiteralString] = """
    SELECT kind, shape, path, bytes FROM gridbot.history_file WHERE state = 'there'
    ORDER BY kind, shape, day, account, host, first
"""
_SUM_FILES: Final = "daily_sums"


@dataclass(frozen=True, slots=True)
class Filled:
    """By host the seconds that it is behind (None: it has not been complete yet); the files that views read, which each
    other connection to the same database registers; why the history is not among it, "" when it is or there is none."""

    behind: list[tuple[str, float | None]]
    files: HistoryFiles | None = None
    without: str = ""


def connect_fleet(
    dsn: str | Path,
    *,
    timeout_s: float = 60.0,
    locked: bool = False,
    history: bool | str = True,
    wanted: Wanted = EVERYTHING,
) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory with what the fleet has at this moment. `dsn`: a connection string, or a file that has one.

    `fleet_hosts` says for each host up to when all of its records are in it. `history`: the place of the fleet's files
    as this machine sees it; True: as its hosts call it; False: only rows that PostgreSQL keeps. `locked` as in
    `reading.connect`. `wanted`: no more than that is asked of PostgreSQL. Raise ReadingError when PostgreSQL cannot be
    reached within `timeout_s` a statement, is not on this machine and the connection would not be encrypted, has no
    records of a fleet, or the files are not there.
    """
    con = duckdb.connect()
    try:
        con.execute("SET GLOBAL TimeZone = 'UTC'")
        found = filled(con, _text_of(dsn), timeout_s=timeout_s, history=history, wanted=wanted)
        if found.without:
            raise ReadingError(
                f"expected the history of the fleet, got: {found.without}; name its place as this machine sees it "
                "(history=...), or take what PostgreSQL keeps (history=False)"
            )
        return lock(con) if locked else con
    except BaseException:
        con.close()
        raise


def fill(con: duckdb.DuckDBPyConnection, dsn: str, *, timeout_s: float = 60.0) -> list[tuple[str, float | None]]:
    """Put what PostgreSQL has into an empty DuckDB, with our tables and views. Raise as `connect_fleet`.

    Returns for each host by how many seconds it is behind; None: it has not been complete yet.
    """
    return filled(con, dsn, timeout_s=timeout_s).behind


def filled(
    con: duckdb.DuckDBPyConnection,
    dsn: str,
    *,
    timeout_s: float = 60.0,
    history: bool | str = False,
    wanted: Wanted = EVERYTHING,
    kept: Path | None = None,
) -> Filled:
    """As `fill`, with the files of the history when it is wanted, which `con` can then read. Raise as `connect_fleet`,
    but for a history that is not there: then it is what PostgreSQL keeps. Of `wanted` kinds of records are there alone.

    `kept`: a file of `keep_tables`, for who reads again and again.
    """
    try:
        import psycopg
    except ImportError:
        raise ReadingError(
            f"expected the package psycopg, for a fleet on PostgreSQL; `{install_line('psycopg')}` installs it"
        ) from None
    if (wrong := dsn_problem(dsn, os.environ)) is not None:
        raise ReadingError(f"the fleet's database: expected {wrong[0]}, got {wrong[1]}; {wrong[2]}")
    if kept is None:
        lay_tables(con)
    else:
        copy_tables(con, kept)
    milliseconds = max(1, round(timeout_s * 1000))
    options = f"-c statement_timeout={milliseconds} -c timezone=UTC -c default_transaction_read_only=on"
    try:
        with psycopg.connect(
            dsn, options=options, connect_timeout=CONNECT_S, gssencmode="disable", application_name="gridbot reader"
        ) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            return _filled(con, connection, history, wanted)
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        raise ReadingError("expected the fleet's tables in the database, got none: fleet init makes them") from None
    except psycopg.Error as error:
        do = "look whether PostgreSQL runs there and lets this machine in"
        raise ReadingError(f"the fleet's database: {_words(error)}; {do}") from None


def lay_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Our tables and views in an empty DuckDB. A column of another host's records may be NULL where ours never is."""
    ensure_schema(con, from_rows=True)
    con.execute(f"DROP VIEW {as_stored(CONTEXT_TABLE)}")
    con.execute("; ".join(f"DROP TABLE {rows_table(kind)}" for kind in RECORD_TYPES))
    for kind in RECORD_TYPES:
        con.execute(f"CREATE TABLE {as_stored(kind)} AS {as_texts(typed_query(kind, _NOTHING))}")


def keep_tables(file: Path) -> None:
    """Make this file, or make it anew, with what `lay_tables` makes. Raise OSError, duckdb.Error; then it is as it was.

    A copy of it takes a twentieth of the time: DuckDB works out each view when it is made, and not when it is copied.
    """
    new = temporary_beside(file)
    try:
        with duckdb.connect(str(new)) as con:
            lay_tables(con)
        put_in_place(new, file)
    finally:
        new.unlink(missing_ok=True)


def copy_tables(con: duckdb.DuckDBPyConnection, kept: Path) -> None:
    """As `lay_tables`, from a file of `keep_tables`; there are no comments then."""
    row = con.execute("SELECT current_database()").fetchone()
    assert row is not None
    con.execute(f"ATTACH {quote(str(kept))} AS kept (READ_ONLY)")
    try:
        con.execute(f'COPY FROM DATABASE kept TO "{row[0]}"')
    finally:
        con.execute("DETACH kept")


def _filled(
    con: duckdb.DuckDBPyConnection, connection: psycopg.Connection[Any], history: bool | str, wanted: Wanted
) -> Filled:
    row = connection.execute(_VERSION).fetchone()
    if row is None or int(row[0]) < OLDEST:
        got = "none" if row is None else row[0]
        raise ReadingError(f"expected the fleet's tables in version {OLDEST} or newer, got {got}: run fleet init")
    wrong = unknown_table(con, wanted.named, ("fleet_hosts",)) if wanted.named else ""
    if not wrong and wanted.accounts is not None:
        wrong = unknown_account(wanted.accounts, (name for (name,) in connection.execute(_ACCOUNTS).fetchall()))
    if wrong:
        raise ReadingError(wrong)
    files, shapes, without = _history(con, connection, history)
    kinds, arrow = kinds_of(con, wanted.statement), has_arrow() and not wanted.small
    spans = spans_of(connection, live=files is not None, accounts=wanted.accounts)
    if kinds is None or kinds:
        _copy(con, connection, COPIED, statements(connection, spans, kinds, since=wanted.since_utc), arrow=arrow)
    if kinds is None or "run_events" in kinds:
        _copy(con, connection, _STARTS, [{"files": files is not None}], arrow=arrow)
    if wanted.accounts is not None:
        con.execute(f"DELETE FROM {as_stored('run_events')} WHERE account NOT IN ({wanted.names})")
    for kind in RECORD_TYPES.keys() - kinds if kinds is not None else ():
        con.execute(f"DROP TABLE {as_stored(kind)}")
    for kind in shapes.keys() & (RECORD_TYPES.keys() if kinds is None else kinds):
        con.execute(f"ALTER TABLE {as_stored(kind)} RENAME TO {_live(kind)}")
        try:
            con.execute(f"CREATE VIEW {as_stored(kind)} AS {_rows(kind, con, shapes[kind], wanted)}")
        except duckdb.Error as error:
            raise ReadingError(f"the fleet's history of {kind} cannot be read: {first_line(error)}") from None
    _copy(con, connection, _POSITIONS, into=as_stored("latest_positions"), arrow=arrow)
    con.execute(f"CREATE OR REPLACE TABLE {as_stored('live_orders')} AS {as_texts(typed_query('orders', _NOTHING))}")
    _copy(con, connection, _ORDERS, into=as_stored("live_orders"), arrow=arrow)
    _append(con, as_stored("daily_sums"), connection.execute(_SUMS).fetchall(), [*SUM_KEYS, *SUMMED, "last_seq"])
    for paths in shapes.get(_SUM_FILES, {}).values():
        _add_sums(con, paths)
    if wanted.accounts is not None:
        for table in ("latest_positions", "live_orders", "daily_sums"):
            con.execute(f"DELETE FROM {as_stored(table)} WHERE account NOT IN ({wanted.names})")
    _append(con, as_stored(OFFSETS), connection.execute(_OFFSETS).fetchall(), ["account", "seq", "updated_at"])
    hosts = connection.execute(_HOSTS).fetchall()
    con.execute(_HOSTS_TABLE)
    _append(con, "fleet_hosts", hosts, ["host", "complete_to", "behind_s", "history_to"])
    return Filled([(host, behind) for host, _, behind, _ in hosts], files, without)


Shapes = Mapping[str, Mapping[str, Sequence[str]]]
"""By kind and shape the names of files."""


def _history(
    con: duckdb.DuckDBPyConnection, connection: psycopg.Connection[Any], wanted: bool | str
) -> tuple[HistoryFiles | None, Shapes, str]:
    """The files that count in this snapshot of PostgreSQL; why there are none."""
    row = connection.execute(_PLACE).fetchone() if wanted else None
    if row is None:
        return None, {}, ""
    shapes: dict[str, dict[str, list[str]]] = {}
    sizes = {}
    for kind, shape, path, size in connection.execute(_FILES):
        shapes.setdefault(kind, {}).setdefault(shape, []).append(path)
        sizes[path] = size
    name = wanted if isinstance(wanted, str) else row[0]
    try:
        place = place_at(name)
        if problem := mark_problem(place, row[1]):
            return None, {}, f"{name}: {problem}"
        files = HistoryFiles(place, sizes)
        files.register(con)
    except PlaceAway as error:
        return None, {}, f"{name}: {error}"
    return files, shapes, ""


_NOTHING: Final = "(SELECT '' AS account, 0::BIGINT AS seq, '' AS kind, '' AS body WHERE false)"


def _live(kind: str) -> str:
    return as_stored(f"above_files_of_{kind}")


def _copy(
    con: duckdb.DuckDBPyConnection,
    connection: psycopg.Connection[Any],
    select: LiteralString,
    values: Iterable[dict[str, Any]] = ({},),
    into: str = "",
    *,
    arrow: bool,
) -> None:
    """Rows of a query, asked with each of these values, into the tables of their kinds, or all into one."""
    for kinds in batches(con, connection, select, values, arrow=arrow):
        for kind in kinds:
            rows = as_texts(typed_query(kind)) if kind in IDS else typed_query(kind)
            con.execute(f"INSERT INTO {into or as_stored(kind)} BY NAME {rows}")


def _rows(kind: str, con: duckdb.DuckDBPyConnection, shapes: Mapping[str, Sequence[str]], wanted: Wanted) -> str:
    """Query of all rows of a kind: those that were copied, and those of files, whose columns may be fewer or more."""
    parts = [f"SELECT * FROM {_live(kind)}"]
    for paths in shapes.values():
        first = f"SELECT name FROM parquet_schema({quote(_url(paths[0]))}) WHERE num_children IS NULL"
        there = [name for (name,) in con.execute(first).fetchall()]
        parts.append(as_texts(f"SELECT {columns_here(kind, there)} FROM {_parquet(paths)}{wanted.of_files(kind)}"))
    return " UNION ALL ".join(parts)


def _parquet(paths: Sequence[str]) -> str:
    names = ", ".join(quote(_url(path)) for path in paths)
    return (
        f"read_parquet([{names}], hive_partitioning = true, hive_types_autocast = false, "
        "hive_types = {'account': VARCHAR, 'day': DATE})"
    )


def _url(path: str) -> str:
    return f"{PROTOCOL}://{path}"


def _add_sums(con: duckdb.DuckDBPyConnection, paths: Sequence[str]) -> None:
    """Sums of days long past, whose rows in PostgreSQL went into files."""
    table, keys = as_stored("daily_sums"), ", ".join(SUM_KEYS)
    names = ", ".join(quote(_url(path)) for path in paths)
    sums = ", ".join(f"sum({name}) AS {name}" for name in SUMMED)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE all_sums AS SELECT {keys}, {sums}, max(last_seq) AS last_seq "
        f"FROM (FROM {table} UNION ALL BY NAME FROM read_parquet([{names}])) GROUP BY ALL"
    )
    con.execute(f"DELETE FROM {table}")
    con.execute(f"INSERT INTO {table} BY NAME FROM all_sums ORDER BY account, last_seq")
    con.execute("DROP TABLE temp.all_sums")


def _append(con: duckdb.DuckDBPyConnection, table: str, rows: Iterable[tuple[Any, ...]], names: list[str]) -> None:
    with con.appender(table, columns=names) as appender:
        appender.append_rows(list(rows))


def _text_of(dsn: str | Path) -> str:
    """The connection string: the text itself, or what the file has. An error never has it."""
    if isinstance(dsn, str) and ("://" in dsn or "=" in dsn):
        return dsn
    try:
        return Path(dsn).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise ReadingError(f"expected a connection string of PostgreSQL, or a file that has one, got: {why}") from None


def _words(error: Exception) -> str:
    """The first line; libpq names host and user there, and never the password."""
    found = getattr(getattr(error, "diag", None), "message_primary", None) or str(error)
    return str(found).strip().partition("\n")[0] or type(error).__name__
