"""What clients send to the paper exchange."""

from __future__ import annotations

import random
import time
from typing import Any

import orjson

from gridbot.paper.api.auth import sign
from gridbot.paper.server.fast_http import parse_head
from gridbot.paper.server.paper_server import PaperServer
from gridbot.paper.server.paper_spec import PaperSpec
from tests.fuzz.mutations import bytes_of, changed
from tests.paper.support import ALICE, manual_config

__all__ = ["COMMANDS", "HEAD", "commanded", "head", "request", "requested"]

NOW_MS = 1_800_000_000_000
SYMBOL = "BTCUSDT"
TOKEN = "token-of-the-fuzz"


# ---------------------------------------------------------------------- what a client sends to the paper exchange


class _Paper:
    """One exchange that all inputs go to, without a port: made when it is first needed."""

    def __init__(self) -> None:
        self._server: PaperServer | None = None

    @property
    def server(self) -> PaperServer:
        if self._server is None:
            spec = PaperSpec(config=manual_config(control=True), accounts=(ALICE,), control_token=TOKEN)
            self._server = PaperServer(spec)
        return self._server


_paper = _Paper()
ORDER = {
    "category": "linear",
    "symbol": SYMBOL,
    "side": "Buy",
    "orderType": "Limit",
    "qty": "0.01",
    "price": "50000",
    "timeInForce": "IOC",
    "positionIdx": 1,
    "takeProfit": "70000",
    "tpslMode": "Full",
    "orderLinkId": "a-1",
}
POSTS: tuple[tuple[str, Any], ...] = (
    ("/v5/order/create", ORDER),
    ("/v5/order/create", {**ORDER, "triggerPrice": "61000", "triggerDirection": 1}),
    ("/v5/order/create-batch", {"category": "linear", "request": [ORDER]}),
    ("/v5/order/amend", {"category": "linear", "symbol": SYMBOL, "orderId": "x", "qty": "1", "price": "1"}),
    ("/v5/order/cancel-batch", {"category": "linear", "request": [{"symbol": SYMBOL, "orderId": "x"}]}),
    ("/v5/position/set-leverage", {"category": "linear", "symbol": SYMBOL, "buyLeverage": "5", "sellLeverage": "5"}),
    ("/v5/position/trading-stop", {"category": "linear", "symbol": SYMBOL, "takeProfit": "1", "positionIdx": 1}),
    ("/v5/position/add-margin", {"category": "linear", "symbol": SYMBOL, "margin": "1", "positionIdx": 1}),
    ("/v5/position/switch-mode", {"category": "linear", "symbol": SYMBOL, "mode": 3}),
    ("/v5/order/disconnected-cancel-all", {"product": "DERIVATIVES", "timeWindow": 40}),
    ("/v5/order/cancel-all", {"category": "linear", "settleCoin": "USDT"}),
)
GETS = ("/v5/order/realtime", "/v5/order/history", "/v5/execution/list", "/v5/account/transaction-log")
QUERY = {
    "category": "linear",
    "symbol": SYMBOL,
    "limit": "50",
    "startTime": "1",
    "endTime": "2",
    "cursor": "page_args%3D5%26",
}


def request(rng: random.Random) -> tuple[str, str, bytes]:
    if rng.random() < 0.3:
        pairs = changed(rng, QUERY)
        text = "&".join(f"{k}={v}" for k, v in pairs.items()) if isinstance(pairs, dict) else str(pairs)
        return "GET", rng.choice(GETS), text[:2000].encode(errors="replace")
    path, document = rng.choice(POSTS)
    return "POST", path, bytes_of(rng, changed(rng, document))


def requested(request: tuple[str, str, bytes]) -> str:
    verb, path, payload = request
    now_ms = time.time_ns() // 1_000_000
    stamp = str(now_ms)
    headers = {
        "X-BAPI-API-KEY": ALICE.api_key,
        "X-BAPI-TIMESTAMP": stamp,
        "X-BAPI-RECV-WINDOW": "5000",
        "X-BAPI-SIGN": sign(ALICE.api_secret, f"{stamp}{ALICE.api_key}5000".encode() + payload),
    }
    target = path if verb == "POST" else f"{path}?{payload.decode()}"
    reply = _paper.server.api.handle(verb, target, headers, payload if verb == "POST" else b"", now_ms)
    answer = orjson.loads(reply.body)
    assert len(reply.body) < 300_000
    assert answer["retCode"] != 10000
    return "accepted" if answer["retCode"] == 0 else "refused"


HEAD = b"POST /v5/order/create HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 14\r\nX-BAPI-TIMESTAMP: 1"


def head(head: bytes) -> str:
    return "none" if parse_head(head) is None else "head"


COMMANDS = (
    {"action": "set_price", "symbol": SYMBOL, "price": "60000"},
    {"action": "trade", "symbol": SYMBOL, "price": "60000", "size": "1", "side": "Buy"},
    {"action": "set_mark", "symbol": SYMBOL, "price": "60000"},
    {"action": "settle_funding", "symbol": SYMBOL, "rate": "0.0001"},
    {"action": "execution", "account": "alice", "symbol": SYMBOL, "positionIdx": 1, "type": "Dividend", "money": "1"},
    {"action": "charges", "account": "alice", "coin": "MNT", "price": "0.5", "tax": "0.1"},
    {"action": "inject", "fault": {"kind": "error", "code": 10006, "count": 1}},
    {"action": "clear"},
)


def commanded(body: bytes) -> str:
    headers = {"CONTENT-TYPE": "application/json", "AUTHORIZATION": f"Bearer {TOKEN}"}
    control = _paper.server.front._control
    assert control is not None
    reply = control.answer("POST", headers, body, NOW_MS)
    answer = orjson.loads(reply.body)
    market = _paper.server.exchange.markets[SYMBOL]
    assert 0 < market.last <= market.instrument.max_price
    return "done" if answer.get("ok") else "refused"
