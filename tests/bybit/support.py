"""A scripted exchange on a free port: real sockets, and every misbehaviour the paper exchange has no word for."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from aiohttp import WSMsgType, web

from gridbot.bybit.endpoints import Credentials, Endpoints, endpoints_for
from gridbot.bybit.rest import BybitRest
from gridbot.bybit.stream_settings import StreamSettings
from gridbot.bybit.streams import StreamSet
from gridbot.bybit.watchdog import Limits
from gridbot.exchange.environment import Environment
from gridbot.exchange.stream_news import Drained

T = TypeVar("T")
KEY = "TESTKEY0123456789"
SECRET = "TESTSECRET9876543210abcdefXYZ"
CREDENTIALS = Credentials(KEY, SECRET)
QUICK = Limits(connect_s=8, pong_s=30, silence_s=30, check_s=0.02, backoff_first_s=0.01, backoff_max_s=0.05)

PUBLIC = "/v5/public/linear"
PRIVATE = "/v5/private"


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run one test's coroutine; whatever hangs fails after two minutes instead of for ever."""
    return asyncio.run(asyncio.wait_for(coroutine, 120))


async def eventually(condition: Callable[[], T], timeout_s: float = 60) -> T:
    """Wait until the condition is true; its value."""
    deadline_s = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline_s:
            raise AssertionError(f"condition not met within {timeout_s} s, last value: {value!r}")
        await asyncio.sleep(0.002)
    return value


def envelope(result: Any = None, *, code: int = 0, msg: str = "OK", extra: Any = None) -> dict[str, Any]:
    return {
        "retCode": code,
        "retMsg": msg,
        "result": {} if result is None else result,
        "retExtInfo": {} if extra is None else extra,
        "time": time.time_ns() // 1_000_000,
    }


@dataclass(frozen=True)
class Asked:
    """One request the exchange got. `query` is the raw text behind the question mark."""

    path: str
    query: str
    params: dict[str, str]
    body: dict[str, Any]
    headers: dict[str, str]


Reply = Callable[[Asked], Any] | dict[str, Any]


@dataclass
class FakeExchange:
    """`on[path]` answers a REST path with an envelope, a `web.Response`, or a function that makes one of them."""

    on: dict[str, Reply] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    sockets: dict[str, list[web.WebSocketResponse]] = field(default_factory=lambda: {PUBLIC: [], PRIVATE: []})
    opened_ms: dict[str, list[int]] = field(default_factory=lambda: {PUBLIC: [], PRIVATE: []})
    messages: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    refuse_sign_in: str = ""
    refuse_topic: str = ""
    answer_sign_in: bool = True
    answer_pings: bool = True
    echo_ids: bool = True
    upgrade_status: int = 101
    connects: int = 0

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port: int = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        for sockets in self.sockets.values():
            for socket in sockets:
                _abort(socket)
        await self._runner.cleanup()

    @property
    def endpoints(self) -> Endpoints:
        return endpoints_for(Environment.PAPER, f"http://127.0.0.1:{self.port}")

    def rest(self, **options: Any) -> BybitRest:
        return BybitRest(self.endpoints, CREDENTIALS, **options)

    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]

    # ------------------------------------------------------------------ streams, as the exchange sees them

    def socket(self, path: str) -> web.WebSocketResponse:
        return self.sockets[path][-1]

    def subscribed(self, path: str) -> list[str]:
        """Topics of every subscription on this path, in order."""
        return [
            topic
            for at, message in self.messages
            if at == path and message.get("op") == "subscribe"
            for topic in message["args"]
        ]

    async def send(self, path: str, frame: dict[str, Any] | str) -> None:
        await self.socket(path).send_str(frame if isinstance(frame, str) else json.dumps(frame))

    def write(self, path: str, data: bytes) -> None:
        """Bytes as they are, in one write."""
        request = self.socket(path)._req
        assert request is not None
        assert request.transport is not None
        request.transport.write(data)

    def cut(self, path: str) -> None:
        """TCP reset of the newest connection."""
        _abort(self.socket(path))

    # ------------------------------------------------------------------ inside

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path in self.sockets:
            return await self._stream(request)
        text = await request.text()
        asked = Asked(
            request.path,
            request.query_string if not request.raw_path.count("?") else request.raw_path.split("?", 1)[1],
            dict(request.query),
            json.loads(text) if text else {},
            dict(request.headers),
        )
        self.asked.append(asked)
        reply: Any = self.on.get(request.path, {"retCode": 10017, "retMsg": "route not found"})
        if callable(reply):
            reply = reply(asked)
            if isinstance(reply, Awaitable):
                reply = await reply
        if reply is None:  # hang up without a word
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return reply if isinstance(reply, web.StreamResponse) else web.json_response(reply)

    async def _stream(self, request: web.BaseRequest) -> web.StreamResponse:
        self.connects += 1
        if self.upgrade_status != 101:
            return web.Response(status=self.upgrade_status)
        self.opened_ms[request.path].append(time.time_ns() // 1_000_000)
        socket = web.WebSocketResponse(autoping=False, compress=False)
        await socket.prepare(request)
        self.sockets[request.path].append(socket)
        async for message in socket:
            if message.type is WSMsgType.PING:
                if self.answer_pings:
                    await socket.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                frame = json.loads(message.data)
                self.messages.append((request.path, frame))
                answer = self._answer(request.path, frame)
                if answer is not None:
                    await socket.send_str(json.dumps(answer))
        return socket

    def _answer(self, path: str, frame: dict[str, Any]) -> dict[str, Any] | None:
        operation = frame["op"]
        if operation == "auth":
            if not self.answer_sign_in:
                return None
            return {"success": not self.refuse_sign_in, "ret_msg": self.refuse_sign_in, "op": "auth", "conn_id": "c"}
        if operation == "subscribe":
            refused = self.refuse_topic in frame["args"]
            text = f"error:handler not found,topic:{self.refuse_topic}" if refused else ""
            answer = {"success": not refused, "ret_msg": text, "op": "subscribe", "conn_id": "c"}
            return answer | ({"req_id": frame["req_id"]} if self.echo_ids else {})
        if operation == "ping":
            if path == PUBLIC:
                return {"success": True, "ret_msg": "pong", "conn_id": "c", "req_id": "", "op": "ping"}
            return {"req_id": "", "op": "pong", "args": ["1"], "conn_id": "c"}
        return None


def _abort(socket: web.WebSocketResponse) -> None:
    request = socket._req
    if request is not None and request.transport is not None:
        request.transport.abort()


class Ears:
    """A `StreamSet` that collects everything it drains, as the orchestrator does."""

    def __init__(self, endpoints: Endpoints, symbols: tuple[str, ...] = ("BTCUSDT",), **options: Any) -> None:
        self.wakes = 0
        self.heard = Drained([], [], [], [])
        credentials = options.pop("credentials", CREDENTIALS)
        clock_offset_ms = options.pop("clock_offset_ms", lambda: 0)
        self.streams = StreamSet(
            endpoints,
            credentials,
            symbols,
            loop=asyncio.get_running_loop(),
            on_wake=self._wake,
            clock_offset_ms=clock_offset_ms,
            settings=StreamSettings(**{"limits": QUICK, "jitter": lambda: 0.0, **options}),
        )

    async def __aenter__(self) -> Self:
        await self.streams.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.streams.stop()

    def _wake(self) -> None:
        self.wakes += 1
        drained = self.streams.drain()
        self.heard.tickers.extend(drained.tickers)
        self.heard.private.extend(drained.private)
        self.heard.gaps.extend(drained.gaps)


def ticker_frame(symbol: str, ts: int, *, kind: str = "delta", **fields: str | None) -> dict[str, Any]:
    return {"topic": f"tickers.{symbol}", "type": kind, "ts": ts, "cs": 1, "data": {"symbol": symbol, **fields}}


def order_row(order_id: str = "o1", **changes: Any) -> dict[str, Any]:
    """An open order as order/realtime shows it."""
    row = {
        "orderId": order_id,
        "orderLinkId": f"link-{order_id}",
        "symbol": "BTCUSDT",
        "side": "Buy",
        "positionIdx": 1,
        "price": "60000.00",
        "qty": "0.010",
        "orderStatus": "New",
        "orderType": "Limit",
        "avgPrice": "",
        "cumExecQty": "0.000",
        "leavesQty": "0.010",
        "reduceOnly": False,
        "cancelType": "UNKNOWN",
        "rejectReason": "EC_NoError",
        "smpGroup": "0",
        "tpslMode": "UNKNOWN",
        "createdTime": "1760000000700",
        "updatedTime": "1760000000703",
    }
    return row | changes


def execution_row(exec_id: str = "e1", **changes: Any) -> dict[str, Any]:
    row = {
        "symbol": "BTCUSDT",
        "execId": exec_id,
        "orderId": "o1",
        "orderLinkId": "link-o1",
        "side": "Buy",
        "execPrice": "60000.00",
        "execQty": "0.004",
        "leavesQty": "0.006",
        "execFee": "0.048",
        "closedSize": "",
        "execType": "Trade",
        "isMaker": True,
        "execTime": "1760000000900",
        "seq": 7,
    }
    return row | changes


def position_row(index: int, **changes: Any) -> dict[str, Any]:
    row = {
        "symbol": "BTCUSDT",
        "positionIdx": index,
        "side": "",
        "size": "0",
        "avgPrice": "0",
        "positionValue": "",
        "markPrice": "60000.00",
        "liqPrice": "",
        "leverage": "10",
        "unrealisedPnl": "",
        "positionIM": "0",
        "positionMM": "0",
        "cumRealisedPnl": "-0.05",
        "positionStatus": "Normal",
        "netDeltaRatio": "",
        "seq": -1,
        "updatedTime": "1760000000905",
    }
    return row | changes


def wallet_row(*coins: dict[str, Any]) -> dict[str, Any]:
    return {
        "accountType": "UNIFIED",
        "totalEquity": "1000.07",
        "totalAvailableBalance": "949.87",
        "totalInitialMargin": "50.19",
        "totalMaintenanceMargin": "1.37",
        "accountIMRate": "0.0502",
        "accountMMRate": "0.0014",
        "coin": list(coins),
    }


def private_frame(topic: str, *rows: Any, sent_ms: int = 1760000000905) -> dict[str, Any]:
    return {"id": "1", "topic": topic, "creationTime": sent_ms, "data": list(rows)}
