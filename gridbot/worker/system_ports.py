"""The clock and the randomness of a real process (`gridbot.ports`)."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable

from gridbot.ports import Timer

__all__ = ["SystemClock", "SystemIds"]


class SystemClock:
    """The machine's own time, the running loop's timers."""

    def monotonic_s(self) -> float:
        return time.monotonic()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def wall_us(self) -> int:
        return time.time_ns() // 1000

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(delay_s, callback)


class SystemIds:
    """The kernel's randomness."""

    def token(self, digits: int) -> str:
        return secrets.token_hex((digits + 1) // 2)[:digits]
