"""The connections of the page's server: how many there may be, and which of them have to go.

A connection is at work while it is answered. Whoever is not, for longer than `IDLE_S`, is cut: one that asks nothing,
and one that has sent half a request. aiohttp itself would wait for ever for the end of the first one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from aiohttp.http_exceptions import HttpProcessingError

__all__ = ["OpenConnections", "server_log"]

MOST: Final = 128
IDLE_S: Final = 20.0
SWEEP_S: Final = 5.0


def server_log() -> logging.Logger:
    """For aiohttp's own lines. Requests that it cannot read are none: each would be a traceback that anybody can cause,
    with a piece of the request, such as its cookie.
    """
    log = logging.getLogger("supervisor.web.http")
    log.addFilter(_is_no_bad_request)
    return log


def _is_no_bad_request(record: logging.LogRecord) -> bool:
    return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError)


class OpenConnections:
    """`serve` makes the protocol of a connection that may stay; `clock` in seconds."""

    def __init__(self, serve: Callable[[], asyncio.Protocol], clock: Callable[[], float]) -> None:
        self._serve = serve
        self._clock = clock
        self._since_s: dict[asyncio.Transport, float] = {}
        self._at_work: dict[asyncio.Transport, int] = {}

    def __len__(self) -> int:
        return len(self._since_s)

    def protocol(self) -> asyncio.Protocol:
        """For `create_server`."""
        return _Newcomer(self)

    def admit(self, transport: asyncio.Transport) -> None:
        """A new connection; where there are too many, one that is not at work goes, or this one."""
        self.sweep()
        if len(self._since_s) >= MOST:
            idle = next((each for each in self._since_s if each not in self._at_work), None)
            if idle is None:
                transport.abort()
                return
            self._end(idle)
        self._since_s[transport] = self._clock()
        protocol = self._serve()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    def begins(self, transport: asyncio.BaseTransport | None) -> None:
        """A request of it is being answered."""
        if isinstance(transport, asyncio.Transport) and transport in self._since_s:
            self._at_work[transport] = self._at_work.get(transport, 0) + 1

    def ends(self, transport: asyncio.BaseTransport | None) -> None:
        """It has been answered."""
        if isinstance(transport, asyncio.Transport) and transport in self._at_work:
            left = self._at_work.pop(transport) - 1
            if left:
                self._at_work[transport] = left
            if transport in self._since_s:
                self._since_s[transport] = self._clock()

    def sweep(self) -> None:
        """Cut whoever has stood still for too long."""
        now_s = self._clock()
        for transport, since_s in list(self._since_s.items()):
            if transport.is_closing():
                self._forget(transport)
            elif transport not in self._at_work and now_s - since_s > IDLE_S:
                self._end(transport)

    async def keep(self) -> None:
        """Sweep again and again."""
        while True:
            await asyncio.sleep(SWEEP_S)
            self.sweep()

    def _end(self, transport: asyncio.Transport) -> None:
        self._forget(transport)
        transport.abort()

    def _forget(self, transport: asyncio.Transport) -> None:
        self._since_s.pop(transport, None)
        self._at_work.pop(transport, None)


class _Newcomer(asyncio.Protocol):
    """What a connection has until it is admitted."""

    def __init__(self, connections: OpenConnections) -> None:
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._connections.admit(transport)
