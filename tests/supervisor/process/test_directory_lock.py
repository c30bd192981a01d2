from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor.exit_codes import CommandError, ExitCode
from supervisor.process import directory_lock
from supervisor.process.directory_lock import DirectoryLock, holder


def test_the_file_has_the_name_that_every_version_locks(tmp_path: Path) -> None:
    """A supervisor of an earlier version and one of this must exclude each other, so the name never changes."""
    earlier = os.open(tmp_path / "supervisor.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(earlier, fcntl.LOCK_EX)
    living = os.getppid()
    os.write(earlier, f"{living}\n".encode())
    assert holder(tmp_path) == living
    with pytest.raises(CommandError, match=rf"another gridbot-supervisor \(pid {living}\)") as refused:
        DirectoryLock(tmp_path).acquire()
    assert refused.value.code is ExitCode.REFUSED
    os.close(earlier)
    lock = DirectoryLock(tmp_path)
    lock.acquire()
    assert holder(tmp_path) == os.getpid()
    lock.release()
    assert holder(tmp_path) is None


def test_a_newer_version_that_worked_there_while_the_lock_was_waited_for_is_found(tmp_path: Path) -> None:
    """Its formats would have been written over with ours."""
    (tmp_path / "formats.json").write_text('{"gridbot": "99.0", "formats": {"database": 99}}')
    with pytest.raises(CommandError, match=r"gridbot 99\.0 has worked in this data directory") as refused:
        DirectoryLock(tmp_path).acquire()
    assert refused.value.code is ExitCode.REFUSED
    assert holder(tmp_path) is None


def test_who_only_looks_keeps_nobody_from_starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a look took longer than the lock was waited for: a start was refused, by nobody."""
    monkeypatch.setattr(directory_lock, "LOOKED_AT_S", 60)
    (tmp_path / "supervisor.lock").touch()
    looking = os.open(tmp_path / "supervisor.lock", os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    over = threading.Timer(2 * directory_lock.LOCK_WAIT_S, os.close, [looking])
    over.start()
    lock = DirectoryLock(tmp_path)
    lock.acquire()
    over.join()
    assert holder(tmp_path) == os.getpid()
    lock.acquire()
    lock.release()
    assert holder(tmp_path) is None


def test_a_disk_without_room_for_the_pid_keeps_nobody_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refused the start, though all that needs room waits for it."""

    def fails(number: int) -> Callable[..., int]:
        def pwrite(*_: object) -> int:
            raise OSError(number, os.strerror(number))

        return pwrite

    lock = DirectoryLock(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", fails(errno.ENOSPC))
        lock.acquire()
        assert lock.keep()
        assert holder(tmp_path) == 0, "held by somebody"
        lock.path.unlink()
        assert not lock.keep()
        assert holder(tmp_path) == 0, "the new file, too: another supervisor could start beside this one"
    assert lock.keep()
    assert holder(tmp_path) == os.getpid()
    size = (tmp_path / "supervisor.lock").stat().st_size
    lock.release()
    assert (tmp_path / "supervisor.lock").read_text().split() == []
    assert (tmp_path / "supervisor.lock").stat().st_size == size, "room for the next"
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", fails(errno.EIO))
        with pytest.raises(CommandError, match="Input/output error; make room there") as refused:
            DirectoryLock(tmp_path).acquire()
    assert refused.value.code is ExitCode.REFUSED
    assert holder(tmp_path) is None
