"""Replaces a file as a whole: after a crash or a power cut there is the old file or the new one, never half of either.

    write_atomic(path, data)         for what fits in memory
    put_in_place(temporary, path)    for a file that another library has written at `temporary_beside(path)`

Both sync the content before the rename and the directory after it. A process that is killed in between leaves a
temporary file `<name>.<pid>-<n>.tmp` behind, which the owner of the directory removes at the next start:

    remove_temporary_files(directory)    all in a directory that we have locked
    remove_abandoned(path)               those of one file; without a lock only of processes that have ended
    remove_forgotten(directory, suffix)  those of all files with that suffix, which nobody has written to for an hour

It is at the top of the package because every room that keeps files uses it, also those that do not import each other:
records, store, state, paper and the supervisor.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import shutil
import stat
import time
from pathlib import Path
from typing import Final

from gridbot.private_files import make_directory, open_private

__all__ = [
    "process_lives",
    "put_in_place",
    "remove_abandoned",
    "remove_forgotten",
    "remove_temporary_files",
    "sync_directory",
    "temporary_beside",
    "write_atomic",
]

_SUFFIX: Final = ".tmp"
FORGOTTEN_S: Final = 3600.0
"""Whose process has ended here may still be written to elsewhere: from another container or machine."""
_numbers = itertools.count(1)


def write_atomic(path: Path, data: bytes) -> None:
    """Replace the content of `path`; makes the directory when there is none. Raises OSError: the old file is intact."""
    make_directory(path.parent)
    temporary = temporary_beside(path)
    try:
        with open_private(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def put_in_place(temporary: Path, path: Path) -> None:
    """Give a finished file its name, in place of what had it. Raises OSError.

    `temporary` must not be open any more: closing it here would drop the lock of a library such as DuckDB.
    """
    descriptor = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    _rename(temporary, path)


def sync_directory(path: Path) -> None:
    """Make the names of new files in a directory survive a loss of power. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_beside(path: Path) -> Path:
    """A new name in the directory of `path`, which no other process and no other call uses.

    Not one that is there already either: in a container a process often has the pid of its killed predecessor.
    """
    while True:
        name = path.with_name(f"{path.name}.{os.getpid()}-{next(_numbers)}{_SUFFIX}")
        if not os.path.lexists(name):
            return name


def remove_temporary_files(directory: Path, suffix: str = "") -> None:
    """Remove all temporary files in a directory, and those of earlier versions. Call it with a lock on the directory.

    `suffix`: only those of files with it, where others belong to other processes. Never raises: a file that stays does
    no harm.
    """
    with contextlib.suppress(OSError):
        for name in os.listdir(directory):
            if name.endswith(_SUFFIX) and (not suffix or f"{suffix}." in name.removesuffix(_SUFFIX)):
                _remove(directory / name)


def remove_abandoned(path: Path, *, locked: bool = False) -> None:
    """Remove the temporary files of `path`, and what a library made beside them, before the first write.

    Those of other processes that live stay, unless `locked`: then a lock keeps other writers out. Never raises: a
    file that stays does no harm.
    """
    ours = re.compile(rf"{re.escape(path.name)}\.(\d+)-\d+{re.escape(_SUFFIX)}(\..+)?")
    with contextlib.suppress(OSError):
        for entry in path.parent.iterdir():
            found = ours.fullmatch(entry.name)
            if found and (locked or int(found[1]) == os.getpid() or not process_lives(int(found[1]))):
                _remove(entry)


def remove_forgotten(directory: Path, suffix: str) -> None:
    """Remove the temporary files of all files with `suffix` whose processes have ended, an hour after the last write.

    For a directory where each file gets a name of its own, such as one of backups. Never raises.
    """
    ours = re.compile(rf".+{re.escape(suffix)}\.(\d+)-\d+{re.escape(_SUFFIX)}(\..+)?")
    before = time.time() - FORGOTTEN_S
    with contextlib.suppress(OSError):
        for entry in directory.iterdir():
            found = ours.fullmatch(entry.name)
            if found and not process_lives(int(found[1])) and entry.lstat().st_mtime < before:
                _remove(entry)


def process_lives(pid: int) -> bool:
    """Whether there is a process with this pid, as this one sees it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _remove(path: Path) -> None:
    """A file, or the directory in which a library kept what did not fit its memory."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _rename(temporary: Path, path: Path) -> None:
    """Never over a device: whoever may write in /dev would take /dev/null from the whole machine."""
    with contextlib.suppress(FileNotFoundError):
        mode = os.stat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # a directory keeps its place by itself
            raise OSError(errno.EINVAL, "it is a device, a pipe or a socket, which is never replaced", str(path))
    os.replace(temporary, path)
    sync_directory(path.parent)
