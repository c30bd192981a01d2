"""One writer per database file: a lock beside it that the kernel frees when its holder dies."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from gridbot.lock_file import Locked, keep_lock, take_lock
from gridbot.private_files import make_directory

__all__ = ["WriterBusy", "keep_writer_lock", "sole_writer", "take_writer_lock"]


class WriterBusy(RuntimeError):
    """Another writer works on this database."""


def take_writer_lock(database: Path) -> int:
    """Be the only writer of a database file until the returned descriptor is closed. Raise WriterBusy, OSError."""
    path = _lock_path(database)
    make_directory(path.parent)
    with _in_words(database):
        return take_lock(path)


def keep_writer_lock(database: Path, fd: int) -> int:
    """The lock's descriptor, or that of another one when somebody has removed the file. Raise WriterBusy, OSError."""
    with _in_words(database):
        return keep_lock(_lock_path(database), fd)


@contextlib.contextmanager
def sole_writer(database: Path) -> Iterator[None]:
    """Keep the bot and other maintenance off the file while the block runs. Raise WriterBusy."""
    lock = take_writer_lock(database)
    try:
        yield
    finally:
        os.close(lock)


def _lock_path(database: Path) -> Path:
    return database.with_name(database.name + ".writer")


@contextlib.contextmanager
def _in_words(database: Path) -> Iterator[None]:
    try:
        yield
    except Locked as holder:
        raise WriterBusy(
            f"{database} already has a writer, process {holder}; stop that one first, or use another --data-dir"
        ) from holder
