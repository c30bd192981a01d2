"""One supervisor per data directory: a lock that the kernel frees when its holder dies.

The file is one of `gridbot.lock_file`. Its pid is for humans and for `stop --force`; only the `flock` decides.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from gridbot.atomic_file import process_lives
from gridbot.command_line import pasteable
from gridbot.lock_file import Locked, holder_in, keep_lock, release_lock, take_lock
from gridbot.private_files import make_directory
from gridbot.state.data_formats import newer_data
from supervisor.exit_codes import CommandError, ExitCode, unwritable
from supervisor.polling import wait_until

__all__ = ["DirectoryLock", "holder"]

FILE_NAME = "supervisor.lock"
JOURNAL_LOCK = Path("journal", "_supervisor", "lock")
"""Held by the same process for as long: it still tells when somebody has removed the other."""
LOCK_WAIT_S = 0.3
LOOKED_AT_S = 5.0
"""Whoever looks whether the lock is held has it for an instant, which a busy machine makes long."""


class DirectoryLock:
    """Held from the first `acquire` to `release` or the end of the process. Children do not inherit it."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / FILE_NAME
        self._fd: int | None = None
        self._other = ""

    def acquire(self) -> None:
        """Raises CommandError (exit code 7) when another supervisor has it, or the directory cannot be written, or a
        newer gridbot has worked there, be it while we waited for it.

        Without room for the pid, `keep` writes it later.
        """
        try:
            make_directory(self.path.parent)
            taken = self._fd is not None or wait_until(self._take, timeout_s=LOCK_WAIT_S, every_s=0.05)
            if not taken and not _lives(self._other):
                taken = wait_until(self._take, timeout_s=LOOKED_AT_S, every_s=0.05)
        except OSError as error:
            raise unwritable(error) from error
        if not taken:
            home = self.path.parent
            text = (
                f"another gridbot-supervisor (pid {self._other}) already works in {home}: "
                f"`{pasteable('stop', data_dir=home)}` ends it, or start this one with another --data-dir"
            )
            raise CommandError(text, ExitCode.REFUSED)
        if (newer := newer_data(self.path.parent)) is not None:
            self.release()
            raise CommandError(newer, ExitCode.REFUSED)

    def _take(self) -> bool:
        try:
            self._fd = take_lock(self.path)
        except Locked as other:
            self._other = str(other)
            return False
        return True

    def keep(self) -> bool:
        """Whether the file is still the one that we hold; if not, it is made and locked again.

        Raises OSError, Locked when another supervisor was quicker.
        """
        if self._fd is None:
            return True
        make_directory(self.path.parent)
        before, self._fd = self._fd, keep_lock(self.path, self._fd)
        return self._fd == before

    def release(self) -> None:
        if self._fd is not None:
            release_lock(self._fd)
            self._fd = None


def holder(data_dir: Path) -> int | None:
    """The pid of the supervisor that works in this directory (0 if it has not written it yet), None if none does.

    Raises PermissionError when this user may not look.
    """
    pid = _holder_of(data_dir, FILE_NAME)
    return _holder_of(data_dir, JOURNAL_LOCK) if pid is None else pid


def _lives(pid: str) -> bool:
    """Whether the process that the file names is there; a file of nobody names none."""
    return pid.isdigit() and process_lives(int(pid))


def _holder_of(data_dir: Path, name: str | Path) -> int | None:
    try:
        fd = os.open(data_dir / name, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError as error:
        raise PermissionError(error.errno, error.strerror, str(data_dir)) from None
    except OSError:
        return None
    with contextlib.suppress(OSError):
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = holder_in(fd)
            return int(pid) if pid.isdigit() else 0
        finally:
            os.close(fd)
    return None
