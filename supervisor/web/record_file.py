"""The records' file, held for a moment at a time: `HOLD_S` at most, then it is the writer's turn.

with RecordFile(data_dir).reading() as con:   # read-only, without access to any other file
    con.execute("FROM fills")

A question that is not done by then is interrupted. What takes longer is worked out after the file has been given back,
on a copy of the rows it needs (`apart`). Each reading has an engine of its own, so that nothing of it stays in memory.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol

import duckdb

from gridbot.store.file_errors import first_line
from gridbot.store.grid_tables import VIEWS_FROM_ROWS
from gridbot.store.reading import ReadingError, attach, database_path, is_unfinished, lock
from gridbot.store.schema import quote
from gridbot.store.views import VIEWS
from supervisor.utc_time import utc_now

__all__ = [
    "APART_S",
    "HOLD_S",
    "HoldOver",
    "RecordFile",
    "Records",
    "TooLong",
    "Unreadable",
    "interrupted",
]

HOLD_S: Final = 0.2
ENDING_S: Final = 0.05
"""So long before the end a question is interrupted: it stops between two steps, and the file has to be closed."""
WAIT_S: Final = 3.0
REST: Final = 2.0
"""After the file was held it is left alone for this many times as long, so that the writer is next."""
APART_S: Final = 15.0
CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "memory_limit": "256MB",
    "threads": "1",
    "async_threads": "1",
    "temp_directory": "",
}
"""Nothing is ever written to the disk for want of memory."""
_RECORDS: Final = "records"


class TooLong(Exception):
    """It was not done in the time that it has."""


class HoldOver(TooLong):
    """Not while the file was held; on a machine that is less busy it may be."""


class Unreadable(Exception):
    """The file is away, locked, damaged or of another version; the text says which, and what to do."""


class Records(Protocol):
    """Where the page reads records: of this host (`RecordFile`), or of all hosts of a fleet (`hosts_records`)."""

    def as_of(self) -> str:
        """Of when what is read is, UTC."""

    def missing(self) -> str:
        """What is not among it, and why; "" when all is."""

    def reading(self, *, writes: Path | None = None) -> contextlib.AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A connection to the records; the one file that may be written is `writes`. Raises TooLong, Unreadable."""

    def apart(
        self,
        copied: Mapping[str, str],
        views: tuple[str, ...] = (),
        *,
        writes: Path | None = None,
        within_s: float = APART_S,
    ) -> contextlib.AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A connection to a copy of some rows. Raises TooLong, Unreadable."""


class RecordFile:
    """One per process, used by one thread. `longest_hold_s` is the longest that it has had the file."""

    def __init__(self, data_dir: Path, *, hold_s: float = HOLD_S, wait_s: float = WAIT_S) -> None:
        self._data_dir = data_dir
        self._hold_s = hold_s
        self._wait_s = wait_s
        self._next_s = 0.0
        self.longest_hold_s = 0.0

    def as_of(self) -> str:
        """The file has what is true now."""
        return utc_now()

    def missing(self) -> str:
        """It has all of this host."""
        return ""

    @contextlib.contextmanager
    def reading(self, *, writes: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to the records; the one other file it may touch is `writes`. Raises TooLong, Unreadable."""
        with self._errors(), self._engine(writes) as con, self._holding(con):
            con.execute(f"USE {_RECORDS}")
            yield con

    @contextlib.contextmanager
    def apart(
        self,
        copied: Mapping[str, str],
        views: tuple[str, ...] = (),
        *,
        writes: Path | None = None,
        within_s: float = APART_S,
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to a copy of some rows, when the file has been given back. Raises TooLong, Unreadable.

        `copied`: by table a query of it; `views` are made of these tables, matched pairs of all executions in them.
        """
        known = {view.name: view for view in (*VIEWS, *VIEWS_FROM_ROWS)}
        with self._errors(), self._engine(writes) as con:
            with self._holding(con):
                con.execute(f"USE {_RECORDS}")
                for table, query in copied.items():
                    con.execute(f"CREATE TABLE memory.{table} AS {query}")
            for view in known.values():
                if view.name in views:
                    con.execute(f"CREATE VIEW {view.name} AS {view.sql}")
            with interrupted(con, within_s):
                yield con

    @contextlib.contextmanager
    def _engine(self, writes: Path | None) -> Iterator[duckdb.DuckDBPyConnection]:
        con = duckdb.connect(config=CONFIG)
        try:
            con.execute("SET GLOBAL TimeZone = 'UTC'")
            if writes is not None:
                con.execute(f"SET allowed_paths = [{quote(str(writes))}]")
            yield con
        finally:
            con.close()

    @contextlib.contextmanager
    def _holding(self, con: duckdb.DuckDBPyConnection) -> Iterator[None]:
        time.sleep(max(0.0, self._next_s - time.monotonic()))
        since = attach(con, self._data_dir, _RECORDS, timeout_s=self._wait_s)
        try:
            lock(con)
            left_s = self._hold_s - ENDING_S - (time.monotonic() - since)
            if left_s <= 0.0:  # a busy machine: opening it took all the time there is
                raise HoldOver
            with interrupted(con, left_s):
                yield
        except duckdb.InterruptException as error:
            raise HoldOver from error
        finally:
            with contextlib.suppress(duckdb.Error):
                con.execute("USE memory")
                con.execute(f"DETACH {_RECORDS}")
            now_s = time.monotonic()
            self.longest_hold_s = max(self.longest_hold_s, now_s - since)
            self._next_s = now_s + REST * (now_s - since)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        path = database_path(self._data_dir)
        try:
            yield
        except (ReadingError, OSError) as error:
            raise Unreadable(str(error)) from error
        except (duckdb.InterruptException, duckdb.OutOfMemoryException) as error:
            raise TooLong from error
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            raise Unreadable(f"{path} was written by another version: {first_line(error)}") from error
        except duckdb.Error as error:
            if is_unfinished(error, path):
                raise Unreadable(f"{path} is being put in order by the writer; ask again in a few seconds") from error
            raise Unreadable(f"{path} cannot be read: {first_line(error)}") from error


@contextlib.contextmanager
def interrupted(con: duckdb.DuckDBPyConnection, after_s: float) -> Iterator[None]:
    """End what the connection does when the time is over, and go on ending it: each statement is one of many."""
    over = threading.Event()

    def watch() -> None:
        if over.wait(max(0.0, after_s)):
            return
        while not over.is_set():
            with contextlib.suppress(duckdb.Error):
                con.interrupt()
            over.wait(0.01)

    thread = threading.Thread(target=watch, name="time limit", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
