"""Clock, randomness and memory of a real process (`gridbot.ports`). Only the worker's entry makes them."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Callable
from functools import partial

import psutil

from gridbot.ports import Timer

__all__ = ["OwnProcess", "SystemClock", "SystemIds", "boot_ns"]

boot_ns = partial(time.clock_gettime_ns, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
"""CLOCK_BOOTTIME in ns: it counts while the machine is suspended, and no step of the wall clock changes it.

Where a system has none (macOS), its monotonic clock.
"""


class SystemClock:
    """The machine's own time, the running loop's timers."""

    # Plain C functions, without a Python frame around them: they are called several times for each ticker.
    monotonic_s = staticmethod(time.monotonic)
    monotonic_ns = staticmethod(time.monotonic_ns)

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


class OwnProcess:
    """Figures about our own process, for the health report."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._process = psutil.Process()

    def rss(self) -> int:
        """Resident memory in bytes."""
        return int(self._process.memory_info().rss)
