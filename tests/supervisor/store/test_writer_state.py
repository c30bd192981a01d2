"""What the writer's health says of who has the file, and at which level the log does."""

from __future__ import annotations

import logging

import pytest

from gridbot.store.commit import Rows
from supervisor.store.writer_state import TOLD_S, WriterState


@pytest.mark.parametrize(("held_s", "level"), [(TOLD_S + 1, logging.INFO), (0.0, logging.DEBUG)])
def test_only_who_had_the_file_for_long_is_told(held_s: float, level: int, caplog: pytest.LogCaptureFixture) -> None:
    state = WriterState()
    with caplog.at_level(logging.DEBUG, logger="supervisor.store"):
        state.held("python (pid 7)")
        first = state.held_since
        assert first is not None
        state.held("python (pid 8)")
        assert (state.held_by, state.held_since) == ("python (pid 8)", first), "since then nobody could write"
        state.held_since = first - held_s
        state.went_well()
    [record] = caplog.records
    assert (record.levelno, "python (pid 8) had it for" in record.getMessage()) == (level, True)
    assert (state.held_by, state.held_since) == (None, None)


def test_a_commit_is_counted_and_says_how_far_each_account_is() -> None:
    state = WriterState(committed={"alice": 4, "bob": 9}, error="the disk is full")
    rows, moved = Rows(), Rows()
    rows.offsets["alice"] = 7
    rows.gaps.append(("alice", 5, 6, "lost"))
    state.committed_rows(rows, moved, 3.5)
    assert state.committed == {"alice": 7, "bob": 9}
    assert (state.flushes, state.gaps, state.rejects, state.flush_ms, state.error) == (1, 1, 0, 3.5, None)
