"""The process around the writer: a flush each 0.85 s, health each second, an orderly end.

It ends when the supervisor's end of the life pipe closes, or at SIGTERM. It ignores Ctrl-C: the supervisor ends it.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import select
import signal
import sys
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Final

import duckdb

from gridbot.records.block_reader import NewerJournal
from gridbot.records.journal_compaction import JournalCompaction
from gridbot.records.record_queue import QueueReceiver
from gridbot.shortage import is_shortage
from gridbot.store.commit import GONE_AT_ONCE
from gridbot.store.database import DatabaseHeld, Unreadable
from gridbot.store.grid_keeping import AT_ONCE
from gridbot.store.migrations import NoRoomForCopy
from gridbot.store.schema import GROUP_ROWS, SchemaTooNew
from supervisor.exit_codes import WRITABLE_HINT, ExitCode
from supervisor.store.damage_scan import DamageScan
from supervisor.store.retention_clock import RetentionClock
from supervisor.store.writer import Writer, WriterSpec
from supervisor.store.writer_lock import WriterBusy

__all__ = ["KEEP_UP", "READERS_S", "Beat", "rest_of", "run_writer"]

log = logging.getLogger("supervisor.store")

HELD_WAIT_S: Final = (0.02, 0.25)
FAILED_WAIT_S: Final = 1.0
READERS_S: Final = 0.1
"""After a flush that took longer than the time between two: long enough for a reader's next try to open the file."""
FINAL_FLUSH_S: Final = 1.2
HEALTH_S: Final = 1.0
KEEP_UP: Final = 2 * GROUP_ROWS
"""As many executions are matched to pairs at once behind a burst: many take two thirds of the time of few. Their pairs,
half as many, are a row group of the file and stay as they were written; of others neighbours are put together later."""
MANY: Final = 262_144
"""Executions that wait from which on steps between flushes are as large: each has the file for 0.4 s."""
MOST_UNMATCHED: Final = 2_000_000
"""Executions that wait while one commit follows the other and nobody asks, so that a burst is committed first. A
question matches them too, in three seconds of CPU."""
MOST_WHILE_READ: Final = 8 * KEEP_UP
"""The same while somebody reads: a question matches as many in little more than a second. A smaller burst is as fast as
if nobody did."""
BURST_PART: Final = 4
"""A flush with this part of what a transaction takes is one of a burst. Behind it, and behind the look that then finds
nothing, the next follows as soon as readers had their turn, and no pairs are matched: a writer that has caught up for a
moment would wait most of a second else, or match pairs for as long, while the burst goes on."""
STEPS_FOR_READERS: Final = 4
"""Behind a commit, until so few wait: three times as many executions as it can bring."""
WATCHED_S: Final = 60.0
"""How long somebody who had the file when we wanted it counts as one who reads."""
TRIM_FIRST_S, TRIM_S = 60.0, 3600.0


def run_writer(spec: WriterSpec, queues: Mapping[str, QueueReceiver], health: Connection, life: Connection) -> None:
    """Entry of the writer process. Raises SystemExit(7), or 10 for want of room, when it cannot start."""
    stopping = _StopFlag()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, stopping.set)
    try:
        writer = Writer(spec, queues)
        writer.database.may_stay = True
    except WriterBusy as exc:
        _refuse(health, str(exc))
    except OSError as exc:
        code = ExitCode.NO_ROOM if is_shortage(exc) else ExitCode.REFUSED
        _refuse(health, f"expected to write the database in {spec.data_dir}, got: {exc}; {WRITABLE_HINT}", code)
    writer.ship()
    try:
        _serve(writer, stopping, health, life)
    except (SchemaTooNew, NewerJournal, NoRoomForCopy, Unreadable, WriterBusy) as exc:
        _refuse(health, str(exc), ExitCode.NO_ROOM if isinstance(exc, NoRoomForCopy) else ExitCode.REFUSED)
    finally:
        writer.close()


def _refuse(health: Connection, reason: str, code: ExitCode = ExitCode.REFUSED) -> None:
    log.error("the writer does not start: %s", reason)
    _send(health, {"type": "refused", "reason": reason})
    sys.exit(code)


class _StopFlag:
    def __init__(self) -> None:
        self.is_set = False

    def set(self, *_: object) -> None:
        self.is_set = True


def _serve(writer: Writer, stopping: _StopFlag, health: Connection, life: Connection) -> None:
    ready, noted = False, False
    if _is_missing(writer.database.path):  # a new one has nothing a worker must know, and takes half a second of a core
        _send(health, {"type": "holds_nothing"})
    next_flush, next_health, pause = 0.0, 0.0, 0.0
    scan = DamageScan(writer.database, time.monotonic())
    beat = Beat(writer, scan, time.monotonic() + TRIM_FIRST_S)
    while not stopping.is_set:
        is_due = time.monotonic() >= next_health
        if time.monotonic() >= next_flush:
            pause = beat.flush()
            next_flush = time.monotonic() + pause
        elif time.monotonic() >= beat.next_match:
            beat.match()
        if pause and is_due:
            with contextlib.suppress(DatabaseHeld, duckdb.Error, OSError):  # the next flush says what is wrong
                scan.step(time.monotonic())
        if not noted and (not ready or is_due):
            noted = writer.note_committed()
        if not ready:  # also while another process has the file: workers may start, their journals take everything
            _send(health, {"type": "ready", "pid": os.getpid(), "database": str(writer.database.path)})
            ready = True
        now = time.monotonic()
        if now >= next_health:
            _send(health, writer.health() | {"damage": scan.damage, "scanned": scan.is_complete})
            next_health = now + HEALTH_S
        if life in wait([life], max(0.0, min(next_flush, next_health, beat.next_match) - now)) and _ended(life, writer):
            break
    _last_flush(writer)
    _send(health, writer.health())


def _is_missing(path: Path) -> bool:
    """Where that cannot be said, and of a link to what is not there now, it is not."""
    try:
        path.lstat()
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    return False


class Beat:
    """One flush after the other, and how long it is until the next. `next_trim` in monotonic seconds.

    `next_match`: when the next executions are matched to pairs (monotonic, infinite: there are none).
    """

    def __init__(self, writer: Writer, scan: DamageScan, next_trim: float) -> None:
        self._writer = writer
        self._scan = scan
        self._next_trim = next_trim
        self._retention = RetentionClock()
        self._compaction = JournalCompaction(writer.spec.data_dir, writer.spec.compact_journal_s)
        self._held_wait = HELD_WAIT_S[0]
        self._read_at = -math.inf
        self._was_many = False
        """Whether the last flush was one of a burst."""
        self.next_match = math.inf

    def flush(self) -> float:
        """Seconds until the next one; 0 when there may be more right now, and no more than readers need in a burst."""
        writer, started = self._writer, time.monotonic()
        try:
            rows = writer.state.rows
            again = writer.flush()
            is_many = again or (writer.state.rows - rows) * BURST_PART >= writer.spec.max_rows
            is_burst, self._was_many = is_many or self._was_many, is_many
            self._held_wait = HELD_WAIT_S[0]
            if is_many:
                self._keep_up(writer.state.rows - rows)
            if time.monotonic() >= self._next_trim:
                self._trim()
            if not again:
                self._compaction.step(writer.state.committed, time.monotonic())
        except DatabaseHeld as exc:
            writer.state.held(exc.holder)
            self._read_at = time.monotonic()
            pause, self._held_wait = self._held_wait, min(self._held_wait * 2, HELD_WAIT_S[1])
            return pause
        except (duckdb.Error, OSError) as exc:
            writer.failed(exc)
            self._scan.ask(time.monotonic())
            return FAILED_WAIT_S
        if again:
            return 0.0
        interval = writer.spec.flush_interval
        if is_burst:
            return min(READERS_S, interval)
        if writer.state.unmatched:
            self.next_match = time.monotonic() + READERS_S
        return rest_of(interval, time.monotonic() - started)

    def _trim(self) -> None:
        """Raise as `Writer.trim`. While there is more, and while somebody reads, again behind the next flush: nobody
        waits for long, and who looks every few seconds does not put it off by an hour each time."""
        due, self._next_trim = self._next_trim, time.monotonic() + TRIM_S
        now_us = time.time_ns() // 1000
        if not self._retention.counts(now_us, time.monotonic()):
            return
        try:
            if self._writer.trim(now_us) >= GONE_AT_ONCE:
                self._next_trim = 0.0
        except DatabaseHeld:
            self._next_trim = due
            raise

    def match(self) -> None:
        """Match some executions between two flushes; readers get their turn behind it."""
        self.next_match = math.inf
        try:
            waiting = self._writer.state.unmatched
            if self._writer.keep_pairs(KEEP_UP if waiting >= MANY else AT_ONCE):
                self.next_match = time.monotonic() + READERS_S
        except DatabaseHeld:
            self._read_at = time.monotonic()
            self.next_match = time.monotonic() + HELD_WAIT_S[1]
        except (duckdb.Error, OSError) as exc:
            self._writer.failed(exc)

    def _keep_up(self, rows: int) -> None:
        """While there is little time between flushes: match as many as came, once too many wait; more for readers."""
        self.next_match = math.inf
        is_read = time.monotonic() - self._read_at < WATCHED_S
        most, steps = (MOST_WHILE_READ, STEPS_FOR_READERS) if is_read else (MOST_UNMATCHED, rows // KEEP_UP + 2)
        for _ in range(steps):
            if self._writer.state.unmatched <= most or not self._writer.keep_pairs(KEEP_UP):
                break


def rest_of(interval: float, took: float) -> float:
    """Seconds until the next flush after one that took so long: it counts, but readers get their turn."""
    return max(interval - took, min(READERS_S, interval))


def _ended(life: Connection, writer: Writer) -> bool:
    """What comes over `life` is the name of one more account."""
    try:
        account = life.recv()["account"]
    except (EOFError, OSError):
        return True
    writer.follow(str(account))
    return False


def _last_flush(writer: Writer) -> None:
    """Commit what is there, as far as the remaining time allows; the journals have the rest."""
    deadline = time.monotonic() + FINAL_FLUSH_S
    looks = 0
    while time.monotonic() < deadline and looks < 2:
        try:
            if not writer.flush():
                looks += 1  # the second reads the records that the first found in a journal only
                if looks == 2:
                    writer.compact()  # whoever opens the file at rest finds all in its table
                    while time.monotonic() < deadline and writer.keep_pairs():
                        pass
        except DatabaseHeld as exc:
            writer.state.held(exc.holder)
            time.sleep(HELD_WAIT_S[0])
        except (duckdb.Error, OSError) as exc:
            writer.failed(exc)
            return


def _send(connection: Connection, message: dict[str, Any]) -> None:
    """Send to the supervisor unless it does not read: the writer never waits for it."""
    with contextlib.suppress(OSError, ValueError):
        if select.select([], [connection], [], 0)[1]:
            connection.send(message)
