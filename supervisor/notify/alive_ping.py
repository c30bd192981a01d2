"""The ping of the dead man's switch: a service of others is asked each period, and calls somebody when that stops.

It stops when this process, the supervisor or the machine does. Its address is a secret: what is said of a failure is
the number of the answer, or the kind of the error.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

import aiohttp

__all__ = ["AlivePing", "pinged"]

log = logging.getLogger("supervisor.notify")

TIMEOUT_S: Final = 10.0
POLL_S: Final = 1.0
AGAIN_S: Final = 10.0
"""After a ping that failed: whoever waits for the next one may not wait much longer than a period."""


class AlivePing:
    """Without a `url` it does nothing; `is_alive` says whether the fleet is looked after."""

    def __init__(self, url: str, period_s: float, is_alive: Callable[[], bool], again_s: float = AGAIN_S) -> None:
        self._url = url
        self._period_s = period_s
        self._again_s = min(again_s, period_s)
        self._is_alive = is_alive
        self._sent = 0
        self._problem = ""

    def report(self) -> dict[str, Any] | None:
        """For `status`; None without an address."""
        return {"sent": self._sent, "problem": self._problem} if self._url else None

    async def run(self) -> None:
        """For ever."""
        if not self._url:
            return
        while True:
            if not self._is_alive():
                await asyncio.sleep(POLL_S)
                continue
            self._note(await pinged(self._url))
            await asyncio.sleep(self._again_s if self._problem else self._period_s)

    def _note(self, problem: str) -> None:
        if problem and not self._problem:
            log.warning("the ping of the dead man's switch: %s; tried again each %g s", problem, self._again_s)
        elif self._problem and not problem:
            log.info("the ping of the dead man's switch arrives again")
        self._sent += not problem
        self._problem = problem


async def pinged(url: str) -> str:
    """Ask it once: why that was no success, without a word of the address; "" when it was one."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session, session.get(url) as answer:
            return "" if answer.status < 400 else f"it answered HTTP {answer.status}"
    except Exception as error:  # noqa: BLE001 - whatever it is, the next ping is sent; its text has the address
        return f"it could not be reached ({type(error).__name__})"
