"""Lock files in a directory of this user: held by `flock`, checked to have kept the name, removed at the end.

The kernel frees a lock with its process. A file can be removed while another process waits to lock it. So a
process that gets the lock checks that the file it has locked is still the one with that name, and tries again if not.
With that check a holder may remove its own file, and any process may remove the file of one that was killed.

A lock may be shared: several processes hold it beside each other, and none beside one that has it alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from gridbot.private_files import make_directory

__all__ = ["FileLock", "LockDirectory", "LockHeld"]

_SUFFIX = ".lock"
_ATTEMPTS = 10
_RETRY_S = 0.02
_ABANDONED_S = 3600.0


class LockHeld(Exception):
    """Another process holds the lock; `holder` is its pid, or "unknown"."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"held by process {holder}")
        self.holder = holder


@dataclass(frozen=True, slots=True)
class FileLock:
    """A lock that is held until `release`, or the end of the process."""

    directory_fd: int
    descriptor: int
    name: str
    keep_file: bool
    shared: bool = False

    def release(self) -> None:
        """Remove the file while no other process has locked it, and release it."""
        if not self.keep_file:
            with contextlib.suppress(OSError):
                if not self.shared or self._is_the_last():
                    os.unlink(self.name, dir_fd=self.directory_fd)
        os.close(self.descriptor)

    def _is_the_last(self) -> bool:
        """Whether nobody shares the lock any more; it is ours alone then. Raises OSError when somebody does."""
        fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(self.descriptor), os.stat(self.name, dir_fd=self.directory_fd))


class LockDirectory:
    """A directory that only this user can write; made when there is none. `close` it after its locks.

    Raises OSError when it cannot be made or opened, or is a link; PermissionError when it belongs to another user.
    """

    def __init__(self, path: Path) -> None:
        make_directory(path)
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            found = os.fstat(self._fd)
            if found.st_uid != os.geteuid():
                raise PermissionError(
                    f"expected the directory {path} to belong to uid {os.geteuid()}, got uid {found.st_uid}; "
                    "remove it, or give it to this user"
                )
            if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                os.fchmod(self._fd, 0o700)
        except BaseException:
            os.close(self._fd)
            raise

    def lock(self, name: str, *, keep_file: bool = False, shared: bool = False) -> FileLock:
        """Take the lock called `name`. Raises LockHeld, OSError.

        `keep_file` is for a file that others lock without comparing: it must keep its name when it is released.
        A `shared` lock names no holder.
        """
        for attempt in range(_ATTEMPTS):
            descriptor = self._open(name)
            try:
                self._take(descriptor, name, shared=shared)
                return FileLock(self._fd, descriptor, name + _SUFFIX, keep_file, shared)
            except LockHeld:
                os.close(descriptor)
                if attempt == _ATTEMPTS - 1:
                    raise
            except BaseException:
                os.close(descriptor)
                raise
            time.sleep(_RETRY_S)  # `remove_abandoned` of another process, or one that is about to end
        raise AssertionError("unreachable")

    def holders(self, prefix: str) -> dict[str, str]:
        """By the rest of its name, who holds a lock whose name begins so. Takes those that are free for a moment."""
        found: dict[str, str] = {}
        for file in os.listdir(self._fd):
            name = file.removesuffix(_SUFFIX)
            if name == file or not name.startswith(prefix):
                continue
            try:
                self._hold_for_a_moment(name)
            except LockHeld as held:
                found[name.removeprefix(prefix)] = held.holder
            except FileNotFoundError:
                continue
        return found

    def remove_abandoned(self) -> None:
        """Remove lock files that are an hour old and not locked: their processes were killed. Never raises."""
        with contextlib.suppress(OSError):
            before = time.time() - _ABANDONED_S
            for name in os.listdir(self._fd):
                if name.endswith(_SUFFIX) and os.stat(name, dir_fd=self._fd).st_mtime < before:
                    self._remove_abandoned(name.removesuffix(_SUFFIX))

    def close(self) -> None:
        os.close(self._fd)

    def _remove_abandoned(self, name: str) -> None:
        descriptor = self._open(name)
        try:
            self._take(descriptor, name)
            os.unlink(name + _SUFFIX, dir_fd=self._fd)
        except LockHeld:
            pass
        finally:
            os.close(descriptor)

    def _hold_for_a_moment(self, name: str) -> None:
        descriptor = os.open(name + _SUFFIX, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self._fd)
        try:
            self._take(descriptor, name, shared=True)
        finally:
            os.close(descriptor)

    def _open(self, name: str) -> int:
        file = name + _SUFFIX
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(file, dir_fd=self._fd, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
                os.unlink(file, dir_fd=self._fd)  # from a time when others could write here
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600, dir_fd=self._fd)

    def _take(self, descriptor: int, name: str, *, shared: bool = False) -> None:
        """Lock the open file and write our pid into it. Raises LockHeld, also when the file has been removed."""
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockHeld(os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown") from None
        try:
            named = os.stat(name + _SUFFIX, dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            raise LockHeld("unknown") from None
        if not os.path.samestat(os.fstat(descriptor), named):
            raise LockHeld("unknown")
        os.ftruncate(descriptor, 0)
        if not shared:
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
