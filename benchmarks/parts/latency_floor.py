"""The floor of `benchmarks/latency.py`: what a frame and a request cost at least, from Python.

The WebSocket is picows's, or the few lines below. The request is written by hand and signed; of the answer nothing is
read but that it came.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import importlib.util
import os
import ssl
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from benchmarks.parts.latency_subjects import Subject

__all__ = ["open_floor"]

PATH = "/v5/public/linear"
Left = Callable[[str, int], None]
Answered = Callable[[], None]


class Order:
    """Signs and writes a create-order request."""

    def __init__(self, subject: Subject, price: str, host: str) -> None:
        account = subject.account
        self._key, self._secret, self._host = account.api_key, account.api_secret.encode(), host
        self._body = (
            f'{{"category":"linear","symbol":"{subject.symbol}","side":"Buy","orderType":"Limit","qty":"{subject.qty}",'
            f'"price":"{price}","timeInForce":"PostOnly","positionIdx":0,"orderLinkId":"%s"}}'
        )

    def request(self, link_id: str) -> bytes:
        body, now_ms = self._body % link_id, str(time.time_ns() // 1_000_000)
        text = f"{now_ms}{self._key}5000{body}"
        signature = hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()
        return (
            f"POST /v5/order/create HTTP/1.1\r\nHost: {self._host}\r\nX-BAPI-API-KEY: {self._key}\r\n"
            f"X-BAPI-TIMESTAMP: {now_ms}\r\nX-BAPI-RECV-WINDOW: 5000\r\nX-BAPI-SIGN: {signature}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()


class Answers(asyncio.Protocol):
    """The HTTP connection: an answer is a few hundred bytes, and comes in one piece."""

    def __init__(self, answered: Answered) -> None:
        self._answered = answered

    def data_received(self, data: bytes) -> None:
        if not data.startswith(b"HTTP/1.1 200") or b'"retCode":0' not in data:
            raise RuntimeError(f"expected an accepted order, got {data!r}")
        self._answered()


class Ears:
    """Answers each ticker but the first, which is the snapshot."""

    def __init__(
        self, subject: Subject, order: Order, http: asyncio.WriteTransport, left: Left, seen: Answered
    ) -> None:
        self._topic = f'"tickers.{subject.symbol}"'.encode()
        self._order, self._http, self._left, self._seen = order, http, left, seen
        self._count = -1

    def on_text(self, data: bytes, received_ns: int) -> None:
        if self._topic not in data[:80] or b'"type"' not in data:
            return
        self._count += 1
        if not self._count:
            self._seen()
            return
        link_id = f"floor-{self._count}"
        self._http.write(self._order.request(link_id))
        self._left(link_id, received_ns)


async def open_floor(
    subject: Subject, url: str, price: str, context: ssl.SSLContext | None, left: Left, answered: Answered
) -> None:
    """Connect both; afterwards everything happens in callbacks. `left` hears of each request, `answered` of answers."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    loop = asyncio.get_running_loop()
    http, _ = await loop.create_connection(lambda: Answers(answered), parts.hostname, parts.port, ssl=context)
    ears = Ears(subject, Order(subject, price, parts.netloc), http, left, answered)
    subscribe = f'{{"op":"subscribe","args":["tickers.{subject.symbol}"]}}'.encode()
    if subject.picows and importlib.util.find_spec("picows") is not None:
        await _open_picows(url.replace("http", "ws", 1) + PATH, ears, context, subscribe)
    else:
        ready = loop.create_future()
        await loop.create_connection(
            lambda: SmallSocket(parts.netloc, ears, subscribe, ready), parts.hostname, parts.port, ssl=context
        )
        await ready


async def _open_picows(url: str, ears: Ears, context: ssl.SSLContext | None, subscribe: bytes) -> None:
    from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

    class Listener(WSListener):
        def on_ws_connected(self, transport: WSTransport) -> None:
            transport.send(WSMsgType.TEXT, subscribe)

        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type is WSMsgType.TEXT:
                ears.on_text(frame.get_payload_as_bytes(), time.monotonic_ns())
            elif frame.msg_type is WSMsgType.PING:
                transport.send_pong(frame.get_payload_as_bytes())

    await ws_connect(Listener, url, ssl_context=context)


class SmallSocket(asyncio.Protocol):
    """A client's WebSocket in as few lines as will do: whole text frames of any length, and answers to pings."""

    def __init__(self, host: str, ears: Ears, subscribe: bytes, ready: asyncio.Future[None]) -> None:
        self._host, self._ears, self._subscribe, self._ready = host, ears, subscribe, ready
        self._held = bytearray()
        self._is_open = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET {PATH} HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        received_ns = time.monotonic_ns()
        held = self._held
        held += data
        if not self._is_open:
            end = held.find(b"\r\n\r\n")
            if end < 0:
                return
            if not held.startswith(b"HTTP/1.1 101"):
                self._ready.set_exception(RuntimeError(f"expected an upgrade, got {bytes(held)!r}"))
                return
            del held[: end + 4]
            self._is_open = True
            self._send(1, self._subscribe)
            self._ready.set_result(None)
        while (frame := self._next_frame()) is not None:
            kind, payload = frame
            if kind == 1:
                self._ears.on_text(payload, received_ns)
            elif kind == 9:
                self._send(10, payload)

    def _next_frame(self) -> tuple[int, bytes] | None:
        held = self._held
        if len(held) < 2:
            return None
        start, size = 2, held[1] & 127
        if size > 125:
            start = 4 if size == 126 else 10
            size = int.from_bytes(held[2:start], "big")
        if len(held) < start + size:
            return None
        kind, payload = held[0] & 15, bytes(held[start : start + size])
        del held[: start + size]
        return kind, payload

    def _send(self, kind: int, payload: bytes) -> None:
        assert self._transport is not None
        assert len(payload) < 126
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        self._transport.write(bytes((128 | kind, 128 | len(payload))) + mask + masked)
