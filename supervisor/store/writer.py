"""The store's writer: takes the accounts' records and puts them into the database, each exactly once.

One transaction per flush holds the rows and the last number of each account, so a crash leaves both or neither. A
number is reported as committed (and acknowledged to its worker) only when the file itself has it, not just its
write-ahead log.

    collect -> open -> compare offsets -> write, commit -> close -> report
                 |held by another process: keep the rows, try again soon, say who holds it
                 |any other failure: forget the rows, ask the file for its offsets, read the journals from there
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import psutil

from gridbot.records.journal_compaction import QUIET_S
from gridbot.records.journal_reader import journal_directory, write_committed
from gridbot.records.record_queue import QueueReceiver
from gridbot.store.commit import GONE_AT_ONCE, Rows, delete_older, stored_offsets
from gridbot.store.database import Database
from gridbot.store.file_errors import first_line, is_damage, rebuild_line
from gridbot.store.grid_keeping import AT_ONCE, keep_some, waiting_executions
from gridbot.store.grid_patience import FIRST_WAIT_S, Patience
from gridbot.store.ingest import AccountSource
from gridbot.store.landing import KnownOrder, landed_size, put
from gridbot.store.newest_moves import move_newest
from gridbot.store.reading import database_path
from supervisor.store.database_losses import Losses
from supervisor.store.landing_pace import LandingPace
from supervisor.store.writer_lock import keep_writer_lock, take_writer_lock
from supervisor.store.writer_state import WriterState

if TYPE_CHECKING:
    from gridbot.config.fleet_models import FleetConfig
    from supervisor.fleet.record_shipper import RecordShipper

__all__ = ["Writer", "WriterSpec"]

log = logging.getLogger("supervisor.store")


@dataclass(frozen=True, slots=True)
class WriterSpec:
    """What the supervisor gives the writer. `flush_interval` in seconds.

    `max_rows` and `max_bytes` bound one transaction, and so its memory. What is read last may go 14,000 rows beyond
    `max_rows` (100,000 of a packed journal), and else all fit two row groups of the file: each transaction begins two,
    and neighbours are written anew where that makes fewer of them, which of such large ones it does not.

    `compact_s`: how long records stay in the table where few land at first (`gridbot.store.landing`).

    `compact_journal_s`: how long after its last record a finished segment of a journal is compacted.

    `fleet`: of a host of a fleet, where records are shipped to (`supervisor.fleet.record_shipper`).

    `keep_days`: after how many days rows of a table are deleted (by `local_ts`), such as {"tickers": 30}; others stay.
    """

    data_dir: Path
    accounts: tuple[str, ...]
    flush_interval: float = 0.85
    max_rows: int = 84_000
    max_bytes: int = 96 * 1024 * 1024
    compact_s: float = 120.0
    compact_journal_s: float = QUIET_S
    keep_days: Mapping[str, float] = field(default_factory=dict)
    logging: Any = None
    fleet: FleetConfig | None = field(default=None, repr=False)


class Writer:
    """The work without the process around it.

    `database`: another file than the data directory's own, for building a new one (see `supervisor.store.rebuild`).
    """

    def __init__(self, spec: WriterSpec, queues: Mapping[str, QueueReceiver], database: Database | None = None) -> None:
        self.spec = spec
        self.state = WriterState()
        self.database = database or Database(database_path(spec.data_dir))
        self._lock_fd = take_writer_lock(self.database.path)
        self._patience = Patience()
        self._trims = False
        self._next_pairs = 0.0
        self._sources: dict[str, AccountSource] = {}
        self._rows = Rows()
        self._bytes = 0
        self._oldest: dict[str, int] = {}
        self._uncertain = True
        self._changes = 0
        """`Database.changes` as of when the offsets in the file were known to be those of our last commit."""
        self.losses = Losses(spec.data_dir, self.database.path)
        self._more, self._busy, self._passed_over = False, set[str](), set[str]()
        self._process = psutil.Process()
        self._landing = LandingPace(spec.compact_s)
        self._order = KnownOrder()
        self._shipper = _shipper(self, spec.fleet) if spec.fleet is not None and database is None else None
        for account in sorted({*spec.accounts, *queues, *accounts_on_disk(spec.data_dir)}):
            directory = journal_directory(spec.data_dir, account)
            self._sources[account] = AccountSource(account, directory, queues.get(account))

    def follow(self, account: str) -> None:
        """One more account, by its journal; its queue comes with the next process of the writer."""
        if account not in self._sources:
            self._sources[account] = AccountSource(account, journal_directory(self.spec.data_dir, account))
            self._uncertain = True  # what the database has of it is read before its records

    def flush(self, *, idle: bool = True) -> bool:
        """Collect and commit what there is. True when there may be more right now. Raise as `Database.open`."""
        self._lock_fd = keep_writer_lock(self.database.path, self._lock_fd)
        self._uncertain |= not self.database.path.exists() or self._changes != self.database.changes
        if self.losses.is_removed(time.monotonic()):
            raise duckdb.IOException(self.losses.waiting)
        if self.losses.wants_another:
            self.database.prepare()
            return True  # a health report may go between this and what follows: a busy disk takes its time
        if self._uncertain:
            self._synchronise()
        if self._rows.count < self.spec.max_rows and self._bytes < self.spec.max_bytes:
            self._collect(idle=idle)
        started = time.monotonic()
        is_due = self._landing.is_due(started)
        if not self._rows and not is_due:
            self.state.went_well()
            self._forget_rows()  # all that was read was known already: it takes no room, and there may be more behind
            return self._more
        lands = not (is_due or self._more) and self._landing.takes(self._rows.count, self._bytes)
        moved = self._put(lands=lands)
        landed = self._rows.count + len(self._rows.offsets)
        self._landing.note(landed, self._bytes, started, moved=bool(moved) or not lands)
        return self._committed(moved, started)

    def compact(self) -> None:
        """Put all that has landed into the tables of its kinds. Raise as `flush`."""
        if self._landing.count:
            with self.database.open() as con:
                self._compare(con)
                put(con, Rows(), lands=False, order=self._order)
                self._look_at_tables(con)
            self._landing.begin(0, 0, time.monotonic())
            self._require_checkpoint()

    def _put(self, *, lands: bool) -> Rows:
        """Commit what was collected; what went into the tables of its kinds, as `put` says it."""
        with self.database.open(stays=lands) as con:
            self._uncertain = True  # until the rows are in the file itself
            self._compare(con)
            order, self._order = self._order, KnownOrder()  # after an error it is read anew
            moved = put(con, self._rows, lands=lands, order=order)
            if moved:
                self._look_at_tables(con)
                self._next_pairs = 0.0
                if not self._more and 0 < self.state.unmatched <= AT_ONCE:  # nearly always: no reader sees them wait
                    keep_some(con, patience=self._patience)
                    self._look_at_tables(con)
                    order.known = None
        self._uncertain, self._order = False, order
        return moved

    def keep_pairs(self, at_once: int = AT_ONCE) -> bool:
        """Match some of the executions that are not matched yet; True when there may be more. Raise as `flush`.

        The file is free between two of these.
        """
        if self._uncertain or not self.state.unmatched or time.monotonic() < self._next_pairs:
            return False
        with self.database.open() as con:
            self._compare(con)
            self._order.known = None
            did_some = keep_some(con, at_once, patience=self._patience)
            self._look_at_tables(con)
        self._require_checkpoint()
        if not did_some:
            self._next_pairs = time.monotonic() + FIRST_WAIT_S
        return did_some and self.state.unmatched > 0

    def _look_at_tables(self, con: duckdb.DuckDBPyConnection) -> None:
        """After rows came into their tables or went from them."""
        self.state.unmatched = waiting_executions(con)
        move_newest(con)

    def _compare(self, con: duckdb.DuckDBPyConnection) -> None:
        """Before something is written to a file that another may have changed: of all accounts, since the next records
        of one that has none now are not compared again. Raise duckdb.IOException."""
        if self._changes == self.database.changes:
            return
        stored, committed = stored_offsets(con), self.state.committed
        if any(stored.get(account, 0) != committed.get(account, 0) for account in stored.keys() | committed.keys()):
            raise duckdb.IOException("the offsets in the database are not those of the last commit")
        self._order.known = None
        self._changes = self.database.changes

    def _committed(self, moved: Rows, started: float) -> bool:
        self._require_checkpoint()
        if self._shipper is not None:
            self._shipper.fresh.add(self.state.committed, self._rows, whole=not (moved.rejects or self._rows.gaps))
        self.losses.note(self._rows.gaps)
        if not self._more:
            self.losses.caught_up()
        self.state.committed_rows(self._rows, moved, (time.monotonic() - started) * 1000)
        self._forget_rows()
        return self._more

    def _synchronise(self) -> None:
        """Create the file if needed, and let every source continue after what the file holds."""
        self.database.prepare()
        with self.database.open() as con:
            stored, self._changes = stored_offsets(con), self.database.changes
            self._order = KnownOrder()
            self._landing.begin(*landed_size(con), time.monotonic())
            self._look_at_tables(con)
        self._require_checkpoint()
        self.state.committed = dict(stored)
        if self._shipper is not None:
            self._shipper.fresh.clear()
        for account in stored.keys() - self._sources.keys():
            directory = journal_directory(self.spec.data_dir, account)
            self._sources[account] = AccountSource(account, directory)
        for account, source in self._sources.items():
            source.reset(stored.get(account, 0))
        self._forget_rows()
        self._uncertain = False

    def _forget_rows(self) -> None:
        self._rows, self._oldest, self._bytes = Rows(), {}, 0

    def _require_checkpoint(self) -> None:
        """What counts as committed must be in the file itself; until then the journals stay."""
        if not self.database.is_checkpointed():
            self._uncertain = True
            raise duckdb.IOException("what is in the write-ahead log could not be written into the database file")

    def note_committed(self) -> bool:
        """Write beside the journals what the database holds (see `gridbot.records.journal_reader.write_committed`).

        False when the disk refuses: call it again.
        """
        committed = self.database.offsets_if_readable() if self._uncertain else self.state.committed
        try:
            for account, seq in committed.items():
                write_committed(journal_directory(self.spec.data_dir, account), seq)
        except OSError as error:
            log.warning("what the database holds cannot be noted beside the journals: %s; tried again", error)
            return False
        return True

    def _collect(self, *, idle: bool) -> None:
        """A busy account keeps no other waiting: those that had more come last, and share what the others leave. Where
        that is nothing they come first of them next time."""
        rows, was_busy, passed_over, count = self._rows, self._busy, self._passed_over, self._rows.count
        self._busy, self._passed_over, left = set(), set(), len(self._sources) + 1
        for account in sorted(self._sources, key=lambda name: (name in was_busy, name in passed_over)):
            left -= 1
            share, share_bytes = (self.spec.max_rows - count) // left, (self.spec.max_bytes - self._bytes) // left
            if share < 0 or share_bytes < 0:
                self._passed_over.add(account)
                continue
            taken = self._sources[account].take(max(1, share), max(1, share_bytes), idle=idle)
            count += taken.count
            self._bytes += taken.size
            if taken.more:
                self._busy.add(account)
            for kind, bodies in taken.bodies.items():
                rows.tables.setdefault(kind, []).extend(bodies)
            for kind, parts in taken.parts.items():
                rows.parts.setdefault(kind, []).extend(parts)
            if taken.first_us:
                self._oldest.setdefault(account, taken.first_us)
            rows.gaps += [(account, *gap) for gap in taken.gaps]
            rows.rejects += [(account, *reject) for reject in taken.rejects]
            if taken.last_seq > max(self.state.committed.get(account, 0), rows.offsets.get(account, 0)):
                rows.offsets[account] = taken.last_seq
        self._more = bool(self._busy or self._passed_over)

    def trim(self, now_us: int) -> int:
        """Delete some of the rows that are older than `keep_days` allows at `now_us` (µs UTC); return how many.

        Fewer than `GONE_AT_ONCE` when none are left. Raise as `flush`.
        """
        if not self.spec.keep_days:
            return 0
        if self._uncertain:
            self._synchronise()
        deleted = 0
        with self.database.open() as con:
            self._compare(con)
            if not self._trims:
                put(con, Rows(), lands=False, order=self._order)  # what is old enough may have landed only
                self._landing.begin(0, 0, time.monotonic())
            for table, days in self.spec.keep_days.items():
                if deleted < GONE_AT_ONCE:
                    deleted += delete_older(con, table, days, now_us, GONE_AT_ONCE - deleted)
            self._look_at_tables(con)
        self._trims = deleted >= GONE_AT_ONCE
        self._require_checkpoint()
        if deleted:
            log.info("%d rows went because of their age (%s)", deleted, dict(self.spec.keep_days))
        return deleted

    def failed(self, exc: BaseException) -> None:
        """A flush failed; read from the file what it has before the next."""
        self._uncertain = True
        text = first_line(exc)
        if is_damage(exc):
            text += f"; stop the bot and run {rebuild_line(self.database.path)}"
        if text != self.state.error:
            log.error("records cannot be written to %s: %s; they wait in the journals", self.database.path, text)
        self.state.error = text

    def health(self) -> dict[str, Any]:
        """The health message for the supervisor: JSON values only; times in seconds, rss in bytes."""
        now_us = time.time_ns() // 1000
        oldest = min(self._oldest.values(), default=None)
        state = self.state
        return {
            "type": "health",
            "pid": os.getpid(),
            "rss": self._process.memory_info().rss,
            "committed": dict(state.committed),
            "lag_s": round(max(0, now_us - oldest) / 1e6, 3) if oldest is not None else 0.0,
            "held_by": state.held_by,
            "held_s": round(time.monotonic() - state.held_since, 1) if state.held_since is not None else 0.0,
            "pending": self._rows.count,
            "rows": state.rows,
            "unmatched": state.unmatched,
            "flushes": state.flushes,
            "flush_ms": round(state.flush_ms, 1),
            "from_journal": sum(source.from_journal for source in self._sources.values()),
            "gaps": state.gaps,
            "rejects": state.rejects,
            "error": state.error,
            "removed": self.losses.text,
            "lost": self.losses.count,
            "quarantined": [str(path) for path in self.database.quarantined],
            "shipping": None if self._shipper is None else self._shipper.health(),
            "counts": {"rows": state.rows, "flushes": state.flushes, "rejects": state.rejects},
        }

    def ship(self) -> None:
        """Begin to ship records to the fleet's database, when this is a host of one."""
        if self._shipper is not None:
            self._shipper.start()

    def close(self) -> None:
        """Give up the writer's lock. The queues stay for the next writer."""
        if self._shipper is not None:
            self._shipper.close()
        self.database.close()
        os.close(self._lock_fd)


def _shipper(writer: Writer, fleet: FleetConfig) -> RecordShipper:
    """Only a host of a fleet has the client of PostgreSQL."""
    from supervisor.fleet.record_shipper import RecordShipper

    return RecordShipper(writer.database, fleet, lambda: writer.state.committed)


def accounts_on_disk(data_dir: Path) -> list[str]:
    """Accounts that have a journal here, configured or not."""
    root = journal_directory(data_dir, ".").resolve()
    try:
        return [entry.name for entry in os.scandir(root) if entry.is_dir()]
    except FileNotFoundError:
        return []
