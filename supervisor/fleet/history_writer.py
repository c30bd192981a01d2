"""The thread of the writer process that puts the fleet's records, once they are in PostgreSQL, into Parquet files.

Its rows are those of `gridbot.record`, so an execution that two hosts have recorded is in one file, once. The files of
an account, a day and a kind are parts while the day runs, and one file some time after it. In this order:

    1  PostgreSQL has the names of the files, as `writing`
    2  the files are put there, each whole and durable, in the place that has the fleet's mark before and after
    3  one transaction: the names are `there`, the position of host and account is theirs

Readers see the files that are `there`, and as live rows what is above the position. Whatever ends between two steps,
the rows are live until step 3 and in files after it. What step 1 named and step 3 did not take is removed an hour
later. It is a thread of its own: a place that hangs holds up neither shipping nor the writer, and the records wait.
What is wrong with one account, or one day of it, holds up no other.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import duckdb
import psycopg

from gridbot.config.dsn_files import read_dsn
from gridbot.config.fleet_models import FleetConfig
from gridbot.lease.record_floor import epoch_of
from gridbot.store.bulk import memory_file
from gridbot.store.file_errors import first_line
from gridbot.store.fleet_rows import RAW, copied, newer_records, typed_query, with_raw
from gridbot.store.history_files import PROTOCOL, HistoryFiles
from gridbot.store.history_place import PlaceAway
from gridbot.store.reading import ReadingError
from gridbot.store.rollups import SUM_COLUMNS
from gridbot.store.sql_columns import quote, sql_type, table_columns
from supervisor.fleet import history_statements as say
from supervisor.fleet.fleet_store import FleetAway
from supervisor.fleet.history_aside import SetAside
from supervisor.fleet.history_mark import Agreed, agreed
from supervisor.fleet.postgres_link import connection_settings, first_words

__all__ = ["HistoryWriter"]

log = logging.getLogger("supervisor.fleet")

LOOK_S: Final = 10.0
LIMIT_S: Final = 60.0
PART_ROWS: Final = 50_000
PART_S: Final = 3600.0
"""A part of the day is written after so many numbers or so many seconds."""
CARE_S: Final = 600.0
BIG_BYTES: Final = 64_000_000
"""Files of a day are put together while they are smaller."""
AT_ONCE: Final = 100
WRITING_S: Final = 3600.0
GONE_S: Final = 6 * 3600.0
"""For so long a file whose rows are in another one stays, for those who have begun to read."""
SUMS: Final = "daily_sums"
SUMS_DAYS: Final = 400
"""So many days sums stay in PostgreSQL."""
SUMS_ROWS: Final = 5000
AWAY_S: Final = (1.0, 30.0)
ROW_GROUP: Final = 50_000
_SETTINGS: Final[dict[str, Any]] = {"threads": 1, "memory_limit": "512MB"}


class _Moved(Exception):
    """Somebody else has written what was to be written."""


@dataclass(slots=True)
class HistoryState:
    """What the writer's health says of it. `behind_s`: for how long the oldest record waits, at most."""

    behind_s: float = 0.0
    files: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class _File:
    """A file that is to be put there."""

    path: str
    account: str
    day: date
    kind: str
    shape: str
    rows: int
    first: int
    data: bytes


class HistoryWriter:
    """Owner of its connection and its thread."""

    def __init__(self, fleet: FleetConfig) -> None:
        self._fleet = fleet
        self._host = str(fleet.host)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="writes history", daemon=True)
        self._connection: psycopg.Connection[Any] | None = None
        self._dsn = ""
        self._place: Agreed | None = None
        self._next_care = time.monotonic() + CARE_S / 10
        self._aside = SetAside((ReadingError, duckdb.Error), CARE_S)
        self.state = HistoryState()

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def close(self, within_s: float = 2.0) -> None:
        """End after the step that is under way, or without it."""
        self._stop.set()
        if (connection := self._connection) is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                connection.cancel_safe(timeout=within_s / 2)
        if self._thread.is_alive():
            self._thread.join(within_s)

    def health(self) -> dict[str, Any]:
        """For the writer's health message."""
        return {"behind_s": round(self.state.behind_s, 1), "files": self.state.files, "error": self.state.error}

    def _run(self) -> None:
        wait, away = 0.0, AWAY_S[0]
        while not self._stop.wait(wait):
            try:
                more = self.once()
                wait, away, self.state.error = 0.0 if more else LOOK_S, AWAY_S[0], self._aside.said()
                continue
            except _Moved:
                wait = AWAY_S[0]
            except (PlaceAway, ReadingError, duckdb.Error, FleetAway, ValueError, psycopg.Error, OSError) as error:
                self._failed(error)
                wait, away = away, min(2 * away, AWAY_S[1])
            except Exception as error:  # a fault of ours must not end the history for good, nor the writer
                log.exception("a fault while the history was written")
                self._failed(error)
                wait = AWAY_S[1]
            self.drop()
        self.drop()

    def _failed(self, error: Exception) -> None:
        text = first_words(error) if isinstance(error, psycopg.Error) else first_line(error)
        if text != self.state.error:
            log.warning("the history is not written: %s; the records wait in PostgreSQL", text)
        self.state.error = text

    def once(self) -> bool:
        """Write what is due, of one account. True when there may be more. Raises what the thread handles."""
        connection, place = self._ready()
        values = {"host": self._host, "rows": PART_ROWS, "secs": PART_S}
        waiting = connection.execute(say.WAITING, values).fetchall()
        self.state.behind_s = max((float(row[3]) for row in waiting), default=0.0)
        for host, account, above, _, is_due in waiting:
            if is_due and self._aside.may(about := f"{account} of {host}"):
                with self._aside.trying(about):
                    self._part(connection, place, host, account, above)
                return True
        if time.monotonic() >= self._next_care:
            while not self._stop.is_set() and self.care():
                pass
            self._next_care = time.monotonic() + CARE_S
        return False

    def _ready(self) -> tuple[psycopg.Connection[Any], Agreed]:
        dsn = read_dsn(self._fleet)
        if dsn != self._dsn:
            self.drop()
        if self._connection is None or self._place is None:
            self._dsn = dsn
            settings = connection_settings(dsn, name=f"{self._host} history", limit_s=LIMIT_S)
            self._connection = psycopg.connect(**settings, autocommit=True)
            self._place = agreed(self._connection, self._fleet)
        return self._connection, self._place

    def drop(self) -> None:
        """Give the connection up; the next turn has a new one, and looks at the place again."""
        connection, self._connection, self._place = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(psycopg.Error, OSError):
                connection.close()

    # -- a part of a day

    def _part(self, connection: psycopg.Connection[Any], place: Agreed, host: str, account: str, above: int) -> None:
        values = {"host": host, "account": account, "above": above, "epoch": epoch_of(above), "limit": PART_ROWS}
        row = connection.execute(say.SHIPPED, values).fetchone()
        upto = int(row[0]) if row else above  # before the rows: what is shipped meanwhile may be missing among them
        files: list[_File] = []
        count = 0
        with duckdb.connect(config=_SETTINGS) as con:
            for path in copied(connection, say.ROWS, [values], batch_bytes=1 << 62):
                with with_raw(con, path) as kinds:
                    if newer := newer_records(con, kinds):
                        raise ReadingError(newer)
                    for kind in kinds:
                        files += _files_of(con, host, account, kind)
                    [(count, last)] = con.execute(f"SELECT count(*), max(seq) FROM {RAW}").fetchall()
                    upto = last if count >= PART_ROWS else max(upto, last)
        self._put(connection, place, host, files)
        moved = {"host": host, "account": account, "upto": upto, "above": above}
        with connection.transaction():
            if connection.execute(say.MOVE_ON, moved).fetchone() is None:
                raise _Moved
            _exactly(connection, say.SHOW_FILES, [file.path for file in files])
        self.state.files += len(files)

    def _put(self, connection: psycopg.Connection[Any], place: Agreed, host: str, files: Sequence[_File]) -> None:
        """Steps 1 and 2."""
        with connection.transaction():
            for file in files:
                connection.execute(
                    say.BEGIN_FILE,
                    {
                        "path": file.path, "host": host, "account": file.account, "day": file.day, "kind": file.kind,
                        "shape": file.shape, "rows": file.rows, "bytes": len(file.data), "first": file.first,
                    },
                )  # fmt: skip
        place.put({file.path: file.data for file in files})

    # -- care: fewer files, and none that does not count

    def care(self) -> bool:
        """Put the parts of days that are over together, and remove what does not count. True when there may be more."""
        connection, place = self._ready()
        place.look()
        # Any two files of half the size can be one, so whatever is found here gets less.
        values = {"host": self._host, "limit": AT_ONCE, "writing": WRITING_S, "gone": GONE_S}
        parts = {**values, "big": BIG_BYTES // 2, "but": self._aside.waiting()}
        days = connection.execute(say.PARTS, parts).fetchall()
        for host, account, day, kind, shape, paths, first in days:
            if self._stop.is_set():
                return False
            with self._aside.trying(paths[0]):
                self._together(connection, place, host, account, day, kind, shape, paths, first)
        is_more = self._old_sums(connection, place)
        over = connection.execute(say.OVER, values).fetchall()
        for path, _ in over:
            # Claimed first: a process that was frozen in step 2 cannot make it count any more.
            if connection.execute(say.CLAIM, {"path": path}).fetchone() is not None:
                place.place.remove(path)
                connection.execute(say.DROP_FILE, {"path": path})
        return is_more or len(days) == AT_ONCE or len(over) == AT_ONCE

    def _old_sums(self, connection: psycopg.Connection[Any], place: Agreed) -> bool:
        """Move sums of days long past into a file. What is shipped for such a day later is a sum beside it."""
        values = {"days": SUMS_DAYS, "limit": SUMS_ROWS}
        if connection.execute(say.OLD_SUMS_THERE, values).fetchone() is None:
            return False
        path = f"{SUMS}/{self._host}-{secrets.token_hex(6)}.parquet"
        named = {
            "path": path,
            "host": self._host,
            "account": "",
            "kind": SUMS,
            "shape": "",
            "rows": 0,
            "bytes": 0,
            "first": 0,
        }
        connection.execute(say.BEGIN_FILE, {**named, "day": date.today()})  # noqa: DTZ011 - it says nothing
        with connection.transaction():
            rows = connection.execute(say.OLD_SUMS, values).fetchall()
            with duckdb.connect(config=_SETTINGS) as con:
                con.execute(f"CREATE TABLE {SUMS} ({SUM_COLUMNS})")
                with con.appender(SUMS) as appender:
                    appender.append_rows(rows)
                data = _parquet(con, f"FROM {SUMS}")
            place.put({path: data})
            with connection.cursor() as cursor:
                cursor.executemany(say.DROP_SUMS, [row[:8] for row in rows])
            if connection.execute(say.SHOW_SUMS, {"path": path, "rows": len(rows), "bytes": len(data)}).rowcount != 1:
                raise _Moved
        return len(rows) == SUMS_ROWS

    def _together(
        self,
        connection: psycopg.Connection[Any],
        place: Agreed,
        host: str,
        account: str,
        day: date,
        kind: str,
        shape: str,
        paths: Sequence[str],
        first: int,
    ) -> None:
        """One file for several of the same columns."""
        rows = connection.execute(
            "SELECT path, bytes, rows FROM gridbot.history_file WHERE path = ANY(%s) AND state = 'there'", (paths,)
        ).fetchall()
        taken: list[str] = []
        size = count = 0
        for path, file_bytes, file_rows in sorted(rows, key=lambda each: paths.index(each[0])):
            if size and size + file_bytes > BIG_BYTES:
                break
            taken, size, count = [*taken, path], size + file_bytes, count + file_rows
        if len(taken) < 2:
            return  # another host was quicker
        with duckdb.connect(config=_SETTINGS) as con:
            HistoryFiles(place.place, {path: file_bytes for path, file_bytes, _ in rows}).register(con)
            there = ", ".join(quote(f"{PROTOCOL}://{path}") for path in taken)
            select = f"SELECT * FROM read_parquet([{there}], hive_partitioning = false) ORDER BY seq"
            data = _parquet(con, select)
            with memory_file() as (made, where):
                made.write(data)
                made.flush()
                [(there_now,)] = con.execute(f"SELECT count(*) FROM read_parquet({quote(where)})").fetchall()
        if there_now != count:
            raise ReadingError(f"expected {count} rows of {kind} of {account} on {day}, got {there_now}: left as it is")
        file = _File(_path(host, account, day, kind, first), account, day, kind, shape, count, first, data)
        self._put(connection, place, host, [file])
        with connection.transaction():
            _exactly(connection, say.HIDE_FILES, taken)
            _exactly(connection, say.SHOW_FILES, [file.path])


def _exactly(connection: psycopg.Connection[Any], statement: Any, paths: list[str]) -> None:
    """Change the state of all these files. Raises _Moved when one is not in the state that it was in."""
    if paths and connection.execute(statement, {"paths": paths}).rowcount != len(paths):
        raise _Moved


def _files_of(con: duckdb.DuckDBPyConnection, host: str, account: str, kind: str) -> list[_File]:
    """A file for each day of a kind in the batch."""
    days = con.execute(
        f"SELECT day, count(*), min(seq) FROM {RAW} WHERE kind = {quote(kind)} GROUP BY 1 ORDER BY 1"
    ).fetchall()
    files = []
    for day, rows, first in days:
        source = f"(SELECT * FROM {RAW} WHERE day = DATE '{day}')"
        data = _parquet(con, f"FROM ({typed_query(kind, source)}) ORDER BY seq")
        files.append(
            _File(_path(host, account, day, kind, first), account, day, kind, shape_of(kind), rows, first, data)
        )
    return files


def _parquet(con: duckdb.DuckDBPyConnection, select: str) -> bytes:
    """The rows of a query as a Parquet file."""
    with memory_file() as (file, path):
        con.execute(
            f"COPY ({select}) TO {quote(path)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP}, "
            "PER_THREAD_OUTPUT false, USE_TMP_FILE false)"
        )
        file.seek(0, os.SEEK_SET)
        return file.read()


def _path(host: str, account: str, day: date, kind: str, first: int) -> str:
    """A name that is never used twice."""
    return f"{kind}/account={account}/day={day}/{host}-{first}-{secrets.token_hex(6)}.parquet"


def shape_of(kind: str) -> str:
    """The same for files with the same columns, by name and type."""
    return hashlib.sha256(
        repr([(column.name, sql_type(column)) for column in table_columns(kind)]).encode()
    ).hexdigest()[:12]
