"""The files of an account: order of writes, failures, left-overs, and a process that is killed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gridbot.state import state_files
from gridbot.state.state_files import StateFiles

WRITES_FOR_EVER = """
import itertools, sys
from pathlib import Path
from gridbot.state.state_files import StateFiles
files = StateFiles(Path(sys.argv[1]))
for number in itertools.count():
    data = f"{number:09d}".encode() * 5000
    files.write_soon("ledger.json", lambda: data)
    files.write_soon("grids/btc.grid.json", lambda: data)
    files.write("generation.json", data)
    if number == 5:
        files.flush()
        print("goes", flush=True)
"""


def hold_first_sync(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Have the next sync wait; (it waits now, let it go on)."""
    held, release = threading.Event(), threading.Event()
    real = os.fsync

    def slow(fd: int) -> None:
        if not held.is_set():
            held.set()
            release.wait(10)
        real(fd)

    monkeypatch.setattr(os, "fsync", slow)
    return held, release


def test_a_write_now_supersedes_what_waits_and_what_is_under_way(tmp_path, monkeypatch):
    files = StateFiles(tmp_path)
    held, release = hold_first_sync(monkeypatch)
    safe: list[int] = []
    files.write_soon("ledger.json", lambda: b"1", lambda: safe.append(1))
    assert held.wait(10)
    files.write_soon("ledger.json", lambda: b"2", lambda: safe.append(2))
    threading.Timer(0.05, release.set).start()
    files.write("ledger.json", b"3")
    assert files.close()
    assert files.read("ledger.json") == b"3"
    assert safe == [1]


def test_what_failed_before_a_write_now_is_not_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(state_files, "_RETRY_S", 0.05)
    files = StateFiles(tmp_path)
    blocker = files.path("ledger.json")
    (blocker / "file").mkdir(parents=True)
    files.write_soon("ledger.json", lambda: b"old")
    while not files.failing:  # until the thread has tried it
        assert not files.flush(timeout_s=0.02)
    with pytest.raises(OSError, match="Is a directory"):
        files.write("ledger.json", b"new")
    assert files.flush(), "nothing waits any more"
    (blocker / "file").rmdir()
    blocker.rmdir()
    files.write("ledger.json", b"new")
    assert files.close()
    assert files.read("ledger.json") == b"new"
    assert files.failing == []


def test_a_file_that_fails_does_not_hold_up_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(state_files, "_RETRY_S", 0.01)
    files = StateFiles(tmp_path)
    (files.path("bad.json") / "file").mkdir(parents=True)
    files.write_soon("bad.json", lambda: b"never")
    safe = threading.Event()
    files.write_soon("good.json", lambda: b"well", safe.set)
    assert safe.wait(10)
    assert not files.flush(timeout_s=0.1)
    [problem] = files.failing
    assert problem.startswith(f"{tmp_path / 'bad.json'}: expected to write the file, got Is a directory; trading")


def test_content_that_cannot_be_encoded_is_given_up_and_told_of(tmp_path, caplog, monkeypatch):
    told = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(str(args.exc_value)))
    files = StateFiles(tmp_path)
    files.write_soon("bad.json", lambda: bytes("\ud800", "utf-8"))
    files.write_soon("good.json", lambda: b"well")
    assert files.close()
    assert files.read("good.json") == b"well"
    assert files.read("bad.json") is None
    assert "cannot be encoded" in caplog.text
    assert [text.partition(": ")[0] for text in told] == [f"encoding {tmp_path / 'bad.json'}"]


def test_what_follows_a_write_may_fail_and_the_next_file_is_written(tmp_path, monkeypatch):
    """The thread ended: nothing was saved any more, and the worker's end waited for it in vain."""
    told = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(str(args.exc_value)))

    def broken():
        raise ValueError("a fault of ours")

    files = StateFiles(tmp_path)
    files.write_soon("a.json", lambda: b"a", broken)
    files.write_soon("b.json", lambda: b"b")
    assert files.close()
    assert (files.read("a.json"), files.read("b.json")) == (b"a", b"b")
    assert told == [f"what follows the writing of {tmp_path / 'a.json'}: ValueError: a fault of ours"]


def test_a_killed_process_leaves_whole_files_and_the_next_one_tidies_up(tmp_path: Path):
    for name in ("ledger.json.4711.tmp", "grids/btc.grid.json.tmp"):  # as earlier versions called them
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", WRITES_FOR_EVER, str(tmp_path)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        assert writer.stdout.readline()
        writer.kill()
        writer.wait()
        files = StateFiles(tmp_path)
        names = ["ledger.json", "generation.json", "grids/btc.grid.json"]
        for name in names:
            content = files.read(name)
            assert content is not None
            assert content == content[:9] * 5000
        found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
        assert found == set(names)


def test_files_set_aside_do_not_overwrite_each_other(tmp_path):
    files = StateFiles(tmp_path)
    for number in (1, 2):
        files.write("latch.json", b"%d" % number)
        assert files.set_aside("latch.json") == f"latch.json.bad-{number}"
        assert files.read("latch.json") is None
    assert [(tmp_path / f"latch.json.bad-{number}").read_bytes() for number in (1, 2)] == [b"1", b"2"]


def test_no_thread_without_a_write_in_the_background(tmp_path):
    before = threading.active_count()
    files = StateFiles(tmp_path)
    files.write("run.json", b"{}")
    assert threading.active_count() == before
    assert files.close()


def test_files_that_somebody_removes_are_written_again_as_they_were(tmp_path: Path) -> None:
    directory = tmp_path / "alice"
    directory.mkdir()
    (directory / "holds.json").write_bytes(b"read")
    files = StateFiles(directory)
    assert files.read("holds.json") == b"read"
    assert files.read("ban.json") is None
    files.write("run.json", b"now")
    files.write_soon("grids/btc.json", lambda: b"soon")
    files.write("latch.json", b"aside")
    files.set_aside("latch.json")
    assert files.flush()
    assert files.restore() == []
    shutil.rmtree(directory)
    assert sorted(files.restore()) == ["grids/btc.json", "holds.json", "run.json"]
    assert files.close()
    assert {path.name: path.read_bytes() for path in directory.rglob("*.json")} == {
        "btc.json": b"soon",
        "holds.json": b"read",
        "run.json": b"now",
    }
    shutil.rmtree(directory)
    assert files.restore() == [], "at the end nothing is written any more"
