"""Streams without a network: the worker's `Line` at one end, the paper exchange's channels at the other."""

from __future__ import annotations

import contextvars
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from gridbot import background
from gridbot.bybit.clocks import monotonic_ns
from gridbot.bybit.endpoints import PRIVATE_PATH
from gridbot.bybit.line_base import in_words
from gridbot.bybit.socket_line import LineListener, LineSettings
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.paper.streams.connections import ChannelKind
from gridbot.simulation.wires import WireEnd, Wires

__all__ = ["SocketLink"]


class _Line(WireEnd):
    """A stream's connection, and the way to the worker's end of it."""

    def __init__(self, wires: Wires, kind: ChannelKind, socket: SocketLink) -> None:
        super().__init__(wires, kind, socket.settings, named=True)
        self._socket = socket
        self._last_s: dict[str, float] = {}

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

    # ------------------------------------------------------------------ what the worker's end calls

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
        if self.is_open:
            self._wires.network.trouble_s = self._wires.loop.now_s  # what is sent until the next one is open is lost
        super().end()

    def end_by_peer(self) -> None:
        """The other side or the network ends the connection."""
        self.end()
        self._wires.loop.call_later(
            self._wires.network.latency(), self._socket.fail, in_words(ConnectionResetError()), context=self.context
        )

    # ------------------------------------------------------------------ inside

    def _refused(self) -> None:
        self.end()
        self._socket.fail(in_words(ConnectionRefusedError()))

    def _opened(self) -> None:
        self._wires.network.trouble_s = self._wires.loop.now_s
        self._socket.opened()

    def _ponged(self) -> None:
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
        self._line.dial()

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
