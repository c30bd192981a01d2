"""Clock, names and process figures of a simulated worker (`gridbot.ports`)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from gridbot.ports import Timer
from gridbot.simulation.virtual_loop import VirtualLoop

__all__ = ["EPOCH_MS", "SimulatedClock", "SimulatedIds", "SimulatedProcess"]

EPOCH_MS = 1_760_000_000_000
"""What the wall shows when a run begins: a day in October 2025."""


class SimulatedClock:
    """The loop's time. `wall_error_ms` is how far the worker's wall clock is off, `exchange_error_ms` the exchange's;
    faults change them."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._start_s = loop.time()
        self.monotonic_s = loop.time
        self.wall_error_ms = 0
        self.exchange_error_ms = 0

    def monotonic_ns(self) -> int:
        return round(self._loop.now_s * 1e9)

    def true_ms(self) -> int:
        """UTC milliseconds, as no clock has them that is off."""
        return EPOCH_MS + int((self._loop.now_s - self._start_s) * 1000)

    def exchange_ms(self) -> int:
        """UTC milliseconds as the exchange has them."""
        return self.true_ms() + self.exchange_error_ms

    def wall_ms(self) -> int:
        return self.true_ms() + self.wall_error_ms

    def wall_us(self) -> int:
        return (EPOCH_MS + self.wall_error_ms) * 1000 + int((self._loop.now_s - self._start_s) * 1_000_000)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        return self._loop.call_later(delay_s, callback)


class SimulatedIds:
    """Names drawn from a seed."""

    def __init__(self, seed: str) -> None:
        self._draw = random.Random(seed)

    def token(self, digits: int) -> str:
        return f"{self._draw.getrandbits(4 * digits):0{digits}x}"


class SimulatedProcess:
    """A process that never grows."""

    pid = 4242

    def rss(self) -> int:
        return 100_000_000
