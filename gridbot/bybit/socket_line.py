"""One WebSocket connection on the worker's loop, whatever library makes it: what it promises, and what it tells.

    `aiohttp_line.AiohttpLine`    with the plain installation
    `picows_line.PicowsLine`      with the extra `fast`
    `simulation.socket_link`      under virtual time

`line_choice.dial_line` takes the best there is. Whoever uses a line gives it a `LineListener`; nothing here knows
Bybit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gridbot.exchange.failures import ExchangeError

__all__ = ["Dial", "Line", "LineListener", "LineSettings"]


class LineListener(Protocol):
    """Hears of one line. All methods are called on the loop and must return at once; none is called inside `Dial`.

    What one of them raises is reported (`gridbot.background`); the line goes on.
    """

    def on_open(self) -> None:
        """The connection is up: `send` works from here on."""

    def on_message(self, data: bytes, received_ns: int) -> None:
        """A message, whole, neither decoded nor checked, whatever its frames said it is. `received_ns` is monotonic."""

    def on_pong(self) -> None:
        """The other side answered one of our pings."""

    def on_end(self, error: ExchangeError) -> None:
        """The line is over. The last call, once; never after `leave` or `abandon`."""


class Line(Protocol):
    """A connection. It never reconnects."""

    @property
    def is_open(self) -> bool:
        """Whether what is sent now can arrive: connected, and neither ended nor left."""

    @property
    def has_more(self) -> bool:
        """While a listener hears a message: whether the next one may be at hand already, to be told in this turn."""

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left: no socket, no task, no timer."""

    def send(self, text: str) -> None:
        """Write a text message at once. Raises nothing: on a line that is not open it does nothing, and a write that
        fails, or a peer that reads nothing, ends the line (`on_end`)."""

    def leave(self) -> None:
        """Say goodbye, close, and cut after `LineSettings.goodbye_s`. Never blocks."""

    def abandon(self) -> None:
        """Cut at once. Never blocks."""


@dataclass(frozen=True, slots=True)
class LineSettings:
    """Seconds and bytes.

    A ping frame is sent each `ping_interval_s`; without a pong `ping_timeout_s` later the line ends. Only time in which
    our own loop ran counts: after a stall of ours, what lies in the socket is read first. `connect_s` is for address,
    TLS and upgrade together. A longer message than `max_message_bytes` ends the line, as do `max_unsent_bytes` that the
    peer does not take.
    """

    ping_interval_s: float = 20.0
    ping_timeout_s: float = 10.0
    connect_s: float = 15.0
    goodbye_s: float = 0.75
    max_message_bytes: int = 4 << 20
    max_unsent_bytes: int = 1 << 20


Dial = Callable[[str, LineListener, LineSettings], Line]
"""Start a connection to an address (ws:// or wss://) in the background and return at once."""
