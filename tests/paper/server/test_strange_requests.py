"""What strangers send to the paper exchange: each is answered as an error, and the next request is served."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import websocket

from gridbot.paper.api.auth import sign
from tests.paper.support import ALICE, Venue, manual_config, venue_of

DEEP = b"[" * 900 + b"]" * 900
ORDER: dict[str, Any] = {
    "category": "linear",
    "symbol": "BTCUSDT",
    "side": "Buy",
    "orderType": "Limit",
    "qty": "0.01",
    "price": "50000",
    "timeInForce": "GTC",
    "positionIdx": 1,
}
NO_NUMBERS = ("1e30", "1e999999", "-1", "１", "1_0", "9" * 5000, "NaN", 10**15, 1e300, True, [], {"a": 1}, "²", " 1")


@pytest.fixture(scope="module")
def venue() -> Iterator[Venue]:
    with venue_of(manual_config(control=True)) as running:
        yield running


@pytest.fixture
def wire(venue: Venue) -> Iterator[socket.socket]:
    with socket.create_connection((venue.server.host, venue.server.port), timeout=5) as connection:
        yield connection


def exchanged(wire: socket.socket, request: bytes) -> tuple[int, dict[str, Any]]:
    """Status and body of the answer."""
    wire.sendall(request)
    data = b""
    while True:
        chunk = wire.recv(65536)
        assert chunk, f"closed without an answer after {data[:100]!r}"
        data += chunk
        head, found, body = data.partition(b"\r\n\r\n")
        if not found:
            continue
        lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        if len(body) >= int(lengths[0].split(b":")[1]):
            is_json = b"application/json" in head
            return int(head.split(b" ")[1]), orjson.loads(body) if is_json else {}


def signed(verb: str, path: str, payload: bytes, **headers: str) -> bytes:
    stamp, window = headers.pop("stamp", str(time.time_ns() // 1_000_000)), headers.pop("window", "5000")
    signature = sign(ALICE.api_secret, f"{stamp}{ALICE.api_key}{window}".encode() + payload)
    body, target = (payload, path) if verb == "POST" else (b"", f"{path}?{payload.decode()}")
    lines = [
        f"{verb} {target} HTTP/1.1",
        "Host: 127.0.0.1",
        f"X-BAPI-API-KEY: {ALICE.api_key}",
        f"X-BAPI-TIMESTAMP: {stamp}",
        f"X-BAPI-RECV-WINDOW: {window}",
        f"X-BAPI-SIGN: {signature}",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "\r\n"]).encode() + body


@pytest.mark.parametrize("key", ["qty", "price", "triggerPrice", "takeProfit", "positionIdx", "slippageTolerance"])
def test_an_order_with_what_is_no_number_is_refused(key: str, wire: socket.socket) -> None:
    more: dict[str, dict[str, Any]] = {
        "triggerPrice": {"triggerDirection": 1},
        "slippageTolerance": {"slippageToleranceType": "Percent"},
    }
    for value in NO_NUMBERS:
        order = ORDER | more.get(key, {}) | {key: value}
        status, answer = exchanged(wire, signed("POST", "/v5/order/create", orjson.dumps(order)))
        assert status == 200, value
        assert answer["retCode"] not in (0, 10000), (key, value, answer)
    assert exchanged(wire, signed("POST", "/v5/order/create", orjson.dumps(ORDER)))[1]["retCode"] == 0


def test_texts_that_are_no_ids_are_refused(wire: socket.socket) -> None:
    for key in ("symbol", "orderLinkId", "side", "orderType"):
        for value in ("A" * 100_000, "\x1b[31m", "a\nb", ["BTCUSDT"], {"a": {}}):
            answer = exchanged(wire, signed("POST", "/v5/order/create", orjson.dumps(ORDER | {key: value})))[1]
            assert answer["retCode"] not in (0, 10000), (key, value)
            assert len(orjson.dumps(answer)) < 1000, "it is not sent back"


def test_a_body_that_is_no_flat_object_is_refused(wire: socket.socket) -> None:
    objects = b'{"a":' * 900 + b"1" + b"}" * 900
    for body in (DEEP, objects, b"\xff\xfe", b"9" * 5000, b"null", b'{"qty":' + b"9" * 500 + b"}"):
        assert exchanged(wire, signed("POST", "/v5/order/create", body))[1]["retCode"] == 10001


@pytest.mark.parametrize("length", ["²", "1" * 5000, "1_0", "-1", "+1"])
def test_a_content_length_that_is_none(length: str, wire: socket.socket) -> None:
    head = f"GET /v5/market/time HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    assert exchanged(wire, head.encode("latin-1"))[0] == 400


QUERIES = ["limit=%C2%B2", "limit=" + "9" * 4000, "limit=1_0", "startTime=" + "9" * 30, "endTime=-5"]
QUERIES += ["cursor=page_args%3D" + "9" * 5000 + "%26", "cursor=page_args%3D1_0%26"]


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: f"{query:.40}")
def test_numbers_in_a_query(query: str, wire: socket.socket) -> None:
    for path in ("/v5/order/history", "/v5/execution/list"):
        request = signed("GET", path, f"category=linear&symbol=BTCUSDT&{query}".encode())
        assert exchanged(wire, request)[1]["retCode"] == 10001


def test_times_of_a_signature(wire: socket.socket) -> None:
    for stamp in ("1" * 4000, "1_0", "-1", "1.5"):
        answer = exchanged(wire, signed("GET", "/v5/order/realtime", b"category=linear", stamp=stamp))[1]
        assert answer == answer | {"retCode": 10001}
        assert len(answer["retMsg"]) < 200
    answer = exchanged(wire, signed("GET", "/v5/order/realtime", b"category=linear", window="9" * 4000))[1]
    assert answer["retCode"] == 10001


def commanded(venue: Venue, **command: Any) -> dict[str, Any]:
    return dict(venue.control(command).json())


def test_a_price_that_is_refused_has_not_moved_the_market(venue: Venue) -> None:
    market = venue.server.exchange.markets["BTCUSDT"]
    before = (market.last, market.mark, market.seq)
    for price in (10**15, "1e27", "1e17", "-5", "0", None, "", [], "NaN", "１"):
        for action in ("set_price", "trade", "set_mark"):
            if (action, price) == ("set_mark", None):
                continue
            answer = commanded(venue, action=action, symbol="BTCUSDT", price=price, size="1", side="Buy")
            assert answer.get("retCode") == 10001, (action, price, answer)
    assert (market.last, market.mark, market.seq) == before


def test_a_command_with_what_cannot_be_is_refused(venue: Venue) -> None:
    commands: list[dict[str, Any]] = [
        {"action": "delist", "symbol": "BTCUSDT", "in_s": 1e300},
        {"action": "delist", "symbol": "BTCUSDT", "in_s": "soon"},
        {"action": "launch", "symbol": "BTCUSDT", "call_s": -1},
        {"action": "list_as", "symbol": "BTCUSDT", "delivery_ms": 2**63 - 1},
        {"action": "settle_funding", "symbol": "BTCUSDT", "rate": "1e30"},
        {"action": "change_rules", "symbol": "BTCUSDT", "tick_size": "-1"},
        {"action": "trade", "symbol": {"a": 1}, "price": "1", "size": "1", "side": "Buy"},
        {"action": "announce", "title": "x" * 100_000},
        {"action": [[[]]]},
    ]
    for command in commands:
        assert commanded(venue, **command).get("retCode") == 10001, command
    assert commanded(venue, action="list")["ok"] is True


def asked(channel: websocket.WebSocket, request: dict[str, Any] | str) -> dict[str, Any]:
    channel.send(request if isinstance(request, str) else orjson.dumps(request).decode())
    return dict(orjson.loads(channel.recv()))


def signed_in(venue: Venue, path: str) -> websocket.WebSocket:
    channel = websocket.create_connection(venue.ws_url + path, timeout=5)
    expires = str(time.time_ns() // 1_000_000 + 10_000)
    signature = sign(ALICE.api_secret, f"GET/realtime{expires}".encode())
    answer = asked(channel, {"op": "auth", "args": [ALICE.api_key, expires, signature]})
    assert answer.get("retCode", 0) == 0
    assert answer.get("success", True)
    return channel


def test_requests_of_a_trade_socket(venue: Venue) -> None:
    channel = signed_in(venue, "/v5/trade")
    header = {"X-BAPI-TIMESTAMP": str(time.time_ns() // 1_000_000)}
    order = {"op": "order.create", "header": header, "args": [ORDER]}
    nested = "[" * 900 + "]" * 900
    changes: list[dict[str, Any]] = [
        {"header": []}, {"header": "x"}, {"header": [1]}, {"header": {"X-BAPI-TIMESTAMP": "²"}},
        {"header": {"X-BAPI-TIMESTAMP": "9" * 5000}}, {"args": "text"}, {"args": [[]]}, {"args": {}},
        {"args": [ORDER | {"category": []}]}, {"args": [ORDER | {"qty": "1e30"}]},
        {"args": [ORDER | {"price": "1e999999"}]},
        {"reqId": "x" * 1000}, {"op": ["order.create"]}, {"op": {}},
    ]  # fmt: skip
    for change in changes:
        answer = asked(channel, order | change)
        assert answer["retCode"] not in (0, 10000), (change, answer)
    assert asked(channel, f'{{"op": "order.create", "args": {nested}}}')["success"] is False
    assert asked(channel, order)["retCode"] == 0, "nothing of it ended the connection"
    channel.close()


@pytest.mark.parametrize("path", ["/v5/private", "/v5/public/linear"])
def test_requests_of_a_stream(path: str, venue: Venue) -> None:
    channel = websocket.create_connection(venue.ws_url + path, timeout=5)
    expiries = ("²", "9" * 5000, "1_0", None, [], -1, 10**18)
    requests: list[dict[str, Any] | str] = [
        *({"op": "auth", "args": [ALICE.api_key, expires, "00"]} for expires in expiries),
        {"op": "auth", "args": "text"}, {"op": "auth", "args": [[], {}, []]}, {"op": []}, {"op": {"a": 1}},
        *("[]", "5", ""),
        {"op": "subscribe", "args": "tickers.BTCUSDT"}, {"op": "subscribe", "args": [["a"], {}, None, "\x1b[31m"]},
        {"op": "subscribe", "args": ["kline.²." + "X" * 100_000]},
        {"op": "subscribe", "args": ["orderbook.9999999.BTCUSDT"]},
        '{"op": "subscribe", "args": ' + "[" * 900 + "]" * 900 + "}",
    ]  # fmt: skip
    for request in requests:
        answer = asked(channel, request)
        assert answer["success"] is False, (request, answer)
        assert len(orjson.dumps(answer)) < 2000
    assert asked(channel, {"op": "ping"})["op"] in ("ping", "pong")
    channel.close()
