"""Builds a new database from the journals while the bot is stopped; the old file stays beside the new one."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from gridbot.atomic_file import put_in_place, remove_abandoned, temporary_beside
from gridbot.records.journal_reader import journal_directory
from gridbot.store.database import Database, spill_directory
from gridbot.store.file_errors import first_line, is_log_damage
from gridbot.store.linked_file import dead_link, real_file
from gridbot.store.reading import DatabaseDamaged, NoDatabase, connect, database_path
from gridbot.store.schema import GROUP_ROWS, quote, require_known
from supervisor.store.salvage import committed_numbers, take_over
from supervisor.store.writer import Writer, WriterSpec
from supervisor.store.writer_lock import sole_writer
from supervisor.utc_time import file_stamp

__all__ = ["Rebuilt", "RecordsLost", "rebuild"]

log = logging.getLogger("supervisor.store")


@dataclass(slots=True)
class Rebuilt:
    """What `rebuild` did: rows by origin (of the old file by table) and where the old file is now.

    `losses`: a line for what this rebuild could not bring over. `missing`: a line for each range of records that is not
    in the new file, earlier losses too.
    """

    from_journals: int = 0
    from_old_file: dict[str, int] = field(default_factory=dict)
    losses: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    old_file: Path | None = None


class RecordsLost(RuntimeError):
    """Records are neither in a journal nor readable in the old file; `done` says which."""

    def __init__(self, done: Rebuilt, kept: Path) -> None:
        super().__init__(
            f"{len(done.losses)} losses, as listed above. The new file without them is {kept}; nothing was replaced. "
            "Use --accept-loss to go on"
        )
        self.done = done


def rebuild(data_dir: Path, *, accept_loss: bool = False) -> Rebuilt:
    """Make a new database from the journals, and of what can be read of the old file for what they no longer hold.

    Raise RecordsLost when something is in neither (unless `accept_loss`), WriterBusy while a bot runs, SchemaTooNew,
    NewerJournal, ReadingError when the old file is whole and cannot be opened, such as one that another program has;
    NoDatabase where none has ever run: a mistyped directory does not become one with an empty database. Whatever is
    raised, nothing of a half-made file stays.
    """
    done = Rebuilt()
    path = database_path(data_dir)
    if not path.exists() and not (data_dir / "journal").is_dir():
        raise NoDatabase(f"there are neither journals nor a database in {data_dir}")
    if dead := dead_link(path):
        raise NoDatabase(dead)
    with sole_writer(path):
        Database(path).remove_left_overs()
        remove_abandoned(file := real_file(path), locked=True)
        fresh = Database(temporary_beside(file))
        try:
            _fill(data_dir, path, fresh, done)
            if done.losses and not accept_loss:
                kept = file.with_name(f"{path.stem}.rebuild{path.suffix}")
                put_in_place(fresh.path, kept)
                raise RecordsLost(done, kept)
            done.old_file = _replace(path, fresh.path)
        finally:
            for name in (fresh.path, fresh.wal, fresh.path.with_name(f"{fresh.path.name}.writer")):
                name.unlink(missing_ok=True)
    return done


def _fill(data_dir: Path, path: Path, fresh: Database, done: Rebuilt) -> None:
    fresh.prepare()
    befores = _salvage(data_dir, path, fresh, done)
    writer = Writer(WriterSpec(data_dir, ()), {}, fresh)
    try:
        while writer.flush():
            pass
        writer.compact()
        while writer.keep_pairs():
            pass
    finally:
        writer.close()
    done.from_journals = writer.state.rows
    _note_gaps(fresh.path, befores, done)


def _note_gaps(fresh: Path, befores: Mapping[str, int], done: Rebuilt) -> None:
    """A gap in front of an account's first journal is a loss of today; others were lost before."""
    with connect(fresh) as con:
        gaps = con.execute("SELECT account, from_seq, to_seq, reason FROM ingest_gaps ORDER BY ALL").fetchall()
    for account, first, last, reason in gaps:
        done.missing.append(f"records {first} to {last} of account {account}: {reason}")
        if first == befores.get(account, 1):
            done.losses.append(f"records {first} to {last} of account {account} are in no journal")


def _replace(path: Path, fresh: Path) -> Path | None:
    """Put `fresh` in the place of `path`; return where the old file went, with its write-ahead log beside it."""
    old, file = None, real_file(path)
    if file.exists():
        old = file.with_name(f"{path.stem}.before-{file_stamp()}{path.suffix}")
        wal = path.with_name(path.name + ".wal")
        if wal.exists():
            shutil.move(wal, old.with_name(old.name + ".wal"))  # a link's is beside the link, on another disk
        os.replace(file, old)
    put_in_place(fresh, file)
    return old


def _salvage(data_dir: Path, path: Path, fresh: Database, done: Rebuilt) -> dict[str, int]:
    """Take what is older than the journals from the old file; the number up to which (not included) by account."""
    if not path.exists() or not _is_readable(path):
        return {}
    with duckdb.connect(config={"threads": 2, "temp_directory": str(spill_directory(fresh.path))}) as con:
        con.execute(f"ATTACH {quote(str(path))} AS old (READ_ONLY)")
        con.execute(f"ATTACH {quote(str(fresh.path))} AS fresh (ROW_GROUP_SIZE {GROUP_ROWS})")
        befores = {
            account: before
            for account, last in committed_numbers(con).items()
            if (before := min(_first_in_journal(data_dir, account), last + 1)) > 1
        }
        taken = take_over(con, befores)
    done.from_old_file = dict(taken.copied)
    done.losses += map(str, taken.losses)
    return befores


def _is_readable(path: Path) -> bool:
    """Whether there is something to be had of the old file; a damaged write-ahead log is set aside for that."""
    for _ in range(2):
        try:
            with connect(path, timeout_s=0) as con:
                require_known(con)
            return True
        except DatabaseDamaged as exc:
            if exc.__cause__ is None or not is_log_damage(exc.__cause__):
                log.warning("nothing is taken from the old file: %s", exc)
                return False
            Database(path).set_log_aside(first_line(exc.__cause__))
    return False


def _first_in_journal(data_dir: Path, account: str) -> int:
    """Number of the oldest record that is still in the account's journal; far beyond all when it is empty."""
    names = sorted(journal_directory(data_dir, account).glob("*.journal"))
    return next((int(path.stem) for path in names if path.stat().st_size), 2**62)
