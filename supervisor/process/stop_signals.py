"""What signals ask of the supervisor: SIGINT and SIGTERM to stop (a second one by force), SIGHUP to reload, SIGUSR1 to
say where it is (`children.stack_signal`)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from supervisor.children.bootstrap import crash_log_of
from supervisor.children.stack_signal import ignore_no_ends, stacks_told

__all__ = ["StopSignals"]

log = logging.getLogger("supervisor")

SAME_SIGNAL_S: Final = 0.3
"""A terminal or `timeout` may deliver one request twice, to the process and to its group; nobody types that fast."""


class StopCall(Protocol):
    """Begins the end."""

    def __call__(self, *, force: bool = False) -> None: ...


class StopSignals:
    """`is_stopping` says whether the end has begun, `record` keeps the name of the signal that began it."""

    def __init__(
        self,
        clock: Callable[[], float],
        is_stopping: Callable[[], bool],
        record: Callable[[str], object],
        stop: StopCall,
        hangup: Callable[[], object],
    ) -> None:
        self._clock = clock
        self._is_stopping = is_stopping
        self._record = record
        self._stop = stop
        self._hangup = hangup
        self._signalled_at: float | None = None
        self._kept = contextlib.ExitStack()

    def install(self, loop: asyncio.AbstractEventLoop, crash_log: Path) -> None:
        """Have the loop hear of them."""
        file = self._kept.enter_context(crash_log_of(crash_log))
        self._kept.enter_context(stacks_told("supervisor", file.fileno()))
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal, number)
        loop.add_signal_handler(signal.SIGHUP, self._hangup)

    def __enter__(self) -> None:
        """Between the two ends it may be installed. What is no end is none before that."""
        ignore_no_ends()

    def __exit__(self, *error: object) -> None:
        self._kept.close()  # else a signal would write to whatever file has that descriptor then

    def _on_signal(self, number: signal.Signals) -> None:
        now = self._clock()
        if not self._is_stopping():
            log.info("%s received; a second one ends everything by force", signal.Signals(number).name)
            self._record(signal.Signals(number).name)
            self._signalled_at = now
            self._stop()
        elif self._signalled_at is None or now - self._signalled_at > SAME_SIGNAL_S:
            self._stop(force=True)
