"""Keeps long listings below the exchange's limits on requests."""

from __future__ import annotations

import asyncio

from gridbot.bybit.clocks import monotonic_s
from gridbot.rolling_limit import RollingLimit

__all__ = ["Pace"]


class Pace:
    """Lets a request pass when every limit has room for it, such as that of its endpoint."""

    def __init__(self, *limits: RollingLimit) -> None:
        self._limits = limits

    async def turn(self) -> None:
        """Return when the next request may leave. It is counted then."""
        while True:
            now_s = monotonic_s()
            wait_s = max((limit.wait_s(now_s) for limit in self._limits), default=0.0)
            if wait_s <= 0.0:
                break
            await asyncio.sleep(wait_s)
        for limit in self._limits:
            limit.take(1, now_s)

    def rest(self, for_s: float) -> None:
        """Let nothing pass for so long: the exchange counts otherwise."""
        for limit in self._limits:
            limit.block(monotonic_s() + for_s)
