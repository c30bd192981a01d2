"""What a stranger on this machine can throw at a running fleet: one attack a process, for some seconds.

python -m benchmarks.parts.flood_attacks NAME HOST PORT DATA_DIR SECONDS
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp

from supervisor.control.socket_protocol import kernel_path, socket_path

__all__ = ["ATTACKS"]

CONNECTIONS = 1000
PIPELINED = 8500
SOCKETS = 500
LINE = 3_900_000
BODY = 16_000_000


class Target:
    """Where the fleet is, and until when it is attacked. Each method of connecting may fail: then it is tried again."""

    def __init__(self, host: str, port: int, data_dir: Path, seconds: float) -> None:
        self.host, self.port, self.data_dir = host, port, data_dir
        self.until_s = time.monotonic() + seconds
        self.open: list[socket.socket] = []

    @property
    def goes_on(self) -> bool:
        return time.monotonic() < self.until_s

    def rest(self) -> None:
        """Hold what is open until the end."""
        while self.goes_on:
            time.sleep(0.05)

    def connected(self) -> socket.socket | None:
        """A connection to the exchange's port."""
        with contextlib.suppress(OSError):
            found = socket.create_connection((self.host, self.port), timeout=5)
            self.open.append(found)
            return found
        return None

    def head(self, verb: str = "GET", path: str = "/v5/order/realtime", more: str = "") -> bytes:
        return f"{verb} {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n{more}\r\n".encode()


def unsigned_requests(target: Target) -> None:
    """Unsigned GETs as fast as they are answered, on twenty connections and on new ones."""

    def ask() -> None:
        while target.goes_on:
            with contextlib.suppress(OSError), socket.create_connection((target.host, target.port), 5) as one:
                for _ in range(300):
                    one.sendall(target.head())
                    if not one.recv(1 << 16):
                        break

    asking = [threading.Thread(target=ask) for _ in range(20)]
    for each in asking:
        each.start()
    for each in asking:
        each.join()


def foreign_pages(target: Target) -> None:
    """Requests and upgrades of a web page of another site, and guesses at the control endpoint's token."""
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: QUJD\r\n"
    asked = (
        target.head(more="Origin: https://evil.example\r\n"),
        target.head(path="/v5/private", more=f"Origin: https://evil.example\r\n{upgrade}"),
        target.head("POST", "/paper/control", "Content-Type: application/json\r\nContent-Length: 0\r\n"),
        f"GET / HTTP/1.1\r\nHost: evil.example:{target.port}\r\n\r\n".encode(),
    )
    while target.goes_on:
        for each in asked:
            with contextlib.suppress(OSError), socket.create_connection((target.host, target.port), 5) as one:
                one.sendall(each)
                one.recv(1 << 16)


def unread_answers(target: Target) -> None:
    """8,500 requests in one go on twenty connections, of which no answer is read."""

    def send(one: socket.socket) -> None:
        data = memoryview(target.head(path="/v5/market/instruments-info?category=linear") * PIPELINED)
        one.settimeout(0.5)
        while data and target.goes_on:
            with contextlib.suppress(TimeoutError):
                data = data[one.send(data) :]

    def run() -> None:
        while target.goes_on:
            if one := target.connected():
                with contextlib.suppress(OSError):
                    send(one)
                    target.rest()

    sending = [threading.Thread(target=run) for _ in range(20)]
    for each in sending:
        each.start()
    for each in sending:
        each.join()


def half_requests(target: Target) -> None:
    """A thousand connections with half a request, which are opened again when they are cut."""
    while target.goes_on:
        for _ in range(CONNECTIONS):
            if not target.goes_on:
                break
            if one := target.connected():
                with contextlib.suppress(OSError):
                    one.sendall(target.head()[:-2] + b"X: " + b"x" * 4000)
        time.sleep(1)
        for each in target.open[:CONNECTIONS]:
            each.close()
        del target.open[:CONNECTIONS]


def large_bodies(target: Target) -> None:
    """Bodies of 16 MB, packed ones, and JSON a million levels deep."""
    bomb = gzip.compress(b"x" * (64 << 20))
    bodies = ((b"[" * BODY, ""), (bomb, "Content-Encoding: gzip\r\n"), (b'{"a":' * 200_000, ""))
    while target.goes_on:
        for body, more in bodies:
            with contextlib.suppress(OSError), socket.create_connection((target.host, target.port), 5) as one:
                head = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{more}"
                one.sendall(target.head("POST", "/v5/order/create", head) + body)
                one.recv(1 << 16)


def listening_sockets(target: Target) -> None:
    """500 WebSockets that subscribe to public topics, and open again whatever is closed."""
    asyncio.run(_listen(target, ["tickers.BTCUSDT"], SOCKETS, reads=True))


def unread_sockets(target: Target) -> None:
    """200 WebSockets that subscribe to everything and read nothing."""
    topics = [f"{name}.{symbol}" for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT", "LTCUSDT")
              for name in ("tickers", "publicTrade", "orderbook.1000", "orderbook.200", "kline.1")]  # fmt: skip
    asyncio.run(_listen(target, topics, 200, reads=False))


def socket_messages(target: Target) -> None:
    """Messages of a megabyte on fifty WebSockets: deep JSON, thousands of topics, long ids."""
    topics = [f"tickers.{number:0290d}" for number in range(3000)]
    texts = ("[" * 1_000_000, json.dumps({"op": "subscribe", "args": topics}), json.dumps({"op": "x" * 900_000}))
    asyncio.run(_listen(target, ["tickers.BTCUSDT"], 50, reads=True, texts=texts))


async def _listen(target: Target, topics: list[str], count: int, *, reads: bool, texts: tuple[str, ...] = ()) -> None:
    url = f"ws://{target.host}:{target.port}/v5/public/linear"

    async def one(session: aiohttp.ClientSession) -> None:
        while target.goes_on:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                async with session.ws_connect(url, max_msg_size=0) as socket:
                    await socket.send_json({"op": "subscribe", "args": topics})
                    while target.goes_on and not socket.closed:
                        for text in texts:
                            await socket.send_str(text)
                        if reads:
                            with contextlib.suppress(TimeoutError):
                                await socket.receive(timeout=1)
                        else:
                            await asyncio.sleep(1)
            await asyncio.sleep(0.5)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        everyone = [asyncio.ensure_future(one(session)) for _ in range(count)]
        await asyncio.sleep(max(0.0, target.until_s - time.monotonic()))
        for each in everyone:
            each.cancel()
        await asyncio.gather(*everyone, return_exceptions=True)


def control_connections(target: Target) -> None:
    """A thousand connections to the control socket, with 3.9 MB each of a line that does not end."""

    def hold(count: int) -> None:
        held: list[socket.socket] = []
        while target.goes_on:
            with contextlib.suppress(OSError), kernel_path(socket_path(target.data_dir)) as path:
                one = socket.socket(socket.AF_UNIX)
                held.append(one)
                one.settimeout(0.5)
                one.connect(path)
                one.sendall(b"x" * LINE)
            if len(held) >= count:
                time.sleep(0.5)
                for each in held:
                    each.close()
                held.clear()

    holding = [threading.Thread(target=hold, args=(CONNECTIONS // 10,)) for _ in range(10)]
    for each in holding:
        each.start()
    for each in holding:
        each.join()


def control_requests(target: Target) -> None:
    """Status as fast as it is answered, and garbage, on forty connections to the control socket."""

    def ask() -> None:
        while target.goes_on:
            with (
                contextlib.suppress(OSError),
                kernel_path(socket_path(target.data_dir)) as path,
                socket.socket(socket.AF_UNIX) as one,
            ):
                one.settimeout(5)
                one.connect(path)
                for line in (b'{"op":"status"}\n', b'{"op":\n', b"[" * 5000 + b"\n", b'{"op":"worker"}\n') * 20:
                    one.sendall(line)
                    one.recv(1 << 20)

    asking = [threading.Thread(target=ask) for _ in range(40)]
    for each in asking:
        each.start()
    for each in asking:
        each.join()


ATTACKS: dict[str, Callable[[Target], None]] = {
    "nothing": Target.rest,
    "unsigned requests": unsigned_requests,
    "foreign pages": foreign_pages,
    "unread answers": unread_answers,
    "half requests": half_requests,
    "large bodies": large_bodies,
    "listening sockets": listening_sockets,
    "unread sockets": unread_sockets,
    "socket messages": socket_messages,
    "control connections": control_connections,
    "control requests": control_requests,
}


if __name__ == "__main__":
    name, host, port, data_dir, seconds = sys.argv[1:]
    ATTACKS[name](Target(host, int(port), Path(data_dir), float(seconds)))
    os._exit(0)  # whatever is still open, or waits, ends with it
