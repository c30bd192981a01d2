"""A database with damaged blocks and no journal that has its records: what can be read is kept, the rest counted."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import duckdb
import pytest
from click.testing import CliRunner, Result

from gridbot.frames import frame
from gridbot.records import record_block
from gridbot.records.journal_reader import journal_directory
from gridbot.segment_file import segment_path
from gridbot.state.data_formats import FILE_NAME
from gridbot.store.database import Database
from gridbot.store.migrations import SCHEMA_VERSION
from gridbot.store.reading import connect, database_path
from supervisor.cli import maintenance_commands
from supervisor.exit_codes import CommandError
from supervisor.store.salvage import take_over
from tests.examples import examples
from tests.store.damaged_blocks import damage_block
from tests.store.kit import execution, make_recorder, record_executions, ticker
from tests.store.session import write_all
from tests.store.test_migrations import old_database

TICKERS, EXECUTIONS = 150_000, 10


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150,000 tickers and ten executions of alice, and no journal: to be copied."""
    data_dir = tmp_path_factory.mktemp("large")
    recorder = make_recorder(data_dir)
    record_executions(recorder, range(1, EXECUTIONS + 1))
    recorder.record(ticker(EXECUTIONS + 1))
    recorder.close()
    write_all(data_dir, compacts=True)
    path = database_path(data_dir)
    with duckdb.connect(str(path)) as con:
        con.execute(f"""
            INSERT INTO tickers_stored SELECT t.* REPLACE (seq + i AS seq, random() AS last_price)
            FROM tickers AS t, range(1, {TICKERS}) AS r(i)""")
        con.execute("UPDATE ingest_offsets_stored SET seq = (SELECT max(seq) FROM tickers)")
    shutil.rmtree(journal_directory(data_dir, "alice"))
    return path


def _copied(large: Path, data_dir: Path) -> Path:
    return Path(shutil.copy(large, data_dir))


def _rebuild(data_dir: Path, *options: str) -> Result:
    return CliRunner().invoke(maintenance_commands.rebuild, ["--data-dir", str(data_dir), *options])


def _counts(data_dir: Path) -> tuple[int, int]:
    with connect(data_dir) as con:
        (executions,) = con.execute("SELECT count(*) FROM executions").fetchall()[0]
        (tickers,) = con.execute("SELECT count(*) FROM tickers").fetchall()[0]
    return executions, tickers


BLOCKS = [("last_price", True), *([("seq", False)] if examples(1) > 1 else [])]
"""By `--long` also one without which no row is left, as `test_executions_whose_contexts_are_lost_are_told` has it."""


@pytest.mark.parametrize(("column", "some_are_left"), BLOCKS)
def test_a_damaged_table_costs_its_damaged_rows_and_no_other_table_anything(
    tmp_path: Path, large: Path, column: str, *, some_are_left: bool
) -> None:
    """The block of `seq` has small columns of all rows: none is left. That of `last_price` has a third of it."""
    path = _copied(large, tmp_path)
    damage_block(path, "tickers_stored", column)
    result = _rebuild(tmp_path)
    assert result.exit_code == 7
    lost = re.search(r"lost: tickers: (\d+) rows of the old file cannot be read \(.*checksum", result.output)
    assert lost, result.output
    assert "--accept-loss" in result.output
    assert _rebuild(tmp_path, "--accept-loss").exit_code == 0
    executions, tickers = _counts(tmp_path)
    assert executions == EXECUTIONS
    assert tickers + int(lost[1]) == TICKERS
    assert (tickers > 0) is some_are_left
    with connect(tmp_path) as con:
        assert con.execute("SELECT account, seq FROM ingest_offsets").fetchall() == [("alice", TICKERS + EXECUTIONS)]


def test_executions_whose_contexts_are_lost_are_told(tmp_path: Path, large: Path) -> None:
    """They were left out without a word: all of one commit, so that their contexts do not stand again yet."""
    path = _copied(large, tmp_path)
    damage_block(path, "execution_contexts_stored", "account")
    result = _rebuild(tmp_path)
    assert result.exit_code == 7, result.output
    assert f"lost: executions: {EXECUTIONS} rows of the old file cannot be read (what they have" in result.output
    assert _rebuild(tmp_path, "--accept-loss").exit_code == 0
    assert _counts(tmp_path) == (0, TICKERS)


def test_what_the_offsets_table_said_is_read_from_the_rows_when_it_is_damaged(tmp_path: Path, large: Path) -> None:
    path = _copied(large, tmp_path)
    with duckdb.connect(str(path)) as con:
        con.execute("DROP TABLE adjustments_stored")  # an earlier version did not have it
    damage_block(path, "ingest_offsets_stored", "account")
    result = _rebuild(tmp_path, "--accept-loss")
    assert result.exit_code == 0, result.output
    assert _counts(tmp_path)[1] > 0
    with connect(tmp_path) as con:
        assert con.execute("SELECT account, seq FROM ingest_offsets").fetchall() == [("alice", TICKERS + EXECUTIONS)]


OLDER = [*range(1, SCHEMA_VERSION)] if examples(1) > 1 else [1, 4, 5, SCHEMA_VERSION - 1]
"""The first; before rows had other names than their views, and after that; the newest. By `--long` each."""


@pytest.mark.parametrize("version", OLDER)
def test_a_file_of_an_earlier_version_is_taken_over_whole(tmp_path: Path, version: int) -> None:
    path = old_database(tmp_path, version)
    result = _rebuild(tmp_path)
    assert result.exit_code == 0, result.output
    assert "lost" not in result.output
    with connect(path) as con:
        assert con.execute("SELECT fills, realised_pnl FROM pnl_daily ORDER BY day").fetchall()
        assert con.execute("SELECT sum(fills) FROM pnl_daily").fetchall() == [(30,)]
        assert con.execute("SELECT size FROM positions").fetchall() == [(15,)]


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """What it has beyond our tables would be left out, and its rows counted as unreadable."""
    path = old_database(tmp_path, SCHEMA_VERSION)
    with duckdb.connect(str(path)) as con:
        con.execute("INSERT INTO schema_versions VALUES (?, 'x', '9.0', now()::TIMESTAMP)", [SCHEMA_VERSION + 1])
        con.execute("ALTER TABLE execution_rows_stored ADD COLUMN mood VARCHAR")
    result = _rebuild(tmp_path, "--accept-loss")
    assert result.exit_code == 7
    assert f"schema version {SCHEMA_VERSION + 1}" in result.output
    assert "use the newer gridbot" in result.output
    with connect(path) as con:
        assert con.execute("SELECT count(mood), count(*) FROM execution_rows_stored").fetchall() == [(0, 30)]
    assert {each.name for each in tmp_path.iterdir()} == {path.name, f"{path.name}.writer"}


def test_journals_of_a_newer_version_are_refused_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was an unexpected error, and the half-made file stayed."""
    monkeypatch.setattr(record_block, "BLOCK_FORM", 2)
    block = record_block.block_of("alice", "run", 1, [1, 2], [execution(1), execution(2)])
    journal = journal_directory(tmp_path, "alice")
    journal.mkdir(parents=True)
    segment_path(journal, 1).write_bytes(frame(block))
    result = _rebuild(tmp_path)
    assert isinstance(result.exception, CommandError)
    assert result.exception.code == 7
    assert "expected format 1 of journal at most, got journal of format 2" in str(result.exception)
    assert {each.name for each in tmp_path.iterdir()} == {"journal"}


@pytest.mark.parametrize("command", [maintenance_commands.rebuild, maintenance_commands.vacuum])
def test_where_a_newer_version_has_worked_no_file_is_replaced(tmp_path: Path, command: click.Command) -> None:
    (tmp_path / FILE_NAME).write_text('{"gridbot": "99.0", "formats": {"journal": 99}}')
    result = CliRunner().invoke(command, ["--data-dir", str(tmp_path)])
    assert isinstance(result.exception, CommandError)
    assert result.exception.code == 7
    assert [each.name for each in tmp_path.iterdir()] == [FILE_NAME]


def test_a_want_of_memory_is_no_loss(tmp_path: Path, large: Path) -> None:
    """It was counted as rows that cannot be read, and `--accept-loss` would have left them out."""
    path = _copied(large, tmp_path)
    fresh = Database(tmp_path / "fresh.duckdb")
    fresh.prepare()
    with duckdb.connect(config={"memory_limit": "1MB", "temp_directory": "", "threads": 1}) as con:
        con.execute(f"ATTACH '{path}' AS old (READ_ONLY)")
        con.execute(f"ATTACH '{fresh.path}' AS fresh")
        with pytest.raises(duckdb.OutOfMemoryException):
            take_over(con, {"alice": TICKERS + EXECUTIONS + 1})


def test_a_damaged_write_ahead_log_costs_nothing_of_the_file(tmp_path: Path, large: Path) -> None:
    """Nothing at all was taken from the old file."""
    path = _copied(large, tmp_path)
    with duckdb.connect(str(path)) as con:
        con.execute("PRAGMA disable_checkpoint_on_shutdown")
        con.execute("INSERT INTO execution_rows_stored SELECT * FROM execution_rows_stored")
    wal = path.with_name(f"{path.name}.wal")
    content = bytearray(wal.read_bytes())
    content[len(content) // 2] ^= 0xFF
    wal.write_bytes(content)
    result = _rebuild(tmp_path)
    assert result.exit_code == 0, result.output
    assert "lost" not in result.output
    assert _counts(tmp_path) == (EXECUTIONS, TICKERS)


def test_a_whole_file_that_cannot_be_opened_now_is_not_given_up(tmp_path: Path) -> None:
    """Held by another program, it was taken for damaged, and with `--accept-loss` replaced without a row of it."""
    path = old_database(tmp_path)
    before = path.read_bytes()
    code = f"import duckdb; con = duckdb.connect({str(path)!r}); print('open', flush=True); input()"
    holds = [sys.executable, "-c", code]
    with subprocess.Popen(holds, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        result = _rebuild(tmp_path, "--accept-loss")
        other.kill()
    assert result.exit_code == 5
    assert f"(pid {other.pid})" in result.output
    assert path.read_bytes() == before


def test_a_whole_old_file_loses_nothing(tmp_path: Path, large: Path) -> None:
    _copied(large, tmp_path)
    result = _rebuild(tmp_path)
    assert result.exit_code == 0, result.output
    assert "lost" not in result.output
    assert re.search(r"tickers: 150000\b", result.output)
    assert _counts(tmp_path) == (EXECUTIONS, TICKERS)
