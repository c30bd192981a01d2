"""What a worker says of one of its strategies, for all pages that look at it: asked for once in `AGAIN_S`, at most.

Workers trade between two answers, so few of them are asked at a time, and one that hangs is waited for once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from supervisor.control.control_client import ControlError

__all__ = ["AGAIN_S", "StrategyAsker"]

AGAIN_S: Final = 2.0
AT_A_TIME: Final = 3
"""The status shares the threads in which is waited."""
MOST_KNOWN: Final = 64

Json = dict[str, Any]


@dataclass
class _Known:
    """The newest answer of one strategy, when it came, when it was asked for, and why a newer one did not come."""

    why: Json | None = None
    came_s: float = 0.0
    asked_s: float = float("-inf")
    problem: str = ""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class StrategyAsker:
    """Owns the newest answers. `ask` gets one from the supervisor, in a thread; raises ControlError or OSError."""

    def __init__(self, ask: Callable[[str, str], Json], clock: Callable[[], float]) -> None:
        self._ask = ask
        self._clock = clock
        self._known: dict[tuple[str, str], _Known] = {}
        self._turns = asyncio.Semaphore(AT_A_TIME)

    async def about(self, account: str, strategy: str) -> Json:
        """`why`: what the worker says (`gridbot.why.explanation`), or None; how old it is; why no newer one came."""
        known = self._remembered(account, strategy)
        async with known.turn:
            if self._clock() - known.asked_s >= AGAIN_S:
                async with self._turns:
                    await self._look(known, account, strategy)
        return {
            "why": known.why,
            "age_s": None if known.why is None else self._clock() - known.came_s,
            "problem": known.problem,
        }

    def _remembered(self, account: str, strategy: str) -> _Known:
        """The newest asked for is last; of too many the first is forgotten."""
        known = self._known.pop((account, strategy), None) or _Known()
        self._known[account, strategy] = known
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]
        return known

    async def _look(self, known: _Known, account: str, strategy: str) -> None:
        known.asked_s = self._clock()
        try:
            answer = await asyncio.to_thread(self._ask, account, strategy)
        except (ControlError, OSError) as error:
            known.problem = str(error)
            return
        [known.why] = answer["strategies"]
        known.came_s, known.problem = self._clock(), ""
