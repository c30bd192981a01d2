"""A database file that stays attached in DuckDB while its lock is given up, so that others may read it meanwhile.

To attach a file DuckDB reads its whole catalogue, and to detach it lets go of that: half of what a small commit costs.
DuckDB has no way to give up only the lock. But its lock is one of POSIX, which a process has on a file, by whatever
descriptor: so it is given up, and taken again, by a descriptor of our own.

What DuckDB has in memory is of use only while nobody has changed the file. Each checkpoint changes one of the headers,
and what is not checkpointed is in a log beside it. Both are looked at with the lock in hand. DuckDB itself writes
nothing meanwhile: it has one thread, and all that was committed is in the file.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["FileState", "SharedFile", "file_state"]

_HEADERS: Final = 3 * 4096
"""Bytes: DuckDB's main header, and the two of which each checkpoint writes one anew, with a number that counts up."""


@dataclass(frozen=True, slots=True)
class FileState:
    """What tells a file that somebody has changed, or put another in place of, without a look into it.

    `written_ns` is what `touch`, `cp -p` and `rsync -t` set to what they like; `changed_ns` the kernel alone sets.
    """

    inode: int
    size: int
    written_ns: int
    changed_ns: int


def file_state(path: Path) -> FileState | None:
    """None where there is no file, or nobody may look."""
    try:
        found = path.stat()
    except OSError:
        return None
    return FileState(found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class SharedFile:
    """The file at `path`, which DuckDB has attached and locked. Made while DuckDB has it, and closed when it has not:
    to close a descriptor drops DuckDB's lock. Raise OSError.

    `log`: the write-ahead log beside it.
    """

    def __init__(self, path: Path, log: Path) -> None:
        self._path, self._log = path, log
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self.left: FileState | None = None
        self._headers = b""

    @property
    def inode(self) -> int:
        """Of the file that was opened, whatever has its name by now."""
        return os.fstat(self._descriptor).st_ino

    def give_up(self) -> bool:
        """Give up the lock; False, with the lock as it was, when something is in the log only, or the file has lost
        its name. Raise OSError."""
        self.left, self._headers = self._seen()
        if self._log.exists() or self.left is None or self.left.inode != self.inode:
            return False
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN)
        return True

    def take_again(self) -> bool:
        """Take the lock; False when another process has it, or the file is not as it was left."""
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return self.is_as_left() and not os.path.lexists(self._log)

    def is_as_left(self) -> bool:
        """Whether file and headers are those of when the lock was given up; also False where they cannot be read."""
        try:
            return self._seen() == (self.left, self._headers)
        except OSError:
            return False

    def close(self) -> None:
        """Close the descriptor, and drop any lock."""
        os.close(self._descriptor)

    def _seen(self) -> tuple[FileState | None, bytes]:
        return file_state(self._path), os.pread(self._descriptor, _HEADERS, 0)
