"""A ban of our address is not forgotten with the process that was told of it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridbot.state.documents import StopFile
from gridbot.state.state_files import StateFiles
from gridbot.state.state_log import StateLog
from gridbot.worker.ban_file import BanFile
from tests.execution.support import ManualClock
from tests.store.kit import make_recorder


@pytest.fixture
def files(tmp_path: Path) -> Iterator[StateFiles]:
    made = StateFiles(tmp_path)
    yield made
    made.close()


def loaded(files: StateFiles, clock: ManualClock) -> BanFile:
    """As a start finds it whose journal has nothing of it."""
    with tempfile.TemporaryDirectory() as journal:
        return BanFile(StopFile(StateLog(files, make_recorder(Path(journal))), "ban.json"), clock)


def test_the_next_process_waits_for_what_is_left(files: StateFiles) -> None:
    clock = ManualClock()
    first = loaded(files, clock)
    assert first.left_s() == 0
    first.begin(600)
    assert files.flush()
    clock.now_s += 200
    assert loaded(files, clock).left_s() == pytest.approx(400)
    clock.now_s += 401
    assert loaded(files, clock).left_s() == 0


def test_a_clock_that_was_set_back_makes_it_no_longer(files: StateFiles) -> None:
    clock = ManualClock()
    clock.now_s += 10_000
    loaded(files, clock).begin(600)
    assert files.flush()
    clock.now_s -= 5_000
    assert loaded(files, clock).left_s() == 600
    assert files.flush()
    clock.now_s += 599
    assert loaded(files, clock).left_s() == pytest.approx(1), "it began anew at each start until the clock came there"


@pytest.mark.parametrize("document", [b"", b"[]", b'{"version": 2, "until_ms": 5}', b'{"version": 1}'])
def test_one_that_cannot_be_read_counts_as_a_ban_of_now(files: StateFiles, document: bytes) -> None:
    clock = ManualClock()
    files.write("ban.json", document)
    assert loaded(files, clock).left_s() == 600
    assert files.flush()
    clock.now_s += 599
    assert loaded(files, clock).left_s() == pytest.approx(1), "the next start does not begin it again"
