"""Whoever cleans up below us must not make us unreachable: control socket and lock file are made again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from gridbot.shortage import is_shortage
from supervisor.control.control_server import ControlServer
from supervisor.process.directory_lock import DirectoryLock

__all__ = ["Reachable"]

REACHABLE_S: Final = 1.0
"""Between two looks whether control socket and lock file are still there."""


class Reachable:
    """Looks after both. `alert` takes a level and a text, `fault` a part in words and what it raised."""

    def __init__(
        self,
        control: ControlServer,
        lock: DirectoryLock,
        alert: Callable[[str, str], object],
        fault: Callable[[str, BaseException], object],
    ) -> None:
        self._control = control
        self._lock = lock
        self._alert = alert
        self._fault = fault

    async def open(self) -> None:
        """Without room for the socket, `keep` makes it later. Raises OSError."""
        try:
            await self._control.open()
        except OSError as error:
            if not is_shortage(error):
                raise
            self._fault("making the control socket", error)

    async def keep(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(REACHABLE_S)
            try:
                lost = [] if self._lock.keep() else ["the lock file"]
                if not self._control.is_there():
                    await self._control.open()
                    lost.append("the control socket")
                if lost:
                    self._alert("WARNING", f"somebody removed {' and '.join(lost)}; made again")
            except Exception as error:  # noqa: BLE001 - reported with its traceback; tried again
                self._fault("making the control socket again", error)
