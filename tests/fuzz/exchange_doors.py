"""What the exchange sends: rows, frames of streams, answers of REST."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import orjson

from gridbot.bybit.answer_reader import MOST_BODY, AnswerReader
from gridbot.bybit.calls import listed, result_of, rows_of
from gridbot.bybit.carrier import Answer, Unusable
from gridbot.bybit.event_times import SKEW_MS, Horizon
from gridbot.bybit.mailbox import PrivateFrame
from gridbot.bybit.parse_account import parse_order, parse_transaction
from gridbot.bybit.parse_market import parse_instrument, parse_public_trade, parse_ticker
from gridbot.bybit.parse_notices import parse_announcement, parse_maintenance
from gridbot.bybit.private_frames import read_private
from gridbot.bybit.raw_fields import LONGEST_ID, FieldError, parse_rows
from gridbot.bybit.ticker_merger import TickerMerger
from gridbot.doors.bounded_json import JsonMistake, read_json
from gridbot.exchange.failures import ExchangeError
from tests.bybit.support import execution_row, order_row, position_row, ticker_frame, wallet_row
from tests.fuzz.mutations import bytes_of, changed, hurt

__all__ = [
    "ANSWER",
    "answered",
    "http",
    "http_bytes",
    "market",
    "market_row",
    "private",
    "private_frame",
    "stream_bytes",
    "ticker",
]

NOW_MS = 1_800_000_000_000
SYMBOL = "BTCUSDT"


# ---------------------------------------------------------------------- what the exchange sends

ROWS: Mapping[str, tuple[Any, ...]] = {
    "order": (order_row(),),
    "execution": (execution_row("e1"), execution_row("e2", extraFees='[{"fee":"1","feeCoin":"USDT"}]')),
    "position": (position_row(1, size="0.5", entryPrice="60000"), position_row(2)),
    "wallet": (wallet_row({"coin": "USDT", "walletBalance": "10", "equity": "10"}),),
}


def private_frame(rng: random.Random) -> tuple[str, bytes]:
    topic = rng.choice(tuple(ROWS))
    return topic, bytes_of(rng, changed(rng, list(ROWS[topic])))


_horizon = Horizon(lambda: NOW_MS)


def private(told: tuple[str, bytes]) -> str:
    try:
        rows = read_json(told[1])
    except JsonMistake:
        return "no json"
    events, problems = read_private(PrivateFrame(told[0], rows, NOW_MS, 1))
    for event in _horizon.bounded(events):
        assert getattr(event, "exchange_ts", 0) <= NOW_MS + SKEW_MS
        assert getattr(event, "qty", 0) >= 0
        for name in ("symbol", "order_id", "exec_id", "order_link_id"):
            text = getattr(event, name, "")
            assert len(text) <= LONGEST_ID
            assert text.isprintable()
        orjson.dumps(getattr(event, "raw", None))
    assert all(str(problem).isprintable() and len(str(problem)) < 1_500 for problem in problems)
    return "problem" if problems else "events"


INSTRUMENT = {
    "symbol": SYMBOL,
    "status": "Trading",
    "priceFilter": {"tickSize": "0.1", "minPrice": "0.1", "maxPrice": "1999999.8"},
    "lotSizeFilter": {"qtyStep": "0.001", "minOrderQty": "0.001", "maxOrderQty": "100", "minNotionalValue": "5"},
    "leverageFilter": {"maxLeverage": "100"},
    "deliveryTime": "0",
    "fundingInterval": 480,
    "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
}
TICKER = {"symbol": SYMBOL, "lastPrice": "60000.1", "markPrice": "60000.2", "bid1Price": "1", "nextFundingTime": "1"}
MARKET: tuple[tuple[Callable[[Mapping[str, Any]], Any], Any], ...] = (
    (parse_ticker, TICKER),
    (parse_instrument, INSTRUMENT),
    (parse_public_trade, {"s": SYMBOL, "i": "t1", "S": "Buy", "p": "60000", "v": "0.1", "T": NOW_MS}),
    (parse_maintenance, {"id": "1", "title": "t", "state": "ongoing", "begin": "1", "end": "2", "product": [1]}),
    (parse_announcement, {"title": "t", "type": {"key": "delistings"}, "publishTime": 1, "description": "d"}),
    (parse_transaction, {"type": "TRADE", "symbol": SYMBOL, "tradeId": "e1", "currency": "USDT", "cashFlow": "1",
                         "funding": "", "fee": "0.1", "change": "0.9", "transactionTime": str(NOW_MS)}),
)  # fmt: skip


def market_row(rng: random.Random) -> tuple[int, Any]:
    kind = rng.randrange(len(MARKET))
    return kind, changed(rng, MARKET[kind][1])


def market(told: tuple[int, Any]) -> str:
    kind, row = told
    try:
        _, problems = parse_rows(MARKET[kind][0], [row])
    except ValueError:
        if MARKET[kind][0] not in (parse_maintenance, parse_instrument):  # of an enum, and of Instrument itself
            raise
        return "problem"
    return "problem" if problems else "read"


def stream_bytes(rng: random.Random) -> bytes:
    kind = rng.choice(("snapshot", "delta"))
    return bytes_of(
        rng,
        changed(rng, ticker_frame(SYMBOL, NOW_MS, kind=kind, lastPrice="60000.1", markPrice="1", nextFundingTime="1")),
    )


def ticker(message: bytes) -> str:
    merger = TickerMerger(_horizon)
    try:
        told = read_json(message)
        if not isinstance(told, dict):
            return "no object"
        merger.merge(SYMBOL, told, 1)
    except (JsonMistake, FieldError):
        return "refused"
    finally:  # nothing is frozen by it
        after = merger.merge(SYMBOL, ticker_frame(SYMBOL, NOW_MS + SKEW_MS, kind="snapshot", lastPrice="7"), 2)
        assert after is not None
        assert after.last_price == 7
    return "merged"


ANSWER = {"retCode": 0, "retMsg": "OK", "result": {"list": [order_row()], "nextPageCursor": ""}, "time": NOW_MS}


def answered(body: bytes) -> str:
    try:
        envelope = Answer(200, {}, body).json()
        if not isinstance(envelope, dict):
            return "no object"
        result_of(envelope, "order/realtime")
        found = listed(parse_order, rows_of(envelope, "order/realtime"), "order/realtime", _horizon)
    except json.JSONDecodeError:
        return "no json"
    except ExchangeError:
        return "refused"
    return "unreadable" if found.unreadable else "read"


_BODY = orjson.dumps(ANSWER)
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Bapi-Limit: 10\r\n"
HTTP: tuple[bytes, ...] = (
    _OK + f"Content-Length: {len(_BODY)}\r\nKeep-Alive: timeout=5\r\n\r\n".encode() + _BODY,
    _OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nA: b\r\n\r\n",
    _OK + b"Content-Encoding: gzip\r\nContent-Length: 21\r\n\r\n" + gzip.compress(b"x", mtime=0),
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
    b"HTTP/1.0 403 Forbidden\r\n\r\n<html>",
)


def http_bytes(rng: random.Random) -> list[bytes]:
    """An answer that was hurt, as it comes from a socket: in parts."""
    whole = rng.choice(HTTP)
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        whole = hurt(rng, whole)
    if rng.random() < 0.1:
        whole += rng.choice(HTTP)
    places = sorted(rng.randrange(len(whole) + 1) for _ in range(rng.choice((0, 0, 1, 5))))
    return [whole[a:b] for a, b in pairwise([0, *places, len(whole)])]


def http(parts: list[bytes]) -> str:
    reader = AnswerReader()
    reader.expect()
    try:
        is_complete = any(reader.feed(part) for part in parts if part) or reader.finish()
        found = reader.take() if is_complete else None
    except Unusable:
        return "refused"
    if found is None:
        return "unfinished"
    assert 200 <= found.status_code <= 999
    assert len(found.content) <= MOST_BODY
    _ = reader.keep_alive_s
    return "last answer" if reader.ends_connection else "answer"
