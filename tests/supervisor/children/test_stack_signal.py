"""What a crash log takes of stacks that are asked for."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from supervisor.children import stack_signal
from supervisor.children.stack_signal import stacks_told


@pytest.mark.parametrize("is_full", [False, True])
def test_stacks_go_to_a_crash_log_until_it_is_full_and_signals_end_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_full: bool
) -> None:
    monkeypatch.setattr(stack_signal, "FULL_BYTES", 1 if is_full else 10**6)
    before = {number: signal.getsignal(number) for number in stack_signal.NO_ENDS}
    path = tmp_path / "crash.log"
    path.write_text("of before\n")
    try:
        with path.open("a") as file, stacks_told("worker-a", file.fileno()):
            os.kill(os.getpid(), signal.SIGUSR2)
            os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR1)  # nobody is told any more, and nobody ends
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    told = path.read_text()
    assert told.count(f"worker-a (pid {os.getpid()}) is here") == (not is_full)
    assert ("in test_stacks_go_to" in told) is not is_full
