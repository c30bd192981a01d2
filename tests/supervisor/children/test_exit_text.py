"""How processes ended, in words."""

from __future__ import annotations

import pytest

from supervisor.children.exit_text import exit_text


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "in order"), (1, "crash.log"), (4, "configuration"), (7, "refused"), (99, "exit code 99"), (-9, "memory")],
)
def test_exits_in_words(code, words):
    assert words in exit_text(code)


def test_exits_by_signal_in_words():
    assert "SIGSEGV" in exit_text(-11)
    assert "SIGUSR1" in exit_text(-10)
    assert "signal 64" in exit_text(-64) or "SIGRTMAX" in exit_text(-64)
