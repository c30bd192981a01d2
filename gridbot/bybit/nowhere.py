"""An exchange that is nowhere: it accepts every order at once, and neither bytes nor names leave this process.

Parsers, connections, pybit and signing are the real ones. What they write ends here: there is no socket that leads
anywhere. For rehearsals (`gridbot/worker/rehearsal.py`).
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Callable
from typing import Any, Final

import orjson

from gridbot.bybit.calls import Calls
from gridbot.bybit.dialling import Dialler, P
from gridbot.bybit.endpoints import Credentials, Endpoints
from gridbot.bybit.http_pool import HttpPool
from gridbot.bybit.order_gateway import BybitOrderGateway
from gridbot.bybit.session import RestTransport
from gridbot.bybit.socket_line import LineListener, LineSettings
from gridbot.bybit.streams import StreamSet

__all__ = ["Nowhere"]

TIMEOUT_S: Final = 10.0
_KEYS: Final = Credentials("key-of-no-account", "secret-of-no-account")
_ADDRESS: Final = "http://nowhere.invalid"
"""A name that no resolver knows (RFC 6761), and that nobody asks for."""
_ENDPOINTS: Final = Endpoints(_ADDRESS, _ADDRESS, _ADDRESS, "")
_HEAD: Final = (
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Bapi-Limit: 1000000\r\nX-Bapi-Limit-Status: 1000000\r\n"
    "X-Bapi-Limit-Reset-Timestamp: 1700000000000\r\nContent-Length: "
)


class Nowhere:
    """One account's connections to it. `close` when it is not wanted any more.

    Its gateway answers each request before the next turn of the loop is over.
    """

    def __init__(self, symbol: str, on_wake: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self._wires: list[_Wire] = []
        pool = HttpPool(_ADDRESS, timeout_s=TIMEOUT_S, most=2, dialler=_NoDialler(self._wires))
        self._calls = Calls(
            _ENDPOINTS, _KEYS, transport=lambda *args, **options: RestTransport(*args, carrier=pool, **options)
        )
        self.gateway = BybitOrderGateway(self._calls)
        self._listeners: list[LineListener] = []
        self.streams = StreamSet(_ENDPOINTS, _KEYS, [symbol], loop=loop, on_wake=on_wake, dial=self._dial)
        self.streams.connect()
        self._symbol = symbol

    @property
    def sent(self) -> int:
        """How many requests were written and dropped."""
        return sum(wire.sent for wire in self._wires)

    def tell_ticker(self, data: dict[str, str], sent_ms: int, now_ns: int) -> None:
        """A frame of the public stream, read as one that has just come."""
        frame = {"topic": f"tickers.{self._symbol}", "type": "snapshot", "data": data, "ts": sent_ms}
        self._listeners[0].on_message(orjson.dumps(frame), now_ns)

    def tell_orders(self, rows: list[dict[str, Any]], sent_ms: int, now_ns: int) -> None:
        """A frame of the private stream about orders."""
        frame = {"topic": "order", "id": "rehearsed", "creationTime": sent_ms, "data": rows}
        self._listeners[1].on_message(orjson.dumps(frame), now_ns)

    def close(self) -> None:
        """What is under way is answered all the same. Harmless when called twice."""
        self._calls.close()

    def _dial(self, url: str, listener: LineListener, settings: LineSettings) -> _Mute:
        self._listeners.append(listener)  # the public one first
        return _Mute()


class _Mute:
    """A `Line` that says nothing."""

    is_open, has_more, is_over = True, False, True

    def send(self, text: str) -> None:
        """Nobody hears it."""

    def leave(self) -> None:
        """It is over already."""

    def abandon(self) -> None:
        """It is over already."""


class _NoDialler(Dialler):
    """Makes connections that lead nowhere."""

    def __init__(self, wires: list[_Wire]) -> None:
        super().__init__(_ADDRESS)
        self._wires = wires

    async def dial(self, make: Callable[[], P]) -> P:
        protocol = make()
        wire = _Wire(protocol)
        self._wires.append(wire)
        protocol.connection_made(wire)
        return protocol


class _Wire(asyncio.Transport):
    """Drops what is written, and answers it. Its socket is one end of a pair whose other end is here, too."""

    _ids = itertools.count(1)

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._ends = socket.socketpair()
        self.sent = 0
        self._is_closing = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._ends[0] if name == "socket" else default

    def write(self, data: Any) -> None:
        self.sent += 1
        self._loop.call_soon(self._answer, bytes(data))

    def is_closing(self) -> bool:
        return self._is_closing

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._loop.call_soon(self._end)

    def abort(self) -> None:
        self.close()

    def _end(self) -> None:
        for end in self._ends:
            end.close()
        self._protocol.connection_lost(None)

    def _answer(self, request: bytes) -> None:
        if self._is_closing:
            return
        acks = [{"orderId": f"rehearsed-{next(self._ids)}"} for _ in range(request.count(b'"orderLinkId"'))]
        is_batch = request.startswith(b"POST /v5/order/create-batch")
        result = {"list": acks} if is_batch else acks[0]
        extra = {"list": [{"code": 0, "msg": "OK"} for _ in acks]} if is_batch else {}
        body = orjson.dumps({"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": extra, "time": 1})
        self._protocol.data_received(f"{_HEAD}{len(body)}\r\n\r\n".encode() + body)
