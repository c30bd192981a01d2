"""What one process keeps on disk is there for the next, whatever fails at the end."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from gridbot.config.models import GridbotConfig
from gridbot.records.journal import JournalBusy
from gridbot.risk.holds import Held, Hold, Holds, Who
from gridbot.state.state_files import StateFiles
from gridbot.system_ports import SystemClock
from gridbot.worker.account_disk import AccountDisk
from gridbot.worker.outside import Outside
from gridbot.worker.spec import WorkerSpec
from tests.backtest.backtest_examples import config_of

PAUSED = Holds({Hold.PAUSED: Held("lunch", Who.OPERATOR, 1)})


def opened(data_dir: Path, config: GridbotConfig | None = None) -> AccountDisk:
    spec = WorkerSpec("alice", config or config_of(), data_dir, "0123456789abcdef")
    return AccountDisk(
        spec,
        None,
        alert=lambda change: None,
        clock=SystemClock(),
        run_id="run",
        outside=Outside(),
        hand=lambda name, document: None,
        share=None,
    )


def next_number(disk: AccountDisk) -> int:
    """Once its file says that the block is used."""
    assert isinstance(disk.files, StateFiles)
    assert disk.files.flush()
    return disk.generations.next()


def test_the_next_process_goes_on_from_what_was_closed(tmp_path: Path) -> None:
    disk = opened(tmp_path)
    first = next_number(disk)
    disk.holds.keep("btc", PAUSED)
    disk.close("the test is over")
    assert disk.lost() == ""
    assert orjson.loads((tmp_path / "state" / "alice" / "run.json").read_bytes())["ended"] is True
    following = opened(tmp_path)
    assert following.holds.of("btc") == PAUSED
    assert following.recorder.last_seq > disk.recorder.last_seq, "its own start is recorded behind the end of the first"
    assert next_number(following) > first
    following.close("the test is over")


def test_an_account_has_one_process(tmp_path: Path) -> None:
    disk = opened(tmp_path)
    with pytest.raises(JournalBusy):
        opened(tmp_path)
    disk.close("the test is over")


def test_the_journal_is_closed_though_the_end_cannot_be_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = opened(tmp_path)

    def full(reason: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk._run, "end", full)
    with pytest.raises(OSError, match="No space left"):
        disk.close("the test is over")
    opened(tmp_path).close("the test is over")  # else its lock would be held
