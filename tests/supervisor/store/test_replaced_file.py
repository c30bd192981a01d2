"""A copy of the database that is put in its place while the writer runs, at any moment: what it lacks comes again."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from gridbot.store.database import Database
from supervisor.store.damage_scan import DamageScan
from supervisor.store.writer import Writer, WriterSpec
from tests.store.kit import make_recorder, record_executions, sequences


class PutBack(Database):
    """Puts a copy in the place of the file in the midst of `_attached` or `_detach`, while nobody has its lock; or
    gives its name to one behind a commit, which then is in a file without a name."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.may_stay = True
        self.copy = path.with_name("copy")
        self.before_attaching = self.behind_detaching = self.behind_commit = False

    def put_back(self) -> None:
        shutil.copy(self.copy, self.path)

    @contextlib.contextmanager
    def open(self, *, stays: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        with super().open(stays=stays) as con:
            yield con
            if self.behind_commit:
                self.behind_commit = False
                os.replace(shutil.copy(self.copy, self.copy.with_name("again")), self.path)

    def _attached(self, *, has_stayed: bool) -> duckdb.DuckDBPyConnection:
        if self.before_attaching:
            self.before_attaching = False
            self.put_back()
        return super()._attached(has_stayed=has_stayed)

    def _detach(self, engine: duckdb.DuckDBPyConnection) -> None:
        super()._detach(engine)
        if self.behind_detaching:
            self.behind_detaching = False
            self.put_back()


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    database = PutBack(tmp_path / "gridbot.duckdb")
    with contextlib.closing(Writer(WriterSpec(tmp_path, ("alice", "bob")), {}, database)) as writer:
        yield writer


def flush(writer: Writer) -> None:
    """As often as it may take, as the process around the writer does it."""
    for _ in range(4):
        try:
            writer.flush()
        except duckdb.Error as error:
            writer.failed(error)


@pytest.mark.parametrize(
    "when",
    [
        "a scan sees it",
        "one account had none",
        "before it is attached",
        "behind detaching",
        "behind a commit",
        "at once",
    ],
)
def test_what_a_copy_lacks_comes_again(tmp_path: Path, writer: Writer, when: str) -> None:
    """Each left out what was recorded between the copy and its return, for good and without a word."""
    database = writer.database
    assert isinstance(database, PutBack)
    recorders = {account: make_recorder(tmp_path, account) for account in ("alice", "bob")}

    def record(account: str, first: int, last: int) -> None:
        record_executions(recorders[account], range(first, last + 1))

    record("alice", 1, 3)
    record("bob", 1, 3)
    flush(writer)
    shutil.copy(database.path, database.copy)
    record("bob", 4, 5)
    if when != "one account had none":
        record("alice", 4, 5)
    flush(writer)
    if when == "a scan sees it":
        database.put_back()
        DamageScan(database, time.monotonic()).step(time.monotonic())
    elif when == "one account had none":
        database.put_back()
        record("alice", 4, 5)
        flush(writer)
    elif when in ("behind a commit", "at once"):
        if when == "at once":
            database.close()  # nothing has stayed attached
        database.behind_commit = True
        committed = dict(writer.state.committed)
        record("bob", 6, 6)
        with contextlib.suppress(duckdb.Error):
            writer.flush()
        assert writer.state.committed == committed, "what is acknowledged leaves the journals"
    elif when == "before it is attached":
        database.before_attaching = True
    else:
        database.behind_detaching = True
        with database.open():
            pass
    record("alice", 6, 7)
    record("bob", 7 if when in ("behind a commit", "at once") else 6, 7)
    flush(writer)
    database.close()
    assert sequences(tmp_path) == {"alice": [1, 2, 3, 4, 5, 6, 7], "bob": [1, 2, 3, 4, 5, 6, 7]}
    for recorder in recorders.values():
        recorder.close()


def test_a_copy_is_brought_up_to_date_though_nothing_new_is_recorded(tmp_path: Path, writer: Writer) -> None:
    database = writer.database
    assert isinstance(database, PutBack)
    with contextlib.closing(make_recorder(tmp_path)) as recorder:
        record_executions(recorder, range(1, 4))
        flush(writer)
        shutil.copy(database.path, database.copy)
        record_executions(recorder, range(4, 6))
        flush(writer)
        database.put_back()
        DamageScan(database, time.monotonic()).step(time.monotonic())
        flush(writer)
    database.close()
    assert sequences(tmp_path)["alice"] == [1, 2, 3, 4, 5]
    assert writer.state.error is None
