"""Files of frames that are only appended to: their names, the one being written, and the lock on their directory.

    <directory>/00000000000000000001.journal     the name is the number of the first record inside
    <directory>/00000000000000034127.journal     the newest is the one being appended to
    <directory>/lock                             held by the process that appends

One `write()` hands frames to the kernel, where they survive kill -9; syncing them is the caller's affair. It is at the
top of the package because the records and the paper exchange, which do not know each other, keep such files.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["DirectoryLocked", "SegmentDisk", "SegmentFile", "lock_directory", "segment_numbers", "segment_path"]

SUFFIX: Final = ".journal"


def segment_numbers(directory: Path) -> list[int]:
    """First numbers of the segments, oldest first."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    return sorted(int(name[: -len(SUFFIX)]) for name in names if name.endswith(SUFFIX) and name[:-8].isdigit())


def segment_path(directory: Path, first: int) -> Path:
    return directory / f"{first:020d}{SUFFIX}"


@dataclass(frozen=True, slots=True)
class SegmentDisk:
    """What appending asks of the disk, so that a test can refuse it or cut a write short.

    The system's own functions, called without a Python frame around them: a journal writes at each loop turn. All raise
    OSError; `write` may take fewer bytes than it was given.
    """

    open: Callable[[Path, int, int], int] = os.open
    write: Callable[[int, bytes], int] = os.write
    close: Callable[[int], None] = os.close


SYSTEM_DISK: Final = SegmentDisk()


class DirectoryLocked(RuntimeError):
    """Another process appends in this directory; the text is its process id, as far as it is known."""


def lock_directory(directory: Path, disk: SegmentDisk | None = None) -> int:
    """Descriptor that holds the lock of an existing directory until it is closed. Raises DirectoryLocked, OSError."""
    disk = disk or SYSTEM_DISK
    fd = disk.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        holder = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
        disk.close(fd)
        raise DirectoryLocked(holder) from exc
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


class SegmentFile:
    """The segment being appended to. `size` is its length in bytes, `torn` says that it ends within a frame."""

    def __init__(self, directory: Path, first: int, size: int = 0, disk: SegmentDisk | None = None) -> None:
        """Open the segment whose first record is `first`, or make it. Raises OSError."""
        path = segment_path(directory, first)
        self._disk = disk or SYSTEM_DISK
        self.fd = self._disk.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self.first = first
        self.size = size
        self.torn = False

    def append(self, frames: bytes) -> bytes:
        """Write whole frames, or the rest of some, with one `write()`; return what the disk did not take.

        A disk that becomes full in the middle takes a part: then the rest must follow right here, before anything
        else. Raises OSError when it takes nothing.
        """
        written = self._disk.write(self.fd, frames)
        self.size += written
        self.torn = written < len(frames)
        return frames[written:]

    def close(self) -> None:
        self._disk.close(self.fd)
