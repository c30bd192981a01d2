"""The records of a whole fleet for reading: what its hosts have shipped into PostgreSQL, with the names of today.

`fill` makes a DuckDB of it, by the same way as a host's writer does, so that names, types and views are the same. Rows
are those of one moment. Sums and newest rows are PostgreSQL's, which are older than the oldest row it keeps. Tickers,
public trades and raw messages are not shipped: their tables are there, and empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, LiteralString

import duckdb

from gridbot.records.columns import RECORD_TYPES
from gridbot.store.bulk import append
from gridbot.store.commit import Rows, commit
from gridbot.store.reading import ReadingError, lock
from gridbot.store.rollups import SUM_KEYS, SUMMED
from gridbot.store.schema import ensure_schema, views_from_rows
from gridbot.store.sql_columns import OFFSETS, as_stored

if TYPE_CHECKING:
    import psycopg

__all__ = ["connect_fleet", "fill"]

BATCH: Final = 20_000
CONNECT_S: Final = 5
_VERSION: Final[LiteralString] = "SELECT version FROM gridbot.fleet"
OLDEST: Final = 3
"""The version of the fleet's tables from which records are there."""
_RECORDS: Final[LiteralString] = "SELECT kind, body::text FROM gridbot.record ORDER BY account, epoch, seq"
_POSITIONS: Final[LiteralString] = (
    "SELECT body::text FROM gridbot.newest WHERE kind = 'position_events' ORDER BY account, epoch, seq"
)
_ORDERS: Final[LiteralString] = """
    SELECT body::text FROM gridbot.newest
    WHERE kind = 'orders' AND lower(body->'data'->>'state') NOT IN ('filled', 'cancelled', 'rejected')
    ORDER BY account, epoch, seq
"""
_SUMS: Final[LiteralString] = """
    SELECT day, account, strategy, symbol, direction, shadow, exec_type, is_maker, executions, volume, realised_pnl,
        fee, last_seq
    FROM gridbot.daily_sums ORDER BY account, last_seq
"""
_OFFSETS: Final[LiteralString] = (
    "SELECT account, max(seq), max(at) AT TIME ZONE 'UTC' FROM gridbot.shipped GROUP BY 1 ORDER BY 1"
)
_HOSTS: Final[LiteralString] = """
    SELECT host, complete_to AT TIME ZONE 'UTC', extract(epoch FROM clock_timestamp() - complete_to)::float8
    FROM gridbot.shipping ORDER BY host
"""
_HOSTS_TABLE: Final = """
    CREATE OR REPLACE TABLE fleet_hosts (host VARCHAR NOT NULL, complete_to TIMESTAMP, behind_s DOUBLE)"""


def connect_fleet(dsn: str | Path, *, timeout_s: float = 60.0, locked: bool = False) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory with what the fleet has at this moment. `dsn`: a connection string, or a file that has one.

    `fleet_hosts` says for each host up to when all of its records are in it. `locked` as in `reading.connect`. Raise
    ReadingError when PostgreSQL cannot be reached within `timeout_s` a statement, or has no records of a fleet.
    """
    con = duckdb.connect()
    try:
        con.execute("SET GLOBAL TimeZone = 'UTC'")
        fill(con, _text_of(dsn), timeout_s=timeout_s)
        return lock(con) if locked else con
    except BaseException:
        con.close()
        raise


def fill(con: duckdb.DuckDBPyConnection, dsn: str, *, timeout_s: float = 60.0) -> list[tuple[str, float | None]]:
    """Put the fleet's records into an empty DuckDB, with our tables and views. Raise as `connect_fleet`.

    Returns for each host by how many seconds it is behind; None: it has not been complete yet.
    """
    try:
        import psycopg
    except ImportError:
        raise ReadingError(
            "expected the package psycopg, for a fleet on PostgreSQL: pip install 'gridbot[fleet]'"
        ) from None
    ensure_schema(con)
    views_from_rows(con)
    milliseconds = max(1, round(timeout_s * 1000))
    options = f"-c statement_timeout={milliseconds} -c timezone=UTC -c default_transaction_read_only=on"
    try:
        with psycopg.connect(
            dsn, options=options, connect_timeout=CONNECT_S, gssencmode="disable", application_name="gridbot reader"
        ) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            return _fill(con, connection)
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        raise ReadingError("expected the fleet's tables in the database, got none: fleet init makes them") from None
    except psycopg.Error as error:
        raise ReadingError(f"the fleet's database: {_words(error)}") from None


def _fill(con: duckdb.DuckDBPyConnection, connection: psycopg.Connection[Any]) -> list[tuple[str, float | None]]:
    row = connection.execute(_VERSION).fetchone()
    if row is None or int(row[0]) < OLDEST:
        got = "none" if row is None else row[0]
        raise ReadingError(f"expected the fleet's tables in version {OLDEST} or newer, got {got}: run fleet init")
    for bodies in _records(connection):
        commit(con, Rows(bodies), rolls_up=False)
    append(con, "position_events", _bodies(connection, _POSITIONS), as_stored("latest_positions"))
    append(con, "orders", _bodies(connection, _ORDERS), as_stored("live_orders"))
    _append(con, as_stored("daily_sums"), connection.execute(_SUMS).fetchall(), [*SUM_KEYS, *SUMMED, "last_seq"])
    _append(con, as_stored(OFFSETS), connection.execute(_OFFSETS).fetchall(), ["account", "seq", "updated_at"])
    hosts = connection.execute(_HOSTS).fetchall()
    con.execute(_HOSTS_TABLE)
    _append(con, "fleet_hosts", hosts, ["host", "complete_to", "behind_s"])
    return [(host, behind) for host, _, behind in hosts]


def _records(connection: psycopg.Connection[Any]) -> Iterator[dict[str, list[bytes]]]:
    """All rows, batch by batch, by kind. What a newer program has shipped and this one does not know is left out."""
    with connection.cursor("records") as cursor:
        cursor.execute(_RECORDS)
        while rows := cursor.fetchmany(BATCH):
            batch: dict[str, list[bytes]] = {}
            for kind, body in rows:
                if kind in RECORD_TYPES:
                    batch.setdefault(kind, []).append(body.encode())
            yield batch


def _bodies(connection: psycopg.Connection[Any], statement: LiteralString) -> list[bytes]:
    return [body.encode() for (body,) in connection.execute(statement).fetchall()]


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
