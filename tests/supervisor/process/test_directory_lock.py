from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from supervisor.exit_codes import CommandError, ExitCode
from supervisor.process.directory_lock import DirectoryLock, holder


def test_the_file_has_the_name_that_every_version_locks(tmp_path: Path) -> None:
    """A supervisor of an earlier version and one of this must exclude each other, so the name never changes."""
    earlier = os.open(tmp_path / "supervisor.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(earlier, fcntl.LOCK_EX)
    os.write(earlier, b"4711\n")
    assert holder(tmp_path) == 4711
    with pytest.raises(CommandError, match=r"another gridbot-supervisor \(pid 4711\)") as refused:
        DirectoryLock(tmp_path).acquire()
    assert refused.value.code is ExitCode.REFUSED
    os.close(earlier)
    lock = DirectoryLock(tmp_path)
    lock.acquire()
    assert holder(tmp_path) == os.getpid()
    lock.release()
    assert holder(tmp_path) is None


def test_a_disk_without_room_for_the_pid_refuses_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(
            CommandError, match="No space left on device; choose another one with --data-dir"
        ) as refused:
            DirectoryLock(tmp_path).acquire()
    assert refused.value.code is ExitCode.REFUSED
    assert holder(tmp_path) is None
