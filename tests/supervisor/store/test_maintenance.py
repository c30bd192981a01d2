from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import click
import duckdb
import pytest
from click.testing import CliRunner, Result
from pydantic import ValidationError

from gridbot.config.models import GridbotConfig
from gridbot.records.columns import RECORD_TYPES
from gridbot.store.database import Database
from gridbot.store.reading import connect, database_path
from gridbot.store.schema import BLOCK_BYTES, GROUP_ROWS
from supervisor.children.entry_points import writer_spec
from supervisor.cli import maintenance_commands
from supervisor.store import maintenance, parquet_export, writers_turn
from supervisor.store.damage_scan import DamageScan
from supervisor.store.writer import Writer, WriterSpec
from supervisor.store.writer_process import HELD_WAIT_S, READERS_S, Beat
from tests.case_table import case_table
from tests.fork_server import run_program
from tests.store.kit import WAIT_S, execution, hold, make_recorder, record_executions, rows, sequences, ticker, writing
from tests.store.session import write_all
from tests.store.test_migrations import old_database


def run(command: click.Command, data_dir: Path, *args: str) -> Result:
    return CliRunner().invoke(command, ["--data-dir", str(data_dir), *args])


def session(data_dir: Path, count: int = 60, *, acked: int = 0, **kwargs: Any) -> None:
    """A stopped session of alice and bob; segments up to `acked` were removed."""
    for account in ("alice", "bob"):
        recorder = make_recorder(data_dir, account, segment_bytes=4000 if count < 500 else 1 << 20, **kwargs)
        for number in range(recorder.last_seq + 1, count + 1):
            recorder.record(execution(number) if number % 2 else ticker(number))
            recorder.flush()
        recorder.journal.remove_through(acked)
        recorder.close()


def content(path: Path) -> list[Any]:
    with connect(path) as con:
        return [
            con.execute(f"SELECT * FROM {table} ORDER BY account, seq").fetchall()
            for table in ("executions", "tickers")
        ]


def test_rebuild_from_complete_journals_gives_the_same_rows(tmp_path: Path) -> None:
    session(tmp_path)
    write_all(tmp_path)
    before = content(database_path(tmp_path))
    disk = on_another_disk(tmp_path)
    database_path(tmp_path).write_bytes(b"scrambled" * 5000)
    result = run(maintenance_commands.rebuild, tmp_path)
    assert result.exit_code == 0, result.output
    assert "120 records from journals, 0 older rows" in result.output
    assert content(database_path(tmp_path)) == before
    old = next(disk.glob("gridbot.before-*.duckdb"))
    assert old.read_bytes().startswith(b"scrambled")
    assert database_path(tmp_path).is_symlink()
    session(tmp_path, 70)
    with writing(tmp_path) as writer:  # and the bot goes on with it
        writer.wait_committed("alice", 70)
        writer.wait_committed("bob", 70)
    assert sequences(tmp_path)["bob"] == list(range(1, 70, 2))


@pytest.mark.parametrize("part", [0.001, 0.5])
def test_a_flipped_byte_in_the_database_is_reported_and_rebuilt(tmp_path: Path, part: float) -> None:
    session(tmp_path, 600)
    write_all(tmp_path)
    path = database_path(tmp_path)
    damaged = bytearray(path.read_bytes())
    damaged[int(len(damaged) * part)] ^= 0xFF
    path.write_bytes(damaged)
    result = run(maintenance_commands.rebuild, tmp_path)
    assert result.exit_code == 0, result.output
    assert sequences(tmp_path)["bob"] == list(range(1, 600, 2))
    old = next(tmp_path.glob("gridbot.before-*.duckdb"))
    assert old.read_bytes() == bytes(damaged)


def test_rebuild_takes_from_the_old_file_what_the_journals_no_longer_have(tmp_path: Path) -> None:
    session(tmp_path)
    write_all(tmp_path)
    before = content(database_path(tmp_path))
    session(tmp_path, acked=40)
    result = run(maintenance_commands.rebuild, tmp_path)
    assert result.exit_code == 0, result.output
    assert "missing" not in result.output
    assert content(database_path(tmp_path)) == before
    assert rows(tmp_path, "SELECT account, seq FROM ingest_offsets ORDER BY ALL") == [("alice", 60), ("bob", 60)]


def test_rebuild_refuses_to_lose_records_unless_told(tmp_path: Path) -> None:
    session(tmp_path)
    write_all(tmp_path)
    session(tmp_path, acked=40)
    database_path(tmp_path).write_bytes(b"scrambled" * 5000)
    result = run(maintenance_commands.rebuild, tmp_path)
    assert result.exit_code == 7
    assert "of account alice are in no journal" in result.output
    assert database_path(tmp_path).read_bytes().startswith(b"scrambled")
    result = run(maintenance_commands.rebuild, tmp_path, "--accept-loss")
    assert result.exit_code == 0, result.output
    assert "missing: records 1 to" in result.output
    assert sequences(tmp_path)["alice"][-1] == 59


def test_what_replaces_the_file_is_refused_while_a_writer_runs(tmp_path: Path) -> None:
    with writing(tmp_path) as writer:
        for command in (maintenance_commands.rebuild, maintenance_commands.vacuum):
            result = run(command, tmp_path)
            assert result.exit_code == 7
            assert f"already has a writer, process {writer.process.pid}" in result.output


def test_backup_beside_a_running_writer(tmp_path: Path) -> None:
    data_dir, target = tmp_path / "data", tmp_path / "copy.db"
    session(data_dir)
    with writing(data_dir) as writer:
        writer.wait_committed("bob", 60)
        assert run(maintenance_commands.backup, data_dir, str(target)).exit_code == 0
        session(data_dir, 80)
        writer.wait_committed("bob", 80)
    assert len(content(target)[0]) == 60
    result = run(maintenance_commands.backup, data_dir, str(target))
    assert result.exit_code == 2
    assert "exists" in result.output
    assert run(maintenance_commands.backup, tmp_path, str(tmp_path / "x")).exit_code == 3


def test_vacuum_keeps_everything_and_gives_room_back(tmp_path: Path) -> None:
    session(tmp_path, 400)
    write_all(tmp_path)
    with duckdb.connect(str(database_path(tmp_path))) as con:
        con.execute("CREATE TABLE ballast AS SELECT uuid()::VARCHAR AS x FROM range(200000)")
        con.execute("DROP TABLE ballast; CREATE TABLE many AS FROM range(60000)")
    before = content(database_path(tmp_path))
    described = "SELECT count(*) FROM duckdb_columns() WHERE comment IS NOT NULL AND NOT internal"
    comments = rows(tmp_path, described)
    disk = on_another_disk(tmp_path)
    assert run(maintenance_commands.vacuum, tmp_path).exit_code == 0
    assert [path.name for path in disk.iterdir()] == [database_path(tmp_path).name]
    assert database_path(tmp_path).is_symlink()
    assert content(database_path(tmp_path)) == before
    assert rows(tmp_path, described) == comments
    assert database_path(tmp_path).stat().st_size < 4_000_000
    assert (
        rows(tmp_path, "SELECT tags['storage_version'] FROM duckdb_databases() WHERE NOT internal")[0][0] == "v1.4.0+"
    )
    assert rows(tmp_path, "SELECT max(block_size) FROM pragma_database_size()") == [(BLOCK_BYTES,)]
    assert rows(tmp_path, "SELECT max(count) FROM pragma_storage_info('many')") == [(GROUP_ROWS,)]
    session(tmp_path, 410)
    write_all(tmp_path)
    assert rows(tmp_path, "SELECT seq FROM ingest_offsets") == [(410,), (410,)]


def on_another_disk(data_dir: Path) -> Path:
    """Make the database a link to a file elsewhere, as somebody does whose disk is full; that directory."""
    path, disk = database_path(data_dir), data_dir / "disk"
    disk.mkdir()
    path.rename(disk / path.name)
    path.symlink_to(disk / path.name)
    return disk


def test_a_database_whose_disk_is_not_mounted_is_not_made_anew(tmp_path: Path) -> None:
    """A new file, of what the journals still had, took the place of the link to all older records."""
    make_recorder(tmp_path).close()
    link = database_path(tmp_path)
    link.symlink_to(tmp_path / "away" / "gridbot.duckdb")
    writer = Writer(WriterSpec(tmp_path, ()), {})
    with pytest.raises(duckdb.IOException, match=r"mount the disk .* or remove the link"):
        writer.flush()
    writer.close()
    for command, *arguments in (
        (maintenance_commands.vacuum,),
        (maintenance_commands.rebuild,),
        (maintenance_commands.backup, str(tmp_path / "copy")),
    ):
        result = run(command, tmp_path, *arguments)
        assert result.exit_code == 3
        assert "mount the disk" in result.output
    assert link.is_symlink()


def test_export_writes_days_once(tmp_path: Path) -> None:
    data_dir, target = tmp_path / "data", tmp_path / "export"
    day = 86_400_000_000
    session(data_dir, 20, clock_us=lambda: 1_700_000_000_000_000)
    session(data_dir, 40, clock_us=lambda: 1_700_000_000_000_000 + day)
    write_all(data_dir)
    assert "4 files written, 0 were" in run(maintenance_commands.export, data_dir, str(target)).output
    assert "0 files written, 4 were" in run(maintenance_commands.export, data_dir, str(target)).output
    session(data_dir, 50, clock_us=lambda: 1_700_000_000_000_000 + day)
    write_all(data_dir)
    assert "2 files written, 2 were" in run(maintenance_commands.export, data_dir, str(target)).output
    with duckdb.connect() as con:
        pattern = str(target / "executions" / "*" / "*.parquet")
        found = con.execute("SELECT day, count(*) FROM read_parquet(?) GROUP BY 1 ORDER BY 1", [pattern]).fetchall()
    assert [(str(day), count) for day, count in found] == [("2023-11-14", 20), ("2023-11-15", 30)]


def test_a_running_writer_has_its_turn_between_the_files_of_an_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had none for up to a minute: an export opened the file again before the writer looked."""
    session(tmp_path, 20)
    write_all(tmp_path)
    turns: list[float] = []

    def writes(seconds: float) -> None:
        with contextlib.closing(Database(database_path(tmp_path))) as database, database.open():
            turns.append(seconds)

    assert HELD_WAIT_S[1] < writers_turn.REST_S
    monkeypatch.setattr(parquet_export, "HELD_S", 0.0)
    monkeypatch.setattr(writers_turn, "REST_S", WAIT_S)
    monkeypatch.setattr("supervisor.store.writers_turn.time.sleep", writes)
    assert len(parquet_export.export(tmp_path, tmp_path / "export", tables=("executions", "tickers")).written) == 2
    assert len(turns) == 4


def test_an_export_of_a_file_of_an_earlier_version_has_the_tables_that_it_has(tmp_path: Path) -> None:
    """It ended with `Table with name corrections does not exist` until the bot had been started once."""
    old_database(tmp_path)
    done = run(maintenance_commands.export, tmp_path, str(tmp_path / "export"))
    assert (done.exit_code, done.output) == (0, "4 files written, 0 were up to date\n")


def test_an_export_keeps_what_the_database_has_forgotten(tmp_path: Path) -> None:
    data_dir, target = tmp_path / "data", tmp_path / "export"
    now = time.time_ns() // 1000
    day = 86_400_000_000
    session(data_dir, 20, clock_us=lambda: now - 40 * day)
    write_all(data_dir)
    run(maintenance_commands.export, data_dir, str(target))
    writer = Writer(WriterSpec(data_dir, (), keep_days={"tickers": 30}), {})
    assert writer.trim(time.time_ns() // 1000) == 20
    writer.close()
    session(data_dir, 24, clock_us=lambda: now - 40 * day)  # a straggler of that day
    write_all(data_dir)
    run(maintenance_commands.export, data_dir, str(target))
    with duckdb.connect() as con:
        count = "SELECT count(*) FROM read_parquet(?)"
        assert con.execute(count, [str(target / "tickers" / "*" / "*.parquet")]).fetchone() == (20,)
        assert con.execute(count, [str(target / "executions" / "*" / "*.parquet")]).fetchone() == (24,)


def test_old_rows_go_where_that_is_wished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some at a time: nobody waits for long. Behind the next flush where somebody reads, not in an hour."""
    for module in ("writer", "writer_process"):
        monkeypatch.setattr(f"supervisor.store.{module}.GONE_AT_ONCE", 15)
    now = time.time_ns() // 1000
    session(tmp_path, 20, clock_us=lambda: now - 40 * 86_400_000_000)
    session(tmp_path, 30, clock_us=lambda: now)
    write_all(tmp_path)
    writer = Writer(WriterSpec(tmp_path, (), keep_days={"tickers": 30}), {})
    assert not writer.flush()
    Beat(writer, DamageScan(writer.database, 0.0), 0.0).flush()
    assert rows(tmp_path, "SELECT count(*) FROM tickers") == [(30,)], "its clock has not run for an hour"
    beat = Beat(writer, DamageScan(writer.database, 0.0), 0.0)
    beat._retention.counts(now - 3_600_000_000, time.monotonic() - 3600.0)
    reader = hold(tmp_path, "ro")
    left = []
    for _ in range(3):
        beat.flush()
        if not left:
            assert writer.state.held_by
            reader.kill()
            reader.wait()
        left += rows(tmp_path, "SELECT count(*) FROM tickers")
    assert left == [(30,), (15,), (10,)]
    assert not writer.flush()
    writer.close()
    assert rows(tmp_path, "SELECT count(*) FROM tickers UNION ALL SELECT count(*) FROM executions") == [(10,), (30,)]


def test_how_long_rows_stay_is_configured(tmp_path: Path) -> None:
    storage = {"data_dir": str(tmp_path), "keep_tickers": "12h", "keep_intents": "90d", "keep_raw_messages": False}
    accounts = [{"name": "alice", "environment": "paper"}]
    spec = writer_spec(GridbotConfig.model_validate({"accounts": accounts, "storage": storage}))
    assert spec.keep_days == {
        "tickers": 0.5,
        "public_trades": 7,
        "health_samples": 30,
        "grid_snapshots": 30,
        "intents": 90,
    }
    assert spec.keep_days.keys() <= RECORD_TYPES.keys()
    with pytest.raises(ValidationError, match="days such as 30d, hours such as 12h, or off for ever"):
        GridbotConfig.model_validate({"accounts": accounts, "storage": {"keep_tickers": "a month"}})


@case_table("name", ["rebuild", "vacuum", "backup", "export"])
def test_every_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(getattr(maintenance_commands, name), ["--help"])
    assert result.exit_code == 0
    assert "GRIDBOT_DATA_DIR" in result.output or "--data-dir" in result.output


def test_a_place_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run(maintenance_commands.rebuild, tmp_path / "file")
    assert result.exit_code == 1
    assert "error: expected a place that can be written, got: [Errno" in result.output
    assert "; make room there, or let this user write there" in result.output


def locked_by(path: Path) -> bool:
    """Whether another process could not open the file for writing now."""
    program = "import duckdb, sys; duckdb.connect(sys.argv[1]).close()"
    return run_program(program, str(path)) != 0


def test_the_writer_is_kept_out_until_the_backup_has_read_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing a descriptor of the file anywhere in the process would drop DuckDB's lock in the middle."""
    session(tmp_path)
    write_all(tmp_path)
    held: list[bool] = []
    copy = shutil.copyfileobj

    def copy_and_look(source: Any, target: Any, length: int) -> None:
        held.append(locked_by(database_path(tmp_path)))
        copy(source, target, length)
        held.append(locked_by(database_path(tmp_path)))

    monkeypatch.setattr("supervisor.store.maintenance.shutil.copyfileobj", copy_and_look)
    maintenance.backup(tmp_path, tmp_path / "copy.duckdb")
    assert held == [True, True]
    assert not locked_by(database_path(tmp_path))
    assert content(tmp_path / "copy.duckdb") == content(database_path(tmp_path))


def test_a_backup_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session(tmp_path / "data")
    write_all(tmp_path / "data")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("supervisor.store.maintenance.shutil.copyfileobj", full)
    (tmp_path / "backups").mkdir()
    with pytest.raises(OSError, match="No space left"):
        maintenance.backup(tmp_path / "data", tmp_path / "backups" / "copy.duckdb")
    assert not list((tmp_path / "backups").iterdir())


KILLED = """
import os, signal, sys
from pathlib import Path
from supervisor.store.maintenance import backup, vacuum
from supervisor.store.rebuild import rebuild
os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
{call}
"""


@pytest.mark.parametrize("call", ["rebuild(Path(sys.argv[1]))", "vacuum(Path(sys.argv[1]))"])
def test_killed_before_the_new_file_has_its_name_the_old_one_is_there(tmp_path: Path, call: str) -> None:
    session(tmp_path)
    write_all(tmp_path)
    before = content(database_path(tmp_path))
    names = {path.name for path in tmp_path.iterdir()}
    program = KILLED.format(call=call)
    assert run_program(program, str(tmp_path)) == -signal.SIGKILL
    assert {path.name for path in tmp_path.iterdir()} > names
    write_all(tmp_path)  # the next writer tidies up
    assert {path.name for path in tmp_path.iterdir()} == names
    assert content(database_path(tmp_path)) == before


def test_the_next_backup_removes_what_a_killed_one_has_left(tmp_path: Path) -> None:
    """Each has a name of its own, such as the date, so no later one replaced it."""
    session(tmp_path / "data")
    write_all(tmp_path / "data")
    backups = tmp_path / "backups"
    backups.mkdir()
    program = KILLED.format(call="backup(Path(sys.argv[1]) / 'data', Path(sys.argv[1]) / 'backups' / 'monday.duckdb')")
    assert run_program(program, str(tmp_path)) == -signal.SIGKILL
    [half] = backups.iterdir()
    os.utime(half, (1, 1))
    maintenance.backup(tmp_path / "data", backups / "tuesday.duckdb")
    assert [path.name for path in backups.iterdir()] == ["tuesday.duckdb"]


@pytest.mark.parametrize("is_read", [False, True])
def test_pairs_follow_a_burst_at_once_where_somebody_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_read: bool
) -> None:
    """Each question matches what waits: three seconds of two million."""
    monkeypatch.setattr("supervisor.store.writer_process.MOST_WHILE_READ", 4)
    monkeypatch.setattr("supervisor.store.writer_process.KEEP_UP", 8)
    recorder = make_recorder(tmp_path, segment_bytes=4000)
    for number in range(1, 61):
        record_executions(recorder, [number])
    recorder.close()
    writer = Writer(WriterSpec(tmp_path, (), max_rows=5), {})
    beat = Beat(writer, DamageScan(writer.database, 0.0), math.inf)
    assert beat.flush() == 0, "there is more"
    assert (before := writer.state.unmatched) > 4
    if is_read:
        reader = hold(tmp_path, "ro")
        beat.flush()
        assert writer.state.held_by
        reader.kill()
        reader.wait()
    assert beat.flush() == 0
    assert writer.state.unmatched <= 4 if is_read else writer.state.unmatched > before
    writer.close()


def test_a_burst_is_written_before_its_pairs_are_matched(tmp_path: Path) -> None:
    """Also where the writer has caught up for a moment: it neither waits for the next beat nor matches meanwhile."""
    recorder = make_recorder(tmp_path, segment_bytes=4000)
    for number in range(1, 20):
        record_executions(recorder, [number])
    writer = Writer(WriterSpec(tmp_path, (), max_rows=5), {})
    beat = Beat(writer, DamageScan(writer.database, 0.0), math.inf)
    while beat.flush() == 0:
        assert beat.next_match == math.inf
    record_executions(recorder, [20, 21])
    recorder.close()
    pauses = [beat.flush(), beat.flush()]
    assert (pauses, writer.state.rows) == ([READERS_S, READERS_S], 21), "two of five, and a look that finds nothing"
    assert writer.state.unmatched
    assert beat.next_match == math.inf
    assert beat.flush() > READERS_S
    assert beat.next_match < math.inf
    writer.close()
