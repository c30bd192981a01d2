"""What a ticker that changes nothing costs, from the socket to the strategy's answer that there is nothing to do.

    .venv/bin/python benchmarks/quiet_ticker.py [--tickers 3000] [--rounds 5]

Streams, router, engine and journal are a worker's own, with all its orders resting; the exchange is in this process.
Frames of 330 bytes come one by one over loopback, each when the one before was answered. Measured is the time from the
moment a frame lies in the socket to the answer, one turn of the loop included. Nothing of it is waiting, so it is CPU.
The libraries take turns; printed are µs of all rounds: p10, median, and the median of what comes after the streams.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from benchmarks.parts.path_bench import CENTRE, SYMBOL, PathBench
from gridbot.bybit.aiohttp_line import AiohttpLine
from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.line_choice import has_picows
from gridbot.bybit.socket_line import Dial
from gridbot.bybit.streams import StreamSet
from gridbot.exchange.environment import Environment
from tests.bybit.raw_peer import TEXT, Call, RawPeer, frame

LEVELS = 20
FIRST_MS = 1_700_000_000_000
Cost = tuple[float, float]


def ticker(number: int, kind: str = "delta") -> bytes:
    """A frame of Bybit's shape and size; the last price does not move."""
    data: dict[str, Any] = {
        "symbol": SYMBOL,
        "lastPrice": str(CENTRE),
        "markPrice": str(CENTRE + Decimal(number % 89) / 100),
        "indexPrice": f"{CENTRE}.30",
        "openInterestValue": "3074079143.10",
        "turnover24h": "4234567890.1234",
        "bid1Price": f"{CENTRE - 1}.90",
        "bid1Size": f"{number % 13}.05",
        "ask1Price": f"{CENTRE}.20",
        "ask1Size": "12.40",
    }
    told = {"topic": f"tickers.{SYMBOL}", "type": kind, "data": data, "cs": number, "ts": FIRST_MS + number}
    return frame(TEXT, json.dumps(told).encode())


class Quiet:
    """One worker's streams and strategy, and the exchange at the other end."""

    def __init__(self, directory: Path, tickers: int) -> None:
        self._bench = PathBench(directory, LEVELS)
        self._left = tickers
        self._public: Call | None = None
        self._sent_ns = 0
        self._number = 0
        self._streams: StreamSet | None = None
        self._done = asyncio.Event()
        self.costs: list[Cost] = []

    async def run(self, dial: Dial) -> None:
        await self._bench.begin()
        loop = asyncio.get_running_loop()
        async with RawPeer(self._serve) as peer:
            url = "http" + peer.url.removeprefix("ws").removesuffix("/v5/public/linear")
            endpoints = endpoints_for(Environment.PAPER, url)
            self._streams = StreamSet(
                endpoints, Credentials("k", "s"), [SYMBOL], loop=loop, on_wake=self._wake, dial=dial
            )
            await self._streams.start()
            loop.call_soon(self._send)
            await self._done.wait()
            await self._streams.stop()

    async def _serve(self, call: Call) -> None:
        call.accept()
        while True:
            opcode, text = await call.read_frame()
            if opcode != TEXT:
                continue
            asked = json.loads(text)
            answer = {"op": asked["op"], "success": True, "req_id": asked.get("req_id", "")}
            call.writer.write(frame(TEXT, json.dumps(answer).encode()))
            if asked["op"] == "subscribe" and asked["req_id"] == "tickers":
                self._public = call
                call.writer.write(ticker(0, "snapshot"))

    def _send(self) -> None:
        assert self._public is not None
        self._left -= 1
        self._number += 1
        self._public.writer.write(ticker(self._number))
        self._sent_ns = time.perf_counter_ns()

    def _wake(self) -> None:
        assert self._streams is not None
        drained = self._streams.drain()
        came_ns = time.perf_counter_ns()
        self._bench._router.route(drained)
        self._bench.recorder.write()
        over_ns = time.perf_counter_ns()
        if not self._sent_ns:
            return
        self.costs.append(((over_ns - self._sent_ns) / 1000, (over_ns - came_ns) / 1000))
        if self._left:
            asyncio.get_running_loop().call_soon(self._send)
        else:
            self._done.set()


def ways() -> dict[str, tuple[Dial, Callable[[], asyncio.AbstractEventLoop] | None]]:
    """The libraries there are, and the loops."""
    found: dict[str, Any] = {"aiohttp": (AiohttpLine, None)}
    if has_picows():
        from gridbot.bybit.picows_line import PicowsLine

        found["picows"] = (PicowsLine, None)
        import uvloop

        found["picows, uvloop"] = (PicowsLine, uvloop.new_event_loop)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tickers", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    costs: dict[str, list[Cost]] = {}
    for _ in range(options.rounds):
        for name, (dial, loop_factory) in ways().items():
            with (
                tempfile.TemporaryDirectory() as directory,
                asyncio.Runner(loop_factory=loop_factory) as runner,
            ):

                async def once(directory: str = directory, dial: Dial = dial) -> list[Cost]:
                    quiet = Quiet(Path(directory), options.tickers)
                    await quiet.run(dial)
                    return quiet.costs

                costs.setdefault(name, []).extend(runner.run(once()))
    print(f"{options.rounds} rounds of {options.tickers} tickers, {LEVELS} levels, load {os.getloadavg()[0]:.1f}")
    for name, found in costs.items():
        whole = sorted(cost for cost, _ in found)
        rest = statistics.median(cost for _, cost in found)
        print(
            f"  {name:<16} p10 {whole[len(whole) // 10]:6.1f}  median {whole[len(whole) // 2]:6.1f} µs,"
            f" of which router, engine and journal {rest:5.1f}"
        )


if __name__ == "__main__":
    main()
