"""What one request and its answer cost: our connections beside urllib3 (what they replaced) and bare asyncio.

    bin/bench round_trips [--blocks N] [--loop uvloop] [--json]

Each lane sends the same small POST to a server in another process and waits for its answer, over plain TCP and over
TLS, in blocks that alternate. `wall` is the time of a round trip, `cpu` that of the sending process alone: µs, median
and tenth percentile of the blocks. `signed` lanes have pybit build the request and read the answer; the others send
bytes that are there already.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from benchmarks.parts.latency_tls import Authority, server_context, trust
from gridbot.bybit.carrier import Answer, CarrierError, Outgoing
from gridbot.bybit.clocks import ExchangeClock
from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.http_pool import HttpPool
from gridbot.bybit.pybit_client import PybitClient
from gridbot.bybit.session import RestTransport
from gridbot.exchange.environment import Environment

TRIPS = 200
"""Of a block."""
BODY = (
    b'{"retCode":0,"retMsg":"OK","result":{"orderId":"1321003749386327552","orderLinkId":"g1-long-b-17-4"},'
    b'"retExtInfo":{},"time":1672211918471}'
)
HEAD = (
    "HTTP/1.1 200 OK",
    "Content-Type: application/json; charset=utf-8",
    "Connection: keep-alive",
    "Server: Openresty",
    "Ret_code: 0",
    "Traceid: 0123456789abcdef",
    "Timenow: 1672211918471",
    "X-Bapi-Limit: 20",
    "X-Bapi-Limit-Status: 19",
    "X-Bapi-Limit-Reset-Timestamp: 1672211918470",
    "X-Cache: Miss from cloudfront",
    f"Content-Length: {len(BODY)}",
)
SAID = "\r\n".join([*HEAD, "", ""]).encode() + BODY
ORDER: dict[str, Any] = {
    "category": "linear",
    "symbol": "BTCUSDT",
    "side": "Buy",
    "orderType": "Limit",
    "qty": "0.01",
    "price": "60000.10",
    "timeInForce": "PostOnly",
    "positionIdx": 1,
    "orderLinkId": "g1-long-b-17-4",
    "reduceOnly": False,
}
KEYS = Credentials("BENCHMARKKEY123456", "benchmark-secret-of-usual-length-36x")
Trip = Callable[[], Awaitable[object]]


class _Server(asyncio.Protocol):
    """Says the same to every request, in one write."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            at = self.buffer.lower().find(b"content-length:", 0, end)
            length = int(self.buffer[at + 15 : self.buffer.index(b"\r\n", at)]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            self.buffer = self.buffer[end + 4 + length :]
            self.transport.write(SAID)


def serve(authority: Authority, told: Connection) -> None:
    """Entry of the server's process: tells its two ports, plain and TLS."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        context = server_context(authority)
        servers = [await loop.create_server(_Server, "127.0.0.1", 0, ssl=each) for each in (None, context)]
        told.send([server.sockets[0].getsockname()[1] for server in servers])
        await loop.run_in_executor(None, told.recv)

    asyncio.run(main())


class _Raw(asyncio.Protocol):
    """The floor: fixed bytes out, as many bytes back."""

    waiter: asyncio.Future[None]
    left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def ask(self, data: bytes) -> asyncio.Future[None]:
        self.left = len(SAID)
        self.waiter = asyncio.get_running_loop().create_future()
        self.transport.write(data)
        return self.waiter

    def data_received(self, data: bytes) -> None:
        self.left -= len(data)
        if self.left == 0:
            self.waiter.set_result(None)


class _OneWrite(HTTPConnection):
    """As gridbot used urllib3: head and body in one write."""

    _held: list[bytes] | None = None

    def request(self, *args: Any, **options: Any) -> None:
        self._held = []
        super().request(*args, **options)
        whole, self._held = b"".join(self._held), None
        self.send(whole)

    def send(self, data: Any) -> None:
        if self._held is None:
            super().send(data)
        else:
            self._held.append(data)


class _OneTlsWrite(_OneWrite, HTTPSConnection):
    pass


class _Plain(urllib3.HTTPConnectionPool):
    ConnectionCls = _OneWrite


class _Tls(urllib3.HTTPSConnectionPool):
    ConnectionCls = _OneTlsWrite


async def _lanes(port: int, *, is_tls: bool) -> dict[str, Trip]:
    url = f"http{'s' if is_tls else ''}://127.0.0.1:{port}"
    pybit = PybitClient(KEYS, ExchangeClock(), recv_window=5000)
    built = pybit.build("order/create", dict(ORDER))
    assert isinstance(built, Outgoing)
    fixed: Outgoing = built
    context = ssl.create_default_context(cafile=certifi.where()) if is_tls else None
    _, raw = await asyncio.get_running_loop().create_connection(_Raw, "127.0.0.1", port, ssl=context)
    pool = HttpPool(url, timeout_s=10, most=8)
    data = pool._bytes_of(fixed)
    rest = RestTransport(endpoints_for(Environment.PAPER, url), KEYS, pool_size=4, timeout=10, recv_window=5000)
    old: urllib3.HTTPConnectionPool = (
        _Tls("127.0.0.1", port, maxsize=1, ca_certs=certifi.where()) if is_tls else _Plain("127.0.0.1", port, maxsize=1)
    )

    def ask_old(outgoing: Outgoing) -> Answer:
        answer = old.urlopen(
            "POST", outgoing.target, body=outgoing.body, headers=outgoing.named_headers(), retries=False, redirect=False
        )
        return Answer(answer.status, {}, answer.data)

    async def urllib3_lane() -> object:
        return ask_old(fixed)

    async def signed_urllib3() -> object:
        outgoing = pybit.build("order/create", dict(ORDER))
        assert isinstance(outgoing, Outgoing)
        return pybit.read(ask_old(outgoing))

    return {
        "bare asyncio": lambda: raw.ask(data),
        "HttpPool": lambda: _carried(pool, fixed),
        "urllib3": urllib3_lane,
        "signed, gridbot": lambda: rest.call("order/create", ORDER),
        "signed, urllib3": signed_urllib3,
    }


def _carried(pool: HttpPool, outgoing: Outgoing) -> asyncio.Future[Answer | CarrierError]:
    future: asyncio.Future[Answer | CarrierError] = asyncio.get_running_loop().create_future()
    pool.carry(outgoing, 10.0, future.set_result)
    return future


async def _measure(ports: list[int], blocks: int) -> dict[str, dict[str, list[float]]]:
    lanes = {
        f"{word} {name}": trip
        for port, word in zip(ports, ("plain", "TLS"), strict=True)
        for name, trip in (await _lanes(port, is_tls=word == "TLS")).items()
    }
    found: dict[str, dict[str, list[float]]] = {name: {"wall": [], "cpu": []} for name in lanes}
    for block in range(-2, blocks):  # the first two only warm up
        for name, trip in lanes.items():
            wall_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
            for _ in range(TRIPS):
                await trip()
            if block >= 0:
                found[name]["cpu"].append((time.process_time_ns() - cpu_ns) / TRIPS / 1000)
                found[name]["wall"].append((time.perf_counter_ns() - wall_ns) / TRIPS / 1000)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=25)
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    here, there = multiprocessing.Pipe()
    with tempfile.TemporaryDirectory() as directory:
        authority = Authority.make(Path(directory))
        trust(authority.certificate)
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(authority, there), daemon=True)
        server.start()
        ports = here.recv()
        if options.loop == "uvloop":
            import uvloop

            found = uvloop.run(_measure(ports, options.blocks))
        else:
            found = asyncio.run(_measure(ports, options.blocks))
        here.send("end")
        server.join(10)
    rows = {
        name: {
            f"{kind}_{word}": round(value, 1)
            for kind, values in figures.items()
            for word, value in (("p50", statistics.median(values)), ("p10", sorted(values)[len(values) // 10]))
        }
        for name, figures in found.items()
    }
    if options.json:
        print(json.dumps({"load": os.getloadavg()[0], "loop": options.loop, "lanes": rows}))
        return 0
    print(f"µs per round trip, {options.loop}, {options.blocks} blocks of {TRIPS}, load {os.getloadavg()[0]:.1f}")
    print(f"{'lane':<24} {'wall p50':>9} {'p10':>7} {'cpu p50':>9} {'p10':>7}")
    for name, row in rows.items():
        print(f"{name:<24} {row['wall_p50']:>9} {row['wall_p10']:>7} {row['cpu_p50']:>9} {row['cpu_p10']:>7}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
