"""Care of the database file: make it anew from the journals, back it up, compact it, export it.

`backup` and `export` work beside a running bot: they read, and while they do the writer waits and the file lags.
`rebuild` and `vacuum` replace the file, so the bot has to be stopped; `rebuild` keeps the old file beside the new one.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import duckdb
import orjson

from gridbot.atomic_file import put_in_place, remove_abandoned, temporary_beside, write_atomic
from gridbot.records.columns import RECORD_TYPES
from gridbot.records.journal_reader import journal_directory
from gridbot.store.database import Database
from gridbot.store.reading import DatabaseLocked, NoDatabase, ReadingError, connect, database_path
from gridbot.store.rollups import KEPT_SQLS, ROLLUPS
from gridbot.store.schema import STORAGE_VERSION, forget_fingerprint, quote
from supervisor.store.writer import Writer, WriterSpec, take_writer_lock

__all__ = ["Exported", "IncompleteJournals", "Rebuilt", "backup", "export", "rebuild", "vacuum"]

log = logging.getLogger("supervisor.store")

MANIFEST: Final = "manifest.json"
COPY_BYTES: Final = 1024 * 1024


class IncompleteJournals(RuntimeError):
    """The journals do not reach back to the first record, and no old file can fill in."""


@dataclass(slots=True)
class Rebuilt:
    """What `rebuild` did: rows by origin, gaps that remain, and where the old file is now."""

    from_journals: int = 0
    from_old_file: int = 0
    gaps: list[tuple[str, int, int, str]] = field(default_factory=list)
    old_file: Path | None = None


@contextlib.contextmanager
def _only_writer(data_dir: Path) -> Iterator[Path]:
    """The database path, while no bot and no other maintenance works on it. Raise WriterBusy."""
    path = database_path(data_dir)
    lock = take_writer_lock(path)
    try:
        yield path
    finally:
        os.close(lock)


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def rebuild(data_dir: Path, *, accept_loss: bool = False) -> Rebuilt:
    """Make a new database from the journals; what they no longer hold comes from the old file where that is readable.

    Raise IncompleteJournals when something would be in neither (unless `accept_loss`), WriterBusy while a bot runs.
    """
    done = Rebuilt()
    with _only_writer(data_dir) as path:
        Database(path).remove_left_overs()
        fresh = Database(temporary_beside(path))
        fresh.prepare()
        done.from_old_file = _salvage(data_dir, path, fresh)
        writer = Writer(WriterSpec(data_dir, ()), {}, fresh)
        try:
            while writer.flush():
                pass
        finally:
            writer.close()
        done.from_journals = writer.state.rows
        with connect(fresh.path) as con:
            gaps = con.execute("SELECT account, from_seq, to_seq, reason FROM ingest_gaps ORDER BY ALL").fetchall()
        done.gaps = gaps
        fresh.path.with_name(fresh.path.name + ".writer").unlink(missing_ok=True)
        if any(first == 1 for _, first, _, _ in gaps) and not accept_loss:
            kept = path.with_name(f"{path.stem}.rebuild{path.suffix}")
            put_in_place(fresh.path, kept)
            raise IncompleteJournals(
                "; ".join(
                    f"records 1 to {last} of account {name} are in no journal"
                    for name, first, last, _ in gaps
                    if first == 1
                )
                + f". The new file without them is {kept}; nothing was replaced. Use --accept-loss to go on"
            )
        done.old_file = _replace(path, fresh.path)
    return done


def _replace(path: Path, fresh: Path) -> Path | None:
    """Put `fresh` in the place of `path`; return where the old file went, with its write-ahead log beside it."""
    old = None
    if path.exists():
        old = path.with_name(f"{path.stem}.before-{_stamp()}{path.suffix}")
        wal = path.with_name(path.name + ".wal")
        if wal.exists():
            os.replace(wal, old.with_name(old.name + ".wal"))
        os.replace(path, old)
    put_in_place(fresh, path)
    return old


def _salvage(data_dir: Path, path: Path, fresh: Database) -> int:
    """Copy what is older than the journals from the old file, when there is one that can be read; all or nothing."""
    try:
        connect(path, timeout_s=0).close()
        return _copy_older(data_dir, path, fresh)
    except (ReadingError, duckdb.Error) as exc:
        log.warning("nothing is taken from the old file: %s", str(exc).splitlines()[0])
        return 0


def _copy_older(data_dir: Path, path: Path, fresh: Database) -> int:
    copied = 0
    with duckdb.connect(config={"threads": 2}) as con:
        con.execute(f"ATTACH {quote(str(path))} AS old (READ_ONLY)")
        con.execute(f"ATTACH {quote(str(fresh.path))} AS fresh")
        con.begin()
        befores: dict[str, int] = {}
        for account, last in con.execute("SELECT account, seq FROM old.ingest_offsets").fetchall():
            before = min(_first_in_journal(data_dir, account), last + 1)
            if before > 1:
                copied += _copy_account(con, account, before)
                befores[account] = before
        _copy_rollups(con, befores)
        con.commit()
    return copied


def _first_in_journal(data_dir: Path, account: str) -> int:
    """Number of the oldest record that is still in the account's journal; far beyond all when it is empty."""
    names = sorted(journal_directory(data_dir, account).glob("*.journal"))
    return next((int(path.stem) for path in names if path.stat().st_size), 2**62)


def _old_tables(con: duckdb.DuckDBPyConnection) -> set[str]:
    tables = con.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'old'").fetchall()
    return {row[0] for row in tables}


def _copy_rollups(con: duckdb.DuckDBPyConnection, befores: Mapping[str, int]) -> None:
    """Make the rollups of the copied rows, and bring what the old file knows of rows that went by retention."""
    con.execute("USE fresh")
    for rollup in ROLLUPS:
        for statement in rollup.statements(rollup.source):
            con.execute(statement)
    known = _old_tables(con)
    for table, statement in KEPT_SQLS:
        if table in known:
            for account, before in befores.items():
                con.execute(statement, [account, before])
    con.execute("USE memory")


def _copy_account(con: duckdb.DuckDBPyConnection, account: str, before: int) -> int:
    copied = 0
    known = _old_tables(con)
    for table in RECORD_TYPES:
        if table in known:
            copied += _count(
                con,
                f"""
                INSERT INTO fresh.{table} BY NAME
                SELECT * FROM old.{table} WHERE account = ? AND seq < ? ORDER BY seq""",
                account,
                before,
            )
    for table, number in (("ingest_gaps", "to_seq"), ("ingest_rejects", "seq")):
        condition = f"account = ? AND coalesce({number}, 0) < ?"
        _count(con, f"INSERT INTO fresh.{table} BY NAME SELECT * FROM old.{table} WHERE {condition}", account, before)
    con.execute(
        "INSERT INTO fresh.ingest_offsets VALUES (?, ?, ?)",
        [account, before - 1, datetime.now(UTC).replace(tzinfo=None)],
    )
    return copied


def _count(con: duckdb.DuckDBPyConnection, statement: str, account: str, before: int) -> int:
    row = con.execute(statement, [account, before]).fetchone()
    return int(row[0]) if row else 0


def backup(data_dir: Path, target: Path, *, wait_s: float = 30.0) -> int:
    """Copy the database to `target` as of one moment; return its size in bytes. Works beside a running bot.

    The file is held open read-only meanwhile, so that the writer leaves it alone. Not for the writer's own process.
    """
    if target.exists():
        raise FileExistsError(f"{target} exists; expected a new name for the backup")
    remove_abandoned(target)
    partial = temporary_beside(target)
    wal = partial.with_name(partial.name + ".wal")
    try:
        _copy_held(database_path(data_dir), partial, wal, wait_s)
        connect(partial, timeout_s=0).close()  # a backup that cannot be opened is none
        if wal.exists():
            put_in_place(wal, target.with_name(target.name + ".wal"))
        put_in_place(partial, target)
    except BaseException:
        for half in (partial, wal):
            half.unlink(missing_ok=True)
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
            shutil.copyfile(wal, target_wal)
        with target.open("xb") as file:
            shutil.copyfileobj(source, file, COPY_BYTES)


def vacuum(data_dir: Path) -> tuple[int, int]:
    """Write the database anew without free space; (bytes before, bytes after). Raise WriterBusy while a bot runs."""
    with _only_writer(data_dir) as path:
        if not path.exists():
            raise NoDatabase(f"there is no database at {path}")
        _prepare(path)  # in its own place, so that the copy of an older version lies beside it
        before = path.stat().st_size
        fresh = temporary_beside(path)
        with duckdb.connect(config={"threads": 2}) as con:
            con.execute(f"ATTACH {quote(str(path))} AS old")
            con.execute(f"ATTACH {quote(str(fresh))} AS fresh (STORAGE_VERSION {quote(STORAGE_VERSION)})")
            con.execute("COPY FROM DATABASE old TO fresh")
            forget_fingerprint(con, "fresh")
        _prepare(fresh)
        put_in_place(fresh, path)
        return before, path.stat().st_size


def _prepare(path: Path) -> None:
    with contextlib.closing(Database(path)) as database:
        database.prepare()


@dataclass(slots=True)
class Exported:
    """Files written by `export`, and the days that were up to date already."""

    written: list[Path] = field(default_factory=list)
    skipped: int = 0


def export(data_dir: Path, target: Path, *, tables: tuple[str, ...] = (), wait_s: float = 30.0) -> Exported:
    """Write the record tables as Parquet below `target`, one file per table and UTC day of `local_ts`.

    Days that have no more rows than at the last export are not written again, nor those of which retention has removed
    some since: an export keeps what the database forgets. The database is opened once per file, so a running writer
    gets its turn in between.
    """
    manifest_path = target / MANIFEST
    manifest: dict[str, int] = orjson.loads(manifest_path.read_bytes()) if manifest_path.exists() else {}
    done = Exported()
    remove_abandoned(manifest_path)
    for table in tables or tuple(RECORD_TYPES):
        days = f"SELECT CAST(local_ts AS DATE)::VARCHAR, count(*) FROM {table} GROUP BY 1 ORDER BY 1"
        with connect(data_dir, timeout_s=wait_s) as con:
            found = con.execute(days).fetchall()
        for day, count in found:
            key = f"{table}/day={day}"
            if manifest.get(key, 0) >= count:
                done.skipped += 1
                continue
            done.written.append(_export_day(data_dir, target / key, table, day, wait_s))
            manifest[key] = count
            write_atomic(manifest_path, orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    return done


def _export_day(data_dir: Path, folder: Path, table: str, day: str, wait_s: float) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{table}.parquet"
    remove_abandoned(path)
    partial = temporary_beside(path)
    rows = f"SELECT * FROM {table} WHERE local_ts >= DATE '{day}' AND local_ts < DATE '{day}' + INTERVAL 1 DAY"
    with connect(data_dir, timeout_s=wait_s) as con:
        con.execute(f"COPY ({rows}) TO {quote(str(partial))} (FORMAT parquet, COMPRESSION zstd)")
    put_in_place(partial, path)
    return path
