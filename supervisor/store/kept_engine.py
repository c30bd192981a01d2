"""One DuckDB engine for all that a command asks of the same records.

An engine costs 18 ms of CPU, opening the file in one that is there 2 ms, and a command asks up to a dozen times. The
file is open only while something is asked: between two questions the writer has it, as with an engine for each.

Only for statements that this program wrote. Each has a connection of its own, so that nothing of it reaches the next
(schema, variables, temporary tables, prepared statements), but the memory of the engine is shared. A statement that a
user wrote has an engine of its own (`query.Query.rows`).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

from gridbot.store.reading import attach, database_path, lock
from gridbot.store.schema import quote
from supervisor.store.writers_turn import WritersTurn

__all__ = ["Opened", "close_idle", "opened"]

IDLE: Final = 2
"""Engines that wait for the next question, at most: `compare` asks two files in turns."""
HELD_S: Final = 1.0
"""After so long with the same records, in one question or in many, they are left to a running writer."""
_turns: Final = defaultdict[Path, WritersTurn](lambda: WritersTurn(HELD_S))
"""By database file."""
_RECORDS: Final = "records"
_BESIDE: Final = ("", ".wal", ".wal.checkpoint", ".wal.recovery")
"""What DuckDB opens of a database file: itself and its logs. A locked engine may open nothing else."""

_Key = tuple[str, str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection to the records, and the engine that it belongs to: closing that gives the file back."""

    connection: duckdb.DuckDBPyConnection
    engine: duckdb.DuckDBPyConnection


class _Idle:
    """Engines without a file, the newest last. Threads may share it: who takes an engine has it alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engines: list[tuple[_Key, duckdb.DuckDBPyConnection]] = []

    def take(self, key: _Key) -> duckdb.DuckDBPyConnection | None:
        with self._lock:
            for index, (its, engine) in enumerate(self._engines):
                if its == key:
                    del self._engines[index]
                    return engine
        return None

    def put(self, key: _Key, engine: duckdb.DuckDBPyConnection) -> None:
        with self._lock:
            self._engines.append((key, engine))
            over = self._engines[:-IDLE]
            del self._engines[:-IDLE]
        for _, old in over:
            _close(old)

    def close(self) -> None:
        with self._lock:
            engines, self._engines = self._engines, []
        for _, engine in engines:
            _close(engine)


_idle: Final = _Idle()


def close_idle() -> None:
    """Close the engines that wait; the next question makes one. A fork does so by itself: their threads stay behind."""
    _idle.close()


os.register_at_fork(before=close_idle)
atexit.register(close_idle)


@contextlib.contextmanager
def opened(data_dir: Path, settings: dict[str, str], *, wait_s: float) -> Iterator[Opened]:
    """The records as the default schema of a new connection that can open no other file and change no settings.

    Waits for the file, and raises, as `gridbot.store.reading.connect`; leaves it to a running writer now and then.
    `settings` are DuckDB's, for the whole engine. An engine that something failed in is not used again.
    """
    path = database_path(data_dir)
    key: _Key = (str(path), str(path.absolute()), tuple(sorted(settings.items())))
    turn = _turns[path.absolute()]
    turn.leave()
    engine = _idle.take(key) or _made(path, settings)
    try:
        with turn.count(attach(engine, data_dir, _RECORDS, timeout_s=wait_s)):
            connection = engine.cursor()
            connection.execute(f"USE {_RECORDS}")
            yield Opened(connection, engine)
    except BaseException:
        _close(engine)
        raise
    try:
        connection.close()
        engine.execute(f"DETACH {_RECORDS}")
    except duckdb.Error:
        _close(engine)  # gives the file back, too
        return
    _idle.put(key, engine)


def _made(path: Path, settings: dict[str, str]) -> duckdb.DuckDBPyConnection:
    # mypy: duckdb's stub wants dict[str, str | bool | int | float | list]
    options: Any = {**settings, "temp_directory": f"{path}.tmp"}
    engine = duckdb.connect(config=options)
    try:
        engine.execute("SET GLOBAL TimeZone = 'UTC'")
        engine.execute(f"SET allowed_paths = [{', '.join(quote(f'{path}{end}') for end in _BESIDE)}]")
        return lock(engine)
    except BaseException:
        _close(engine)
        raise


def _close(engine: duckdb.DuckDBPyConnection) -> None:
    """Unless a statement that nothing stops still uses it: DuckDB refuses that, and that is no news."""
    with contextlib.suppress(duckdb.Error):
        engine.close()
