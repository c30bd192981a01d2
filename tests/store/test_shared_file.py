"""A file that stays attached between small commits, while other programs read it, write to it, and replace it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gridbot.store.database import Database, DatabaseHeld
from gridbot.store.shared_file import FileState, file_state

OTHER = """
import duckdb, os, sys
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"""
SEEN = "SELECT account FROM landed ORDER BY ALL"


class Other:
    """Another process, which does as it is told, one line at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        command = [sys.executable, "-c", OTHER]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def does(self, line: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"path = {str(self.path)!r}; {line}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "gridbot.duckdb")
    database.may_stay = True
    database.prepare()
    yield database
    database.close()


@pytest.fixture
def other(database: Database) -> Iterator[Other]:
    other = Other(database.path)
    yield other
    other.process.kill()
    other.process.communicate()


def add(database: Database, name: str) -> bool:
    """Commit a row; whether the file was as this process had left it."""
    before = database.changes
    with database.open(stays=True) as con:
        con.execute("INSERT INTO landed VALUES (?, 1, 'orders', '{}')", [name])
        return database.changes == before


def names(database: Database) -> list[str]:
    """What is in the file, as it is attached anew."""
    with database.open() as con:
        return [name for (name,) in con.execute(SEEN).fetchall()]


def test_others_read_a_file_that_stays_attached_and_keep_the_writer_off_while_they_do(
    database: Database, other: Other
) -> None:
    add(database, "a")
    add(database, "b")
    reads = f"con = duckdb.connect(path, read_only=True); assert len(con.execute('{SEEN}').fetchall()) == 2"
    assert other.does(reads) == "done"
    with pytest.raises(DatabaseHeld, match=str(other.process.pid)):
        add(database, "never")
    assert other.does("con.close()") == "done"
    assert add(database, "c")
    with database.open(stays=True):  # a writer at work keeps others off as ever
        assert other.does("duckdb.connect(path, read_only=True)") == ""
    assert names(database) == ["a", "b", "c"]


WRITES = "con = duckdb.connect(path); con.execute(\"INSERT INTO landed VALUES ('other', 1, 'orders', '{}')\"); "


def _other_writes(path: Path, other: Other) -> None:
    assert other.does(WRITES + "con.execute('CREATE TABLE own AS FROM range(9)'); con.close()") == "done"


def _other_is_killed(path: Path, other: Other) -> None:
    assert other.does(WRITES + "os._exit(9)") == ""
    other.process.wait()
    assert path.with_name(path.name + ".wal").stat().st_size


def _another_has_its_name(path: Path, other: Other) -> None:
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    assert Other(copy).does(WRITES + "con.close(); os._exit(0)") == ""
    copy.replace(path)


def _another_is_copied_over_it(path: Path, other: Other) -> None:
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    assert Other(copy).does(WRITES + "con.close(); os._exit(0)") == ""
    shutil.copy(copy, path)


def _another_is_copied_over_it_and_has_its_time(path: Path, other: Other) -> None:
    before = path.stat()
    _another_is_copied_over_it(path, other)
    os.truncate(path, before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES = [
    _other_writes,
    _other_is_killed,
    _another_has_its_name,
    _another_is_copied_over_it,
    _another_is_copied_over_it_and_has_its_time,
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_others_do_to_a_file_that_stays_attached_is_there_afterwards(
    database: Database, other: Other, change: Callable[[Path, Other], None]
) -> None:
    add(database, "a")
    assert add(database, "b")
    change(database.path, other)
    assert not add(database, "c")
    assert add(database, "d")
    assert names(database) == ["a", "b", "c", "d", "other"]


def test_the_headers_tell_what_file_times_do_not(
    database: Database, other: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two writes within a tick of the kernel's clock have one time."""

    def without_times(path: Path) -> FileState:
        return replace(file_state(path) or FileState(0, 0, 0, 0), size=0, written_ns=0, changed_ns=0)

    for module in ("database", "shared_file"):
        monkeypatch.setattr(f"gridbot.store.{module}.file_state", without_times)
    add(database, "a")
    assert add(database, "b")
    _other_writes(database.path, other)
    assert not add(database, "c")
    assert add(database, "d")
    assert names(database) == ["a", "b", "c", "d", "other"]


def test_a_part_of_this_process_reads_a_file_that_stays_attached(database: Database) -> None:
    add(database, "a")
    with database.read() as con:
        assert con.execute(SEEN).fetchall() == [("a",)]
    add(database, "b")
    assert names(database) == ["a", "b"]


def test_what_is_in_the_log_only_is_written_into_the_file_before_it_is_left(database: Database) -> None:
    with database.open(stays=True) as con:
        con.execute("SET GLOBAL checkpoint_threshold = '1GB'; SET GLOBAL auto_checkpoint_skip_wal_threshold = 1000000")
        con.execute("INSERT INTO landed VALUES ('a', 1, 'orders', '{}')")
        assert database.wal.exists()
    assert database.is_checkpointed()
    assert names(database) == ["a"]


def test_no_descriptor_of_it_is_left_once_duckdb_has_it_no_more(database: Database) -> None:
    """A process that has too many can open nothing."""

    def descriptors() -> int:
        links = [str(link) for link in Path("/proc/self/fd").iterdir()]
        return sum(os.path.realpath(link) == str(database.path) for link in links)

    for name in "ab":
        add(database, name)
        assert descriptors() > 0
        with database.open():
            pass
        assert descriptors() == 0
    add(database, "c")
    database.close()
    assert descriptors() == 0
