"""One supervisor per data directory: a lock that the kernel frees when its holder dies.

The pid in the file is for humans and for `stop --force`; only the `flock` decides. It always takes as many bytes, so
that a full disk, which keeps nobody from starting, has room for the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from gridbot.command_line import pasteable
from gridbot.shortage import is_shortage
from supervisor.exit_codes import CommandError, ExitCode, unwritable
from supervisor.polling import wait_until

__all__ = ["DirectoryLock", "holder"]

FILE_NAME = "supervisor.lock"
JOURNAL_LOCK = Path("journal", "_supervisor", "lock")
"""Held by the same process for as long: it still tells when somebody has removed the other."""
LOCK_WAIT_S = 0.3
PID_BYTES = 32


class DirectoryLock:
    """Held from `acquire` to `release` or the end of the process. Spawned children do not inherit it."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / FILE_NAME
        self._fd: int | None = None

    def acquire(self) -> None:
        """Raises CommandError (exit code 7) when another supervisor has it, or the directory cannot be written.

        Without room for the pid, `keep` writes it later.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise unwritable(error) from error
        if not _lock(fd):
            pid = _read_pid(fd)
            os.close(fd)
            home = self.path.parent
            text = (
                f"another gridbot-supervisor (pid {pid or 'unknown'}) already works in {home}: "
                f"`{pasteable('stop', data_dir=home)}` ends it, or start this one with another --data-dir"
            )
            raise CommandError(text, ExitCode.REFUSED)
        try:
            _write_pid(fd)
        except OSError as error:
            os.close(fd)
            raise unwritable(error) from error
        self._fd = fd

    def keep(self) -> bool:
        """Whether the file is still the one that we hold; if not, it is made and locked again.

        Raises OSError, BlockingIOError when another supervisor was quicker.
        """
        if self._fd is None:
            return True
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(self.path), os.fstat(self._fd)):
                if not _read_pid(self._fd):
                    with contextlib.suppress(OSError):
                        _write_pid(self._fd)
                return True
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write_pid(fd)
        except OSError:
            os.close(fd)
            raise
        os.close(self._fd)
        self._fd = fd
        return False

    def release(self) -> None:
        if self._fd is not None:
            with contextlib.suppress(OSError):
                _write(self._fd, "")
            os.close(self._fd)
            self._fd = None


def holder(data_dir: Path) -> int | None:
    """The pid of the supervisor that works in this directory (0 if it has not written it yet), None if none does.

    Raises PermissionError when this user may not look.
    """
    pid = _holder_of(data_dir, FILE_NAME)
    return _holder_of(data_dir, JOURNAL_LOCK) if pid is None else pid


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
            return _read_pid(fd)
        finally:
            os.close(fd)
    return None


def _lock(fd: int) -> bool:
    """Tries for a moment: a client that checks whether the lock is held takes it itself for an instant."""
    return wait_until(lambda: _try_lock(fd), timeout_s=LOCK_WAIT_S, every_s=0.05)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _write_pid(fd: int) -> None:
    """Raises OSError, but not for want of room: the lock holds without, and `keep` writes it later."""
    try:
        _write(fd, str(os.getpid()))
    except OSError as error:
        if not is_shortage(error):
            raise


def _write(fd: int, text: str) -> None:
    os.pwrite(fd, f"{text:<{PID_BYTES - 1}}\n".encode(), 0)


def _read_pid(fd: int) -> int:
    text = os.pread(fd, PID_BYTES, 0).decode(errors="replace").strip()
    return int(text) if text.isdigit() else 0
