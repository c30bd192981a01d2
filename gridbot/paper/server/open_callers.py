"""The HTTP connections that are open, and which of them have to go. Nothing here is done per request but to count it.

A sweep every few seconds compares: whoever has asked nothing since the last one, and has sent half a request or does
not read its answers, is cut; a stranger who asks nothing is closed after a while, and the oldest one when there are
too many. Whoever has signed a request may be idle for an hour.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gridbot.paper.api.callers import Caller

__all__ = ["IDLE_S", "OpenCallers"]

UNFINISHED_S = 20.0
STRANGER_IDLE_S = 60.0
IDLE_S = 3600.0
MOST_STRANGERS = 500


class OpenCallers:
    """All connections that no WebSocket has taken over."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._open: dict[asyncio.Transport, _Seen] = {}

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, transport: asyncio.Transport) -> Caller:
        """Note a new connection; the oldest stranger gives way when there are too many of them."""
        peer = transport.get_extra_info("peername")
        seen = _Seen(Caller(str(peer[0]) if peer else ""), self._now_s())
        self._open[transport] = seen
        if len(self._open) > MOST_STRANGERS:
            strangers = [each for each, other in self._open.items() if not other.caller.known]
            if len(strangers) > MOST_STRANGERS:
                self._end(strangers[0])
        return seen.caller

    def of(self, transport: asyncio.Transport | None) -> Caller:
        """Who asks over a connection that aiohttp serves now."""
        seen = self._open.get(transport) if transport is not None else None
        return seen.caller if seen is not None else Caller("")

    def closed(self, transport: asyncio.Transport | None) -> None:
        """Forget a connection that has ended, or is a WebSocket from now on."""
        if transport is not None:
            self._open.pop(transport, None)

    def forgive(self, seconds: float) -> None:
        """The exchange stood still so long: its silence does not count as the clients'."""
        for seen in self._open.values():
            seen.since_s += seconds

    def sweep(self) -> None:
        """End whoever has stood still for too long."""
        now_s = self._now_s()
        for transport, seen in list(self._open.items()):
            if transport.is_closing():
                del self._open[transport]
            elif seen.caller.requests != seen.requests:
                seen.requests, seen.since_s = seen.caller.requests, now_s
            elif now_s - seen.since_s > seen.patience_s:
                self._end(transport)

    def close(self) -> None:
        """End all."""
        for transport in list(self._open):
            transport.close()
        self._open.clear()

    def _end(self, transport: asyncio.Transport) -> None:
        del self._open[transport]
        transport.abort()


class _Seen:
    """A connection as the last sweep found it."""

    __slots__ = ("caller", "requests", "since_s")

    def __init__(self, caller: Caller, now_s: float) -> None:
        self.caller = caller
        self.requests = 0
        self.since_s = now_s

    @property
    def patience_s(self) -> float:
        if self.caller.unfinished:
            return UNFINISHED_S
        return IDLE_S if self.caller.known else STRANGER_IDLE_S
