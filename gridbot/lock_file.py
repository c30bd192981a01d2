"""A file that says who works here: locked by `flock`, with the process id of its holder in it, for people.

The kernel frees the lock with its process. A full disk keeps nobody from starting: the lock holds without the id, which
always takes as many bytes. Whoever removes the file must not let a second process in: its holder calls `keep_lock` now
and then.

It is at the top of the package because journals, the paper exchange, the writer of the database and the supervisor use
it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gridbot.private_files import private_open
from gridbot.shortage import is_shortage

__all__ = ["Locked", "holder_in", "is_at", "keep_lock", "release_lock", "take_lock"]

PID_BYTES: Final = 32


class Locked(RuntimeError):
    """Another process holds the lock; the text is its process id, as far as it is known."""


def take_lock(
    path: Path, *, opens: Callable[[Path, int, int], int] = private_open, closes: Callable[[int], None] = os.close
) -> int:
    """Descriptor that holds the lock until it is closed. The directory is there. Raises Locked, OSError."""
    fd = opens(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise Locked(holder_in(fd) or "unknown") from exc
        _write_pid(fd)
    except BaseException:
        closes(fd)
        raise
    return fd


def keep_lock(
    path: Path,
    fd: int,
    *,
    opens: Callable[[Path, int, int], int] = private_open,
    closes: Callable[[int], None] = os.close,
) -> int:
    """The lock's descriptor, or that of another one when somebody has removed the file. Raises as `take_lock`.

    A process id for which there was no room is written as soon as there is.
    """
    if is_at(path, fd):
        if not holder_in(fd):
            with contextlib.suppress(OSError):
                _write(fd, str(os.getpid()))
        return fd
    taken = take_lock(path, opens=opens, closes=closes)
    closes(fd)
    return taken


def release_lock(fd: int) -> None:
    """Give the lock up in order: nobody's id stays behind, and its bytes do, for the next one."""
    with contextlib.suppress(OSError):
        _write(fd, "")
    os.close(fd)


def holder_in(fd: int) -> str:
    """The process id that the file has; empty when it has none."""
    return os.pread(fd, PID_BYTES, 0).decode(errors="replace").strip()


def is_at(path: Path, fd: int) -> bool:
    """Whether the open file still has its name."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(fd))
    except FileNotFoundError:
        return False


def _write_pid(fd: int) -> None:
    try:
        _write(fd, str(os.getpid()))
    except OSError as error:
        if not is_shortage(error):
            raise


def _write(fd: int, text: str) -> None:
    os.pwrite(fd, f"{text:<{PID_BYTES - 1}}\n".encode(), 0)
