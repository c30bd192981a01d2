"""An exchange that sends nonsense on every stream to a real worker: it says so in plain words, and trades on."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from gridbot.core import Direction
from gridbot.paper.streams.connections import ChannelKind
from tests.integration.test_symbol_states import shown
from tests.integration.worker_bench import exchange, executions, resting, settings, trading

EVIL = "\x1b[31mred\x1b[0m\nFORGED line [bold]x[/bold] \x9b2J \u202e"
FAR = 2**63 - 1
DEEP = b"[" * 1000 + b"]" * 1000
TICKER = {"symbol": "BTCUSDT", "lastPrice": "50000", "markPrice": "50000", "indexPrice": "50000"}
ORDER = {"category": "linear", "symbol": "BTCUSDT", "orderId": "x", "orderLinkId": EVIL, "side": "Buy", "price": "1",
         "qty": "1", "orderStatus": "New", "positionIdx": 1, "updatedTime": "1"}  # fmt: skip
EXECUTION = {"category": "linear", "symbol": "BTCUSDT", "orderId": "x", "orderLinkId": EVIL, "side": "Buy",
             "execId": "far", "execPrice": "1", "execQty": "0.001", "execType": "Trade",
             "execTime": str(FAR)}  # fmt: skip


def ticker(ts: Any = None, **data: Any) -> dict[str, Any]:
    stamp = time.time_ns() // 1_000_000 if ts is None else ts
    return {"topic": "tickers.BTCUSDT", "type": "snapshot", "cs": 1, "ts": stamp, "data": {**TICKER, **data}}


def rows(topic: str, *found: Any) -> dict[str, Any]:
    return {"id": EVIL, "topic": topic, "creationTime": "soon", "data": list(found)}


FRAMES: dict[ChannelKind, list[Any]] = {
    ChannelKind.PUBLIC: [
        *(ticker(ts) for ts in ("soon", FAR, -1, [], 1.5)),
        *(ticker(lastPrice=price) for price in (None, "1e30", "-1", [], EVIL, "NaN", "x" * 200_000)),
        *({**ticker(), "data": data} for data in (None, [], [1], "text", 7)),
        *({**ticker(), "topic": topic} for topic in (None, [1], {"a": 1}, EVIL, "x" * 200_000)),
        {"success": False, "ret_msg": EVIL, "op": "subscribe", "req_id": [1]},
    ],
    ChannelKind.PRIVATE: [
        *(rows("order", {**ORDER, **odd}) for odd in ({"price": None}, {"qty": "1e30"}, {"symbol": EVIL})),
        rows("order", {**ORDER, "side": []}),
        *(rows("order", {**ORDER, "updatedTime": at}) for at in (FAR, "soon", [])),
        *(rows("execution", {**EXECUTION, **odd}) for odd in ({"execPrice": None}, {"execTime": "soon"}, {"side": 7})),
        *(rows("position", odd) for odd in (None, {"symbol": "BTCUSDT", "size": "-1"}, {"size": [], "symbol": {}})),
        *(rows("wallet", odd) for odd in (None, {"coin": "text"}, {"coin": [{"coin": "USDT", "equity": "1e30"}]})),
        *({**rows("order"), "data": data} for data in (None, {}, "text", 7)),
        {"op": "auth", "success": False, "ret_msg": EVIL},
    ],
    ChannelKind.TRADE: [
        {"op": "order.create", "reqId": EVIL, "retCode": 10001, "retMsg": EVIL, "header": [1], "data": "text"},
        {"op": [1], "reqId": [1], "retCode": "text", "retMsg": None, "header": {"X-Bapi-Limit": FAR}, "data": None},
        {"op": "order.create", "reqId": "1", "retCode": FAR, "retMsg": "x" * 200_000},
    ],
}  # fmt: skip
RAW = [DEEP, b'{"topic":' + DEEP + b"}", b'{"topic":"tickers.BTCUSDT","data":' + DEEP + b"}", b"\xff\xfe", b"7", b""]


def test_nonsense_on_every_stream_is_told_in_plain_words_and_trading_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = settings(tmp_path)
    caplog.set_level(logging.DEBUG, "gridbot")
    found: list[tuple[str, str, str]] = []

    async def run() -> None:
        with exchange(config) as paper:
            hub = paper.server.hub

            def send_all() -> None:
                for connection in hub.connections:
                    for frame in (*map(orjson.dumps, FRAMES[connection.kind]), *RAW):
                        connection.send(frame)

            async with trading(config, paper) as bench:
                await bench.quiet()
                assert paper.call(lambda: {each.kind for each in hub.connections}) == {*ChannelKind}
                paper.call(send_all)
                paper.set_price("BTCUSDT", "49890")  # through the first Buy at 49900
                await bench.until(lambda: bench.size(Direction.LONG) > 0, "a fill after all that")
                paper.set_price("BTCUSDT", "49950")
                await bench.quiet()
                assert len(resting(paper)) > 5
                assert shown(bench, "btc")["state"] == "active"
                assert bench.assembly.context.ledger.last_exec_ts < time.time_ns() // 1_000_000 + 60_000
            found.extend(bench.alerts)

    asyncio.run(run())
    assert [each.exec_type for each in executions(tmp_path)] == ["Trade"]
    texts = [text for _, _, text in found] + [record.getMessage() for record in caplog.records]
    assert [text for text in texts if not text.isprintable() or len(text) > 2000] == []
    ours = [record for record in caplog.records if record.name.startswith("gridbot")]
    assert [record.exc_text for record in ours if record.exc_info] == []
    assert any("FORGED line" in text for text in texts), "told, on a line of its own making"
