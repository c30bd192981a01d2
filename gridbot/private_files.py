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
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

__all__ = [
    "PRIVATE",
    "PRIVATE_DIRECTORY",
    "PRIVATE_UMASK",
    "SHARED",
    "SHARED_DIRECTORY",
    "SHARED_UMASK",
    "copy_private",
    "make_directory",
    "open_private",
    "open_to_group",
    "private_open",
    "shared_open",
    "tighten",
]

PRIVATE: Final = 0o600
SHARED: Final = 0o640
PRIVATE_DIRECTORY: Final = 0o700
SHARED_DIRECTORY: Final = 0o2750
PRIVATE_UMASK: Final = 0o077
SHARED_UMASK: Final = 0o027
_COPY_BYTES: Final = 1 << 20


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

    To be written, a file must belong to this user or to the owner of its directory, and have no other name: whoever can
    guess a name in a shared directory could have put something there. What it has is not cut off before that is known.
    """
    fd = os.open(path, flags & ~os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, mode & PRIVATE)
    if flags & (os.O_WRONLY | os.O_RDWR):
        try:
            found = os.fstat(fd)
            _check(path, found)
            if flags & os.O_TRUNC and stat.S_ISREG(found.st_mode):
                os.ftruncate(fd, 0)
        except BaseException:
            os.close(fd)
            raise
    return fd


def _check(path: str | os.PathLike[str], found: os.stat_result) -> None:
    if found.st_uid != os.geteuid() and found.st_uid != os.stat(os.path.dirname(path) or ".").st_uid:
        wrong = f"expected a file of uid {os.geteuid()}, got one of uid {found.st_uid}"
    elif stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
        wrong = f"expected a file with one name, got one with {found.st_nlink}"
    else:
        return
    raise PermissionError(errno.EPERM, f"{wrong}; remove it", os.fspath(path))


def open_private(path: str | os.PathLike[str], mode: str, **options: Any) -> IO[Any]:
    """`open` for a file of this user alone. Raises OSError."""
    return open(path, mode, opener=private_open, **options)


def shared_open(path: str | os.PathLike[str], flags: int) -> int:
    """`private_open`, but the group may read the file where it may read the directory (see `open_to_group`)."""
    fd = private_open(path, flags)
    with contextlib.suppress(OSError):
        if os.stat(os.path.dirname(path) or ".").st_mode & SHARED_DIRECTORY == SHARED_DIRECTORY:
            os.fchmod(fd, SHARED)
    return fd


def copy_private(source: Path, target: Path) -> None:
    """Copy the content of a file into a new one of this user alone. Raises OSError, FileExistsError."""
    with source.open("rb") as given, open_private(target, "xb") as file:
        shutil.copyfileobj(given, file, _COPY_BYTES)


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
