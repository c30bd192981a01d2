"""Care of the database file: copies it while the bot runs, or compacts it while it is stopped.

While a copy is made the writer waits and the file falls behind.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Final

import duckdb

from gridbot.atomic_file import put_in_place, remove_abandoned, remove_forgotten, temporary_beside
from gridbot.private_files import copy_private, open_private
from gridbot.store.database import Database, spill_directory
from gridbot.store.linked_file import dead_link, real_file
from gridbot.store.reading import DatabaseLocked, NoDatabase, connect, database_path
from gridbot.store.schema import NEW_FILE, forget_fingerprint, quote
from supervisor.store.writer_lock import sole_writer

__all__ = ["backup", "vacuum"]

COPY_BYTES: Final = 1024 * 1024


def backup(data_dir: Path, target: Path, *, wait_s: float = 30.0) -> int:
    """Copy the database to `target` as of one moment; return its size in bytes. Works beside a running bot.

    The file is held open read-only meanwhile, so that the writer leaves it alone. Not for the writer's own process.
    """
    if target.exists():
        raise FileExistsError(f"{target} exists; expected a new name for the backup")
    remove_abandoned(target)
    if target.suffix:
        remove_forgotten(target.parent, target.suffix)
    partial = temporary_beside(target)
    wal = partial.with_name(partial.name + ".wal")
    try:
        _copy_held(database_path(data_dir), partial, wal, wait_s)
        connect(partial, timeout_s=0).close()  # a backup that cannot be opened is worthless
        if wal.exists():
            put_in_place(wal, target.with_name(target.name + ".wal"))
        put_in_place(partial, target)
    except BaseException:
        for half in (partial, wal):
            with contextlib.suppress(OSError):
                half.unlink()
        raise
    return target.stat().st_size


def _copy_held(path: Path, target: Path, target_wal: Path, wait_s: float) -> None:
    """Copy the database file and its write-ahead log while DuckDB's lock keeps the writer out."""
    connect(path, timeout_s=wait_s).close()  # says what is wrong when there is none, or it is damaged
    # Opened before DuckDB has it and closed afterwards: closing any descriptor of the file drops DuckDB's lock.
    with path.open("rb") as source, connect(path, timeout_s=wait_s) as con:
        con.execute("SELECT count(*) FROM ingest_offsets")
        if not os.path.samestat(os.fstat(source.fileno()), os.stat(path)):
            raise DatabaseLocked(f"{path} was replaced by another file just now; try again")
        wal = path.with_name(path.name + ".wal")
        if wal.exists():
            copy_private(wal, target_wal)
        with open_private(target, "xb") as file:
            shutil.copyfileobj(source, file, COPY_BYTES)


def vacuum(data_dir: Path) -> tuple[int, int]:
    """Rewrite the database without free space; (bytes before, bytes after).

    Raise NoDatabase, and WriterBusy while a bot runs.
    """
    path = database_path(data_dir)
    if not path.exists():  # before the lock, which would make a mistyped directory
        raise NoDatabase(dead_link(path) or f"there is no database at {path}")
    with sole_writer(path):
        _prepare(path)  # in place, so that the copy of an older version is kept beside it
        before, file = path.stat().st_size, real_file(path)
        remove_abandoned(file, locked=True)
        fresh = temporary_beside(file)
        with duckdb.connect(config={"threads": 2, "temp_directory": str(spill_directory(fresh))}) as con:
            con.execute(f"ATTACH {quote(str(path))} AS old")
            con.execute(f"ATTACH {quote(str(fresh))} AS fresh {NEW_FILE}")
            con.execute("COPY FROM DATABASE old TO fresh")
            forget_fingerprint(con, "fresh")
        _prepare(fresh)
        put_in_place(fresh, file)
        return before, path.stat().st_size


def _prepare(path: Path) -> None:
    with contextlib.closing(Database(path)) as database:
        database.prepare()
