"""Connections of a run without a network: what they have in common, and all of them together."""

from __future__ import annotations

import contextvars
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from gridbot.bybit.socket_line import LineSettings
from gridbot.paper.accounts.account import Account
from gridbot.paper.streams.connections import ChannelKind
from gridbot.simulation.network import Network
from gridbot.simulation.venue import Venue
from gridbot.simulation.virtual_loop import LIFE, Handle, VirtualLoop

__all__ = ["WireEnd", "Wires"]


class Wires:
    """All connections of a run. `cut` ends those of a channel, as the exchange or the network would."""

    def __init__(self, loop: VirtualLoop, network: Network, venue: Venue) -> None:
        self.loop, self.network, self.venue = loop, network, venue
        self.links: list[WireEnd] = []
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


class WireEnd(ABC):
    """One connection: what the exchange holds of it (a `Connection`), its beginning, its pings and its end."""

    category = "linear"
    remote = "192.0.2.1"
    max_idle_s = 1e9
    muted = False

    def __init__(self, wires: Wires, kind: ChannelKind, settings: LineSettings, *, named: bool) -> None:
        self.kind = kind
        self.conn_id = f"sim-{next(wires.numbers)}"
        self.account: Account | None = None
        self.named = named
        self.topics: set[str] = set()
        self.context = contextvars.copy_context()
        self.is_open = False
        self._wires = wires
        self._settings = settings
        self._timers: list[Handle] = []

    def dial(self) -> None:
        """Connect; the worker's end hears of the result."""
        self._wires.links.append(self)
        self._later(self._wires.network.latency() * 3, self._connected)

    def end(self) -> None:
        """The connection is over; nobody is told."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if self.is_open:
            self.is_open = False
            self._wires.venue.hub.remove(self)  # type: ignore[arg-type]
        if self in self._wires.links:
            self._wires.links.remove(self)

    # ------------------------------------------------------------------ what the exchange calls

    def touch(self) -> None:  # noqa: B027 - idleness is watched by no kind
        """Something was read."""

    def is_idle(self) -> bool:
        """Never cut for idleness."""
        return False

    # ------------------------------------------------------------------ what each kind has its own way for

    @abstractmethod
    def send(self, frame: bytes) -> None:
        """A frame of the exchange's to the worker."""

    @abstractmethod
    def end_by_peer(self) -> None:
        """The other side or the network ends the connection."""

    @abstractmethod
    def _opened(self) -> None:
        """The connection stands."""

    @abstractmethod
    def _ponged(self) -> None:
        """An answer to our ping came."""

    @abstractmethod
    def _refused(self) -> None:
        """The connection was not taken."""

    @abstractmethod
    def _no_pong(self) -> None:
        """No answer to our ping came in time."""

    # ------------------------------------------------------------------ inside

    def _later(self, delay_s: float, step: Callable[[], None]) -> None:
        self._timers = [timer for timer in self._timers if not timer.cancelled()][-3:]
        self._timers.append(self._wires.loop.call_later(delay_s, step, context=self.context))

    def _connected(self) -> None:
        network = self._wires.network
        if network.is_dark(self.kind.value):
            return  # never opened: the worker gives up by its own clock
        if network.refuses(self.kind.value):
            self._refused()
            return
        self.is_open = True
        self._wires.venue.hub.add(self)  # type: ignore[arg-type]
        self._later(self._settings.ping_interval_s, self._ping)
        self._opened()

    def _ping(self) -> None:
        if self._wires.network.is_dark(self.kind.value):
            self._later(self._settings.ping_timeout_s, self._no_pong)
            return
        self._later(self._settings.ping_interval_s, self._ping)
        self._ponged()
