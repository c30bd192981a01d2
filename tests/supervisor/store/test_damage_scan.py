"""Damage of the database is noticed while the bot runs, and its end; what is no damage is not told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from gridbot.records.recorder import Recorder
from gridbot.store import database
from gridbot.store.database import Database
from gridbot.store.reading import database_path
from supervisor.store.damage_scan import FIRST_S, LONGEST_S, DamageScan
from supervisor.store.store_watch import DamageWatch
from supervisor.store.writer import Writer, WriterSpec
from tests.store.damaged_blocks import damage_block
from tests.store.kit import (
    execution,
    flush_all,
    make_recorder,
    record_executions,
    ticker,
    writing,
)


def test_blocks_that_another_program_damages_are_noticed_while_the_writer_runs(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path)
    record_executions(recorder, range(1, 2001))
    with writing(tmp_path) as writer:
        writer.wait_committed("alice", 2000)
        damage_block(database_path(tmp_path), "landed", "body")
        health = writer.wait_health(lambda m: m.get("damage"), "damage")
        assert health["damage"].startswith(
            "the database is damaged: records of the last two minutes, of any kind (rows from 0: "
        )
        assert "checksum" in health["damage"]
        assert "gridbot-supervisor rebuild" in health["damage"]
    recorder.close()


def test_why_a_flush_fails_is_found_by_reading_the_file(tmp_path: Path) -> None:
    """DuckDB says only that a checkpoint failed: the writer has to rewrite a block that it cannot read."""
    recorder = make_recorder(tmp_path)
    record_executions(recorder, range(1, 2001))
    with writing(tmp_path) as writer:
        writer.wait_committed("alice", 2000)
        writer.stop()
    damage_block(database_path(tmp_path), "execution_rows_stored", "exec_id")
    recorder.record(execution(2001))
    recorder.close()
    with writing(tmp_path, compact_s=0.0) as writer:
        health = writer.wait_health(lambda m: m.get("error") and m.get("damage"), "what is wrong, and why")
        assert "checksum" in health["damage"]


def test_a_whole_file_is_read_and_found_whole(tmp_path: Path) -> None:
    Database(database_path(tmp_path)).prepare()
    file = Database(database_path(tmp_path))
    scan = DamageScan(file, now=0.0)
    scan.step(FIRST_S - 1)
    assert not scan.is_complete, "not before it is due"
    _read_through(scan, FIRST_S)
    assert (scan.is_complete, scan.damage) == (True, "")
    assert not file.was_changed_by_another()


def _read_through(scan: DamageScan, now: float) -> None:
    """A fifth of a second each: a busy machine needs some."""
    for _ in range(200):
        scan.step(now)


@pytest.fixture
def read_once(tmp_path: Path) -> Iterator[tuple[Recorder, Writer, DamageScan]]:
    """2,000 executions in a file that was read and found whole at the time FIRST_S."""
    recorder = make_recorder(tmp_path)
    record_executions(recorder, range(1, 2001))
    writer = Writer(WriterSpec(tmp_path, ("alice",)), {})
    flush_all(writer)
    writer.compact()
    scan = DamageScan(writer.database, now=0.0)
    _read_through(scan, FIRST_S)
    assert scan.damage == ""
    yield recorder, writer, scan
    recorder.close()
    writer.close()


def test_damage_just_before_a_flush_is_noticed_at_once(read_once: tuple[Recorder, Writer, DamageScan]) -> None:
    """A flush leaves the file with a new time, twice a second: what had been done to it before went unnoticed."""
    recorder, writer, scan = read_once
    damage_block(writer.database.path, "execution_rows_stored", "exec_id")
    recorder.record(ticker(2001))
    recorder.flush()
    flush_all(writer)
    _read_through(scan, FIRST_S + 1)
    assert "executions (rows from 0: " in scan.damage


def test_damage_without_a_trace_is_noticed_within_minutes(read_once: tuple[Recorder, Writer, DamageScan]) -> None:
    """Of a disk that decays: neither size nor time of the file tell. A large file is read less often."""
    _, writer, scan = read_once
    path = writer.database.path
    before = path.stat()
    damage_block(path, "execution_rows_stored", "exec_id")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    for second in range(1, 600):
        scan.step(FIRST_S + second)
    _read_through(scan, FIRST_S + 600)
    assert "executions (rows from 0: " in scan.damage


def test_a_file_that_cannot_be_opened_is_damaged_though_nothing_is_to_be_written(
    read_once: tuple[Recorder, Writer, DamageScan],
) -> None:
    _, writer, scan = read_once
    with writer.database.path.open("r+b") as file:
        file.write(b"\0" * 12_288)
    assert not writer.flush()
    scan.step(FIRST_S + 1)
    assert scan.damage.startswith("the database is damaged: all tables (")
    assert scan.damage.count("gridbot-supervisor rebuild") == 1


def test_a_want_of_memory_is_no_damage(
    read_once: tuple[Recorder, Writer, DamageScan], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, writer, scan = read_once
    writer.database.close()
    monkeypatch.setattr(database, "_CONFIG", {"threads": 1, "memory_limit": "300kB"})
    with pytest.raises(duckdb.OutOfMemoryException):
        scan.step(FIRST_S + LONGEST_S)
    monkeypatch.undo()
    _read_through(scan, FIRST_S + LONGEST_S)
    assert scan.damage == ""


def test_damage_is_told_once_and_so_is_its_end() -> None:
    watch = DamageWatch()
    told = [watch.observe(report) for report in ({}, {"damage": "a"}, {"damage": "a"}, {"damage": "a, b"}, {})]
    assert [alert and alert[0] for alert in told] == [None, "ERROR", None, "ERROR", None]
    assert watch.observe({"damage": "", "scanned": True}) == ("INFO", "all of the database can be read")
