"""Writes the records as Parquet files, also beside a running bot."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import duckdb
import orjson

from gridbot.atomic_file import put_in_place, remove_abandoned, remove_forgotten, temporary_beside, write_atomic
from gridbot.private_files import make_directory
from gridbot.records.columns import RECORD_TYPES
from gridbot.store.database import spill_directory
from gridbot.store.reading import attach, database_path, names_in
from gridbot.store.row_contexts import CONTEXT_TABLE
from gridbot.store.schema import quote
from supervisor.store.writers_turn import WritersTurn

__all__ = ["Exported", "export"]

MANIFEST: Final = "manifest.json"
_RECORDS: Final = "records"
"""Name of the database inside the engine."""
HELD_S: Final = 0.3
"""After so long with the database it is left to a running writer (`writers_turn`)."""


@dataclass(slots=True)
class Exported:
    """Files written by `export`, and the days that were up to date already."""

    written: list[Path] = field(default_factory=list)
    skipped: int = 0


def export(data_dir: Path, target: Path, *, tables: tuple[str, ...] = (), wait_s: float = 30.0) -> Exported:
    """Write the record tables as Parquet below `target`, one file per table and UTC day of `local_ts`.

    Days that have no more rows than at the last export are not written again, nor those of which retention has removed
    some since: an export keeps what the database forgets. The database is held for one file at a time, and left alone
    as long again, so that a running writer gets its turn.
    """
    manifest_path = target / MANIFEST
    manifest: dict[str, int] = orjson.loads(manifest_path.read_bytes()) if manifest_path.exists() else {}
    done = Exported()
    remove_abandoned(manifest_path)
    for folder in target.glob("*/day=*"):
        remove_forgotten(folder, ".parquet")
    with _engine(data_dir) as engine:
        records = _Records(engine, data_dir, wait_s)
        with records.held():  # a file of an earlier version does not have them all
            there = names_in(engine)
        for table in (table for table in tables or RECORD_TYPES if table in there):
            with records.held():
                found = engine.execute(_days(table)).fetchall()
            for day, count, *span in found:
                key = f"{table}/day={day}"
                if manifest.get(key, 0) >= count:
                    done.skipped += 1
                    continue
                path = _place(target / key, table)
                partial = temporary_beside(path)
                with records.held():
                    engine.execute(_copy(table, day, span, partial))
                put_in_place(partial, path)
                done.written.append(path)
                manifest[key] = count
                write_atomic(manifest_path, orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    return done


@contextlib.contextmanager
def _engine(data_dir: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """One for all files: to start one takes as long as to write a small file."""
    with duckdb.connect(config={"temp_directory": str(spill_directory(database_path(data_dir)))}) as engine:
        engine.execute("SET GLOBAL TimeZone = 'UTC'")
        yield engine


class _Records:
    """The database of this engine, for a moment at a time."""

    def __init__(self, engine: duckdb.DuckDBPyConnection, data_dir: Path, wait_s: float) -> None:
        self._engine, self._data_dir, self._wait_s = engine, data_dir, wait_s
        self._turn = WritersTurn(HELD_S)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """The records as they are now, in this block only. Raises as `attach`."""
        self._turn.leave()
        with self._turn.count(attach(self._engine, self._data_dir, _RECORDS, timeout_s=self._wait_s)):
            try:
                self._engine.execute(f"USE {_RECORDS}")
                yield
            finally:
                with contextlib.suppress(duckdb.Error):  # after an error of the engine's own, which is the news
                    self._engine.execute("USE memory")
                    self._engine.execute(f"DETACH {_RECORDS}")


def _place(folder: Path, table: str) -> Path:
    make_directory(folder)
    path = folder / f"{table}.parquet"
    remove_abandoned(path)
    return path


def _days(table: str) -> str:
    """Its days, how many rows each has, and of executions from when to when they are by the exchange's time."""
    span = ", min(exchange_ts)::VARCHAR, max(exchange_ts)::VARCHAR" if table == CONTEXT_TABLE else ""
    return f"SELECT CAST(local_ts AS DATE)::VARCHAR, count(*){span} FROM {table} GROUP BY 1 ORDER BY 1"


def _copy(table: str, day: str, span: list[str], target: Path) -> str:
    rows = f"SELECT * FROM {table} WHERE local_ts >= DATE '{day}' AND local_ts < DATE '{day}' + INTERVAL 1 DAY"
    if span:  # local_ts of an execution is worked out, and so would be that of all rows, for each day
        rows += f" AND exchange_ts BETWEEN TIMESTAMP '{span[0]}' AND TIMESTAMP '{span[1]}'"
    return f"COPY ({rows}) TO {quote(str(target))} (FORMAT parquet, COMPRESSION zstd)"
