"""Keeps the way from a price to an order warm: while nothing happens, it is gone on a stage (`rehearsal_stage`).

A processor that has done something else, or nothing, for a few milliseconds has forgotten the code of that way: the
same steps take two to three times as long. An account with `keep_warm` rehearses one order each `EVERY_S`, unless a
price has come since. Each costs a third of a millisecond of CPU; where the machine has no idle core the loop's timers
come late, and nothing is rehearsed for `REST_S`. Whatever goes wrong in one ends the rehearsals, and nothing else: all
of them run apart (`background.apart`), so that neither alerts nor log lines tell of orders that nobody has.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from gridbot import background
from gridbot.fault_words import in_words
from gridbot.ports import Clock, Timer
from gridbot.worker.rehearsal_stage import RehearsalFailed, RehearsalStage

__all__ = ["Rehearsal"]

log = logging.getLogger(__name__)

EVERY_S: Final = 0.002
LATE_S: Final = 0.003
"""A timer that comes so late says that other work waits for a core."""
REST_S: Final = 2.0
MOST_UNSETTLED: Final = 1_000
"""So many turns may pass without the answer to a rehearsed request: more than two seconds."""


class Rehearsal:
    """`frame_ns` says when the newest price came (monotonic ns). `start`, then `stop`."""

    def __init__(self, clock: Clock, frame_ns: Callable[[], int]) -> None:
        self._clock = clock
        self._frame_ns = frame_ns
        self._apart = background.apart(self._broke)
        self._broken: tuple[str, BaseException] | None = None
        """Which part has failed where nobody waits for it, such as on an answer, and what it raised."""
        self._stage: RehearsalStage | None = None
        self._timer: Timer | None = None
        self._due_s = 0.0
        self._unsettled = 0
        self._has_rested = False
        """The log says it once."""
        self.played = 0
        """How many there were."""

    def start(self) -> None:
        """Rehearse from now on. Raises nothing."""
        try:
            self._stage = self._apart.run(RehearsalStage, self._clock, self._broke)
        except Exception as error:  # noqa: BLE001 - told; the account trades without
            self._give_up(error)
            return
        self._wait(EVERY_S)

    def stop(self) -> None:
        """No more. Harmless when called twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._stage is not None:
            self._apart.run(self._stage.close)
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
            self._rest(now_s - self._due_s)
            return
        self._wait(EVERY_S)
        if now_s - self._frame_ns() / 1e9 < EVERY_S:
            return
        try:
            self._play(stage)
        except Exception as error:  # noqa: BLE001 - told; it concerns no order
            self._give_up(error)

    def _play(self, stage: RehearsalStage) -> None:
        if self._broken is not None:
            raise RehearsalFailed(self._broken[0])
        if stage.is_settled:
            self._unsettled = 0
            self._apart.run(stage.play)
            self.played += 1
            return
        self._unsettled += 1
        if self._unsettled > MOST_UNSETTLED:
            raise RehearsalFailed(f"expected an answer to a rehearsed request within {MOST_UNSETTLED} turns, got none")

    def _rest(self, late_s: float) -> None:
        if not self._has_rested:
            self._has_rested = True
            late_ms = late_s * 1000
            text = "keep_warm: the loop came %.0f ms late (worker or machine is busy): nothing is rehearsed for %.0f s"
            log.info(text, late_ms, REST_S)
        self._wait(REST_S)

    def _broke(self, part: str, error: BaseException) -> None:
        self._broken = self._broken or (part, error)

    def _give_up(self, error: Exception) -> None:
        trace: BaseException | None = None if isinstance(error, RehearsalFailed | OSError) else error
        words = str(error) if trace is None else in_words(error)
        if self._broken is not None:  # what it comes from
            part, trace = self._broken
            words = f"a rehearsal went wrong: {part} failed: {in_words(trace)}"
        log.warning("keep_warm: %s; nothing is rehearsed until the next start of this worker", words, exc_info=trace)
        self.stop()
