"""Read-only access to the records: what `gridbot-supervisor sql`, notebooks and `gridbot.connect()` use.

The store's writer holds the database file only while it writes, about 15 ms at a time, so a reader that finds it
locked tries again for a moment. So does one that finds it unfinished, as a writer leaves it that is killed while it
writes: the next one puts it in order. Close what you opened: while a reader has the file open the writer cannot write,
the file lags behind (trading does not notice, nothing is lost).
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import duckdb

from gridbot.command_line import pasteable
from gridbot.store.file_errors import (
    first_line,
    holder_of,
    is_cut_short,
    is_damage,
    is_forbidden,
    is_lock_error,
    is_log_damage,
    rebuild_line,
)
from gridbot.store.linked_file import dead_link

__all__ = [
    "DATABASE_NAME",
    "UNFINISHED_AGAIN_S",
    "DatabaseDamaged",
    "DatabaseLocked",
    "NoDatabase",
    "ReadingError",
    "attach",
    "connect",
    "database_path",
    "is_prepared",
    "is_unfinished",
    "lock",
    "names_in",
    "read_with",
]

T = TypeVar("T")
_beside: Final[dict[Path, Callable[[duckdb.DuckDBPyConnection], None]]] = {}
"""By database file what `read_with` wants of each connection to it."""

DATABASE_NAME: Final = "gridbot.duckdb"
_RETRY_S: Final = 0.01
_LONGEST_RETRY_S: Final = 0.04
"""Each try costs DuckDB some 6 ms of CPU; a writer that is always busy leaves readers 100 ms (`READERS_S`)."""
_UNFINISHED_S: Final = 10.0
"""Within so many seconds of the last write a file that ends too early may be one whose writer was killed: the next
writer is there sooner."""
UNFINISHED_AGAIN_S: Final = 0.1


class ReadingError(Exception):
    """The records cannot be read; the text says why and what to do."""


class NoDatabase(ReadingError):
    """Nothing was recorded here yet."""


class DatabaseLocked(ReadingError):
    """Another process had the file open for writing all the time."""


class DatabaseDamaged(ReadingError):
    """The file, or the log beside it, is not readable."""


def database_path(data_dir: str | Path) -> Path:
    """The database file for a data directory; a path that names a file is taken as it is."""
    path = Path(data_dir)
    return path if path.suffix == ".duckdb" or path.is_file() else path / DATABASE_NAME


def connect(
    data_dir: str | Path = "data",
    *,
    timeout_s: float = 5.0,
    config: dict[str, str] | None = None,
    locked: bool = False,
) -> duckdb.DuckDBPyConnection:
    """Open the records of a data directory (or a .duckdb file) read-only.

    Only the records cannot be written: statements may read and write other files (COPY, read_csv) and load extensions,
    with the rights of this process. `locked` takes that away for good; use it for statements that others wrote.

    Wait up to `timeout_s` seconds while the writer has the file, or has left it unfinished a moment ago. `config` is
    DuckDB's own configuration, such as {"memory_limit": "1GB"}. The time zone is UTC, wherever this machine is: `now()`
    compares with the columns of the records. Raise NoDatabase, DatabaseLocked, DatabaseDamaged or PermissionError.
    """
    path = database_path(data_dir)
    # mypy: duckdb's stub wants dict[str, str | bool | int | float | list]
    options: Any = config or {}
    found = _had(path, timeout_s, lambda: _in_utc(duckdb.connect(str(path), read_only=True, config=options)))
    if (prepare := _beside.get(path)) is not None:
        prepare(found)
    return lock(found) if locked else found


@contextlib.contextmanager
def read_with(path: Path, prepare: Callable[[duckdb.DuckDBPyConnection], None]) -> Iterator[None]:
    """For this time each `connect` of this process to the file prepares its connection so: views there read files that
    are not the database's, such as those of a fleet's history, which a locked connection may then read, too."""
    _beside[path] = prepare
    try:
        yield
    finally:
        del _beside[path]


def is_prepared(data_dir: str | Path) -> bool:
    """Whether `read_with` prepares connections to these records now."""
    return database_path(data_dir) in _beside


def attach(con: duckdb.DuckDBPyConnection, data_dir: str | Path, name: str, *, timeout_s: float = 5.0) -> float:
    """Open the records under a name, read-only, beside what the connection has; `DETACH` gives the file back.

    Returns since when this process holds the file, in `time.monotonic` seconds. Waits and raises as `connect`.
    """
    path = database_path(data_dir)
    quoted = str(path).replace("'", "''")

    def attached() -> float:
        since = time.monotonic()
        con.execute(f"ATTACH '{quoted}' AS {name} (READ_ONLY)")
        return since

    return _had(path, timeout_s, attached)


def _had(path: Path, timeout_s: float, take: Callable[[], T]) -> T:
    """What `take` returns, which opens the file; tried again while the writer has it."""
    deadline = time.monotonic() + timeout_s
    retry_s = _RETRY_S
    while True:
        if not path.exists():
            if dead := dead_link(path):
                raise NoDatabase(dead)
            if path.name != DATABASE_NAME:
                runs = pasteable("backtest list")
                raise NoDatabase(f"there is no database at {path}; is that its name? {runs} has those of runs")
            raise NoDatabase(
                f"there is no database at {path} yet; start the bot first (its writer makes it within seconds)"
            )
        try:
            return take()
        except duckdb.Error as exc:
            if is_lock_error(exc):
                if time.monotonic() < deadline:
                    time.sleep(retry_s)
                    retry_s = min(retry_s * 1.5, _LONGEST_RETRY_S)
                    continue
                raise DatabaseLocked(
                    f"{path} was held by {holder_of(exc)} for {timeout_s:g} s; close it there, or wait longer"
                ) from exc
            if is_unfinished(exc, path) and time.monotonic() < deadline:
                time.sleep(UNFINISHED_AGAIN_S)
                continue
            if is_forbidden(exc):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path)) from exc
            if is_log_damage(exc):
                raise DatabaseDamaged(
                    f"the write-ahead log of {path} is damaged; start the bot (its writer sets the log aside and "
                    f"brings the rows again from the journal). DuckDB says: {first_line(exc)}"
                ) from exc
            if is_damage(exc):
                raise DatabaseDamaged(f"{path} cannot be opened: {first_line(exc)}. {_made_again(path)}") from exc
            if isinstance(exc, duckdb.IOException):
                raise ReadingError(f"{path} cannot be opened: {first_line(exc)}") from exc
            raise


def is_unfinished(error: BaseException, path: Path) -> bool:
    """Whether a file, or the log beside it, ends too early and changed a moment ago: its writer may have been killed.

    The next writer puts it in order: who reads tries again after `UNFINISHED_AGAIN_S`, for a bounded time.
    """
    if not (is_cut_short(error) or is_log_damage(error)):
        return False
    for each in (path, path.with_name(f"{path.name}.wal")):
        try:
            if abs(time.time() - each.stat().st_mtime) < _UNFINISHED_S:
                return True
        except OSError:
            continue
    return False


def _made_again(path: Path) -> str:
    if path.name == DATABASE_NAME:
        return f"{rebuild_line(path)} makes a new one from the journals"
    return "Remove it, and run again what made it (a backtest, a comparison, a copy)"


def names_in(con: duckdb.DuckDBPyConnection) -> set[str]:
    """Names of the tables and views of the open file, whatever program and version made it."""
    found = con.execute("""
        SELECT table_name FROM duckdb_tables() WHERE NOT internal
        UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal""")
    return {str(name) for (name,) in found.fetchall()}


def lock(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """The same connection, for ever without access to files, network and its own settings; so its cursors."""
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")
    return con


def _in_utc(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Global, so that the cursors of this connection have it too."""
    con.execute("SET GLOBAL TimeZone = 'UTC'")
    return con
