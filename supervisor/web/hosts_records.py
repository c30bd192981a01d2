"""The records of all hosts of a fleet for the page, as a `RecordFile` has those of one: what they have shipped into
PostgreSQL and to where whole history lies, read into a DuckDB in memory (`gridbot.store.fleet_reading`).

It is read anew for a question when it is older than `FRESH_S`, and than `REST` times the CPU that reading it took: a
fleet with many rows costs this machine no more than a part of a core. The page says how old it is.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import duckdb

from gridbot.store.file_errors import first_line
from gridbot.store.fleet_reading import filled, keep_tables
from gridbot.store.history_files import PROTOCOL
from gridbot.store.reading import ReadingError, lock
from gridbot.store.schema import quote
from gridbot.store.views import VIEWS
from gridbot.store.wanted_rows import Wanted
from supervisor.utc_time import utc_now
from supervisor.web.record_file import APART_S, TooLong, Unreadable, interrupted

__all__ = ["FleetRecords"]

FRESH_S: Final = 10.0
REST: Final = 20.0
"""After it was read it stays as it is for so many times the CPU that this took."""
AGAIN_S: Final = 5.0
"""After a failure nobody asks PostgreSQL again for so long."""
SMALL: Final = Wanted(small=True)
FILL_S: Final = 20.0
ASK_S: Final = 15.0
MEMORY: Final = "512MB"
TOO_MUCH: Final = (
    "the fleet's records need more memory than the page may use: ask them by the command sql, with --fleet, or keep "
    "fewer rows (fleet.keep_records)"
)


class FleetRecords:
    """One per process, used by one thread. `dsn`: where PostgreSQL is. Files may be written in `downloads` alone."""

    def __init__(
        self,
        dsn: Callable[[], str],
        downloads: Path,
        history: bool | str = True,
        *,
        clock: Callable[[], float] = time.monotonic,
        work: Callable[[], float] = time.process_time,
    ) -> None:
        """`history`: the place of the fleet's files as this machine sees it; True: as its hosts call it. `clock`, and
        `work`, the CPU time of this process, in seconds."""
        self._history = history
        self._work = work
        self._dsn = dsn
        self._downloads = downloads
        self._clock = clock
        self._con: duckdb.DuckDBPyConnection | None = None
        self._until_s = float("-inf")
        self._failed: tuple[float, str] = (float("-inf"), "")
        self._as_of = self._missing = ""
        self._tables: Path | None = None

    def as_of(self) -> str:
        """When it was read."""
        return self._as_of or utc_now()

    def missing(self) -> str:
        """Why rows that are only in files of the history are not among it; "" when they are."""
        return self._missing

    @contextlib.contextmanager
    def reading(self, *, writes: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to the records; files may be written among the downloads alone. Raises TooLong, Unreadable."""
        with self._errors(), contextlib.closing(self._current().cursor()) as con, interrupted(con, ASK_S):
            con.execute("USE memory")
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
        """A connection to a copy of some rows. `copied`: by table a query of it; `views` are made of these tables."""
        with self._errors(), contextlib.closing(self._current().cursor()) as con, interrupted(con, within_s):
            con.execute("USE memory")
            con.execute("DROP SCHEMA IF EXISTS copied CASCADE")
            con.execute("CREATE SCHEMA copied")
            for table, query in copied.items():
                con.execute(f"CREATE TABLE copied.{table} AS {query}")
            con.execute("USE memory.copied")
            for view in VIEWS:
                if view.name in views:
                    con.execute(f"CREATE VIEW {view.name} AS {view.sql}")
            try:
                yield con
            finally:  # else the copy keeps its memory until all is read anew
                with contextlib.suppress(duckdb.Error):
                    con.execute("USE memory")
                    con.execute("DROP SCHEMA copied CASCADE")

    def _current(self) -> duckdb.DuckDBPyConnection:
        now_s = self._clock()
        if self._con is not None and now_s < self._until_s:
            return self._con
        failed_s, why = self._failed
        if now_s - failed_s < AGAIN_S:
            raise Unreadable(why)
        before_s, as_of = self._work(), utc_now()
        try:
            con, without = self._read()
        except (ReadingError, ValueError) as error:
            self._failed = now_s, str(error)
            raise Unreadable(str(error)) from error
        if self._con is not None:
            self._con.close()
        self._con, self._as_of = con, as_of
        self._missing = without and f"older rows are left out: {without}"
        self._until_s = self._clock() + max(FRESH_S, REST * (self._work() - before_s))
        return con

    def _read(self) -> tuple[duckdb.DuckDBPyConnection, str]:
        """All that is there, and why it is not all there was."""
        con = duckdb.connect(config={"memory_limit": MEMORY, "threads": "1", "temp_directory": ""})
        try:
            con.execute("SET GLOBAL TimeZone = 'UTC'")
            dsn, tables = self._dsn(), self._kept_tables()
            found = filled(con, dsn, timeout_s=FILL_S, history=self._history, wanted=SMALL, kept=tables)
            con.execute(f"SET allowed_directories = ['{PROTOCOL}://', {quote(str(self._downloads))}]")
            return lock(con), found.without
        except BaseException:
            con.close()
            raise

    def _kept_tables(self) -> Path | None:
        """A file with empty tables and the views, made by the first reading. None when there is no room for it: then
        each reading makes its own. Among the downloads, from where the next process removes it.
        """
        if self._tables is None:
            file = self._downloads / "tables.duckdb"
            with contextlib.suppress(OSError, duckdb.Error):
                keep_tables(file)
                self._tables = file
        return self._tables

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except duckdb.OutOfMemoryException as error:
            raise Unreadable(TOO_MUCH) from error
        except duckdb.InterruptException as error:
            raise TooLong from error
        except duckdb.Error as error:
            raise Unreadable(f"the fleet's records cannot be read: {first_line(error)}") from error
