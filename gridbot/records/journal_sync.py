"""Makes journal segments survive a loss of power, in a thread, so that the caller never waits for the disk.

After a failed fdatasync nobody knows what the disk has of that file: the kernel may have dropped the pages and says so
only once, so the next call succeeds and proves nothing. What was not synced before is then not claimed any more. The
journal reads it back, checks it and writes it again into a new segment (`wants_anew`, `begin_anew`), whose sync counts.

A later life cannot see that from the files, so they say it: `unsynced` has the number up to which they are synced, from
a failed sync until all is made good. It need not survive a loss of power: what can be read after one is on the disk.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path
from typing import Final

from gridbot.atomic_file import sync_directory
from gridbot.frames import frame
from gridbot.private_files import open_private
from gridbot.records import codec
from gridbot.records.journal_reader import Damage, JournalReader
from gridbot.segment_file import segment_numbers, segment_path

__all__ = ["JournalSync", "read_back", "sync_found"]

NO_FILE: Final = -1
DOUBT: Final = "unsynced"
STOP_S = 5.0
"""How long the end waits for a disk that does not answer; what the kernel has it writes when it can."""
MOST_AGAIN: Final = 16 * 1024 * 1024
"""Bytes that are written again after a failed sync. Of more nothing is claimed until a start that finds less."""
LONGEST_WAIT_S: Final = 60.0
"""Between two segments that are begun anew while each sync fails; the first wait is a second, the next twice that."""


class JournalSync:
    """Calls fdatasync at once after urgent frames, within `interval_s` after others.

    `synced_seq` is the number of the newest record that survives a loss of power, `error` says why the last attempt
    failed, or is None. `doubtful`: of what follows `synced_seq` an earlier life has left some that may not.
    """

    def __init__(self, directory: Path, synced_seq: int, interval_s: float, *, doubtful: bool = False) -> None:
        self.synced_seq = synced_seq
        self.error: str | None = "fdatasync: has failed before the last start" if doubtful else None
        self._directory = directory
        self._interval_s = interval_s
        self._lock = threading.RLock()
        self._wake = threading.Condition(self._lock)
        """Of the lock, which `wrote` takes alone: it does so for each order, and a Condition costs two calls more."""
        self._fd = NO_FILE
        self._seq = synced_seq
        self._urgent = False
        self._dirty_since: float | None = None
        self._retired: list[tuple[int, Path]] = []
        self._abandoned: list[int] = []
        self._doubtful = doubtful
        """A sync has failed, and what it was of has not been written again."""
        self._is_begun_anew = False
        """The new segment is there, and nothing of what goes into it is written yet: a sync of it proves nothing."""
        self._is_noted = doubtful
        """Whether the files say so; only for the thread."""
        self._attempt = 0
        """Grows with each segment that is begun anew: what becomes of older ones does not count any more."""
        self._anew_at_s, self._wait_s = 0.0, 1.0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="journal-sync", daemon=True)
        self._thread.start()

    def wrote(self, fd: int, seq: int, *, urgent: bool) -> None:
        """Records up to `seq` were written to the open file `fd`."""
        with self._lock:
            self._fd, self._seq = fd, seq
            if self._is_begun_anew:
                self._is_begun_anew = self._doubtful = False
            if self._dirty_since is None:
                self._dirty_since = time.monotonic()
            if urgent and not self._urgent:
                self._urgent = True
                self._wake.notify()

    def retire(self, fd: int, directory: Path) -> None:
        """Sync and close a finished segment."""
        with self._wake:
            self._retired.append((fd, directory))
            self._fd = NO_FILE
            self._wake.notify()

    def wants_anew(self) -> bool:
        """Whether what is not synced has to be written again, into a new segment: `begin_anew`."""
        return self._doubtful and time.monotonic() >= self._anew_at_s

    def begin_anew(self, fd: int, directory: Path) -> None:
        """A new segment takes the place of `fd` and gets all that is not synced: the syncs of others count no more."""
        with self._wake:
            self._attempt += 1
            self._abandoned += [fd, *(each for each, _ in self._retired if each != NO_FILE)]
            self._retired = [(NO_FILE, directory)]  # there is a new name in it
            self._fd, self._is_begun_anew = NO_FILE, True
            self._anew_at_s = time.monotonic() + self._wait_s
            self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)

    def give_up(self, size: int) -> None:
        """What is not synced is too much to be written again: nothing more is claimed."""
        self._anew_at_s = float("inf")
        text = "may not survive a loss of power, nor what follows, until the database has them and the bot is restarted"
        self.error = f"{self.error}; {size} bytes {text}"

    def stop(self) -> None:
        """Sync what is left and end the thread; it is left alone when the disk does not answer for `STOP_S`."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join(STOP_S)

    def _due(self) -> bool:
        if self._urgent or self._retired:
            return True
        return self._dirty_since is not None and time.monotonic() - self._dirty_since >= self._interval_s

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._stopping and not self._due():
                    self._wake.wait(self._interval_s)
                stopping, attempt, proves = self._stopping, self._attempt, not self._is_begun_anew
                fd, seq, retired, abandoned = self._fd, self._seq, self._retired, self._abandoned
                self._retired, self._abandoned, self._urgent, self._dirty_since = [], [], False, None
            for each in abandoned:
                with contextlib.suppress(OSError):
                    os.close(each)
            failure = _sync_all(retired, fd)
            if failure is not None and not self._is_noted:
                self._is_noted = _note_doubt(self._directory, self.synced_seq)
            with self._wake:
                is_good = self._settle(attempt, seq, failure, proves)
                ends = stopping and not self._retired
            if is_good and self._is_noted:
                self._is_noted = not _end_doubt(self._directory)
            if ends:
                return

    def _settle(self, attempt: int, seq: int, failure: str | None, proves: bool) -> bool:
        """Claim what was synced, unless something before it was not: whether it was claimed. With the lock.

        A success `proves` nothing that began before anything was written anew: that may have been written meanwhile.
        """
        if attempt != self._attempt or (failure is None and not proves):
            return False
        if failure is not None:
            if not self._doubtful:
                self.error = failure
            self._doubtful, self._is_begun_anew = True, False
        elif not self._doubtful:
            self.synced_seq, self.error, self._wait_s = seq, None, 1.0
        return not self._doubtful


def sync_found(directory: Path, last_seq: int) -> int:
    """Sync the segments that an earlier life has left; number up to which they survive a loss of power.

    Never raises: what cannot be synced is not claimed.
    """
    try:
        for first in segment_numbers(directory):
            fd = os.open(segment_path(directory, first), os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fdatasync(fd)
            finally:
                os.close(fd)
        for made in (directory, directory.parent, directory.parent.parent):
            sync_directory(made)  # a file without a name would not survive either
    except OSError:
        _note_doubt(directory, 0)
        return 0
    try:
        return min(last_seq, int((directory / DOUBT).read_bytes()))
    except FileNotFoundError:
        return last_seq
    except (OSError, ValueError):
        return 0


def _note_doubt(directory: Path, synced_seq: int) -> bool:
    """Say in the files up to which number they are synced; whether that could be written."""
    try:
        with open_private(directory / DOUBT, "wb") as file:
            file.write(b"%d\n" % synced_seq)
    except OSError:
        return False
    return True


def _end_doubt(directory: Path) -> bool:
    try:
        (directory / DOUBT).unlink(missing_ok=True)
    except OSError:
        return False
    return True


def read_back(directory: Path, after_seq: int, through_seq: int) -> tuple[bytes, list[Damage]]:
    """Frames of the records numbered above `after_seq`, as the kernel still has them, and what is damaged of them.

    Each is checked; those behind `MOST_AGAIN` bytes are left out. Raises OSError.
    """
    reader = JournalReader(directory)
    reader.seek(after_seq + 1)
    frames: list[bytes] = []
    damages: list[Damage] = []
    size, last = 0, after_seq
    while size <= MOST_AGAIN and (chunk := reader.read()) and (chunk.bodies or chunk.damages):
        damages += chunk.damages
        for body in chunk.bodies:
            seq = codec.seq_of(body)
            if last < seq <= through_seq:
                frames.append(frame(body))
                size += len(frames[-1])
                last = seq
    return b"".join(frames), damages


def _sync_all(retired: list[tuple[int, Path]], fd: int) -> str | None:
    """Sync and close the finished segments, and sync the one at `fd` if there is one; why something failed."""
    failure = None
    for each in retired:
        try:
            _sync_and_close(*each)
        except OSError as exc:
            failure = f"fdatasync: {exc.strerror or exc}"
    if fd != NO_FILE:
        try:
            os.fdatasync(fd)
        except OSError as exc:
            failure = f"fdatasync: {exc.strerror or exc}"
    return failure


def _sync_and_close(fd: int, directory: Path) -> None:
    """Sync a finished segment, and the directory that names its successor."""
    if fd != NO_FILE:
        try:
            os.fdatasync(fd)
        finally:
            os.close(fd)
    sync_directory(directory)
