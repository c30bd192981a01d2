"""Builds a new database from the journals while the bot is stopped; the old file stays beside the new one."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from gridbot.atomic_file import put_in_place, temporary_beside
from gridbot.records.columns import RECORD_TYPES
from gridbot.records.journal_reader import journal_directory
from gridbot.store.database import Database
from gridbot.store.reading import ReadingError, connect, database_path
from gridbot.store.rollups import KEPT_SQLS, ROLLUPS
from gridbot.store.schema import quote
from supervisor.store.writer import Writer, WriterSpec
from supervisor.store.writer_lock import sole_writer
from supervisor.utc_time import file_stamp

__all__ = ["IncompleteJournals", "Rebuilt", "rebuild"]

log = logging.getLogger("supervisor.store")


class IncompleteJournals(RuntimeError):
    """The journals do not reach back to the first record, and no old file can fill in."""


@dataclass(slots=True)
class Rebuilt:
    """What `rebuild` did: rows by origin, gaps that remain, and where the old file is now."""

    from_journals: int = 0
    from_old_file: int = 0
    gaps: list[tuple[str, int, int, str]] = field(default_factory=list)
    old_file: Path | None = None


def rebuild(data_dir: Path, *, accept_loss: bool = False) -> Rebuilt:
    """Make a new database from the journals; what they no longer hold comes from the old file where that is readable.

    Raise IncompleteJournals when something would be in neither (unless `accept_loss`), WriterBusy while a bot runs.
    """
    done = Rebuilt()
    path = database_path(data_dir)
    with sole_writer(path):
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
        lost = [
            f"records 1 to {last} of account {name} are in no journal" for name, first, last, _ in gaps if first == 1
        ]
        if lost and not accept_loss:
            kept = path.with_name(f"{path.stem}.rebuild{path.suffix}")
            put_in_place(fresh.path, kept)
            raise IncompleteJournals(
                f"{'; '.join(lost)}. The new file without them is {kept}; nothing was replaced. "
                "Use --accept-loss to go on"
            )
        done.old_file = _replace(path, fresh.path)
    return done


def _replace(path: Path, fresh: Path) -> Path | None:
    """Put `fresh` in the place of `path`; return where the old file went, with its write-ahead log beside it."""
    old = None
    if path.exists():
        old = path.with_name(f"{path.stem}.before-{file_stamp()}{path.suffix}")
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
    """Make the rollups of the copied rows, and copy what the old file has of rows that retention has removed."""
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
