"""The append-only journal of an account's records. A record is written here before anything else is done with it.

    data/journal/<account>/
        00000000000000000001.journal     segments; the name is the number of the first record inside (of the first
                                         new one, where earlier ones stand before it again: `journal_sync`)
        00000000000000034127.journal     the newest is the one being appended to
        committed                        number that the database holds (written by the store's writer at its start)
        unsynced                         there while a sync has failed: number up to which all is synced
        damaged/                         bytes that were cut out of a segment, kept for inspection
        lock                             held by the process that appends

Frames are those of `gridbot.records.codec`. One `write()` per flush hands them to the kernel, where they survive
kill -9. With `Durability.POWER` a helper thread also calls `fdatasync`, soon after an execution and each second
otherwise, and never on the caller's time. A disk that refuses writes never raises into the caller: the frames wait in
memory and go first at the next attempt.

Whoever deletes the directory below us must not make us write where nobody reads: `keep` makes it again.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections import deque
from pathlib import Path
from typing import Final

from gridbot.lock_file import Locked, keep_lock, take_lock
from gridbot.private_files import make_directory
from gridbot.records.durability import Durability
from gridbot.records.journal_recovery import recover
from gridbot.records.journal_sync import MOST_AGAIN, JournalSync, read_back, sync_found
from gridbot.segment_file import SegmentDisk, SegmentFile, lock_path, segment_numbers, segment_path

__all__ = ["Journal", "JournalBusy"]

SEGMENT_BYTES: Final = 8 * 1024 * 1024


class JournalBusy(RuntimeError):
    """Another process has this journal open for appending."""


class Journal(contextlib.AbstractContextManager["Journal"]):
    """The appending side; one per account at a time (held by a lock).

    Raise JournalBusy when another process appends, OSError when the directory cannot be made or read. After that
    nothing raises: see `error`.
    """

    def __init__(
        self,
        directory: Path,
        account: str,
        durability: Durability | str = Durability.POWER,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        sync_interval: float = 1.0,
        disk: SegmentDisk | None = None,
        is_cut_off: bool = False,
    ) -> None:
        """`is_cut_off`: as in `recover`."""
        self.directory = directory
        self.account = account
        self.durability = Durability(durability)
        self.error: str | None = None
        self.bytes_written = 0
        self._disk = disk or SegmentDisk()
        self._segment_bytes = segment_bytes
        self._backlog: deque[tuple[bytes, int, bool]] = deque()  # frames, number of the last, urgent
        self.backlog_bytes = 0
        """Bytes that the disk has not taken yet."""
        self._keep_above: int | None = None
        make_directory(directory)
        try:
            self._lock_fd = take_lock(lock_path(directory), opens=self._disk.open, closes=self._disk.close)
        except Locked as exc:
            raise _busy(directory, account, exc) from exc
        try:
            recovered = recover(directory, is_cut_off=is_cut_off)
            self._segment = SegmentFile(directory, recovered.segment, recovered.size, self._disk)
        except BaseException:
            self._disk.close(self._lock_fd)
            raise
        self.damages = list(recovered.damages)
        self._last_seq = self._written_seq = recovered.last_seq
        self._syncer = None
        if self.durability is Durability.POWER:
            synced_seq = sync_found(directory, self._last_seq)
            self._syncer = JournalSync(directory, synced_seq, sync_interval, doubtful=synced_seq < self._last_seq)

    # -- appending

    @property
    def last_seq(self) -> int:
        """Number of the last record at the time of opening, or given to `append` since."""
        return self._last_seq

    @property
    def oldest_seq(self) -> int:
        """Number of the first record in the files, or of the first they will have: those before it were removed."""
        return segment_numbers(self.directory)[0]

    @property
    def written_seq(self) -> int:
        """Number up to which records are in the file (and survive the death of this process)."""
        return self._written_seq

    @property
    def synced_seq(self) -> int:
        """Number up to which records survive a loss of power; equals `written_seq` with durability process."""
        return self._syncer.synced_seq if self._syncer else self._written_seq

    @property
    def sync_error(self) -> str | None:
        """Why the last fdatasync failed; None when it did not."""
        return self._syncer.error if self._syncer else None

    @property
    def position(self) -> tuple[int, int]:
        """Segment and byte offset behind the last written frame."""
        return self._segment.first, self._segment.size

    def append(self, frames: bytes, last_seq: int, *, urgent: bool = False) -> bool:
        """Write whole frames with one `write()`; True when they, and all before them, are in the file.

        `urgent` asks for an early fdatasync (executions). False: kept in memory and tried again at the next call, see
        `error`. `append(b"", last_seq)` only tries again.
        """
        if frames:
            self._backlog.append((frames, last_seq, urgent))
            self.backlog_bytes += len(frames)
            self._last_seq = last_seq
        syncer = self._syncer
        try:
            if syncer is not None and syncer.wants_anew():
                self._begin_anew(syncer)
            while self._backlog:
                self._write_first()
        except OSError as exc:
            self.error = f"{exc.strerror or exc} ({self.directory})"
            return False
        self.error = None
        return True

    def _write_first(self) -> None:
        frames, last_seq, urgent = self._backlog[0]
        segment = self._segment
        is_full = segment.size and segment.size + len(frames) > self._segment_bytes
        if is_full and not segment.torn and segment.first <= self._written_seq:  # else there is no other name for it
            segment = self._rotate(self._written_seq + 1)
        rest = segment.append(frames)
        self.bytes_written += len(frames) - len(rest)
        self.backlog_bytes -= len(frames) - len(rest)
        if rest:
            self._backlog[0] = (rest, last_seq, urgent)
            return
        self._backlog.popleft()
        self._written_seq = last_seq
        if self._syncer:
            self._syncer.wrote(segment.fd, last_seq, urgent=urgent)

    def _begin_anew(self, syncer: JournalSync) -> None:
        """Write what is not known to be synced again, into a new segment: a sync has failed (`journal_sync`).

        It is named like any other, by the next number, though the records in it begin earlier: readers pass over what
        they have read already.
        """
        old, through = self._segment, self._written_seq
        if old.torn or old.first > through:
            return  # a frame has to be finished there first; or it has no record of its own yet, so no other name
        frames, damages = read_back(self.directory, syncer.synced_seq, through)
        if len(frames) > MOST_AGAIN:
            syncer.give_up(len(frames))
            return
        self._segment = SegmentFile(self.directory, through + 1, disk=self._disk)
        syncer.begin_anew(old.fd, self.directory)
        self.damages += damages
        if frames:
            self._backlog.appendleft((frames, through, True))
            self.backlog_bytes += len(frames)

    def _rotate(self, first: int) -> SegmentFile:
        old = self._segment
        self._segment = SegmentFile(
            self.directory, first, disk=self._disk
        )  # raises before anything changed when the disk is full
        if self._syncer:
            self._syncer.retire(old.fd, self.directory)
        else:
            old.close()
        return self._segment

    def keep(self) -> int | None:
        """Make lock and newest segment again, with all that was in them, when somebody has removed them.

        Call it once a second or so. Returns the number of the first record that the journal has then; None when the
        segment was there. Raises JournalBusy, OSError: call it again. What is appended meanwhile is not lost.
        """
        if not self._segment.is_there:
            make_directory(self.directory)
        try:
            self._lock_fd = keep_lock(
                lock_path(self.directory), self._lock_fd, opens=self._disk.open, closes=self._disk.close
            )
        except Locked as exc:
            raise _busy(self.directory, self.account, exc) from exc
        if self._segment.is_there:
            return None
        removed = self._segment.make_again()
        if self._syncer:
            self._syncer.retire(removed, self.directory)
            self._syncer.wrote(self._segment.fd, self._written_seq, urgent=True)
        else:
            self._disk.close(removed)
        return self.oldest_seq

    # -- removing

    def keep_above(self, seq: int | None) -> None:
        """Never remove segments with records above `seq`, even acknowledged ones; None: no limit."""
        self._keep_above = seq

    def remove_through(self, seq: int) -> int:
        """Remove whole segments whose records are all numbered `seq` or lower; return how many."""
        limit = seq if self._keep_above is None else min(seq, self._keep_above)
        segments = segment_numbers(self.directory)
        removed = 0
        for first, following in itertools.pairwise(segments):
            if following - 1 > limit:
                break
            with contextlib.suppress(OSError):
                os.unlink(segment_path(self.directory, first))
                removed += 1
        return removed

    def close(self) -> None:
        """Write what is left if the disk takes it, sync, and give up the lock. Harmless when called twice."""
        if self._lock_fd < 0:
            return
        self.append(b"", self._last_seq)
        if self._syncer:
            self._syncer.stop()
        self._segment.close()
        self._disk.close(self._lock_fd)
        self._lock_fd = -1

    def __exit__(self, *_: object) -> None:
        self.close()


def _busy(directory: Path, account: str, holder: Locked) -> JournalBusy:
    return JournalBusy(
        f"the journal of account {account!r} in {directory} is in use by process {holder}; stop that one first"
    )
