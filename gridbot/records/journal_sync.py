"""Makes journal segments survive a loss of power, in a thread, so that the caller never waits for the disk."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from gridbot.atomic_file import sync_directory

__all__ = ["JournalSync"]

STOP_S = 5.0
"""How long the end waits for a disk that does not answer; what the kernel has it writes when it can."""


class JournalSync:
    """Calls fdatasync at once after urgent frames, within `interval_s` after others.

    `synced_seq` is the number of the newest record that survives a loss of power, `error` says why the last attempt
    failed, or is None.
    """

    def __init__(self, synced_seq: int, interval_s: float) -> None:
        self.synced_seq = synced_seq
        self.error: str | None = None
        self._interval_s = interval_s
        self._wake = threading.Condition()
        self._fd = -1
        self._seq = synced_seq
        self._urgent = False
        self._dirty_since: float | None = None
        self._retired: list[tuple[int, Path]] = []
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="journal-sync", daemon=True)
        self._thread.start()

    def wrote(self, fd: int, seq: int, *, urgent: bool) -> None:
        """Records up to `seq` were written to the open file `fd`."""
        with self._wake:
            self._fd, self._seq = fd, seq
            if self._dirty_since is None:
                self._dirty_since = time.monotonic()
            if urgent and not self._urgent:
                self._urgent = True
                self._wake.notify()

    def retire(self, fd: int, directory: Path) -> None:
        """Sync and close a finished segment."""
        with self._wake:
            self._retired.append((fd, directory))
            self._fd = -1
            self._wake.notify()

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
                stopping = self._stopping
                fd, seq, retired = self._fd, self._seq, self._retired
                self._retired, self._urgent, self._dirty_since = [], False, None
            try:
                while retired:
                    _sync_and_close(*retired.pop(0))
                if fd >= 0:
                    os.fdatasync(fd)
                self.synced_seq, self.error = seq, None
            except OSError as exc:
                self.error = f"fdatasync: {exc.strerror or exc}"
                with self._wake:
                    self._retired = retired + self._retired  # those behind the one that failed
            if stopping and not self._retired:
                return


def _sync_and_close(fd: int, directory: Path) -> None:
    """Sync a finished segment, and the directory that names its successor."""
    try:
        os.fdatasync(fd)
    finally:
        os.close(fd)
    sync_directory(directory)
