"""Files of frames that are only appended to: their names, and the one being written.

    <directory>/00000000000000000001.journal     the name is the number of the first record inside
    <directory>/00000000000000034127.journal     the newest is the one being appended to
    <directory>/lock                             held by the process that appends (`gridbot.lock_file`)

One `write()` hands frames to the kernel, where they survive kill -9; syncing them is the caller's affair. It is at the
top of the package because the records and the paper exchange, which do not know each other, keep such files.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridbot.atomic_file import remove_temporary_files, temporary_beside
from gridbot.lock_file import is_at
from gridbot.private_files import PRIVATE, private_open

__all__ = ["SegmentDisk", "SegmentFile", "lock_path", "remove_unfinished", "segment_numbers", "segment_path"]

SUFFIX: Final = ".journal"
_SEGMENT: Final = re.compile(r"([0-9]{1,20})\.journal").fullmatch
_APPEND: Final = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


def segment_numbers(directory: Path) -> list[int]:
    """First numbers of the segments, oldest first."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    return sorted(int(found[1]) for found in map(_SEGMENT, names) if found is not None)


def segment_path(directory: Path, first: int) -> Path:
    return directory / f"{first:020d}{SUFFIX}"


def remove_unfinished(directory: Path) -> None:
    """Remove what a process that was killed within `make_again` has left. Only with the directory's lock held."""
    remove_temporary_files(directory, SUFFIX)


def lock_path(directory: Path) -> Path:
    return directory / "lock"


@dataclass(frozen=True, slots=True)
class SegmentDisk:
    """What appending asks of the disk, so that a test can refuse it or cut a write short.

    `write` and `close` are the system's own, called without a Python frame around them: a journal writes at each turn.
    All raise OSError; `write` may take fewer bytes than it was given.
    """

    open: Callable[[Path, int, int], int] = private_open
    write: Callable[[int, bytes], int] = os.write
    close: Callable[[int], None] = os.close


SYSTEM_DISK: Final = SegmentDisk()


class SegmentFile:
    """The segment being appended to. `size` is its length in bytes, `torn` says that it ends within a frame."""

    def __init__(self, directory: Path, first: int, size: int = 0, disk: SegmentDisk | None = None) -> None:
        """Open the segment whose first record is `first`, or make it. Raises OSError."""
        self.path = segment_path(directory, first)
        self._disk = disk or SYSTEM_DISK
        self.fd = self._disk.open(self.path, _APPEND, PRIVATE)
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
        if written == len(frames):
            self.torn = False
            return b""
        self.torn = True
        return frames[written:]

    @property
    def is_there(self) -> bool:
        """Whether it still has its name: what is appended to a removed file is gone with its descriptor."""
        return is_at(self.path, self.fd)

    def make_again(self) -> int:
        """Make the removed file again, with what was in it; return the old descriptor, for the caller to close.

        Its directory is there. Raises OSError: nothing has changed.
        """
        content = os.pread(self.fd, self.size, 0)
        temporary = temporary_beside(self.path)
        fd = self._disk.open(temporary, _APPEND | os.O_EXCL, PRIVATE)
        try:
            rest = content
            while rest:
                rest = rest[self._disk.write(fd, rest) :]
            os.replace(temporary, self.path)
        except BaseException:
            self._disk.close(fd)
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        old, self.fd = self.fd, fd
        return old

    def close(self) -> None:
        self._disk.close(self.fd)
