"""Order entry over WebSocket through pybit's own trading class."""

from __future__ import annotations

import json
import time
from typing import Any

import aiohttp
import pytest

from gridbot.paper.api.auth import sign
from gridbot.paper.faults.fault_config import FaultConfig
from gridbot.paper.streams.connections import MAX_UNANSWERED, Connection
from tests.paper.streams.test_streams import talk
from tests.paper.support import ALICE, Inbox, Venue, eventually, limit_order, manual_config, venue_of


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
    refused = ask(socket.cancel_order, **target)
    assert (refused["retCode"], refused["data"]) == (110001, {})
    assert {"X-Bapi-Limit", "X-Bapi-Limit-Status", "X-Bapi-Limit-Reset-Timestamp"} <= refused["header"].keys()
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


def signed_in() -> dict[str, Any]:
    expires = int(time.time() * 1000) + 10_000
    signature = sign(ALICE.api_secret, f"GET/realtime{expires}".encode())
    return {"op": "auth", "args": [ALICE.api_key, expires, signature]}


def test_requests_before_auth_unknown_ops_and_repeated_ids_are_refused(venue: Venue) -> None:
    auth = signed_in()
    order = {
        "op": "order.create",
        "reqId": "1",
        "header": {"X-BAPI-TIMESTAMP": str(int(time.time() * 1000))},
        "args": [limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1)],
    }
    frames = talk(venue.ws_url + "/v5/trade", [order, auth, order, order, order | {"reqId": "2", "op": "order.fly"}], 5)
    assert [frame["retCode"] for frame in frames] == [10004, 0, 0, 20006, 10404]
    assert frames[3]["retMsg"] == "Duplicate reqId"
    elsewhere = {**order, "reqId": "4", "args": [{"category": "futures"}]}
    (_, frame, other) = talk(venue.ws_url + "/v5/trade", [auth, order | {"reqId": "3" * 37}, elsewhere], 3)
    assert (frame["retCode"], other["retCode"]) == (10001, 10404)
    assert json.dumps(frames).count(ALICE.api_secret) == 0


def test_a_request_of_the_wrong_shape_is_answered_and_the_connection_stays(venue: Venue) -> None:
    """A header that was no object, and a category that was a list, ended the connection without a word."""
    expires = int(time.time() * 1000) + 10_000
    auth = {"op": "auth", "args": [ALICE.api_key, expires, sign(ALICE.api_secret, f"GET/realtime{expires}".encode())]}
    order = limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1)
    stamp = {"X-BAPI-TIMESTAMP": str(int(time.time() * 1000))}
    good: dict[str, Any] = {"op": "order.create", "header": stamp, "args": [order]}
    odd = [{**good, "header": header} for header in ("x", [1], 7, True)]
    odd += [{**good, "args": [{**order, "category": category}]} for category in ([], {"a": 1}, 7, None)]
    odd += [{**good, "args": args} for args in (None, {}, [], [1], [order, order], "x")]
    codes = [frame["retCode"] for frame in talk(venue.ws_url + "/v5/trade", [auth, *odd, good], len(odd) + 2)]
    assert codes == [0, *[10001] * 4, *[10404] * 4, *[10001] * 6, 0]


def test_a_second_auth_and_one_without_arguments_are_refused(venue: Venue) -> None:
    expires = int(time.time() * 1000) + 10_000
    signature = sign(ALICE.api_secret, f"GET/realtime{expires}".encode())
    good = {"op": "auth", "reqId": "a", "args": [ALICE.api_key, expires, signature]}
    frames = talk(venue.ws_url + "/v5/trade", [{"op": "auth"}, good | {"args": ["x", 1, "y"]}, good, good], 4)
    assert [frame["retCode"] for frame in frames] == [10001, 10004, 0, 20001]
    assert [frame.get("reqId") for frame in frames] == [None, "a", "a", "a"]


def test_the_text_of_too_many_visits_is_another_one_than_over_http() -> None:
    with venue_of(manual_config(limits={"orders_per_second": 1, "queries_per_second": 0, "ip_requests": 0})) as venue:
        socket = venue.trading_socket()
        target = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "none"}
        answers: list[dict[str, Any]] = []
        for _ in range(20):
            socket.cancel_order(answers.append, answers.append, **target)
        eventually(lambda: len(answers) == 20)
        slow = next(answer for answer in answers if answer["retCode"] == 10006)
        assert slow["retMsg"] == "Too many visits. Exceeded the API Rate Limit"
        assert (slow["header"]["X-Bapi-Limit"], slow["header"]["X-Bapi-Limit-Status"]) == ("1", "0")
        socket.exit()


def test_too_many_requests_and_connections_of_an_address_are_refused() -> None:
    limits = {"orders_per_second": 0, "queries_per_second": 0, "ip_requests": 0}
    limits |= {"ws_trade_requests": 2, "ws_connections": 2}
    with venue_of(manual_config(limits=limits)) as venue:
        socket = venue.trading_socket()
        target = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "none"}
        answers: list[dict[str, Any]] = []
        for _ in range(20):
            socket.cancel_order(answers.append, answers.append, **target)
        eventually(lambda: len(answers) == 20)
        codes = [answer["retCode"] for answer in answers]
        assert (codes[:2], set(codes)) == ([110001, 110001], {110001, 10403})
        other = {"op": "ping"}
        talk(venue.ws_url + "/v5/trade", [other], 1)  # a stranger's does not count
        talk(venue.ws_url + "/v5/trade", [signed_in()], 1)
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            talk(venue.ws_url + "/v5/trade", [other], 1)
        assert talk(venue.ws_url + "/v5/private", [other], 1)
        socket.exit()


def spoil(venue: Venue, kind: str, **fields: Any) -> None:
    venue.call(venue.server.faults.add, FaultConfig.model_validate({"kind": kind, **fields}))


@pytest.mark.parametrize("endpoint", ["", "/v5/order/create", "order.create"])
def test_a_fault_of_an_endpoint_strikes_it_by_either_way(venue: Venue, endpoint: str) -> None:
    spoil(venue, "error", endpoint=endpoint, code=10006)
    socket = venue.trading_socket()
    order = limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1)
    refused = ask(socket.place_order, **order)
    assert refused["retCode"] == 10006
    assert int(refused["header"]["X-Bapi-Limit-Reset-Timestamp"]) > time.time() * 1000
    assert refused["header"]["X-Bapi-Limit-Status"] == "0"
    assert ask(socket.place_order, **order)["retCode"] == 0
    socket.exit()


def test_a_fault_of_an_operation_is_none_of_http(venue: Venue) -> None:
    spoil(venue, "error", endpoint="order.create")
    assert venue.http().place_order(**limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1))["retCode"] == 0


def test_orders_over_it_do_not_count_for_their_address() -> None:
    with venue_of(manual_config(limits={"orders_per_second": 0, "queries_per_second": 0, "ip_requests": 3})) as venue:
        spoil(venue, "ip_ban", for_s=60)
        socket = venue.trading_socket()
        for _ in range(10):
            assert ask(socket.cancel_order, category="linear", symbol="BTCUSDT", orderLinkId="no")["retCode"] == 110001
        socket.exit()


@pytest.mark.parametrize(("kind", "made"), [("lost_reply", 1), ("lost_request", 0)])
def test_a_lost_answer_ends_the_connection_as_over_http(venue: Venue, kind: str, made: int) -> None:
    spoil(venue, kind, endpoint="/v5/order/create")
    stamp = {"X-BAPI-TIMESTAMP": str(int(time.time() * 1000))}
    order = limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1)
    with pytest.raises((TypeError, aiohttp.ClientError, ConnectionError)):  # what comes is the end, and no text
        talk(venue.ws_url + "/v5/trade", [signed_in(), {"op": "order.create", "header": stamp, "args": [order]}], 2)
    assert len(venue.http().get_open_orders(category="linear", symbol="BTCUSDT")["result"]["list"]) == made


def test_a_create_is_stamped_when_it_is_received_by_either_way(venue: Venue) -> None:
    stamps: list[tuple[str, int]] = []
    account = venue.server.exchange.accounts["alice"]

    def stamp(what: str, key: str) -> None:
        stamps.append((what, len(account.open)))

    venue.server.stamp = stamp
    socket = venue.trading_socket()
    for number, place in enumerate((socket.place_order, None)):
        order = limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1, orderLinkId=f"s{number}")
        if place is None:
            venue.http().place_order(**order)
        else:
            ask(place, **order)
    ask(socket.cancel_order, category="linear", symbol="BTCUSDT", orderLinkId="s0")
    assert [each for each in stamps if each[0] == "create"] == [("create", 0), ("create", 1)]
    socket.exit()


def test_who_asks_without_waiting_has_a_bounded_number_of_requests_unanswered(venue: Venue) -> None:
    """Answers that are late, as a fault or the disk wants it, piled up without end; none is lost."""
    spoil(venue, "delay", endpoint="order.cancel", delay_ms=50, times=0)
    unanswered: list[int] = []
    asked = Connection.asked

    def counted(connection: Connection) -> None:
        asked(connection)
        unanswered.append(connection._unanswered)

    target = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "none"}
    request = {"op": "order.cancel", "header": {"X-BAPI-TIMESTAMP": str(int(time.time() * 1000))}, "args": [target]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "asked", counted)
        frames = talk(venue.ws_url + "/v5/trade", [signed_in(), *[request] * 350], 351)
    assert [frame["retCode"] for frame in frames] == [0, *[110001] * 350]
    assert max(unanswered) == MAX_UNANSWERED
