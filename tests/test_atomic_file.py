"""One atomic write: killed anywhere, it leaves the old file or the new one, and what it leaves beside goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gridbot.atomic_file import (
    put_in_place,
    remove_abandoned,
    remove_forgotten,
    remove_temporary_files,
    temporary_beside,
    write_atomic,
)

OLD, NEW = b"old" * 1000, b"new" * 5000

# Ends itself with SIGKILL at call number N of one of the steps of a write.
KILLED = """
import os, signal, sys
from pathlib import Path
from gridbot.atomic_file import write_atomic
step, at, path = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
real, calls = getattr(os, step), 0
def killed(*args):
    global calls
    calls += 1
    if calls == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args)
setattr(os, step, killed)
write_atomic(path, b"new" * 5000)
"""
FOR_EVER = """
import itertools, sys
from pathlib import Path
from gridbot.atomic_file import write_atomic
for number in itertools.count():
    write_atomic(Path(sys.argv[1]), f"{number:09d}".encode() * 20000)
    if number == 0:
        print("goes", flush=True)
"""


def run(program: str, *args: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", program, *map(str, args)], timeout=60, check=False)


@pytest.mark.parametrize(
    ("step", "at", "expected"),
    [("fsync", 1, OLD), ("replace", 1, OLD), ("fsync", 2, NEW)],
    ids=["before the sync", "before the rename", "before the directory's sync"],
)
def test_killed_between_two_steps(tmp_path: Path, step: str, at: int, expected: bytes) -> None:
    path = tmp_path / "state.json"
    write_atomic(path, OLD)
    assert run(KILLED, step, at, path).returncode == -signal.SIGKILL
    assert path.read_bytes() == expected
    left = [entry for entry in tmp_path.iterdir() if entry != path]
    assert len(left) == (0 if expected == NEW else 1)
    remove_abandoned(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("after_s", [0.0, 0.003, 0.01, 0.03])
def test_killed_at_any_moment_the_file_is_whole(tmp_path: Path, after_s: float) -> None:
    path = tmp_path / "state.json"
    writer = subprocess.Popen([sys.executable, "-c", FOR_EVER, str(path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stdout.readline()
    time.sleep(after_s)
    writer.kill()
    writer.wait()
    content = path.read_bytes()
    assert content == content[:9] * 20000
    remove_temporary_files(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "deep" / "state.json"
    write_atomic(path, OLD)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, NEW)
    assert path.read_bytes() == OLD
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("way", [write_atomic, lambda path, data: put_in_place(written(path, data), path)])
def test_a_device_or_a_pipe_is_never_replaced(tmp_path: Path, way: Callable[[Path, bytes], None]) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(OSError, match="never replaced"):
            way(path, NEW)
    assert pipe.is_fifo()
    assert link.is_symlink()


def written(path: Path, data: bytes) -> Path:
    beside = path.with_name("beside")
    beside.write_bytes(data)
    return beside


def test_content_is_synced_before_the_rename_and_the_directory_after(tmp_path: Path, monkeypatch) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(fd: int) -> None:
        steps.append(f"sync {Path(os.readlink(f'/proc/self/fd/{fd}')).name.split('.')[0]}")
        fsync(fd)

    def renamed(source: Path, target: Path) -> None:
        steps.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    write_atomic(tmp_path / "state.json", NEW)
    big = temporary_beside(tmp_path / "state.json")
    big.write_bytes(OLD)
    put_in_place(big, tmp_path / "state.json")
    assert steps == ["sync state", "rename", f"sync {tmp_path.name}"] * 2
    assert (tmp_path / "state.json").read_bytes() == OLD


def test_a_file_that_another_process_is_writing_stays(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    dead, living, ours, other = (
        tmp_path / f"{name}.tmp"
        for name in (f"state.json.{int(gone.stdout)}-1", f"state.json.{os.getppid()}-1", f"state.json.{os.getpid()}-1",
                     f"another.json.{int(gone.stdout)}-1")
    )  # fmt: skip
    for each in (dead, living, ours, other):
        each.touch()
    remove_abandoned(path)
    assert set(tmp_path.iterdir()) == {living, other}
    beside = tmp_path / f"{living.name}.wal"
    beside.touch()
    remove_abandoned(path, locked=True)
    assert set(tmp_path.iterdir()) == {other}
    remove_temporary_files(tmp_path)
    assert not list(tmp_path.iterdir())
    remove_temporary_files(tmp_path / "no such directory")
    remove_abandoned(tmp_path / "no such directory" / "state.json")


def test_a_name_that_a_killed_process_with_our_pid_has_left_is_not_used(tmp_path: Path) -> None:
    """In a container the pid is the same after each start: the first write of the next life failed, the file exists."""
    path = tmp_path / "state.json"
    number = int(temporary_beside(path).name.split("-")[-1].removesuffix(".tmp"))
    left = [tmp_path / f"state.json.{os.getpid()}-{number + ahead}.tmp" for ahead in (1, 2)]
    left[0].symlink_to("nowhere")
    left[1].touch()
    write_atomic(path, NEW)
    assert path.read_bytes() == NEW
    assert set(tmp_path.iterdir()) == {path, *left}
    remove_abandoned(path)
    assert list(tmp_path.iterdir()) == [path]


def test_where_each_file_has_its_own_name_what_nobody_writes_any_more_goes(tmp_path: Path) -> None:
    gone = int(subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True).stdout)
    old = [tmp_path / name for name in (f"monday.duckdb.{gone}-1.tmp", f"monday.duckdb.{gone}-1.tmp.wal")]
    spilled = tmp_path / f"monday.duckdb.{gone}-1.tmp.tmp"
    spilled.mkdir()
    (spilled / "part").touch()
    names = (f"tuesday.duckdb.{os.getppid()}-1.tmp", f"other.csv.{gone}-1.tmp", "monday.duckdb", "notes.tmp")
    kept = [tmp_path / name for name in names]
    fresh = tmp_path / f"wednesday.duckdb.{gone}-1.tmp"  # written elsewhere, where the process lives
    for path in (*old, *kept, fresh):
        path.touch()
    for path in (*old, spilled, *kept):
        os.utime(path, (1, 1))
    remove_forgotten(tmp_path, ".duckdb")
    assert set(tmp_path.iterdir()) == {*kept, fresh}
    remove_forgotten(tmp_path / "no such directory", ".duckdb")
    remove_temporary_files(tmp_path, ".csv")
    assert set(tmp_path.iterdir()) == {kept[0], *kept[2:], fresh}
