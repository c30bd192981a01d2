"""The bot of Telegram, as a child process of the supervisor. It gives way to all else, and nobody waits for it."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import time
from multiprocessing.connection import Connection
from typing import Final

import psutil

from gridbot import background
from supervisor.children.side_process import ends_of, give_way, tell
from supervisor.telegram.bot_api import BotApi
from supervisor.telegram.chat_desk import ChatDesk
from supervisor.telegram.telegram_spec import TelegramSpec

__all__ = ["run_telegram"]

log = logging.getLogger("supervisor.telegram")

REPORT_S: Final = 1.0
LAST_S: Final = 2.0
"""How long the last answers may take."""


def run_telegram(spec: TelegramSpec, report: Connection, life: Connection) -> None:
    """Listen until SIGTERM or the end of `life`.

    Sends `{"type": "ready", "users", "pid"}` over `report`, then each second `{"type": "health", "rss", "bot", "users",
    "commands", "refused", "lost", "problem", "failing_s"}`.
    """
    give_way()
    asyncio.run(_serve(spec, report, life))


async def _serve(spec: TelegramSpec, report: Connection, life: Connection) -> None:
    loop = asyncio.get_running_loop()
    with (
        ends_of(life) as ends,
        background.watch(loop, lambda part, error: log.error("%s failed", part, exc_info=error)),
    ):
        async with BotApi(spec.api, spec.token) as api:
            desk = ChatDesk(spec, api, time.time, time.monotonic)
            await desk.open()
            gc.freeze()
            tell(report, {"type": "ready", "users": len(spec.roles), "pid": os.getpid()})
            listening = background.start(_again(desk), name="the questions for news")
            sending = background.start(desk.outbox.run(), name="the answers")
            reporting = background.start(_reports(report, desk), name="the reports on Telegram")
            await ends.stop.wait()
            listening.cancel()
            reporting.cancel()
            await desk.close(LAST_S)
            sending.cancel()


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
        tell(report, {"type": "health", "rss": rss, **desk.report()})
        await asyncio.sleep(REPORT_S)
