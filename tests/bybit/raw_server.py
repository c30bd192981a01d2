"""A server that says what it is told to, byte for byte, to a real `HttpPool`."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from gridbot.bybit.carrier import Answer, Carrier, CarrierError, Outgoing
from gridbot.bybit.http_pool import HttpPool

__all__ = ["GET", "ORDER", "Peer", "RawServer", "answer", "carried", "failure", "polite", "raw"]

GET = Outgoing("GET", "/v5/market/time", "", None)
ORDER = Outgoing("POST", "/v5/order/create", "X-BAPI-SIGN: s\r\n", b'{"qty":"1"}', is_order=True)


def answer(body: bytes = b"{}", *headers: str, start: str = "HTTP/1.1 200 OK") -> bytes:
    lines = [start, *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


@dataclass(eq=False)
class Peer:
    """One connection as the server sees it. `heard`: what came in, each item one reading of the socket."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heard: list[bytes] = field(default_factory=list)

    async def request(self) -> bytes:
        """The next request, whole, with its body; b"" at the end."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return b""
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0)
        whole = head + await self.reader.readexactly(length)
        self.heard.append(whole)
        return whole

    async def say(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()

    def close(self) -> None:
        self.writer.close()

    def cut(self) -> None:
        self.writer.transport.abort()


def carried(carrier: Carrier, outgoing: Outgoing, timeout_s: float) -> asyncio.Future[Answer]:
    """What became of a request; cancelling it changes nothing."""
    future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    told: list[object] = []

    def tell(outcome: Answer | CarrierError) -> None:
        told.append(outcome)
        assert len(told) == 1, "told twice"
        if future.done():
            return
        if isinstance(outcome, CarrierError):
            future.set_exception(outcome)
            future.exception()
        else:
            future.set_result(outcome)

    carrier.carry(outgoing, timeout_s, tell)
    return future


Script = Callable[[Peer], Awaitable[None]]


async def polite(peer: Peer) -> None:
    """Answer everything."""
    while await peer.request():
        await peer.say(answer())


@dataclass
class RawServer:
    """`script` speaks with each new connection. `peers` are all there were."""

    script: Script = polite
    peers: list[Peer] = field(default_factory=list)
    url: str = ""
    pool: HttpPool = None  # type: ignore[assignment]

    @property
    def requests(self) -> list[bytes]:
        return [request for peer in self.peers for request in peer.heard]

    async def ask(self, outgoing: Outgoing = GET, *, timeout_s: float = 5.0) -> Answer:
        return await self.begin(outgoing, timeout_s)

    def begin(self, outgoing: Outgoing = GET, timeout_s: float = 5.0) -> asyncio.Future[Answer]:
        return carried(self.pool, outgoing, timeout_s)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(len(self.peers), reader, writer)
        self.peers.append(peer)
        try:
            await self.script(peer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def raw(
    script: Script = polite, *, tls: ssl.SSLContext | None = None, most: int = 8, timeout_s: float = 5.0, **options: Any
) -> AsyncIterator[RawServer]:
    """A server on a free port, and a pool of connections to it."""
    exchange = RawServer(script, **options)
    server = await asyncio.start_server(exchange._accept, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    exchange.url = f"http{'s' if tls else ''}://127.0.0.1:{port}"
    exchange.pool = HttpPool(exchange.url, timeout_s=timeout_s, most=most)
    try:
        yield exchange
    finally:
        exchange.pool.close()
        server.close()
        for peer in exchange.peers:
            peer.cut()


async def failure(asked: Any) -> CarrierError:
    """Why a request has no answer."""
    with pytest.raises(CarrierError) as caught:
        await asked
    return caught.value
