"""Pause and halt over restarts: the file of an account, whole, torn, or refused by the disk."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gridbot.risk.holds import Held, Hold, Holds, Who
from gridbot.state.documents import StopFile
from gridbot.state.holds_file import HoldsFile
from gridbot.state.state_files import StateFiles
from gridbot.state.state_log import StateLog
from tests.store.kit import make_recorder

PAUSED = {Hold.PAUSED: Held("the exchange took 1", Who.LIQUIDATION, 7)}
HALTED = {Hold.HALTED: Held("KeyError", Who.FAULT, 8)}
NOT_READY = {Hold.NOT_READY: Held("not reconciled with the exchange", Who.WORKER, 9)}
COMMAND = "resume alice"


@pytest.fixture
def files(tmp_path: Path) -> Iterator[StateFiles]:
    made = StateFiles(tmp_path)
    yield made
    made.close()


def loaded(files: StateFiles) -> tuple[HoldsFile, str]:
    """As a start finds it whose journal has nothing of it."""
    with tempfile.TemporaryDirectory() as journal:
        made = HoldsFile(StopFile(StateLog(files, make_recorder(Path(journal))), "holds.json"))
    return made, made.load(["a", "b"], 5, COMMAND)


def test_what_is_held_outlives_the_process_with_reason_who_and_when(files: StateFiles) -> None:
    first, problem = loaded(files)
    assert (problem, first.of("a"), first.of("b")) == ("", Holds(), Holds())
    first.keep("a", Holds({**PAUSED, **HALTED, **NOT_READY}))
    first.keep("gone", Holds(PAUSED))
    assert files.flush()
    again, problem = loaded(files)
    assert problem == ""
    assert again.of("a") == Holds({**PAUSED, **HALTED}), "that it is not ready is news of the process"
    assert again.of("b") == Holds()
    assert again.of("gone") == Holds(PAUSED), "a strategy that is not configured now keeps what holds it"
    again.keep("a", Holds(NOT_READY))
    assert files.flush()
    assert loaded(files)[0].of("a") == Holds(), "what was lifted is lifted for good"


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b'{"version": 1, "strategies": {"a": {"paused"',
        b"[]",
        b"{}",
        b'{"version": 1}',
        b'{"version": 2, "strategies": {}}',
        b'{"version": 1, "strategies": []}',
        b'{"version": 1, "strategies": {"a": []}}',
        b'{"version": 1, "strategies": {"a": {"paused": {}}}}',
        b'{"version": 1, "strategies": {"a": {"asleep": {"reason": "", "who": "operator", "since_ms": 1}}}}',
        b'{"version": 1, "strategies": {"a": {"paused": {"reason": "", "who": "nobody", "since_ms": 1}}}}',
    ],
)
def test_a_file_that_cannot_be_read_halts_every_strategy_until_an_operator_resumes(
    files: StateFiles, tmp_path: Path, document: bytes
) -> None:
    (tmp_path / "holds.json").write_bytes(document)
    holds, problem = loaded(files)
    assert "holds.json cannot be read" in problem
    assert problem.endswith("so it is unknown what was paused or halted; `resume alice` lets it trade")
    halted = Holds({Hold.HALTED: Held(problem, Who.FAULT, 5)})
    assert (holds.of("a"), holds.of("b")) == (halted, halted)
    assert files.flush()
    assert (tmp_path / "holds.json.bad").read_bytes() == document
    again, problem = loaded(files)
    assert (problem, again.of("a"), again.of("b")) == ("", halted, halted), "the next start knows it from the file"
    again.keep("a", Holds())
    assert files.flush()
    last, _ = loaded(files)
    assert (last.of("a"), last.of("b")) == (Holds(), halted)


def test_a_disk_that_neither_gives_nor_takes_the_file_halts_and_never_raises(tmp_path: Path) -> None:
    (tmp_path / "holds.json" / "in the way").mkdir(parents=True)
    files = StateFiles(tmp_path)
    holds, problem = loaded(files)
    assert "holds.json cannot be read (Is a directory)" in problem
    assert Hold.HALTED in holds.of("b").held
    holds.keep("a", Holds(PAUSED))
    assert not files.flush(timeout_s=0.2)
    [told] = files.failing
    assert "holds.json: expected to write the file" in told
    assert holds.of("a") == Holds(PAUSED), "memory has it, whatever the disk does"
    (tmp_path / "holds.json" / "in the way").rmdir()
    (tmp_path / "holds.json").rmdir()
    assert files.flush(), "tried again until the disk takes it"
    assert files.failing == []
    document: dict[str, Any] = json.loads((tmp_path / "holds.json").read_bytes())
    assert document["strategies"]["a"] == {
        "paused": {"reason": "the exchange took 1", "who": "liquidation", "since_ms": 7}
    }
    files.close()


@pytest.mark.parametrize("is_torn", [True, False])
def test_what_is_held_is_unknown_when_file_and_journal_are_both_torn(tmp_path: Path, is_torn: bool) -> None:
    """The journal still had a record of before: a paused strategy traded again after a death (dense seed 492)."""
    recorder, files = make_recorder(tmp_path), StateFiles(tmp_path / "state")
    held = HoldsFile(StopFile(StateLog(files, recorder), "holds.json"))
    held.keep("a", Holds(PAUSED))
    held.keep("b", Holds(PAUSED))
    recorder.journal.close()
    files.close()
    files.path("holds.json").write_bytes(b'{"version": 1, "strat')
    if is_torn:
        [segment] = (tmp_path / "journal" / "alice").glob("*.journal")
        segment.write_bytes(segment.read_bytes()[:-7])
    for is_again in (False, True):
        recorder, files = make_recorder(tmp_path), StateFiles(tmp_path / "state")
        states = StateLog(files, recorder)
        for header, record in recorder.replay():
            states.recall(header.seq, record)
        states.begin()
        assert files.flush()
        held = HoldsFile(StopFile(states, "holds.json"))
        problem = held.load(["a", "b"], 5, COMMAND)
        assert ("torn" in problem) is (is_torn and not is_again)
        wanted = Hold.HALTED if is_torn else Hold.PAUSED
        assert [list(held.of(name).held) for name in ("a", "b")] == [[wanted]] * 2
        assert files.flush()
        assert files.path("holds.json.bad").exists() is is_torn
        recorder.journal.close()
        files.close()
