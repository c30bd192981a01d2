"""How much of the exchange's time goes to strangers: half of it at most, and each of them in turn.

A connection on which nothing was signed can bring thousands of requests in one piece. Answered in one go, twenty of
those kept everybody else, prices included, waiting for seconds. So whoever has had a few answers waits for its turn
when strangers have had their part of the last hundredth of a second.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from gridbot.paper.api.callers import Caller

__all__ = ["StrangerTurns"]

WINDOW_S = 0.01
PART_S = 0.005
AT_ONCE = 8
"""Requests of a connection that never wait: a client that begins, before it signs."""
IN_A_TURN = 16


class StrangerTurns:
    """One for a server. `now_s` is monotonic."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._window_end_s = 0.0
        self._spent_s = 0.0
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_pumping = False

    def __len__(self) -> int:
        """Connections that wait."""
        return len(self._waiting)

    def may_go_on(self, caller: Caller, served: int) -> bool:
        """Whether the next request of a connection is answered now, of which `served` were in this turn."""
        if caller.known or caller.requests < AT_ONCE:
            return True
        if served >= IN_A_TURN or (self._waiting and not self._is_pumping):
            return False
        now_s = self._now_s()
        if now_s >= self._window_end_s:
            self._window_end_s, self._spent_s = now_s + WINDOW_S, 0.0
        return self._spent_s < PART_S

    def spent(self, seconds: float) -> None:
        """A stranger has taken so long."""
        self._spent_s += seconds

    def wait(self, go_on: Callable[[], None]) -> None:
        """Call `go_on` when it is its turn."""
        self._waiting.append(go_on)
        if len(self._waiting) == 1 and not self._is_pumping:
            self._later()

    def _later(self) -> None:
        asyncio.get_running_loop().call_later(WINDOW_S - PART_S, self._pump)

    def _pump(self) -> None:
        self._is_pumping = True
        self._window_end_s, self._spent_s = self._now_s() + WINDOW_S, 0.0
        try:
            for _ in range(len(self._waiting)):
                if self._spent_s >= PART_S:
                    break
                self._waiting.popleft()()
        finally:
            self._is_pumping = False
            if self._waiting:
                self._later()
