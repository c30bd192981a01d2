"""How processes ended, in words."""

from __future__ import annotations

import pytest

from supervisor.children.exit_text import exit_text
from tests.case_table import case_table


@case_table(
    ("code", "words"),
    [
        (0, "in order"),
        (1, "crash.log"),
        (4, "configuration"),
        (7, "refused"),
        (10, "want of room"),
        (99, "exit code 99"),
        (-9, "memory"),
    ],
)
def test_exits_in_words(code, words):
    assert words in exit_text(code)


def test_exits_by_signal_in_words():
    assert "SIGSEGV" in exit_text(-11)
    assert "SIGUSR1" in exit_text(-10)
    assert "signal 64" in exit_text(-64) or "SIGRTMAX" in exit_text(-64)


@pytest.mark.parametrize(("code", "words"), [(-9, "killed by the supervisor: no heartbeat"), (-6, "aborted by the")])
def test_a_kill_of_ours_is_not_blamed_on_anybody_else(code, words):
    text = exit_text(code, "no heartbeat (no report for 10 s)")
    assert words in text
    assert "no report for 10 s" in text
    assert "memory" not in text


def test_what_ended_by_itself_is_told_as_such_although_it_was_to_be_killed():
    assert exit_text(1, "it did not stop in time") == exit_text(1)
