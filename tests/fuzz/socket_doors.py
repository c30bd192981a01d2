"""What clients send over WebSockets to the paper exchange, and to each of its paths over HTTP."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import random
import time
from typing import Any

import orjson
from aiohttp import web

from gridbot.paper.api.auth import sign
from gridbot.paper.api.callers import Caller
from gridbot.paper.api.dispatch import ROUTES
from gridbot.paper.feed.live import LiveSource
from gridbot.paper.server.paper_server import PaperServer
from gridbot.paper.server.paper_spec import PaperSpec
from gridbot.paper.streams.connections import ChannelKind, Connection
from tests.fuzz.mutations import bytes_of, changed, hurt, nasty
from tests.fuzz.paper_doors import ORDER, QUERY
from tests.paper.support import ALICE, manual_config

__all__ = ["asked", "dispatched", "followed", "live_frame", "path_request", "said", "trade_message", "word"]

SYMBOL = "BTCUSDT"
log = logging.getLogger("gridbot.paper")
UNTIL = "4000000000000"
SIGNED = {"op": "auth", "args": [ALICE.api_key, UNTIL, sign(ALICE.api_secret, f"GET/realtime{UNTIL}".encode())]}


class _Wire(asyncio.Transport):
    """Where the frames of a connection end up."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.written = b""
        self.aborted = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


class _Exchange:
    """One exchange without a port, and the loop that its connections need."""

    def __init__(self) -> None:
        config = manual_config(subscribe_delay_ms=0, ack_delay_ms=0)
        self.loop = asyncio.new_event_loop()
        self.server = self.loop.run_until_complete(self._made(PaperSpec(config=config, accounts=(ALICE,))))

    @staticmethod
    async def _made(spec: PaperSpec) -> PaperServer:
        return PaperServer(spec)

    def ask(self, kind: ChannelKind, texts: list[str]) -> list[Any]:
        """The frames that come back on a new connection."""
        return self.loop.run_until_complete(self._ask(kind, texts))

    async def _ask(self, kind: ChannelKind, texts: list[str]) -> list[Any]:
        wire = _Wire()
        connection = Connection(web.WebSocketResponse(), kind, "c", None, wire)
        hub = self.server.hub
        hub.add(connection)
        for text in texts:
            self.server.channels.receive(connection, text)
        await asyncio.sleep(0)
        hub.remove(connection)
        assert not wire.aborted
        return frames_of(wire.written)


def frames_of(data: bytes) -> list[Any]:
    found, at = [], 0
    while at < len(data):
        size, at = data[at + 1], at + 2
        if size > 125:
            width = 2 if size == 126 else 8
            size, at = int.from_bytes(data[at : at + width], "big"), at + width
        found.append(orjson.loads(data[at : at + size]))
        at += size
    return found


@functools.cache
def _exchange() -> _Exchange:
    return _Exchange()


SUBSCRIBE = {"op": "subscribe", "req_id": "1", "args": [f"tickers.{SYMBOL}", f"orderbook.1.{SYMBOL}"]}
MESSAGES: tuple[tuple[ChannelKind, Any], ...] = (
    (ChannelKind.PUBLIC, SUBSCRIBE),
    (ChannelKind.PUBLIC, {"op": "ping", "req_id": "1"}),
    (ChannelKind.PUBLIC, {"op": "unsubscribe", "args": [f"kline.1.{SYMBOL}"]}),
    (ChannelKind.PRIVATE, SIGNED),
    (ChannelKind.PRIVATE, {"op": "subscribe", "args": ["order", "execution", "wallet", "dcp.future"]}),
    (ChannelKind.PRIVATE, {"op": "ping"}),
)


def _message(rng: random.Random, document: Any) -> str:
    return bytes_of(rng, changed(rng, document)).decode(errors="replace")


def word(rng: random.Random) -> tuple[ChannelKind, list[str]]:
    kind, document = rng.choice(MESSAGES)
    before = [json.dumps(SIGNED)] if kind is ChannelKind.PRIVATE and rng.random() < 0.5 else []
    return kind, [*before, _message(rng, document)]


def said(told: tuple[ChannelKind, list[str]]) -> str:
    kind, texts = told
    answers = _exchange().ask(kind, texts)
    assert len(answers) >= len(texts), "each message has an answer"
    assert len(str(answers[-1])) < 100_000
    last = answers[len(texts) - 1]
    return "done" if last.get("success") or last.get("op") == "pong" or "topic" in last else "refused"


TRADES: tuple[Any, ...] = (
    {"op": "order.create", "reqId": "r", "header": {"X-BAPI-TIMESTAMP": "NOW"}, "args": [ORDER]},
    {"op": "order.cancel", "header": {"X-BAPI-TIMESTAMP": "NOW", "X-BAPI-RECV-WINDOW": "9000"},
     "args": [{"category": "linear", "symbol": SYMBOL, "orderId": "x"}]},
    {"op": "order.create-batch", "header": {"X-BAPI-TIMESTAMP": "NOW"},
     "args": [{"category": "linear", "request": [ORDER, ORDER]}]},
    {"op": "ping"},
)  # fmt: skip


def trade_message(rng: random.Random) -> str:
    return _message(rng, rng.choice(TRADES)).replace('"NOW"', f'"{time.time_ns() // 1_000_000}"')


def asked(text: str) -> str:
    answers = _exchange().ask(ChannelKind.TRADE, [json.dumps(SIGNED), text])
    assert len(answers) >= 2, "each message has an answer"
    last = answers[1]
    assert last.get("retCode") != 10016, last
    return "done" if last.get("retCode") == 0 else "refused"


PATHS = tuple(sorted(ROUTES))
BODY = {**ORDER, **QUERY, "coin": "USDT", "baseCoin": "BTC", "interval": "1", "period": "5min",
        "accountType": "UNIFIED",
        "intervalTime": "1h", "id": "1", "leverage": "5", "mode": 3, "setMarginMode": "REGULAR_MARGIN"}  # fmt: skip
NAMES = ("X-BAPI-API-KEY", "X-BAPI-TIMESTAMP", "X-BAPI-RECV-WINDOW", "X-BAPI-SIGN", "HOST", "ORIGIN")


def path_request(rng: random.Random) -> tuple[str, str, bytes, dict[str, str]]:
    """Any path of the exchange, with any headers."""
    path = rng.choice(PATHS)
    verb = ROUTES[path].verb if rng.random() < 0.95 else rng.choice(("GET", "POST", "PUT", ""))
    document = changed(rng, {key: BODY[key] for key in rng.sample(sorted(BODY), rng.randrange(len(BODY)))})
    if verb == "GET":
        pairs = document if isinstance(document, dict) else {"x": document}
        query = "&".join(f"{key}={value}" for key, value in pairs.items())[:3000]
        payload, target = query.encode(errors="replace"), f"{path}?{query}"
        body = b""
    else:
        payload = body = bytes_of(rng, document)
        target = path if rng.random() < 0.9 else hurt(rng, path.encode()).decode("latin-1")
    stamp = str(time.time_ns() // 1_000_000)
    headers = {"HOST": "localhost", "X-BAPI-API-KEY": ALICE.api_key, "X-BAPI-TIMESTAMP": stamp,
               "X-BAPI-RECV-WINDOW": "5000"}  # fmt: skip
    headers["X-BAPI-SIGN"] = sign(ALICE.api_secret, f"{stamp}{ALICE.api_key}5000".encode() + payload)
    if rng.random() < 0.2:
        headers[rng.choice(NAMES)] = str(nasty(rng))[:3000]
    return verb, target, body, headers


def dispatched(told: tuple[str, str, bytes, dict[str, str]]) -> str:
    """Through the front, as from the port: Host, Origin, budgets, signatures, and each call."""
    verb, target, body, headers = told
    reply = _exchange().server.front.answer(verb, target, headers, body, Caller("127.0.0.1"))
    assert reply is not None
    answer = orjson.loads(reply.body)
    assert answer["retCode"] not in (10000, 10016), answer
    return "accepted" if answer["retCode"] == 0 else "refused"


LIVE: tuple[Any, ...] = (
    {"topic": f"publicTrade.{SYMBOL}", "data": [{"s": SYMBOL, "S": "Buy", "p": "60000.1", "v": "0.1"}]},
    {"topic": f"tickers.{SYMBOL}", "data": {"symbol": SYMBOL, "lastPrice": "60000", "markPrice": "60001",
     "fundingRate": "0.0001", "nextFundingTime": UNTIL}},
)  # fmt: skip


def live_frame(rng: random.Random) -> str:
    return _message(rng, rng.choice(LIVE))


def followed(text: str) -> str:
    """What the real exchange's public stream says to a paper exchange that follows it."""
    server = _exchange().server
    source = LiveSource("ws://localhost", [], server.market)
    market = server.exchange.markets[SYMBOL]
    before = market.seq
    log.disabled = True  # a warning each
    try:
        source._take(text)
    finally:
        log.disabled = False
    assert 0 < market.last <= market.instrument.max_price
    assert 0 < market.mark <= market.instrument.max_price
    assert 0 < market.index <= market.instrument.max_price
    return "moved" if market.seq != before else "still"
