"""Streams without a network: the worker's `Line` at one end, the paper exchange's channels at the other."""

from __future__ import annotations

import contextvars
import itertools
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson

from gridbot import background
from gridbot.bybit.clocks import monotonic_ns
from gridbot.bybit.endpoints import PRIVATE_PATH
from gridbot.bybit.line_base import in_words
from gridbot.bybit.socket_line import LineListener, LineSettings
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.paper.accounts.account import Account
from gridbot.paper.streams.connections import ChannelKind
from gridbot.simulation.network import Network
from gridbot.simulation.venue import Venue
from gridbot.simulation.virtual_loop import LIFE, Handle, VirtualLoop

__all__ = ["Link", "SocketLink", "Wires"]


class Link(Protocol):
    """A connection of a run, as far as its wires need it."""

    @property
    def kind(self) -> ChannelKind: ...
    @property
    def context(self) -> contextvars.Context: ...
    def send(self, frame: bytes) -> None: ...
    def end(self) -> None: ...
    def end_by_peer(self) -> None: ...


class Wires:
    """All connections of a run. `cut` ends those of a channel, as the exchange or the network would."""

    def __init__(self, loop: VirtualLoop, network: Network, venue: Venue) -> None:
        self.loop, self.network, self.venue = loop, network, venue
        self.links: list[Link] = []
        self.numbers = itertools.count(1)
        self.under_way = 0

    def cut(self, channel: str) -> None:
        """End the connections of a channel ("": of both)."""
        for line in [line for line in self.links if channel in ("", line.kind.value)]:
            line.end_by_peer()

    def say(self, topic: str, row: Mapping[str, Any]) -> None:
        """A row on the private stream, beside what the exchange says."""
        frame = orjson.dumps({"id": "odd", "topic": topic, "creationTime": self.venue.now_ms(), "data": [row]})
        for line in list(self.links):
            if line.kind is ChannelKind.PRIVATE:
                line.send(frame)

    def forget(self, life: object) -> None:
        """The process at our end is gone: the kernel closes its sockets."""
        for line in [line for line in self.links if line.context.get(LIFE) is life]:
            line.end()


class _Line:
    """One connection: what the exchange holds of it (a `Connection`), and the way to the worker's end of it."""

    def __init__(self, wires: Wires, kind: ChannelKind, socket: SocketLink) -> None:
        self.kind = kind
        self.conn_id = f"sim-{next(wires.numbers)}"
        self.category = "linear"
        self.account: Account | None = None
        self.named = True
        self.topics: set[str] = set()
        self.muted = False
        self.remote = "192.0.2.1"
        self.max_idle_s = 1e9
        self.context = contextvars.copy_context()
        self.is_open = False
        self._wires = wires
        self._socket = socket
        self._last_s: dict[str, float] = {}
        self._timers: list[Handle] = []

    # ------------------------------------------------------------------ what the exchange calls

    def send(self, frame: bytes, *, delay_s: float = 0.0, ticker: str = "") -> None:
        """Send a frame to the worker."""
        wires = self._wires
        if not self.is_open or wires.network.is_dark(self.kind.value):
            return
        topic = _topic_of(frame)
        if topic == "execution" and not wires.venue.says_realised:
            frame = _REALISED.sub(b'"execPnl":""', frame)
        now_s = wires.loop.now_s
        for way_s, keeps in wires.network.frame(topic) if topic else [(wires.network.latency(), True)]:
            due_s = now_s + delay_s + way_s
            if keeps:
                due_s = self._last_s[topic] = max(due_s, self._last_s.get(topic, 0.0))
            wires.under_way += 1
            wires.loop.call_at(due_s, self._arrives, frame, context=_OUTSIDE)

    def send_late(self, frame: bytes, late_s: float) -> None:
        """Send a frame later."""
        self._wires.loop.call_later(late_s, self.send, frame, context=_OUTSIDE)

    def touch(self) -> None:
        """Something was read."""

    def is_idle(self) -> bool:
        """Never cut for idleness."""
        return False

    # ------------------------------------------------------------------ what the worker's end calls

    def connect(self) -> None:
        """Dial; the worker's end hears of the result."""
        self._wires.links.append(self)
        self._later(self._wires.network.latency() * 3, self._connected)

    def send_up(self, text: str) -> None:
        """Send a text to the exchange."""
        wires = self._wires
        if not self.is_open or wires.network.is_dark(self.kind.value):
            return
        due_s = max(wires.loop.now_s + wires.network.latency(), self._last_s.get("up", 0.0))
        self._last_s["up"] = due_s
        wires.loop.call_at(due_s, self._at_the_exchange, text, context=_OUTSIDE)

    def end(self) -> None:
        """The connection is over; nobody is told."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if self.is_open:
            self.is_open = False
            self._wires.network.trouble_s = self._wires.loop.now_s  # what is sent until the next one is open is lost
            self._wires.venue.hub.remove(self)  # type: ignore[arg-type]
        if self in self._wires.links:
            self._wires.links.remove(self)

    def end_by_peer(self) -> None:
        """The other side or the network ends the connection."""
        self.end()
        self._wires.loop.call_later(
            self._wires.network.latency(), self._socket.fail, in_words(ConnectionResetError()), context=self.context
        )

    # ------------------------------------------------------------------ inside

    def _later(self, delay_s: float, step: Callable[[], None]) -> None:
        self._timers = [timer for timer in self._timers if not timer.cancelled()][-3:]
        self._timers.append(self._wires.loop.call_later(delay_s, step, context=self.context))

    def _connected(self) -> None:
        network = self._wires.network
        if network.is_dark(self.kind.value):
            return  # never opened: the worker gives up by its own clock
        if network.refuses(self.kind.value):
            self.end()
            self._socket.fail(in_words(ConnectionRefusedError()))
            return
        self.is_open = True
        self._wires.network.trouble_s = self._wires.loop.now_s
        self._wires.venue.hub.add(self)  # type: ignore[arg-type]
        self._later(self._socket.settings.ping_interval_s, self._ping)
        self._socket.opened()

    def _ping(self) -> None:
        if self._wires.network.is_dark(self.kind.value):
            self._later(self._socket.settings.ping_timeout_s, self._no_pong)
            return
        self._later(self._socket.settings.ping_interval_s, self._ping)
        self._socket.ponged()

    def _no_pong(self) -> None:
        self.end()
        self._socket.fail(make_error("no pong in time", ErrorKind.RETRY))

    def _at_the_exchange(self, text: str) -> None:
        if self.is_open:
            self._wires.venue.channels.receive(self, text)  # type: ignore[arg-type]

    def _arrives(self, frame: bytes) -> None:
        self._wires.under_way -= 1
        if self.is_open:
            self._wires.loop.call_soon(self._socket.received, frame, context=self.context)


_OUTSIDE = contextvars.Context()
_REALISED = re.compile(rb'"execPnl":"[^"]*"')


def _topic_of(frame: bytes) -> str:
    start = frame.find(b'"topic":"')
    return frame[start + 9 : frame.index(b'"', start + 9)].decode() if start >= 0 else ""


class SocketLink:
    """A `Line` on a simulated connection. Wires come first; the rest is as `Dial` has it."""

    has_more = True
    """What comes at one moment is looked at together."""
    is_over = True
    """There is nothing to wait for."""

    def __init__(self, wires: Wires, url: str, listener: LineListener, settings: LineSettings) -> None:
        self.settings = settings
        self._listener = listener
        self._is_muted = False
        kind = ChannelKind.PRIVATE if urlsplit(url).path == PRIVATE_PATH else ChannelKind.PUBLIC
        self._line = _Line(wires, kind, self)
        self._line.connect()

    # ------------------------------------------------------------------ for the worker (`Line`)

    @property
    def is_open(self) -> bool:
        """Connected, and neither ended nor left."""
        return self._line.is_open and not self._is_muted

    def send(self, text: str) -> None:
        """To the exchange."""
        self._line.send_up(text)

    def leave(self) -> None:
        """The same as to cut: a goodbye changes nothing here."""
        self.abandon()

    def abandon(self) -> None:
        """Close without another call to the listener."""
        self._is_muted = True
        self._line.end()

    # ------------------------------------------------------------------ what the connection calls

    def opened(self) -> None:
        """The connection is up."""
        self._tell(self._listener.on_open)

    def received(self, frame: bytes) -> None:
        """A frame has come."""
        self._tell(lambda: self._listener.on_message(frame, monotonic_ns()))

    def ponged(self) -> None:
        """The other side answered a ping."""
        self._tell(self._listener.on_pong)

    def fail(self, error: ExchangeError) -> None:
        """The connection is over."""
        self._tell(lambda: self._listener.on_end(error))
        self._is_muted = True

    def _tell(self, call: Callable[[], None]) -> None:
        if self._is_muted:
            return
        try:
            call()
        except Exception as error:  # noqa: BLE001 - reported, as a real line does
            background.report("a listener of a socket", error)
