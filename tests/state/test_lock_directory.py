"""Lock files: exclusive between real processes, also while they are removed and made again; nothing stays."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gridbot.state import lock_directory
from gridbot.state.lock_directory import LockDirectory, LockHeld

CONTENDER = """
import os, sys, time
from pathlib import Path
from gridbot.state import lock_directory
from gridbot.state.lock_directory import LockDirectory, LockHeld
lock_directory._RETRY_S = 0
directory, inside = LockDirectory(Path(sys.argv[1])), sys.argv[1] + ".inside"
rounds = 0
deadline = time.monotonic() + 30
while rounds < 100 and time.monotonic() < deadline:
    try:
        lock = directory.lock("key")
    except LockHeld:
        time.sleep(0)
        continue
    os.close(os.open(inside, os.O_CREAT | os.O_EXCL))  # raises when another one holds the lock too
    os.unlink(inside)
    lock.release()
    rounds += 1
sys.exit(0 if rounds == 100 else "too slow")
"""


def test_of_many_that_make_and_remove_the_file_one_has_it(tmp_path: Path) -> None:
    place = tmp_path / "keys"
    contenders = [subprocess.Popen([sys.executable, "-c", CONTENDER, str(place)]) for _ in range(4)]
    assert [contender.wait(60) for contender in contenders] == [0, 0, 0, 0]
    assert list(place.iterdir()) == []


def test_held_once_and_free_after_release(tmp_path: Path) -> None:
    directory, other = LockDirectory(tmp_path / "a" / "keys"), LockDirectory(tmp_path / "a" / "keys")
    lock = directory.lock("key")
    with pytest.raises(LockHeld) as held:
        other.lock("key")
    assert held.value.holder == str(os.getpid())
    other.lock("another").release()
    lock.release()
    other.lock("key").release()
    assert list((tmp_path / "a" / "keys").iterdir()) == []
    directory.close()
    other.close()


def test_a_file_that_loses_its_name_while_it_is_locked_does_not_count(tmp_path: Path, monkeypatch) -> None:
    directory = LockDirectory(tmp_path)
    real, removals = fcntl.flock, [True]

    def removed_before(fd: int, operation: int) -> None:
        if removals:
            removals.pop()
            (tmp_path / "key.lock").unlink()
        real(fd, operation)

    monkeypatch.setattr(fcntl, "flock", removed_before)
    lock = directory.lock("key")
    assert os.path.samestat(os.fstat(lock.descriptor), os.stat(tmp_path / "key.lock"))
    assert (tmp_path / "key.lock").read_text() == f"{os.getpid()}\n"


def test_a_file_that_was_replaced_while_it_was_locked_does_not_count(tmp_path: Path, monkeypatch) -> None:
    directory = LockDirectory(tmp_path)
    real, swaps = fcntl.flock, [True]

    def replaced_before(fd: int, operation: int) -> None:
        if swaps:
            swaps.pop()
            (tmp_path / "fresh").touch()
            (tmp_path / "fresh").rename(tmp_path / "key.lock")
        real(fd, operation)

    monkeypatch.setattr(fcntl, "flock", replaced_before)
    lock = directory.lock("key")
    assert os.path.samestat(os.fstat(lock.descriptor), os.stat(tmp_path / "key.lock"))


def test_a_file_that_others_lock_without_comparing_keeps_its_name(tmp_path: Path) -> None:
    LockDirectory(tmp_path).lock("key", keep_file=True).release()
    assert [path.name for path in tmp_path.iterdir()] == ["key.lock"]


def test_files_of_killed_processes_go_after_an_hour(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(lock_directory, "_ATTEMPTS", 1)
    directory, other = LockDirectory(tmp_path), LockDirectory(tmp_path)
    for name in ("old", "new", "held"):
        (tmp_path / f"{name}.lock").touch()
    lock = other.lock("held")
    for name in ("old", "held"):
        os.utime(tmp_path / f"{name}.lock", (1, 1))
    directory.remove_abandoned()
    assert {path.name for path in tmp_path.iterdir()} == {"new.lock", "held.lock"}
    with pytest.raises(LockHeld):
        directory.lock("held")
    lock.release()


def test_a_directory_that_others_can_write_is_made_private(tmp_path: Path) -> None:
    place = tmp_path / "keys"
    place.mkdir()
    place.chmod(0o777)
    (place / "key.lock").symlink_to(tmp_path / "elsewhere")  # what another user may have put there
    lock = LockDirectory(place).lock("key")
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert (place / "key.lock").lstat().st_ino == os.fstat(lock.descriptor).st_ino
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory of another user")
def test_the_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, -1)
    with pytest.raises(PermissionError, match=r"to belong to uid 0, got uid 12345; remove it, or give it to this user"):
        LockDirectory(tmp_path)


def test_a_link_to_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(OSError, match="link"):
        LockDirectory(tmp_path / "link")
