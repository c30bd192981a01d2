"""Telling people of alerts, as a child process of the supervisor. It gives way to all else, and nobody waits for it.

each second     the supervisor's news, its list of open alerts now and then; what came of them is written down
then            each message that is due, in a thread of its own with a deadline, one at a time to an address
each period     the ping of the dead man's switch, while the supervisor answers
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Final

import psutil

from gridbot import background
from supervisor.children.side_process import ends_of, give_way, tell
from supervisor.exit_codes import ExitCode
from supervisor.notify.alive_ping import AlivePing
from supervisor.notify.apprise_door import UNREADABLE, AppriseDoor, Door, NoApprise
from supervisor.notify.notify_desk import Desk
from supervisor.notify.notify_spec import NotifySpec

__all__ = ["run_notify"]

log = logging.getLogger("supervisor.notify")

TURN_S: Final = 1.0
ALIVE_S: Final = 15.0
"""How long ago the supervisor may have answered for a ping to be sent."""


def run_notify(spec: NotifySpec, report: Connection, life: Connection) -> None:
    """Tell people of alerts until SIGTERM or the end of `life`. Raises SystemExit (7) without Apprise.

    Sends `{"type": "ready", "routes", "pid"}` over `report`, then each second `{"type": "health", "rss", "routes",
    "open", "ping"}`.
    """
    give_way()
    try:
        door = AppriseDoor(spec.addresses)
    except NoApprise as error:
        tell(report, {"type": "bye", "reason": str(error)})
        raise SystemExit(ExitCode.REFUSED) from None
    for line in door.unreadable:
        log.warning("route %s: %s", line, UNREADABLE)
    asyncio.run(_serve(spec, door, report, life))


async def _serve(spec: NotifySpec, door: Door, report: Connection, life: Connection) -> None:
    loop = asyncio.get_running_loop()
    with (
        ends_of(life) as ends,
        background.watch(loop, lambda part, error: log.error("%s failed", part, exc_info=error)),
    ):
        desk = Desk(spec, door, lambda: time.time_ns() // 1000)
        ping = AlivePing(spec.ping_url, spec.ping_period_s, lambda: desk.heard_s(time.monotonic()) < ALIVE_S)
        await desk.open()
        gc.freeze()
        tell(report, {"type": "ready", "routes": spec.plan.line_names, "pid": os.getpid()})
        parts = [
            background.start(_repeat(desk.turn), name="the messages"),
            background.start(_repeat(lambda: _report(report, desk, ping)), name="the reports on messages"),
            background.start(ping.run(), name="the ping"),
        ]
        await ends.stop.wait()
        for part in parts:
            part.cancel()
        await desk.close(ends.gone)


async def _repeat(work: Callable[[], Any]) -> None:
    while True:
        try:
            done = work()
            if done is not None:
                await done
        except Exception as error:  # noqa: BLE001 - reported with its traceback; the next turn comes
            background.report("telling of alerts", error)
        await asyncio.sleep(TURN_S)


def _report(report: Connection, desk: Desk, ping: AlivePing) -> None:
    rss = psutil.Process().memory_info().rss
    tell(report, {"type": "health", "rss": rss, **desk.report(), "ping": ping.report()})
