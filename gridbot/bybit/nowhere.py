"""An exchange that is nowhere: it accepts every order at once, and neither bytes nor names leave this process.

Parsers, connections, pybit and signing are the real ones. Each connection is a pair of sockets of which both ends are
here, and no address is ever asked for. For rehearsals (`gridbot/worker/rehearsal.py`).
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Callable
from typing import Any, Final, cast

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

    Its gateway answers each request within two turns of the loop.
    """

    def __init__(self, symbol: str, on_wake: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self._desk = _Desk()
        pool = HttpPool(_ADDRESS, timeout_s=TIMEOUT_S, most=2, dialler=_InnerDialler(self._desk))
        self._calls = Calls(
            _ENDPOINTS, _KEYS, transport=lambda *args, **options: RestTransport(*args, carrier=pool, **options)
        )
        self.gateway = BybitOrderGateway(self._calls)
        self._listeners: list[LineListener] = []
        self.streams = StreamSet(_ENDPOINTS, _KEYS, [symbol], loop=loop, on_wake=on_wake, dial=self._dial)
        self.streams.connect()
        self._symbol = symbol

    @property
    def heard(self) -> int:
        """How many requests have ended here."""
        return self._desk.heard

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


class _InnerDialler(Dialler):
    """Makes connections whose other end is in this process."""

    def __init__(self, desk: _Desk) -> None:
        super().__init__(_ADDRESS)
        self._desk = desk

    async def dial(self, make: Callable[[], P]) -> P:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        await loop.create_connection(lambda: _Answerer(self._desk), sock=theirs)
        _, protocol = await loop.create_connection(make, sock=ours)
        return protocol


class _Desk:
    """What all answers share."""

    def __init__(self) -> None:
        self.heard = 0
        """Requests so far."""
        self.ids = itertools.count(1)


class _Answerer(asyncio.Protocol):
    """The other end: it accepts whatever it hears. A request comes in one piece, as it is written in one."""

    def __init__(self, desk: _Desk) -> None:
        self._desk = desk

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        desk = self._desk
        desk.heard += 1
        acks = [{"orderId": f"rehearsed-{next(desk.ids)}"} for _ in range(data.count(b'"orderLinkId"'))]
        is_batch = data.startswith(b"POST /v5/order/create-batch")
        result = {"list": acks} if is_batch else acks[0]
        extra = {"list": [{"code": 0, "msg": "OK"} for _ in acks]} if is_batch else {}
        body = orjson.dumps({"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": extra, "time": 1})
        self._transport.write(f"{_HEAD}{len(body)}\r\n\r\n".encode() + body)
