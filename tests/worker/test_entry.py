"""The entry of a worker's process: what it does with an error that nobody expected."""

from __future__ import annotations

import signal
from types import SimpleNamespace
from typing import Any

import pytest

from gridbot.worker import entry


@pytest.mark.parametrize(("error", "code"), [(ZeroDivisionError("a fault of ours"), 1), (OSError(28, "full"), 10)])
def test_what_is_unexpected_reaches_the_crash_log_and_the_supervisor(
    monkeypatch: Any, error: Exception, code: int
) -> None:
    """`status` sent people to crash.log, where nothing was."""
    leaves: list[int] = []

    async def broken(*_: Any) -> int:
        raise error

    monkeypatch.setattr(entry, "_run", broken)
    monkeypatch.setattr(entry, "exit_with_parent", lambda *_, **__: None)
    monkeypatch.setattr(entry, "exit_within", lambda _, *, exit_code: leaves.append(exit_code))
    monkeypatch.setattr("gridbot.logging_setup.setup_logging", lambda *_, **__: None)
    settings = SimpleNamespace(secrets=list, logging=None)
    spec = SimpleNamespace(account="a", settings=settings, data_dir=None, console=False)
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(type(error)):
            entry.run_worker(spec, None, None)  # type: ignore[arg-type]
    finally:
        signal.signal(signal.SIGINT, before)
    assert leaves == [code]
