"""A WebSocket server on a free port that does what its script says, byte by byte: what no proper library would send."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

from gridbot.bybit.line_base import LineBase
from gridbot.bybit.socket_line import LineSettings
from gridbot.exchange.failures import ExchangeError

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, MORE, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


def frame(opcode: int, payload: bytes, *, fin: bool = True, rsv: int = 0) -> bytes:
    """A frame as a server sends it."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    if len(payload) < 126:
        return bytes((first, len(payload))) + payload
    if len(payload) < 65536:
        return bytes((first, 126)) + struct.pack(">H", len(payload)) + payload
    return bytes((first, 127)) + struct.pack(">Q", len(payload)) + payload


@dataclass
class Call:
    """One connection, at the server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: bytes = b""

    def accept(self, *more: bytes) -> None:
        """Answer the upgrade; `more` header lines."""
        key = next(
            line.split(b":", 1)[1].strip()
            for line in self.head.split(b"\r\n")
            if line.lower().startswith(b"sec-websocket-key:")
        )
        proof = base64.b64encode(hashlib.sha1(key + GUID).digest())
        lines = (
            b"HTTP/1.1 101 Switching Protocols",
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Accept: " + proof,
            *more,
        )
        self.writer.write(b"\r\n".join(lines) + b"\r\n\r\n")

    async def read_frame(self) -> tuple[int, bytes]:
        """(opcode, payload) of a frame of the client."""
        first, second = await self.reader.readexactly(2)
        assert second & 0x80, "a client masks"
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", await self.reader.readexactly(8))
        mask = await self.reader.readexactly(4)
        body = await self.reader.readexactly(size)
        unmasked = int.from_bytes(body) ^ int.from_bytes((mask * (size // 4 + 1))[:size])
        return first & 0xF, unmasked.to_bytes(size)


Script = Callable[[Call], Awaitable[None]]


class RawPeer:
    """`script` gets each connection once the head of its request is there; what it raises fails the test."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None, *, reads_head: bool = True) -> None:
        self._script, self._tls, self._reads_head = script, tls, reads_head
        self.calls: list[Call] = []
        self.failures: list[BaseException] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls, limit=1 << 24)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'wss' if self._tls else 'ws'}://127.0.0.1:{port}/v5/public/linear"
        return self

    async def __aexit__(self, *_: object) -> None:
        for call in self.calls:
            call.writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._server.close()
        assert self.failures == []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.append(task)
        call = Call(reader, writer)
        self.calls.append(call)
        try:
            if self._reads_head:
                call.head = await reader.readuntil(b"\r\n\r\n")
            await self._script(call)
        except (asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
            return
        except BaseException as error:  # noqa: BLE001 - told to the test
            self.failures.append(error)


@dataclass
class Hearer:
    """A `LineListener` that notes everything."""

    opens: int = 0
    messages: list[bytes] = field(default_factory=list)
    pongs: int = 0
    ends: list[ExchangeError] = field(default_factory=list)
    on_each: Callable[[bytes], None] = lambda data: None
    line: Any = None
    on_opened: Callable[[LineBase], None] = lambda line: None

    def on_open(self) -> None:
        self.opens += 1
        self.on_opened(self.line)

    def on_message(self, data: bytes, received_ns: int) -> None:
        assert received_ns > 0
        assert self.opens == 1
        assert self.ends == []
        self.messages.append(data)
        self.on_each(data)

    def on_pong(self) -> None:
        self.pongs += 1

    def on_end(self, error: ExchangeError) -> None:
        self.ends.append(error)

    @property
    def error(self) -> ExchangeError:
        assert len(self.ends) == 1
        return self.ends[0]


QUICK = LineSettings(connect_s=5, goodbye_s=0.3, max_message_bytes=100_000, max_unsent_bytes=200_000)


def dial(make: Callable[..., LineBase], url: str, settings: LineSettings = QUICK, **of_hearer: Any) -> Hearer:
    """A line to `url`, by what hears of it."""
    hearer = Hearer(**of_hearer)
    hearer.line = make(url, hearer, settings)
    return hearer
