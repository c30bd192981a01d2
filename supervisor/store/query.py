"""Read-only statements on the records, for `sql` and `ledger`, while the bot runs and when it does not.

A statement runs on a read-only connection without access to files or network, with limits on time and memory. The
file is held only while the statement runs and its rows are fetched. What a user wrote (`rows`, `write_parquet`) runs in
an engine of its own; what this program wrote (`ask`, `ask_all`) shares one (`kept_engine`).
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import duckdb

from gridbot.command_line import pasteable
from gridbot.store.file_errors import first_line, is_damage, is_forbidden, rebuild_line
from gridbot.store.reading import (
    DATABASE_NAME,
    UNFINISHED_AGAIN_S,
    DatabaseLocked,
    NoDatabase,
    ReadingError,
    connect,
    database_path,
    is_prepared,
    is_unfinished,
    lock,
)
from gridbot.store.schema import SCHEMA_VERSION, applied, quote
from supervisor.exit_codes import ExitCode
from supervisor.store.interruptible import Late, call, memory_bound
from supervisor.store.kept_engine import opened
from supervisor.store.statement_end import without_end

__all__ = ["Answer", "Limits", "Query", "Rows", "SqlFailed", "ask", "ask_all"]

T = TypeVar("T")

BATCH: Final = 1000
"""Rows that are fetched at a time, at most."""
BATCH_CHARACTERS: Final = 4_000_000
"""Fewer rows at a time when they are so long that a batch would be longer than this."""

SPILL_BYTES: Final = 10_000_000_000
SPILL_PART: Final = 4
"""A statement spills this much at most, and this part of the free disk: DuckDB's own limit is nine tenths of it."""

SPILL_STEP: Final = 250_000_000
"""In such steps, so that statements of a minute have the same limit and may share an engine."""

SCHEMA_S: Final = 2.0
"""How long the file is waited for to see which version made it."""

RELEASE_S: Final = 2.0
"""How long after its time limit the file is closed under a statement whose rows nobody fetches."""


class SqlFailed(Exception):
    """The statement cannot be answered; carries the exit code."""

    def __init__(self, message: str, exit_code: ExitCode) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Answer:
    """Column names and rows."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Rows:
    """The answer to one statement, batch by batch as they are fetched; the file is held until all are."""

    columns: list[str]
    batches: Iterator[list[tuple[Any, ...]]]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for batch in self.batches:
            yield from batch


@dataclass(frozen=True, slots=True)
class Limits:
    """What one statement may take: seconds to wait for the file, seconds to run, memory, threads."""

    wait_s: float = 5.0
    timeout_s: float = 60.0
    memory: str = "1GB"
    threads: int = 2


@dataclass(frozen=True, slots=True)
class Query:
    """Where to ask, and the limits of each statement."""

    data_dir: Path
    limits: Limits

    @contextlib.contextmanager
    def rows(self, statement: str) -> Iterator[Rows]:
        """Run one statement and hand its rows out while they are fetched. Raise SqlFailed, also while fetching."""
        with _plain_errors(self.data_dir, self.limits), contextlib.ExitStack() as opened:
            yield _again_when_unfinished(
                self.data_dir,
                self.limits,
                lambda: opened.enter_context(_asking(self.data_dir, self.limits)).rows(statement),
                opened.close,
            )

    def ask(self, statement: str) -> Answer:
        """As `ask`; for a statement of this program, not for one of a user."""
        return ask(self.data_dir, statement, self.limits)

    def write_parquet(self, statement: str, target: Path) -> None:
        """Put the rows into the Parquet file `target`, in place of what it has. Raise SqlFailed."""
        with (
            _plain_errors(self.data_dir, self.limits),
            _asking(self.data_dir, self.limits, writes=target) as asking,
        ):
            asking.copy(statement, target)


def ask(data_dir: Path, statement: str, limits: Limits | None = None) -> Answer:
    """Run one statement. Raise SqlFailed."""
    [answer] = ask_all(data_dir, [statement], limits)
    return answer


def ask_all(data_dir: Path, statements: Sequence[str], limits: Limits | None = None) -> list[Answer]:
    """Run several statements on the same state of the records: the file is waited for once. Raise SqlFailed."""
    limits = limits or Limits()
    with _plain_errors(data_dir, limits):

        def all_of() -> list[Answer]:
            with _sharing(data_dir, limits) as asking:
                return [asking.all_of(statement) for statement in statements]

        return _again_when_unfinished(data_dir, limits, all_of)


def _again_when_unfinished(
    data_dir: Path, limits: Limits, ask_once: Callable[[], T], close: Callable[[], object] = lambda: None
) -> T:
    """What `ask_once` returns. Blocks that a killed writer left half written are met when a statement reads them."""
    deadline = time.monotonic() + limits.wait_s
    while True:
        try:
            return ask_once()
        except duckdb.Error as exc:
            if not is_unfinished(exc, database_path(data_dir)) or time.monotonic() >= deadline:
                raise
            close()
            time.sleep(UNFINISHED_AGAIN_S)


@dataclass(frozen=True, slots=True)
class _Asking:
    """An open connection, and when what is asked has to be answered (`time.monotonic` seconds)."""

    connection: duckdb.DuckDBPyConnection
    until: float

    def all_of(self, statement: str) -> Answer:
        cursor, rows = self._asked(self._one_select(statement), lambda cursor: cursor.fetchall())
        return Answer(_columns(cursor), rows)

    def copy(self, statement: str, target: Path) -> None:
        """Into a Parquet file."""
        text = self._one_select(statement)
        self._asked(
            f"COPY ({text}) TO {quote(str(target.absolute()))} (FORMAT parquet)", lambda cursor: cursor.fetchall()
        )

    def rows(self, statement: str) -> Rows:
        cursor, _ = self._asked(self._one_select(statement), lambda _: None)
        return Rows(_columns(cursor), self._batches(cursor))

    def _asked(self, text: str, fetch: Callable[[duckdb.DuckDBPyConnection], T]) -> tuple[duckdb.DuckDBPyConnection, T]:
        def run() -> tuple[duckdb.DuckDBPyConnection, T]:
            cursor = self.connection.execute(text)
            return cursor, fetch(cursor)

        return call(self.connection, run, until=self.until)

    def _one_select(self, statement: str) -> str:
        """The statement without its semicolon. Raise SqlFailed unless it is exactly one that only reads.

        By this connection: the module of DuckDB would start an engine of its own for it.
        """
        found = self.connection.extract_statements(statement)
        if len(found) != 1:
            raise SqlFailed(f"expected one SQL statement, got {len(found)}", ExitCode.USAGE)
        allowed = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
        if found[0].type not in allowed:
            kind = found[0].type.name
            raise SqlFailed(
                f"expected a statement that only reads (SELECT, DESCRIBE, EXPLAIN), got {kind}", ExitCode.USAGE
            )
        return without_end(found[0].query)

    def _batches(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[list[tuple[Any, ...]]]:
        size = 1
        while True:
            batch = call(self.connection, lambda count=size: cursor.fetchmany(count), until=self.until)  # type: ignore[misc]
            if not batch:
                return
            yield batch
            size = min(BATCH, 4 * size, max(1, BATCH_CHARACTERS // _longest(batch)))


@contextlib.contextmanager
def _asking(data_dir: Path, limits: Limits, *, writes: Path | None = None) -> Iterator[_Asking]:
    """A connection with an engine of its own that only reads the records; it may write the file `writes`, which is not
    there yet."""
    with _closing(connect(data_dir, timeout_s=limits.wait_s, config=_settings(data_dir, limits))) as con:
        if writes is not None:
            con.execute(f"SET allowed_paths = [{quote(str(writes.absolute()))}]")
        lock(con)
        with _bounded(con, con, limits) as asking:
            yield asking


@contextlib.contextmanager
def _sharing(data_dir: Path, limits: Limits) -> Iterator[_Asking]:
    """As `_asking`, in the engine that other statements of this program have, too."""
    if is_prepared(data_dir):  # what prepares a connection changes settings, which a kept engine refuses
        with _asking(data_dir, limits) as asking:
            yield asking
        return
    with (
        opened(data_dir, _settings(data_dir, limits), wait_s=limits.wait_s) as found,
        _bounded(found.connection, found.engine, limits) as asking,
    ):
        yield asking


def _settings(data_dir: Path, limits: Limits) -> dict[str, str]:
    return {
        "memory_limit": limits.memory,
        "threads": str(limits.threads),
        "max_execution_time": str(max(1, int(limits.timeout_s * 1000))),
        "max_temp_directory_size": f"{_spill_bytes(data_dir)}B",
    }


@contextlib.contextmanager
def _bounded(con: duckdb.DuckDBPyConnection, engine: duckdb.DuckDBPyConnection, limits: Limits) -> Iterator[_Asking]:
    # Whoever reads our output may stop reading; the writer gets the file all the same.
    release = threading.Timer(limits.timeout_s + RELEASE_S, _close, [engine])
    release.daemon = True
    release.start()
    try:
        with memory_bound(_memory_bytes(con)):
            yield _Asking(con, time.monotonic() + limits.timeout_s)
    finally:
        release.cancel()


def _spill_bytes(data_dir: Path) -> int:
    """What a statement may write to disk when its memory is used up: the bot beside it needs room for its records."""
    with contextlib.suppress(OSError):
        room = shutil.disk_usage(database_path(data_dir).parent).free // SPILL_PART
        return min(SPILL_BYTES, room if room < SPILL_STEP else room // SPILL_STEP * SPILL_STEP)
    return SPILL_BYTES


@contextlib.contextmanager
def _closing(con: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    try:
        yield con
    finally:
        _close(con)


def _close(con: duckdb.DuckDBPyConnection) -> None:
    """Unless a statement that nothing stops still uses it: DuckDB refuses that, and that is no news."""
    with contextlib.suppress(duckdb.Error):
        con.close()


def _memory_bytes(con: duckdb.DuckDBPyConnection) -> int:
    """DuckDB's own limit of this connection, such as 953.6 MiB, in bytes."""
    [(text,)] = con.execute("SELECT current_setting('memory_limit')").fetchall()
    number, unit = str(text).split()
    return int(float(number) * 1024 ** _UNITS.index(unit))


_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")


def _columns(cursor: duckdb.DuckDBPyConnection) -> list[str]:
    return [column[0] for column in cursor.description or []]


def _longest(batch: Sequence[tuple[Any, ...]]) -> int:
    """Length of the longest row, in characters, roughly; at least 1."""
    return max(1, *(sum(_length(value) for value in row) for row in batch))


def _length(value: Any) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    return 8 * len(value) if isinstance(value, list | tuple | dict) else 8


@contextlib.contextmanager
def _plain_errors(data_dir: Path, limits: Limits) -> Iterator[None]:
    try:
        yield
    except NoDatabase as exc:
        raise SqlFailed(str(exc), ExitCode.NOT_RUNNING) from exc
    except DatabaseLocked as exc:
        raise SqlFailed(str(exc), ExitCode.TIMEOUT) from exc
    except ReadingError as exc:
        raise SqlFailed(str(exc), ExitCode.UNEXPECTED) from exc
    except (Late, duckdb.InterruptException) as exc:
        text = f"not done after {limits.timeout_s:g} s; give it longer with --timeout"
        raise SqlFailed(text, ExitCode.TIMEOUT) from exc
    except (MemoryError, duckdb.OutOfMemoryException) as exc:
        disk = f"{_spill_bytes(data_dir) / 1e9:.1f} GB of disk"
        text = f"the statement needs more than {limits.memory} of memory and {disk}; ask for fewer or shorter rows, or "
        text += "raise --memory"
        raise SqlFailed(text, ExitCode.UNEXPECTED) from exc
    except duckdb.PermissionException as exc:
        raise SqlFailed(
            f"only the records can be read here, no files or network: {_headline(exc)}", ExitCode.USAGE
        ) from exc
    except (duckdb.CatalogException, duckdb.BinderException) as exc:
        raise SqlFailed(_headline(exc) + _of_other_schema(data_dir), ExitCode.USAGE) from exc
    except (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError) as exc:
        raise SqlFailed(_headline(exc), ExitCode.USAGE) from exc
    except duckdb.Error as exc:
        hint = f"; {rebuild_line(database_path(data_dir))} makes a new file" if is_damage(exc) else ""
        code = ExitCode.REFUSED if is_forbidden(exc) else ExitCode.UNEXPECTED
        raise SqlFailed(_headline(exc) + hint, code) from exc


def _of_other_schema(data_dir: Path) -> str:
    """What explains that a table or a column is not there, where another version has made the file; else empty."""
    path = database_path(data_dir)
    try:
        with _closing(connect(path, timeout_s=SCHEMA_S)) as con:
            version, _ = applied(con)
    except (ReadingError, OSError, duckdb.Error):
        return ""
    if version in (0, SCHEMA_VERSION):
        return ""
    found = f"; the file has schema version {version}, this gridbot reads version {SCHEMA_VERSION}"
    if version > SCHEMA_VERSION:
        return f"{found}: ask with the newer gridbot that made it"
    if path.name != DATABASE_NAME:
        return f"{found}: run again what made it (a backtest, a comparison), or ask with the version that did"
    restart = f"{pasteable('stop', data_dir=path.parent)}, then {pasteable('start --detach', data_dir=path.parent)}"
    return f"{found}: the file is brought to it when this version starts ({restart})"


def _headline(exc: BaseException) -> str:
    """DuckDB's message as one line: what is wrong, the hint, and where."""
    if str(exc).startswith("Traceback "):
        return first_line(exc)
    lines = [line.strip() for line in str(exc).splitlines() if line.strip() and set(line.strip()) != {"^"}]
    return " ".join(lines)
