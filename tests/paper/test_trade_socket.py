"""Order entry over WebSocket through pybit's own trading class."""

from __future__ import annotations

import json
import time
from typing import Any

from gridbot.paper.auth import sign
from gridbot.paper.fault_config import FaultConfig
from tests.paper.support import ALICE, Inbox, Venue, eventually, limit_order
from tests.paper.test_streams import talk


def ask(call: Any, **params: Any) -> dict[str, Any]:
    answers: list[dict[str, Any]] = []
    call(answers.append, answers.append, **params)
    return eventually(lambda: answers[0] if answers else {})


def test_orders_are_placed_amended_and_cancelled(venue: Venue, private: Inbox) -> None:
    socket = venue.trading_socket()
    reply = ask(socket.place_order, **limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1, orderLinkId="w1"))
    assert (reply["retCode"], reply["op"], reply["data"]["orderLinkId"]) == (0, "order.create", "w1")
    assert reply["header"]["X-Bapi-Limit"]
    private.wait(lambda row: row["orderStatus"] == "New", "order")
    target = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "w1"}
    assert ask(socket.amend_order, **target, price="59800.00")["retCode"] == 0
    private.wait(lambda row: row["price"] == "59800.00", "order")
    assert ask(socket.cancel_order, **target)["retCode"] == 0
    private.wait(lambda row: row["orderStatus"] == "Cancelled", "order")
    assert ask(socket.cancel_order, **target)["retCode"] == 110001
    socket.exit()


def test_batches_answer_item_by_item(venue: Venue) -> None:
    socket = venue.trading_socket()
    order = limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1, orderLinkId="same")
    reply = ask(socket.place_batch_order, category="linear", request=[order, order])
    assert [item["code"] for item in reply["retExtInfo"]["list"]] == [0, 110072]
    socket.exit()


def test_a_delayed_request_is_overtaken_by_the_next_one(venue: Venue) -> None:
    fault = FaultConfig.model_validate({"kind": "delay", "endpoint": "order.create", "delay_ms": 100})
    venue.call(venue.server.faults.add, fault)
    socket = venue.trading_socket()
    answers: list[dict[str, Any]] = []
    for link_id in ("late", "next"):
        order = limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1, orderLinkId=link_id)
        socket.place_order(answers.append, answers.append, **order)
    eventually(lambda: len(answers) == 2)
    assert [answer["data"]["orderLinkId"] for answer in answers] == ["next", "late"]
    rows = venue.http().get_open_orders(category="linear", symbol="BTCUSDT")["result"]["list"]
    assert [row["orderLinkId"] for row in rows] == ["late", "next"]  # newest first
    socket.exit()


def test_requests_before_auth_unknown_ops_and_repeated_ids_are_refused(venue: Venue) -> None:
    expires = int(time.time() * 1000) + 10_000
    auth = {"op": "auth", "args": [ALICE.api_key, expires, sign(ALICE.api_secret, f"GET/realtime{expires}".encode())]}
    order = {
        "op": "order.create",
        "reqId": "1",
        "header": {"X-BAPI-TIMESTAMP": str(int(time.time() * 1000))},
        "args": [limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1)],
    }
    frames = talk(venue.ws_url + "/v5/trade", [order, auth, order, order, order | {"reqId": "2", "op": "order.fly"}], 5)
    assert [frame["retCode"] for frame in frames] == [10004, 0, 0, 20006, 10404]
    assert json.dumps(frames).count(ALICE.api_secret) == 0
