"""WebSocket connections and who listens to what. The only module that writes frames."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from enum import StrEnum

from aiohttp import ClientConnectionResetError, WSMsgType, web

from gridbot.paper.account import Account

__all__ = ["ChannelKind", "Connection", "Hub", "Stamp"]

MAX_BACKLOG = 20_000

Stamp = Callable[[str, str], None]
"""Called with ("ticker", symbol) when a ticker frame is given to the socket, and ("create", account) when a
create-order request has been read. Take the time in it."""


class ChannelKind(StrEnum):
    PUBLIC = "public"
    PRIVATE = "private"
    TRADE = "trade"


class Connection:
    """One socket. Frames leave strictly in the order in which they were queued, none before its time."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        kind: ChannelKind,
        conn_id: str,
        stamp: Stamp | None,
        transport: asyncio.Transport | None = None,
    ) -> None:
        self.socket = socket
        self.transport = transport
        self.kind = kind
        self.conn_id = conn_id
        self.account: Account | None = None
        self.topics: set[str] = set()
        self.muted = False
        self._loop = asyncio.get_running_loop()
        self._stamp = stamp
        self._queue: deque[tuple[float, bytes, str]] = deque()
        self._wake = asyncio.Event()

    def send(self, frame: bytes, *, delay_s: float = 0.0, ticker: str = "") -> None:
        """Queue a frame. `ticker` names the symbol of a ticker frame, for the stamp."""
        if self.muted:
            return
        if len(self._queue) >= MAX_BACKLOG:
            self._queue.clear()
            self._loop.create_task(self.socket.close(code=1008, message=b"too slow"))
            return
        self._queue.append((self._loop.time() + delay_s, frame, ticker))
        self._wake.set()

    def send_late(self, frame: bytes, late_s: float) -> None:
        """Queue a frame only after a while: those queued meanwhile overtake it."""
        self._loop.call_later(late_s, self.send, frame)

    def mute(self) -> None:
        """Say nothing any more, not even pongs, and leave the connection open."""
        self.muted = True
        self._queue.clear()

    def abort(self) -> None:
        """Close the TCP connection at once."""
        transport = self.transport
        if transport is not None:
            transport.abort()

    async def write(self) -> None:
        """Write frames as they become due, until cancelled or the peer has gone."""
        queue, wake, loop = self._queue, self._wake, self._loop
        try:
            while True:
                if not queue:
                    wake.clear()
                    await wake.wait()
                    continue
                wait = queue[0][0] - loop.time()
                if wait > 0:
                    await asyncio.sleep(wait)
                    continue
                _, frame, ticker = queue.popleft()
                if ticker and self._stamp is not None:
                    self._stamp("ticker", ticker)
                await self.socket.send_frame(frame, WSMsgType.TEXT)
        except (ClientConnectionResetError, ConnectionResetError):
            return


class Hub:
    """All connections, by what they listen to."""

    def __init__(self) -> None:
        self.connections: set[Connection] = set()
        self._public: dict[str, set[Connection]] = {}
        self._private: dict[str, set[Connection]] = {}

    def add(self, connection: Connection) -> None:
        self.connections.add(connection)

    def remove(self, connection: Connection) -> None:
        self.connections.discard(connection)
        for topic in list(connection.topics):
            self.unsubscribe(connection, topic)
        if connection.account is not None:
            self._private.get(connection.account.name, set()).discard(connection)

    def authorise(self, connection: Connection, account: Account) -> None:
        connection.account = account
        if connection.kind is ChannelKind.PRIVATE:
            self._private.setdefault(account.name, set()).add(connection)

    def subscribe(self, connection: Connection, topic: str) -> None:
        connection.topics.add(topic)
        if connection.account is None:
            self._public.setdefault(topic, set()).add(connection)
        else:
            connection.account.listening.add(topic.partition(".")[0])

    def unsubscribe(self, connection: Connection, topic: str) -> None:
        connection.topics.discard(topic)
        if connection.account is None:
            self._public.get(topic, set()).discard(connection)
            return
        others = self._private.get(connection.account.name, set())
        base = topic.partition(".")[0]
        if not any(name.partition(".")[0] == base for other in others for name in other.topics):
            connection.account.listening.discard(base)

    def listeners(self, topic: str) -> set[Connection]:
        """Connections subscribed to a public topic."""
        return self._public.get(topic, _NOBODY)

    def of_account(self, name: str) -> set[Connection]:
        """Authorised private connections of an account."""
        return self._private.get(name, _NOBODY)


_NOBODY: set[Connection] = set()
