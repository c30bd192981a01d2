"""A host that waits for its fleet, for the database most of all: it can be asked, and ended, like every supervisor.

It has its data directory's lock, so a second one is refused, and a control socket. `stop` and SIGTERM end the wait in
order; everything else is answered by what it waits for.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from gridbot import background
from gridbot.version import __version__
from supervisor.control.control_server import ControlServer
from supervisor.control.socket_protocol import JOINING, JOINING_BY_HAND, Json, denied
from supervisor.status.program_revision import REVISION

__all__ = ["Joining"]

T = TypeVar("T")
log = logging.getLogger("supervisor")


class Joining:
    """Only the holder of the data directory's lock may have one."""

    def __init__(self, data_dir: Path) -> None:
        self._control = ControlServer(data_dir, self._answer)
        self._ended = asyncio.Event()
        self._waits_for = "it begins"
        self._kind = JOINING

    def say(self, text: str, by_hand: bool) -> None:
        """What it waits for now, and whether for somebody to do something about it."""
        self._waits_for = text
        self._kind = JOINING_BY_HAND if by_hand else JOINING

    async def until(self, work: Coroutine[Any, Any, T]) -> T | None:
        """What `work` makes, or None when somebody has ended the wait. Raises what `work` raises."""
        loop, task = asyncio.get_running_loop(), background.awaited(work, name="joining the fleet")
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._ended.set)
        ending = background.awaited(self._ended.wait(), name="the end of the wait")
        try:
            with contextlib.suppress(OSError):  # without a socket it waits all the same
                await self._control.open()
            await asyncio.wait({task, ending}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            log.info("ended while it waited: %s", self._waits_for)
            return None
        finally:
            for each in (task, ending):
                each.cancel()
            await asyncio.wait({task, ending})
            await self._control.close()

    async def _answer(self, request: Json, who: str) -> Json:
        match request.get("op"):
            case "ping":
                about = {"version": __version__, "revision": REVISION, "state": "joining"}
                return {"ok": True, "pid": os.getpid(), **about}
            case "stop":
                self._ended.set()
                return {"ok": True}
            case _:
                return {**denied(f"nothing runs here yet: this host {self._waits_for}"), "kind": self._kind}
