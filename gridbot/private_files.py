"""Files and directories of ours belong to their user alone, whatever the umask is: 0600 and 0700.

    make_directory(path)          with its missing parents
    private_open(path, flags)     a descriptor, for `os.open` and for the `opener` of `open`
    open_private(path, "a")       a file object
    tighten(directory)            what an earlier version made for all to read

A file's last name is never followed when it is a link: where a name can be predicted, somebody else may have put one
there. In a directory that `storage.group` has opened (`open_to_group`), `SHARED` files are for its group to read, too.

It is at the top of the package because every room that keeps files uses it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

__all__ = [
    "PRIVATE_UMASK",
    "SHARED_UMASK",
    "make_directory",
    "open_private",
    "open_shared",
    "open_to_group",
    "private_open",
    "private_umask",
    "tighten",
]

PRIVATE: Final = 0o600
SHARED: Final = 0o640
PRIVATE_DIRECTORY: Final = 0o700
SHARED_DIRECTORY: Final = 0o2750
PRIVATE_UMASK: Final = 0o077
SHARED_UMASK: Final = 0o027


def make_directory(path: Path) -> None:
    """Make a directory, and its missing parents, for this user alone. One that is there stays as it is.

    Raises OSError, FileExistsError when it is something else.
    """
    if path.is_dir():
        return
    if path.parent != path:
        make_directory(path.parent)
    try:
        path.mkdir(PRIVATE_DIRECTORY)
    except FileExistsError:
        if not path.is_dir():
            raise


def private_open(path: str | os.PathLike[str], flags: int, mode: int = PRIVATE) -> int:
    """`os.open` for a file of this user alone. Raises OSError, also (ELOOP) when the name is a link.

    A file that somebody made who is not this user, in a directory that is shared, is refused when it would be written.
    """
    fd = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, mode & PRIVATE)
    try:
        found = os.fstat(fd)
        if found.st_uid != os.geteuid() and os.geteuid() != 0 and flags & (os.O_WRONLY | os.O_RDWR):
            text = f"expected a file of uid {os.geteuid()}, got one of uid {found.st_uid}; remove it"
            raise PermissionError(1, text, str(path))
    except BaseException:
        os.close(fd)
        raise
    return fd


def open_private(path: str | os.PathLike[str], mode: str, **options: Any) -> IO[Any]:
    """`open` for a file of this user alone. Raises OSError."""
    return open(path, mode, opener=private_open, **options)


def open_shared(path: str | os.PathLike[str], mode: str, **options: Any) -> IO[Any]:
    """`open_private`, but the group may read it where it may read the directory (see `open_to_group`)."""
    file = open_private(path, mode, **options)
    with contextlib.suppress(OSError):
        if stat.S_IMODE(os.stat(os.path.dirname(path) or ".").st_mode) & stat.S_IRGRP:
            os.fchmod(file.fileno(), SHARED)
    return file


@contextlib.contextmanager
def private_umask() -> Iterator[None]:
    """What a library makes in the block is for this user alone. Of the whole process: use it where threads rest."""
    before = os.umask(PRIVATE_UMASK)
    try:
        yield
    finally:
        os.umask(before)


def tighten(directory: Path) -> list[str]:
    """Take from group and others what an earlier version, or another hand, gave them, in a directory of ours.

    Links are left alone, and so is what belongs to others. Returns what could not be changed, in words.
    """
    left: list[str] = []
    for path in (directory, *_below(directory)):
        try:
            found = path.lstat()
            if not stat.S_ISLNK(found.st_mode) and found.st_mode & PRIVATE_UMASK:
                path.chmod(stat.S_IMODE(found.st_mode) & 0o700)
        except FileNotFoundError:
            continue
        except OSError as error:
            left.append(f"{path}: {error.strerror}")
    return left


def open_to_group(directory: Path, group: int) -> None:
    """Let a group look into one directory; what is made in it gets the group. Raises OSError."""
    os.chown(directory, -1, group)
    directory.chmod(SHARED_DIRECTORY)


def _below(directory: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(directory):
        for name in (*folders, *files):
            yield Path(place, name)
