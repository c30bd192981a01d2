"""WebSocket connections and their subscriptions. The only module that writes frames."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum

from aiohttp import web

from gridbot.paper.accounts.account import Account

__all__ = ["DCP_TOPIC", "ChannelKind", "Connection", "Hub", "Stamp"]

log = logging.getLogger("gridbot.paper")
DCP_TOPIC = "dcp.future"
MAX_BACKLOG = 20_000
MAX_UNSENT = 16 << 20
MAX_UNSENT_OF_ALL = 128 << 20
MAX_UNANSWERED = 100
IN_A_TURN = 64
STRANGER_S = 120.0
MOST_STRANGERS = 500
TIMER_SLACK_S = 0.0005

Stamp = Callable[[str, str], None]
"""Called with ("ticker", symbol) when a ticker frame is given to the socket, and ("create", account) when a
create-order request has been read, over HTTP or a trade socket. Take the time in it."""


class ChannelKind(StrEnum):
    PUBLIC = "public"
    PRIVATE = "private"
    TRADE = "trade"


class Connection:
    """One socket. Frames leave strictly in the order in which they were queued, none before its time.

    Frames that are due together leave in one write, straight to the transport: no task, no compression. `category` is
    that of a public socket.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        kind: ChannelKind,
        conn_id: str,
        stamp: Stamp | None,
        transport: asyncio.Transport,
    ) -> None:
        self.socket = socket
        self.transport = transport
        self.kind = kind
        self.conn_id = conn_id
        self.category = "linear"
        self.account: Account | None = None
        self.named = False
        """A public one whose address names an account of this exchange."""
        self.topics: set[str] = set()
        self.muted = False
        self.max_idle_s = 600.0
        self._loop = asyncio.get_running_loop()
        self._stamp = stamp
        self._queue: deque[tuple[float, bytes, str]] = deque()
        self._scheduled = False
        self._waiting = 0  # bytes in the queue
        self._received = self._unanswered = 0
        self._room: asyncio.Event | None = None
        self._touched = self._opened = self._loop.time()

    @property
    def remote(self) -> str:
        """Address of the client."""
        peer = self.transport.get_extra_info("peername")
        return str(peer[0]) if peer else ""

    def touch(self) -> None:
        """Note that something was read or written."""
        self._touched = self._loop.time()

    def forgive(self, seconds: float) -> None:
        """The exchange stood still so long: its silence does not count as the client's."""
        self._touched += seconds
        self._opened += seconds

    @property
    def is_stranger(self) -> bool:
        """True while it has neither signed in nor subscribed."""
        return self.account is None and not self.topics

    @property
    def gives_way(self) -> bool:
        """True when nobody of our accounts is known to be behind it."""
        return self.account is None and not self.named

    def is_idle(self) -> bool:
        """True when nothing was read or written for `max_idle_s`, or it has been a stranger for two minutes."""
        now = self._loop.time()
        return now - self._touched > self.max_idle_s or (self.is_stranger and now - self._opened > STRANGER_S)

    @property
    def unsent(self) -> int:
        """Bytes that wait here for the client."""
        return self._waiting + self.transport.get_write_buffer_size()

    def is_drained(self) -> bool:
        """True when the operating system has taken every frame; the client lags by its buffers at most."""
        return not self._queue and not self.transport.get_write_buffer_size()

    def send(self, frame: bytes, *, delay_s: float = 0.0, ticker: str = "") -> None:
        """Queue a frame. `ticker` names the symbol of a ticker frame, for the stamp."""
        if self.muted:
            return
        if len(self._queue) >= MAX_BACKLOG or self._waiting + self.transport.get_write_buffer_size() > MAX_UNSENT:
            self.cut()
            return
        due = self._loop.time() + delay_s
        self._waiting += len(frame)
        self._queue.append((due, frame, ticker))
        if not self._scheduled:
            self._schedule(due)

    def send_late(self, frame: bytes, late_s: float) -> None:
        """Queue a frame only after `late_s` seconds, so that later frames overtake it."""
        self._loop.call_later(late_s, self.send, frame)

    def cut(self) -> None:
        """End it: its client does not read."""
        log.warning("%s connection %s reads too slowly and is cut", self.kind.value, self.conn_id)
        self.mute()
        self.transport.abort()

    def asked(self) -> None:
        """A request has come whose answer may have to wait, for the disk or as a fault wants it; see `answer`."""
        self._unanswered += 1

    def answer(self, frame: bytes | None) -> None:
        """Send the answer to a request that was `asked`; None: it gets none."""
        self._unanswered -= 1
        if self._room is not None:
            self._room.set()
        if frame is not None:
            self.send(frame)

    async def next_turn(self) -> None:
        """Before each message: who asks without end leaves others their turn, and has a bounded number unanswered."""
        self._received += 1
        if self._received % IN_A_TURN == 0:
            await asyncio.sleep(0)
        while self._unanswered >= MAX_UNANSWERED:
            self._room = asyncio.Event()
            await self._room.wait()

    def mute(self) -> None:
        """Stop sending, even pongs, and leave the connection open."""
        self.muted = True
        self._queue.clear()
        self._waiting = 0

    def _schedule(self, due: float) -> None:
        self._scheduled = True
        if due <= self._loop.time():
            self._loop.call_soon(self._flush)
        else:
            self._loop.call_at(due, self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        now, queue = self._loop.time() + TIMER_SLACK_S, self._queue
        frames: list[bytes] = []
        while queue and queue[0][0] <= now:
            _, frame, ticker = queue.popleft()
            self._waiting -= len(frame)
            if ticker and self._stamp is not None:
                self._stamp("ticker", ticker)
            frames += (_frame_head(len(frame)), frame)
        if frames and not self.transport.is_closing() and not self.socket.closed:
            self.transport.write(b"".join(frames))
            self._touched = now
        if queue:
            self._schedule(queue[0][0])


def _frame_head(length: int) -> bytes:
    """Head of an unmasked, final text frame (RFC 6455 5.2)."""
    if length < 126:
        return bytes((0x81, length))
    if length < 65536:
        return b"\x81\x7e" + length.to_bytes(2, "big")
    return b"\x81\x7f" + length.to_bytes(8, "big")


class Hub:
    """All connections, by what they listen to; frames go to those first that came first."""

    def __init__(self) -> None:
        self.connections: dict[Connection, None] = {}
        self._public: dict[str, dict[Connection, None]] = {}
        self._private: dict[str, dict[Connection, None]] = {}
        self._unguarded_since: dict[str, float] = {}

    def is_drained(self) -> bool:
        """True when every connection is drained."""
        return all(connection.is_drained() for connection in self.connections)

    def add(self, connection: Connection) -> None:
        """Note a new connection; of too many strangers the oldest is cut, first those that listen to nothing."""
        self.connections[connection] = None
        if len(self.connections) > MOST_STRANGERS:
            strangers = [each for each in self.connections if each.gives_way]
            if len(strangers) > MOST_STRANGERS:
                others = strangers[:-1]
                oldest = next((each for each in others if each.is_stranger), others[0])
                oldest.transport.abort()
                self.remove(oldest)

    def shed(self) -> None:
        """Cut those with the most unread, when all of them together do not read too much."""
        unsent = {each: each.unsent for each in self.connections}
        total = sum(unsent.values())
        for each in sorted(unsent, key=lambda one: -unsent[one]) if total > MAX_UNSENT_OF_ALL else ():
            if total <= MAX_UNSENT_OF_ALL:
                break
            each.cut()
            total -= unsent[each]

    def remove(self, connection: Connection) -> None:
        self.connections.pop(connection, None)
        for topic in list(connection.topics):
            self.unsubscribe(connection, topic)
        if connection.account is not None:
            self._private.get(connection.account.name, {}).pop(connection, None)

    def authorise(self, connection: Connection, account: Account) -> None:
        connection.account = account
        if connection.kind is ChannelKind.PRIVATE:
            self._private.setdefault(account.name, {})[connection] = None

    def subscribe(self, connection: Connection, topic: str) -> None:
        connection.topics.add(topic)
        if topic == DCP_TOPIC and connection.account is not None:
            self._unguarded_since[connection.account.name] = math.inf
        if connection.account is None:
            self._public.setdefault(topic, {})[connection] = None
        else:
            connection.account.listening.add(topic.partition(".")[0])

    def unsubscribe(self, connection: Connection, topic: str) -> None:
        connection.topics.discard(topic)
        if connection.account is None:
            self._public.get(topic, {}).pop(connection, None)
            return
        others = self.of_account(connection.account.name)
        if topic == DCP_TOPIC and not any(DCP_TOPIC in other.topics for other in others):
            self._unguarded_since[connection.account.name] = asyncio.get_running_loop().time()
        base = topic.partition(".")[0]
        if not any(name.partition(".")[0] == base for other in others for name in other.topics):
            connection.account.listening.discard(base)

    def forgive(self, seconds: float) -> None:
        """The exchange stood still so long and could not see who came back: no window goes on meanwhile."""
        for name in self._unguarded_since:
            self._unguarded_since[name] += seconds
        for connection in self.connections:
            connection.forgive(seconds)

    def take_unguarded(self, windows: Mapping[str, float]) -> list[str]:
        """Accounts whose last connection with `dcp.future` has been gone for longer than their window, each once."""
        now = asyncio.get_running_loop().time()
        due = [name for name, since in self._unguarded_since.items() if now - since > windows.get(name, math.inf)]
        for name in due:
            del self._unguarded_since[name]
        return due

    def listeners(self, topic: str) -> Collection[Connection]:
        """Connections subscribed to a public topic."""
        return self._public.get(topic, _NOBODY)

    def of_account(self, name: str) -> Collection[Connection]:
        """Authorised private connections of an account."""
        return self._private.get(name, _NOBODY)


_NOBODY: tuple[Connection, ...] = ()
