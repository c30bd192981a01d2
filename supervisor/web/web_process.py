"""The page as a child process of the supervisor. It gives way to everybody else, and nobody waits for it."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import ssl
from multiprocessing.connection import Connection
from typing import Final

import psutil

from gridbot import background
from gridbot.shortage import is_shortage
from supervisor.children.side_process import ends_of, give_way, tell
from supervisor.exit_codes import ExitCode
from supervisor.web.web_server import WebServer
from supervisor.web.web_spec import WebSpec

__all__ = ["run_web"]

log = logging.getLogger("supervisor.web")

HEALTH_S: Final = 1.0


def run_web(spec: WebSpec, report: Connection, life: Connection) -> None:
    """Serve until SIGTERM or the end of `life`. Raises SystemExit when it cannot listen: 7, or 10 for want of room.

    Sends `{"type": "ready", "url", "port", "pid"}` over `report`, then each second
    `{"type": "health", "url", "rss", "viewers"}`.
    """
    give_way()
    try:
        asyncio.run(_serve(spec, report, life))
    except (OSError, ssl.SSLError) as error:
        tell(report, {"type": "bye", "reason": _why(spec, error)})
        raise SystemExit(_code(error)) from None


def _why(spec: WebSpec, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"expected port {spec.port} of {spec.host} to be free, got: another program has it; there is no page until "
            "it is free; set web.port to another one or to 0, or web.enabled to false"
        )
    if isinstance(error, ssl.SSLError) or (spec.tls_cert is not None and error.errno in (errno.ENOENT, errno.EACCES)):
        return f"expected web.tls_cert and web.tls_key to be a certificate and its key (PEM), got: {error}"
    return f"expected to listen on {spec.host} port {spec.port}, got: {error}; correct web.host and web.port"


def _code(error: OSError) -> ExitCode:
    """All of it may be set right while we run: it is tried again."""
    return ExitCode.NO_ROOM if is_shortage(error) else ExitCode.REFUSED


async def _serve(spec: WebSpec, report: Connection, life: Connection) -> None:
    loop = asyncio.get_running_loop()
    with (
        ends_of(life) as ends,
        background.watch(loop, lambda part, error: log.error("%s failed", part, exc_info=error)),
    ):
        async with WebServer(spec) as server:
            log.info("the page is at %s", server.url)
            gc.freeze()
            tell(report, {"type": "ready", "url": server.url, "port": server.port, "pid": os.getpid()})
            reporting = background.start(_report(server, report), name="the reports on the page")
            await ends.stop.wait()
            reporting.cancel()


async def _report(server: WebServer, report: Connection) -> None:
    process = psutil.Process()
    while True:
        facts = {"url": server.url, "rss": process.memory_info().rss, "viewers": server.feed.viewers}
        tell(report, {"type": "health", **facts})
        await asyncio.sleep(HEALTH_S)
