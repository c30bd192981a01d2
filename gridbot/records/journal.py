"""The append-only journal of an account's records. A record is written here before anything else is done with it.

    data/journal/<account>/
        00000000000000000001.journal     segments; the name is the number of the first record inside
        00000000000000034127.journal     the newest is the one being appended to
        committed                        number that the database holds (written by the store's writer at its start)
        damaged/                         bytes that were cut out of a segment, kept for inspection
        lock                             held by the process that appends

Frames are those of `gridbot.records.codec`. One `write()` per flush hands them to the kernel, where they survive
kill -9. With `Durability.POWER` a helper thread also calls `fdatasync`, soon after an execution and each second
otherwise, and never on the caller's time. A disk that refuses writes never raises into the caller: the frames wait in
memory and go first at the next attempt.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
from collections import deque
from pathlib import Path
from typing import Final

from gridbot.atomic_file import sync_directory
from gridbot.records.durability import Durability
from gridbot.records.journal_disk import JournalDisk
from gridbot.records.journal_reader import segment_numbers, segment_path
from gridbot.records.journal_recovery import recover
from gridbot.records.journal_sync import JournalSync

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
        disk: JournalDisk | None = None,
    ) -> None:
        self.directory = directory
        self.account = account
        self.durability = Durability(durability)
        self.error: str | None = None
        self.bytes_written = 0
        self._disk = disk or JournalDisk()
        self._segment_bytes = segment_bytes
        self._backlog: deque[tuple[bytes, int, bool]] = deque()  # frames, number of the last, urgent
        self._backlog_bytes = 0
        self._torn = False
        self._keep_above: int | None = None
        directory.mkdir(parents=True, exist_ok=True)
        self._lock_fd = _take_lock(self._disk, directory, account)
        try:
            recovered = recover(directory)
            self._open_segment(recovered.segment)
        except BaseException:
            self._disk.close(self._lock_fd)
            raise
        self.damages = list(recovered.damages)
        self._size = recovered.size
        self._last_seq = self._written_seq = recovered.last_seq
        self._syncer = None
        if self.durability is Durability.POWER:
            os.fdatasync(self._fd)
            for made in (directory, directory.parent, directory.parent.parent):
                sync_directory(made)  # a file without a name would not survive either
            self._syncer = JournalSync(self._last_seq, sync_interval)

    # -- appending

    @property
    def last_seq(self) -> int:
        """Number of the last record at the time of opening, or given to `append` since."""
        return self._last_seq

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
    def backlog_bytes(self) -> int:
        """Bytes that the disk has not taken yet."""
        return self._backlog_bytes

    @property
    def position(self) -> tuple[int, int]:
        """Segment and byte offset behind the last written frame."""
        return self._segment_first, self._size

    def append(self, frames: bytes, last_seq: int, *, urgent: bool = False) -> bool:
        """Write whole frames with one `write()`; True when they, and all before them, are in the file.

        `urgent` asks for an early fdatasync (executions). False: kept in memory and tried again at the next call, see
        `error`. `append(b"", last_seq)` only tries again.
        """
        if frames:
            self._backlog.append((frames, last_seq, urgent))
            self._backlog_bytes += len(frames)
            self._last_seq = last_seq
        while self._backlog:
            try:
                self._write_first()
            except OSError as exc:
                self.error = f"{exc.strerror or exc} ({self.directory})"
                return False
        self.error = None
        return True

    def _write_first(self) -> None:
        frames, last_seq, urgent = self._backlog[0]
        if self._size and not self._torn and self._size + len(frames) > self._segment_bytes:
            self._rotate(self._written_seq + 1)
        written = self._disk.write(self._fd, frames)
        self._size += written
        self.bytes_written += written
        self._backlog_bytes -= written
        if written < len(frames):  # the disk became full in the middle: the rest must follow right here
            self._torn = True
            self._backlog[0] = (frames[written:], last_seq, urgent)
            return
        self._torn = False
        self._backlog.popleft()
        self._written_seq = last_seq
        if self._syncer:
            self._syncer.wrote(self._fd, last_seq, urgent=urgent)

    def _rotate(self, first: int) -> None:
        old = self._fd
        self._open_segment(first)  # raises before anything changed when the disk is full
        if self._syncer:
            self._syncer.retire(old, self.directory)
        else:
            self._disk.close(old)

    def _open_segment(self, first: int) -> None:
        path = segment_path(self.directory, first)
        self._fd = self._disk.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._segment_first = first
        self._size = 0

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
        self._disk.close(self._fd)
        self._disk.close(self._lock_fd)
        self._lock_fd = -1

    def __exit__(self, *_: object) -> None:
        self.close()


def _take_lock(disk: JournalDisk, directory: Path, account: str) -> int:
    fd = disk.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        holder = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
        disk.close(fd)
        raise JournalBusy(
            f"the journal of account {account!r} in {directory} is in use by process {holder}; stop that one first"
        ) from exc
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd
