"""`journal show`: what a journal holds, whichever frames its records are in."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from gridbot.records import codec
from gridbot.records.journal_compaction import JournalCompaction
from gridbot.records.journal_reader import journal_directory
from supervisor.cli.main import cli
from supervisor.exit_codes import ExitCode
from tests.store.kit import execution, make_recorder, ticker

EACH = 40


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """40 records in frames of JSON, 40 in a block, and a segment of ten more."""
    recorder = make_recorder(tmp_path, segment_bytes=25_000)
    for number in range(1, 2 * EACH + 1):
        recorder.record(ticker(number) if number % 10 == 0 else execution(number))
        if number % EACH == 0:
            recorder.write()
    for number in range(2 * EACH + 1, 2 * EACH + 11):
        recorder.record(execution(number))
        recorder.write()
    recorder.close()
    return tmp_path


def shown(data_dir: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["journal", "show", *words, "--data-dir", str(data_dir)])


def test_records_of_both_frames_are_shown_also_when_compacted(mixed: Path) -> None:
    every = [codec.parse(line.encode()) for line in shown(mixed, "alice", "--json").stdout.splitlines()]
    assert [doc["seq"] for doc in every] == list(range(1, 2 * EACH + 11))
    assert every[49]["data"] == orjson.loads(codec.body_of("a", "r", 1, 1, ticker(50)))["data"]
    compaction = JournalCompaction(mixed, quiet_s=0.0, look_s=0.0)
    assert compaction.step({"alice": 2 * EACH + 10}, 0.0)
    again = [codec.parse(line.encode()) for line in shown(mixed, "alice", "--json").stdout.splitlines()]
    assert again == every
    lines = shown(mixed, "alice", "--from", "45", "--kind", "tickers", "--last", "2").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["70", "80"]
    assert '"last_price":"80"' in lines[1]
    table = [line.split() for line in shown(mixed, "alice", "--files").stdout.splitlines()]
    assert table[1][1:4] == [str(int(table[2][0]) - 1), "1", "1"], "all in one block"
    assert sum(int(row[1]) for row in table[1:]) == 2 * EACH + 10


def test_damage_is_told_and_the_rest_is_shown(mixed: Path) -> None:
    path = sorted(journal_directory(mixed, "alice").glob("*.journal"))[0]
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    result = shown(mixed, "alice")
    assert len(result.stdout.splitlines()) == 2 * EACH + 9
    assert "no valid records" in result.stderr


@pytest.mark.parametrize("account", ["bob", "../alice"])
def test_an_account_without_a_journal(mixed: Path, account: str) -> None:
    result = shown(mixed, account)
    assert result.exit_code == ExitCode.NOTHING
    assert "expected an account with a journal" in result.stderr
