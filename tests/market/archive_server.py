"""A server with the addresses of Bybit's archive and REST, which breaks as it is told."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from gridbot.market.day import DAY_MS
from tests.market.market_examples import START_MS

HEAD = "timestamp,symbol,side,size,price\n"
MINUTE_MS = 60_000
Handler = Callable[[web.Request], Any]


def dump(day: int, rows: int = 2000, symbol: str = "BTCUSDT") -> bytes:
    """A day's file, `day` days after the first of September 2026; it does not pack well."""
    start = START_MS // 1000 + 86_400 * day
    sides = ("Buy", "Sell")
    text = "".join(
        f"{start + at * 40},{symbol},{sides[at * at % 7 % 2]},{(at * 7919 % 997 + 1) / 1000},{60000 + at * at % 89}.1\n"
        for at in range(rows)
    )
    return gzip.compress((HEAD + text).encode(), mtime=0)


class ArchiveServer:
    """`files` by name; `breaks`: after how many bytes the next answers break off; `requests`: (path, Range)."""

    def __init__(self) -> None:
        self.files = {f"BTCUSDT2026-09-0{day + 1}.csv.gz": dump(day) for day in range(3)}
        self.breaks: list[int] = []
        self.instead: dict[str, Handler] = {}
        self.requests: list[tuple[str, str]] = []
        self.fundings = [(START_MS + at * DAY_MS // 3, "0.0001") for at in range(9)]
        self.url = ""
        self.last_ms: int | None = None
        """There are no candles from this time (ms UTC) on."""

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]

    async def _any(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.path, request.headers.get("Range", "")))
        assert request.headers["User-Agent"].startswith("gridbot/")
        for word, handler in self.instead.items():
            if word in request.path:
                made: web.StreamResponse = await handler(request)
                return made
        if request.path.startswith("/trading/"):
            return await self._file(request)
        return web.json_response({"retCode": 0, "retMsg": "OK", "result": self._result(request)})

    async def _file(self, request: web.Request) -> web.StreamResponse:
        content = self.files.get(request.path.rpartition("/")[2])
        if content is None:
            return web.Response(status=404)
        begin = int(request.headers.get("Range", "bytes=0-")[6:-1])
        if begin >= len(content):
            return web.Response(status=416)
        headers = {"Content-Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"} if begin else {}
        response = web.StreamResponse(status=206 if begin else 200, headers=headers)
        response.content_length = len(content) - begin
        await response.prepare(request)
        if self.breaks:
            await response.write(content[begin : begin + self.breaks.pop(0)])
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(content[begin:])
        return response

    def _result(self, request: web.Request) -> dict[str, Any]:
        query, what = request.query, request.path.removeprefix("/v5/market/")
        assert (query["category"], query["symbol"]) == ("linear", "BTCUSDT")
        if what == "instruments-info":
            return {"list": [INSTRUMENT_ROW]}
        if what == "risk-limit":
            return {"list": [TIER_ROW]}
        if what == "funding/history":
            first, last = int(query["startTime"]), int(query["endTime"])
            there = [row for row in self.fundings if first <= row[0] <= last]
            rows = [
                {"symbol": "BTCUSDT", "fundingRate": rate, "fundingRateTimestamp": str(at)}
                for at, rate in sorted(there, reverse=True)[:4]
            ]
            return {"list": rows}
        begin, end = int(query["start"]), int(query["end"])
        end = end if self.last_ms is None else min(end, self.last_ms - 1)
        starts = range(-(-begin // MINUTE_MS) * MINUTE_MS, end + 1, MINUTE_MS)
        assert len(starts) <= int(query["limit"])
        more = ["0.004", "240"] if what == "kline" else []
        bars = [[str(at), "60000.1", "60000.3", "60000", "60000.2", *more] for at in reversed(starts)]
        return {"symbol": "BTCUSDT", "category": "linear", "list": bars}


INSTRUMENT_ROW = {
    "symbol": "BTCUSDT",
    "contractType": "LinearPerpetual",
    "status": "Trading",
    "priceFilter": {"tickSize": "0.10"},
    "lotSizeFilter": {"qtyStep": "0.001", "minOrderQty": "0.001", "maxOrderQty": "100"},
}
TIER_ROW = {
    "symbol": "BTCUSDT",
    "riskLimitValue": "2000000",
    "maintenanceMargin": "0.005",
    "initialMargin": "0.01",
    "maxLeverage": "100",
}


@asynccontextmanager
async def archive_server() -> AsyncIterator[ArchiveServer]:
    """A server on a free port of this machine."""
    server = ArchiveServer()
    application = web.Application()
    application.router.add_get("/{path:.*}", server._any)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}"
    try:
        yield server
    finally:
        await runner.cleanup()
