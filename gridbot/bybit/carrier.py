"""What carries requests and brings answers, beneath pybit: pybit builds an `Outgoing` and reads an `Answer`.

The real one is `HttpPool`; the simulator has one of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from gridbot.doors.bounded_json import JsonMistake, read_json

__all__ = [
    "ORDER_ENDPOINTS",
    "Answer",
    "Broken",
    "Carrier",
    "CarrierError",
    "NoAnswer",
    "NotSent",
    "Outgoing",
    "Tell",
    "Unusable",
]

ORDER_ENDPOINTS = frozenset({"order/create", "order/create-batch", "order/cancel", "order/cancel-batch"})


class Outgoing(NamedTuple):
    """A request as it will leave; `target` is path and query, `headers` whole lines (`Name: value`, CR, LF).

    One for an order does not wait for others.
    """

    method: str
    target: str
    headers: str
    body: bytes | None
    is_order: bool = False

    def named_headers(self) -> dict[str, str]:
        """The headers by their names."""
        return dict(line.split(": ", 1) for line in self.headers.split("\r\n") if line)


class Answer(NamedTuple):
    """What came back. `headers`: those that somebody reads, their names in lower case. The names are pybit's."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")

    def json(self) -> Any:
        """Raises json.JSONDecodeError."""
        try:
            return read_json(self.content)
        except JsonMistake as mistake:
            raise json.JSONDecodeError(str(mistake), "", 0) from None


class CarrierError(Exception):
    """There is no answer; the text says why, in words that hold nothing of the request.

    `has_left`: a byte of the request may have reached the exchange.
    """

    has_left = True


class NotSent(CarrierError):
    """No byte of the request has left."""

    has_left = False


class NoAnswer(CarrierError):
    """Not in time."""


class Broken(CarrierError):
    """The connection ended before the answer was whole."""


class Unusable(CarrierError):
    """What came is no HTTP, or more than anybody waits for."""


Tell = Callable[[Answer | CarrierError], None]


class Carrier(Protocol):
    """Call on one loop."""

    def carry(self, outgoing: Outgoing, timeout_s: float, tell: Tell) -> None:
        """Send a request. It has left when this returns, or waits for the first connection that is free or made.

        `timeout_s` for the connection and for each wait for bytes. `tell` is called once, on the loop, with what became
        of it; perhaps before this returns. (A future would cost a turn of the loop.) Raises ValueError for what is no
        request.
        """
        ...

    def close(self) -> None:
        """Send no more; what is under way may end within two seconds."""
        ...
