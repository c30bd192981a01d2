"""The exchange as a child process of the supervisor."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from multiprocessing.connection import Connection

import psutil

from gridbot.paper.server.paper_server import PaperServer
from gridbot.paper.server.paper_spec import PaperSpec

__all__ = ["run_paper_exchange"]

HEALTH_INTERVAL_S = 1.0
log = logging.getLogger("gridbot.paper")


def run_paper_exchange(spec: PaperSpec, ready: Connection, life: Connection) -> None:
    """Serve until SIGTERM, SIGINT, the end of a replay with `at_end: stop`, or the end of `life`.

    Sends `{"type": "ready", "url", "port", "pid"}` over `ready` once it listens, then each second
    `{"type": "health", "rss", "orders", "trades", "connections", "market"}`, and an alert when its files were removed.
    """
    if spec.setup_logging is not None:
        spec.setup_logging()
    asyncio.run(_serve(spec, ready, life))


async def _serve(spec: PaperSpec, ready: Connection, life: Connection) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with PaperServer(spec) as server:
        loop.add_reader(life.fileno(), _watch, life, stop, server, ready)
        log.info("paper exchange listens on %s with %d accounts", server.url, len(spec.accounts))
        gc.freeze()  # modules and markets stay for good: looking through them again costs a tenth of an order
        _send(ready, {"type": "ready", "url": server.url, "port": server.port, "pid": os.getpid()}, stop)
        health = asyncio.create_task(_report(server, ready, stop))
        ended = asyncio.create_task(server.ended.wait())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (health, ended, stopping):
            task.cancel()
        log.info("paper exchange stops: %s", "replay is over" if server.ended.is_set() else "asked to")
    loop.remove_reader(life.fileno())


def _watch(life: Connection, stop: asyncio.Event, server: PaperServer, ready: Connection) -> None:
    """Stop at the end of `life`; what comes over it is one more account, which is open when we say so."""
    try:
        account = life.recv()["account"]
    except (EOFError, OSError):
        stop.set()
        asyncio.get_running_loop().remove_reader(life.fileno())
        return
    server.open_account(account)
    _send(ready, {"type": "account_opened", "name": account.name}, stop)


def _send(ready: Connection, message: dict[str, object], stop: asyncio.Event) -> None:
    try:
        ready.send(message)
    except (BrokenPipeError, ConnectionResetError, OSError):
        stop.set()


async def _report(server: PaperServer, ready: Connection, stop: asyncio.Event) -> None:
    process = psutil.Process()
    config = server.spec.config.market
    told = ""
    while not stop.is_set():
        await asyncio.sleep(HEALTH_INTERVAL_S)
        message: dict[str, object] = {
            "type": "health",
            "rss": process.memory_info().rss,
            "orders": sum(len(account.open) for account in server.exchange.accounts.values()),
            "trades": server.market.trade_count,
            "connections": len(server.hub.connections),
            "market": f"{config.source.value} x{config.speed}" + (" ended" if server.ended.is_set() else ""),
        }
        _send(ready, message, stop)
        removed = server.keep_files()
        if removed:
            if removed != told:  # of files that cannot be made again it comes each second
                log.error("%s", removed)
            _send(ready, {"type": "alert", "level": "error", "key": "deleted", "text": removed}, stop)
        told = removed
