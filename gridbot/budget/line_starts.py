"""Whether an account may open the WebSockets of a start beyond its own part (`bybit/line_room.py`).

All accounts of an address have a few starts more in five minutes, which their supervisor grants, one after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from gridbot.ports import Clock

__all__ = ["ALL_LINES", "LINES_OF_START", "SPARE_STARTS", "LineStarts"]

Message = dict[str, Any]

ALL_LINES: Final = 450
"""What all processes may open in five minutes: the exchange's 500 without a part for processes that start anew."""
LINES_OF_START: Final = 2
"""A worker cannot start with fewer: with more than 225 accounts an address is too small."""
SPARE_STARTS: Final = 24
"""In five minutes: what the parts of all accounts leave of the 500."""
PATIENCE_S: Final = 3.0


class LineStarts:
    """One per process. `send` passes a message to the supervisor; without one nobody grants anything."""

    def __init__(self, clock: Clock, send: Callable[[Message], None] | None = None) -> None:
        self._clock = clock
        self._send = send
        self._asked: asyncio.Future[float | None] | None = None

    async def wait_s(self) -> float | None:
        """Ask for one start. 0: granted. Else the seconds until it may be, None when nobody answers."""
        if self._send is None:
            return None
        asked: asyncio.Future[float | None]
        asked = self._asked = asyncio.get_running_loop().create_future()
        self._send({"type": "line_start"})
        late = self._clock.call_later(PATIENCE_S, lambda: _settle(asked, None))
        try:
            return await asked
        finally:
            late.cancel()
            self._asked = None

    def on_message(self, message: Message) -> None:
        """The supervisor's answer, `line_start`."""
        if self._asked is not None:
            _settle(self._asked, max(0.0, float(message["wait_s"])))


def _settle(asked: asyncio.Future[float | None], wait_s: float | None) -> None:
    if not asked.done():
        asked.set_result(wait_s)
