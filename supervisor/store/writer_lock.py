"""One writer per database file: a lock beside it that the kernel frees when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["WriterBusy", "keep_writer_lock", "sole_writer", "take_writer_lock"]


class WriterBusy(RuntimeError):
    """Another writer works on this database."""


def take_writer_lock(database: Path) -> int:
    """Be the only writer of a database file until the returned descriptor is closed. Raise WriterBusy."""
    path = database.with_name(database.name + ".writer")
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        holder = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(fd)
        raise WriterBusy(
            f"{database} already has a writer, process {holder}; stop that one first, or use another --data-dir"
        ) from exc
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def keep_writer_lock(database: Path, fd: int) -> int:
    """The lock's descriptor, or that of another one when somebody has removed the file. Raise WriterBusy, OSError."""
    try:
        if os.path.samestat(os.stat(database.with_name(database.name + ".writer")), os.fstat(fd)):
            return fd
    except FileNotFoundError:
        pass
    taken = take_writer_lock(database)
    os.close(fd)
    return taken


@contextlib.contextmanager
def sole_writer(database: Path) -> Iterator[None]:
    """Keep the bot and other maintenance off the file while the block runs. Raise WriterBusy."""
    lock = take_writer_lock(database)
    try:
        yield
    finally:
        os.close(lock)
