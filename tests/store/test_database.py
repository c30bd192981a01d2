"""The database file: what a killed process leaves beside it, and what its errors say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from gridbot.store import file_errors
from gridbot.store.database import Database, spill_directory
from gridbot.store.schema import BLOCK_BYTES, GROUP_ROWS


def test_left_overs_of_a_killed_process_go_and_everything_else_stays(tmp_path: Path) -> None:
    left = ("gridbot.duckdb.123-1.tmp", "gridbot.duckdb.123-1.tmp.wal", "gridbot.duckdb.123-1.tmp.writer",
            "gridbot.duckdb.new-77", "gridbot.version-1-20260101T000000Z.duckdb.123-2.tmp",
            "gridbot.version-1-20260101T000000Z.duckdb.part")  # fmt: skip
    kept = ("gridbot.before-20260101T000000Z.duckdb", "gridbot.rebuild.duckdb", "gridbot.duckdb.writer",
            "gridbot.duckdb.bak", f"gridbot.duckdb.bak.{os.getppid()}-1.tmp", "gridbot.duckdb.wal.damaged-20260101",
            "other.duckdb.123-1.tmp", "gridbot.version-1-20260101T000000Z.duckdb")  # fmt: skip
    for name in (*left, *kept):
        (tmp_path / name).touch()
    spilled = tmp_path / "gridbot.duckdb.123-1.tmp.tmp"  # of a new file that was being made
    spilled.mkdir()
    (spilled / "duckdb_temp_123_0_owner").touch()
    database = Database(tmp_path / "gridbot.duckdb")
    database.prepare()
    assert {path.name for path in tmp_path.iterdir()} == {*kept, "gridbot.duckdb"}
    with database.open() as con:
        assert con.execute("SELECT count(*) FROM fills").fetchone() == (0,)
    database.close()


SPILLS = """
import duckdb, os, signal, sys
con = duckdb.connect(sys.argv[1], read_only=True, config={"memory_limit": "30MB", "threads": "1"})
rows = con.execute("SELECT range, repeat('x', 100) || range AS s FROM range(500000) ORDER BY s")
print(rows.fetchone(), flush=True)
sys.stdin.read()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_reader_has_spilled_goes_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    """It stayed: gigabytes, until another statement happened to need the directory."""
    database = Database(tmp_path / "gridbot.duckdb")
    database.prepare()
    command = [sys.executable, "-c", SPILLS, str(database.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline()
        spilled = spill_directory(database.path)
        before = set(spilled.iterdir())
        assert before
        (spilled / "duckdb_temp_1073741824_0_storage_S32K-0.tmp").touch()
        (spilled / f"duckdb_temp_{os.getpid()}_0_owner").touch()  # of a predecessor with our pid
        database.remove_left_overs()
        assert set(spilled.iterdir()) == before
        reader.communicate()
    assert reader.returncode == -signal.SIGKILL
    assert set(spilled.iterdir()) == before
    database.prepare()
    assert not spilled.exists()


def test_the_holder_of_a_file_is_named_by_program_and_pid() -> None:
    held = duckdb.IOException(
        f"IO Error: Could not set lock on file: Conflicting lock is held in /usr/bin/python3.11 (PID {os.getpid()})"
    )
    assert file_errors.is_lock_error(held)
    assert file_errors.holder_of(held).endswith(f"(pid {os.getpid()})")
    gone = duckdb.IOException("Could not set lock on file: Conflicting lock is held in /opt/DBeaver (PID 1073741824)")
    assert file_errors.holder_of(gone) == "DBeaver (pid 1073741824)"
    assert file_errors.holder_of(duckdb.IOException("Could not set lock on file")) == "another process"


@pytest.mark.parametrize("content", [b"scrambled" * 5000, b"x"])
def test_damage_is_told_from_other_failures(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "gridbot.duckdb"
    path.write_bytes(content)
    with pytest.raises(duckdb.Error) as failed:
        duckdb.connect(str(path))
    assert file_errors.is_damage(failed.value)
    assert not file_errors.is_lock_error(failed.value)
    assert not file_errors.is_log_damage(failed.value)
    assert not file_errors.is_damage(duckdb.IOException("Cannot open file: No space left on device"))
    assert file_errors.first_line(duckdb.IOException("")) == "IOException('')"


def test_nobody_is_kept_off_by_a_result_that_was_not_read_to_its_end(tmp_path: Path) -> None:
    database = Database(tmp_path / "gridbot.duckdb")
    database.prepare()
    with database.open() as con:
        con.execute("CREATE TABLE many AS SELECT range AS n FROM range(100_000)")
        assert con.execute("SELECT n FROM many").fetchone() == (0,)
    with duckdb.connect(str(database.path), read_only=True) as reader:  # refused while another instance has the file
        assert reader.execute("SELECT count(*) FROM many").fetchone() == (100_000,)
    with pytest.raises(duckdb.CatalogException), database.open() as con:
        con.execute("FROM many SELECT n").execute("SELECT missing()")
    duckdb.connect(str(database.path), read_only=True).close()
    database.close()


def test_rows_go_on_behind_larger_groups_of_an_earlier_version(tmp_path: Path) -> None:
    """DuckDB has refused a smaller ROW_GROUP_SIZE than the last group has (duckdb/duckdb#22109)."""
    database = Database(tmp_path / "gridbot.duckdb")
    database.prepare()
    with duckdb.connect(str(database.path)) as con:
        assert con.execute("SELECT block_size FROM pragma_database_size()").fetchone() == (BLOCK_BYTES,)
        con.execute("CREATE TABLE many (n BIGINT PRIMARY KEY); INSERT INTO many FROM range(60_000)")
    for first in (60_000, 60_010):
        with database.open() as con:
            con.execute(f"INSERT INTO many FROM range({first}, {first + 10})")
    with database.open() as con:
        assert con.execute("SELECT count(*), max(n) FROM many").fetchone() == (60_020, 60_019)
        con.execute("DELETE FROM many WHERE n < 100; INSERT INTO many FROM range(100_000, 200_000)")
    database.close()
    with duckdb.connect(str(database.path), read_only=True) as con:
        assert con.execute("SELECT count(*) FROM many").fetchone() == (159_920,)
        [(largest,)] = con.execute("SELECT max(count) FROM pragma_storage_info('many')").fetchall()
    assert largest > GROUP_ROWS
