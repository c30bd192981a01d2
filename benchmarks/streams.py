"""What a ticker costs from the socket to the event, ours against pybit as it comes, in the same run.

    .venv/bin/python benchmarks/streams.py [--messages 20000] [--rounds 5] [--rate 1000]

A child process sends `tickers` deltas over a loopback WebSocket. Clients take turns in this process:

    pybit       `WebSocket.ticker_stream` unchanged, each message by `call_soon_threadsafe` to the loop, parsed there
    aiohttp     `StreamSet` on the plain installation's sockets
    picows      `StreamSet` on those of gridbot[fast], when that is installed

Each gets `--messages` at once (flood) and `--rate` a second (paced). Printed is the CPU time of this process per
message (all threads), the median of the rounds with its range, how many messages became events of
their own (the rest was overtaken by a newer one before the loop looked), and the ratio to pybit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing as mp
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from aiohttp import WSMsgType, web
from pybit.unified_trading import WebSocket

from gridbot.bybit.aiohttp_line import AiohttpLine
from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.line_choice import has_picows
from gridbot.bybit.parse_market import parse_ticker
from gridbot.bybit.socket_line import Dial
from gridbot.bybit.streams import StreamSet
from gridbot.core.events import TickerEvent
from gridbot.exchange.environment import Environment

SYMBOL = "BTCUSDT"
SNAPSHOT = {
    "symbol": SYMBOL,
    "tickDirection": "ZeroPlusTick",
    "price24hPcnt": "0.020857",
    "lastPrice": "60000.10",
    "prevPrice24h": "58000.00",
    "highPrice24h": "61000.00",
    "lowPrice24h": "57500.00",
    "prevPrice1h": "59800.00",
    "markPrice": "60000.20",
    "indexPrice": "60000.30",
    "openInterest": "51234.567",
    "openInterestValue": "3074079143.10",
    "turnover24h": "4234567890.1234",
    "volume24h": "71000.0000",
    "fundingIntervalHour": "8",
    "fundingCap": "0.005",
    "nextFundingTime": "1760025600000",
    "fundingRate": "0.0001",
    "bid1Price": "60000.10",
    "bid1Size": "9.05",
    "ask1Price": "60000.20",
    "ask1Size": "12.40",
    "preOpenPrice": "",
    "preQty": "",
    "curPreListingPhase": "",
}


def frame(number: int, kind: str = "delta") -> str:
    """A message of Bybit's shape and size (about 330 bytes); `ts` is the number."""
    data = (
        SNAPSHOT
        if kind == "snapshot"
        else {
            "symbol": SYMBOL,
            "lastPrice": f"{60000 + number % 97}.10",
            "markPrice": f"{60000 + number % 89}.20",
            "indexPrice": "60000.30",
            "openInterestValue": "3074079143.10",
            "turnover24h": "4234567890.1234",
            "bid1Price": "60000.10",
            "bid1Size": f"{number % 13}.05",
            "ask1Price": "60000.20",
            "ask1Size": "12.40",
        }
    )
    return json.dumps({"topic": f"tickers.{SYMBOL}", "type": kind, "data": data, "cs": number, "ts": number})


def serve(orders: Connection) -> None:
    """Child: says its port, then sends `(messages, rate)` to whoever has subscribed, each time it is asked."""
    asyncio.run(_serve(orders))


async def _serve(orders: Connection) -> None:
    sockets: list[web.WebSocketResponse] = []

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            asked = json.loads(message.data)
            answer = {"success": True, "ret_msg": "", "op": asked["op"], "conn_id": "c"}
            if asked["op"] == "subscribe":
                # pybit registers a subscription after sending it; an answer within a millisecond kills it.
                await asyncio.sleep(0.05)
                await socket.send_str(json.dumps(answer | {"req_id": asked["req_id"]}))
                if asked["args"][0].startswith("tickers"):
                    await socket.send_str(frame(0, "snapshot"))
                    sockets.append(socket)
            else:
                await socket.send_str(json.dumps(answer))
        return socket

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    loop = asyncio.get_running_loop()
    orders.send(runner.addresses[0][1])
    while (order := await loop.run_in_executor(None, orders.recv)) is not None:
        messages, rate = order
        started = time.perf_counter()
        for number in range(1, messages + 1):
            if rate:
                await asyncio.sleep(max(0.0, started + number / rate - time.perf_counter()))
            await sockets[-1].send_str(frame(number))


@dataclass
class Sink:
    """Counts events; `done` when the last number was seen."""

    last: int = 0
    events: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)
    seen: int = 0

    def take(self, event: TickerEvent) -> None:
        self.events += 1
        self.seen = event.exchange_ts
        if event.exchange_ts >= self.last > 0:
            self.done.set()


class Plain:
    """pybit as it comes."""

    name = "pybit"

    def __init__(self, url: str, loop: asyncio.AbstractEventLoop, sink: Sink) -> None:
        self._sink, self._loop, self._url = sink, loop, url

    async def start(self) -> None:
        url = self._url

        class Loopback(WebSocket):  # type: ignore[misc]
            def _connect(self, template: str) -> None:
                super()._connect(url + template[template.index("/v5/") :])

        def connect() -> None:
            self._socket = Loopback("linear", testnet=False)
            self._socket.ticker_stream(SYMBOL, self._callback())

        await asyncio.to_thread(connect)

    def _callback(self) -> Callable[[dict[str, Any]], None]:
        def parse(fields: dict[str, Any], ts: int, received_ns: int) -> None:
            self._sink.take(parse_ticker(fields, ts, received_ns))

        def callback(message: dict[str, Any]) -> None:
            # A copy, because pybit hands out its one live dictionary.
            self._loop.call_soon_threadsafe(parse, dict(message["data"]), message["ts"], time.monotonic_ns())

        return callback

    async def stop(self) -> None:
        await asyncio.to_thread(self._socket.exit)


class Ours:
    name = "aiohttp"
    dial: Dial = AiohttpLine

    def __init__(self, url: str, loop: asyncio.AbstractEventLoop, sink: Sink) -> None:
        self._sink = sink
        endpoints = endpoints_for(Environment.PAPER, url.replace("ws://", "http://"))
        self._streams = StreamSet(
            endpoints, Credentials("k", "s"), [SYMBOL], loop=loop, on_wake=self._wake, dial=type(self).dial
        )

    async def start(self) -> None:
        await self._streams.start()

    def _wake(self) -> None:
        for event in self._streams.drain().tickers:
            self._sink.take(event)

    async def stop(self) -> None:
        await self._streams.stop()


def ours() -> list[Any]:
    """One client for each library there is."""
    if not has_picows():
        return [Ours]
    from gridbot.bybit.picows_line import PicowsLine

    return [Ours, type("Fast", (Ours,), {"name": "picows", "dial": PicowsLine})]


async def measure(
    client_type: Callable[[str, asyncio.AbstractEventLoop, Sink], Any], url: str, orders: Connection, n: int, rate: int
) -> tuple[float, float, int]:
    """(CPU us per message, messages per second, events) of one client in one round."""
    sink = Sink()
    client = client_type(url, asyncio.get_running_loop(), sink)
    await client.start()
    while sink.events == 0:
        await asyncio.sleep(0.001)
    sink.events, sink.last = 0, n
    cpu, wall = time.process_time(), time.perf_counter()
    orders.send((n, rate))
    await asyncio.wait_for(sink.done.wait(), 120)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    await client.stop()
    return cpu / n * 1e6, n / wall, sink.events


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rate", type=int, default=1_000)
    options = parser.parse_args()
    context = mp.get_context("spawn")
    orders, theirs = context.Pipe()
    server = context.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    url = f"ws://127.0.0.1:{orders.recv()}"
    clients: list[Any] = [Plain, *ours()]
    print(f"{options.rounds} rounds, one message is {len(frame(1))} bytes, CPU of the client process per message")
    for title, n, rate in (
        ("flood", options.messages, 0),
        (f"{options.rate}/s", min(options.messages, 3 * options.rate), options.rate),
    ):
        results: dict[str, list[tuple[float, float, int]]] = {}
        for _ in range(options.rounds):
            for client in clients:
                results.setdefault(client.name, []).append(asyncio.run(measure(client, url, orders, n, rate)))
        base = statistics.median(cpu for cpu, _, _ in results["pybit"])
        for name, rows in results.items():
            cpu = statistics.median(row[0] for row in rows)
            speed = statistics.median(row[1] for row in rows)
            events = statistics.median(row[2] for row in rows)
            low, high = min(row[0] for row in rows), max(row[0] for row in rows)
            print(
                f"{title:>8}  {name:<10} {cpu:7.1f} us ({low:.1f}-{high:.1f})  {speed:8.0f} msg/s  "
                f"{events / n:6.1%} become events  {cpu / base:5.2f} of pybit"
            )
    orders.send(None)
    server.join(5)


if __name__ == "__main__":
    main()
