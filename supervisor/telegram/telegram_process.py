"""The bot of Telegram, as a child process of the supervisor. It gives way to all else, and nobody waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import select
import signal
import time
from multiprocessing.connection import Connection
from typing import Any, Final

import psutil

from gridbot import background
from supervisor.telegram.bot_api import BotApi
from supervisor.telegram.chat_desk import ChatDesk
from supervisor.telegram.telegram_spec import TelegramSpec

__all__ = ["run_telegram"]

log = logging.getLogger("supervisor.telegram")

REPORT_S: Final = 1.0
LAST_S: Final = 2.0
"""How long the last answers may take."""
NICE: Final = 10
Json = dict[str, Any]


def run_telegram(spec: TelegramSpec, report: Connection, life: Connection) -> None:
    """Listen until SIGTERM or the end of `life`.

    Sends `{"type": "ready", "users", "pid"}` over `report`, then each second `{"type": "health", "rss", "bot", "users",
    "commands", "refused", "problem", "failing_s"}`.
    """
    with contextlib.suppress(OSError):
        os.nice(NICE)
    asyncio.run(_serve(spec, report, life))


async def _serve(spec: TelegramSpec, report: Connection, life: Connection) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_reader(life.fileno(), _ended, life, stop)
    with background.watch(loop, lambda part, error: log.error("%s failed", part, exc_info=error)):
        async with BotApi(spec.api, spec.token) as api:
            desk = ChatDesk(spec, api, time.time, time.monotonic)
            await desk.open()
            gc.freeze()
            _send(report, {"type": "ready", "users": len(spec.roles), "pid": os.getpid()})
            listening = background.start(_again(desk), name="the questions for news")
            sending = background.start(desk.outbox.run(), name="the answers")
            reporting = background.start(_reports(report, desk), name="the reports on Telegram")
            await stop.wait()
            listening.cancel()
            reporting.cancel()
            await desk.close(LAST_S)
            sending.cancel()
    loop.remove_reader(life.fileno())


async def _again(desk: ChatDesk) -> None:
    while True:
        try:
            await desk.run()
        except Exception as error:  # noqa: BLE001 - reported with its traceback; the next question comes
            background.report("listening to Telegram", error)
        await asyncio.sleep(REPORT_S)


async def _reports(report: Connection, desk: ChatDesk) -> None:
    while True:
        rss = psutil.Process().memory_info().rss
        _send(report, {"type": "health", "rss": rss, **desk.report()})
        await asyncio.sleep(REPORT_S)


def _ended(life: Connection, stop: asyncio.Event) -> None:
    """Nothing ever comes over `life`: the supervisor is gone."""
    stop.set()
    asyncio.get_running_loop().remove_reader(life.fileno())


def _send(connection: Connection, message: Json) -> None:
    """Unless the supervisor does not read."""
    with contextlib.suppress(OSError, ValueError):
        if select.select([], [connection], [], 0)[1]:
            connection.send(message)
