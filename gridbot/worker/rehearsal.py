"""Keeps the way from a price to an order warm: while nothing happens, it is gone on a stage (`rehearsal_stage`).

A processor that has done something else, or nothing, for a few milliseconds has forgotten the code of that way: the
same steps take two to three times as long. An account with `keep_warm` rehearses one order each `EVERY_S`, unless a
price has come since. Each costs a third of a millisecond of CPU; where the machine has no idle core the loop's timers
come late, and nothing is rehearsed for `REST_S`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from gridbot.ports import Clock, Timer
from gridbot.worker.rehearsal_stage import RehearsalFailed, RehearsalStage

__all__ = ["Rehearsal"]

log = logging.getLogger(__name__)

EVERY_S: Final = 0.002
LATE_S: Final = 0.003
"""A timer that comes so late says that other work waits for a core."""
REST_S: Final = 2.0


class Rehearsal:
    """`frame_ns` says when the newest price came (monotonic ns). `start`, then `stop`."""

    def __init__(self, clock: Clock, frame_ns: Callable[[], int]) -> None:
        self._clock = clock
        self._frame_ns = frame_ns
        self._stage: RehearsalStage | None = None
        self._timer: Timer | None = None
        self._due_s = 0.0
        self.played = 0
        """How many there were."""

    def start(self) -> None:
        """Rehearse from now on."""
        self._stage = RehearsalStage(self._clock)
        self._wait(EVERY_S)

    def stop(self) -> None:
        """No more. Harmless when called twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._stage is not None:
            self._stage.close()
            self._stage = None

    def _wait(self, seconds: float) -> None:
        self._due_s = self._clock.monotonic_s() + seconds
        self._timer = self._clock.call_later(seconds, self._turn)

    def _turn(self) -> None:
        stage = self._stage
        now_s = self._clock.monotonic_s()
        if stage is None:
            return
        if now_s - self._due_s > LATE_S:
            self._wait(REST_S)
            return
        self._wait(EVERY_S)
        if not stage.is_settled or now_s - self._frame_ns() / 1e9 < EVERY_S:
            return
        try:
            stage.play()
            self.played += 1
        except RehearsalFailed as error:
            log.warning("keep_warm: %s; nothing is rehearsed until the next start of this worker", error)
            self.stop()
