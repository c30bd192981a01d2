"""The exchange misbehaves on command: by rule, by seed, by count."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
import requests
from pybit.exceptions import FailedRequestError, InvalidRequestError

from gridbot.paper.faults.fault_config import FaultConfig, FaultKind
from gridbot.paper.faults.fault_plan import FaultPlan
from tests.paper.support import ALICE, BOB, Inbox, Venue, eventually, limit_order, manual_config, venue_of

CREATE = "/v5/order/create"
ORDER = limit_order("BTCUSDT", "Buy", "0.001", "59000.00", 1, orderLinkId="f-1")


def rule(kind: str, **fields: Any) -> FaultConfig:
    return FaultConfig.model_validate({"kind": kind} | fields)


def test_a_rule_counts_matches_of_its_own_only() -> None:
    plan = FaultPlan(1, [rule("error", endpoint=CREATE, account="alice", after=1, times=2)])
    hits = [bool(plan.on_request(CREATE, "alice", 0.0)) for _ in range(5)]
    assert hits == [False, True, True, False, False]
    assert not plan.on_request("/v5/order/cancel", "alice", 0.0)
    assert not FaultPlan(1, [rule("error", account="alice")]).on_request(CREATE, "bob", 0.0)


def test_a_rule_holds_in_its_time_window() -> None:
    plan = FaultPlan(1, [rule("error", at_s=5, for_s=2, times=0)])
    assert [bool(plan.on_request(CREATE, "", at)) for at in (4.9, 5.0, 6.9, 7.0)] == [False, True, True, False]


def test_draws_are_a_function_of_the_seed() -> None:
    def draws(seed: int) -> list[bool]:
        plan = FaultPlan(seed, [rule("error", probability=0.3, times=0)])
        return [bool(plan.on_request(CREATE, "", 0.0)) for _ in range(200)]

    assert draws(1) == draws(1)
    assert draws(1) != draws(2)
    assert 30 < sum(draws(1)) < 90


def test_frames_are_lost_doubled_repeated_or_late() -> None:
    def sent(kind: str, frames: list[bytes]) -> list[bytes]:
        plan = FaultPlan(1, [rule(kind, topic="order", after=1)])
        return [out.data for frame in frames for out in plan.on_frame("order.linear", "a", frame, 0.0)]

    assert sent("lose_frame", [b"1", b"2", b"3"]) == [b"1", b"3"]
    assert sent("duplicate_frame", [b"1", b"2", b"3"]) == [b"1", b"2", b"2", b"3"]
    assert sent("stale_frame", [b"1", b"2", b"3"]) == [b"1", b"2", b"1", b"3"]
    late = FaultPlan(1, [rule("reorder_frames", delay_ms=50)]).on_frame("order", "a", b"1", 0.0)
    assert [(out.data, out.delay_s) for out in late] == [(b"1", 0.05)]


def test_the_second_filled_of_a_lost_cancel() -> None:
    frame = orjson.dumps({"topic": "order", "data": [{"orderStatus": "Filled", "cancelType": "UNKNOWN"}]})
    plan = FaultPlan(1, [rule("double_filled")])
    first, second = plan.on_frame("order", "a", frame, 0.0)
    row = orjson.loads(second.data)["data"][0]
    assert first.data == frame
    assert (row["orderStatus"], row["rejectReason"]) == ("Filled", "EC_OrigClOrdIDDoesNotExist")


def test_a_rule_that_mixes_requests_and_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 'endpoint', got 'topic'"):
        rule("error", topic="order")
    with pytest.raises(ValueError, match="expected 'topic', got 'endpoint'"):
        rule("lose_frame", endpoint=CREATE)


@pytest.fixture
def venue() -> Iterator[Venue]:
    with venue_of(manual_config(control=True)) as running:
        yield running


def inject(venue: Venue, kind: str, **fields: Any) -> None:
    command = {"action": "inject", "fault": {"kind": kind} | fields}
    assert venue.control(command).json()["ok"] is True


def exists(venue: Venue) -> bool:
    return bool(venue.http().get_open_orders(category="linear", symbol="BTCUSDT")["result"]["list"])


def test_an_error_before_and_after_the_order_was_made(venue: Venue) -> None:
    http = venue.http()
    inject(venue, "error", endpoint=CREATE, code=10016)
    with pytest.raises(InvalidRequestError) as caught:
        http.place_order(**ORDER)
    assert caught.value.status_code == 10016
    assert not exists(venue)
    inject(venue, "error_after", endpoint=CREATE, code=10000)
    with pytest.raises(InvalidRequestError):
        http.place_order(**ORDER)
    assert exists(venue)
    with pytest.raises(InvalidRequestError) as caught:
        http.place_order(**ORDER)
    assert caught.value.status_code == 110072


def test_a_storm_of_10006_has_resets_in_the_future(venue: Venue) -> None:
    inject(venue, "error", code=10006, times=3)
    for _ in range(3):
        with pytest.raises(InvalidRequestError) as caught:
            venue.http().place_order(**ORDER)
        assert int(caught.value.resp_headers["X-Bapi-Limit-Reset-Timestamp"]) > time.time() * 1000
    venue.http().place_order(**ORDER)


@pytest.mark.parametrize(("kind", "made"), [("lost_reply", True), ("lost_request", False)])
def test_a_lost_reply_and_a_lost_request_look_the_same(venue: Venue, kind: str, made: bool) -> None:
    inject(venue, kind, endpoint=CREATE)
    with pytest.raises(requests.exceptions.ConnectionError):
        venue.http().place_order(**ORDER)
    assert exists(venue) is made


def test_a_slow_answer_times_out_though_the_order_is_made(venue: Venue) -> None:
    inject(venue, "delay", endpoint=CREATE, delay_ms=700)
    with pytest.raises(requests.exceptions.ReadTimeout):
        venue.http(timeout=0.3).place_order(**ORDER)
    assert eventually(lambda: exists(venue))


def test_an_address_ban_hits_every_account(venue: Venue) -> None:
    inject(venue, "ip_ban", for_s=0.5)
    for account in (ALICE, BOB):
        with pytest.raises(FailedRequestError) as caught:
            venue.http(account).get_account_info()
        assert caught.value.status_code == 403

    def over() -> bool:
        return requests.get(venue.url + "/v5/market/time", timeout=5).status_code == 200

    assert eventually(over)


def test_a_skewed_clock_refuses_signatures_and_comes_back(venue: Venue) -> None:
    inject(venue, "clock_skew", skew_ms=-5000)
    with pytest.raises(InvalidRequestError) as caught:
        venue.http().get_account_info()
    assert caught.value.status_code == 10002
    venue.control({"action": "clear"})
    venue.http().get_account_info()


def test_an_order_of_a_clock_that_has_gone_back_is_listed(venue: Venue) -> None:
    """It was hidden until the clock had caught up, and a worker took it for gone while it rested."""
    inject(venue, "clock_skew", skew_ms=4000)
    venue.http().place_order(**ORDER)
    venue.control({"action": "clear"})
    assert exists(venue)
    assert venue.http().get_open_orders(category="linear", symbol="BTCUSDT")["result"]["list"]


def test_a_lost_execution_is_still_in_the_listing(venue: Venue) -> None:
    inbox = Inbox()
    socket = venue.websocket("private", ALICE)
    socket.execution_stream(inbox)
    socket.order_stream(inbox)
    eventually(lambda: venue.server.exchange.accounts["alice"].listening == {"order", "execution"})
    inject(venue, "lose_frame", topic="execution", account="alice")
    venue.http().place_order(**ORDER)
    venue.set_price("BTCUSDT", "58000")
    inbox.wait(lambda row: row["orderStatus"] == "Filled", "order")
    assert inbox.rows("execution") == []
    assert len(venue.http().get_executions(category="linear")["result"]["list"]) == 1
    socket.exit()


@pytest.mark.parametrize("mode", ["1000", "1001", "reset"])
def test_dropped_connections_are_rebuilt_by_pybit(venue: Venue, mode: str) -> None:
    got: list[dict[str, Any]] = []
    socket = venue.websocket("linear")
    socket.ticker_stream("BTCUSDT", got.append)
    eventually(lambda: got)
    (before,) = venue.server.hub.connections
    inject(venue, "drop_connections", mode=mode)
    eventually(lambda: set(venue.server.hub.connections) - {before} and before not in venue.server.hub.connections)
    count = len(got)
    eventually(lambda: len(got) > count)
    socket.exit()


def test_a_silent_connection_stays_open_and_says_nothing(venue: Venue) -> None:
    async def run() -> tuple[bool, bool]:
        url = venue.ws_url + "/v5/public/linear"
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
            await socket.send_str(json.dumps({"op": "ping"}))
            await asyncio.wait_for(socket.receive(), 5)
            await asyncio.to_thread(inject, venue, "drop_connections", mode="silent")
            await asyncio.to_thread(eventually, lambda: all(c.muted for c in venue.server.hub.connections))
            await socket.send_str(json.dumps({"op": "ping"}))
            try:
                await asyncio.wait_for(socket.receive(), 0.3)
            except TimeoutError:
                return True, not socket.closed
            return False, not socket.closed

    assert asyncio.run(run()) == (True, True)


def test_connections_are_refused_for_a_while(venue: Venue) -> None:
    inject(venue, "refuse_connections", for_s=0.4, channel="private")
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade"}
    assert requests.get(venue.url + "/v5/private", headers=upgrade, timeout=5).status_code == 503
    upgrade |= {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}

    def accepted() -> bool:
        reply = requests.get(venue.url + "/v5/private", headers=upgrade, timeout=5, stream=True)
        reply.close()
        return reply.status_code == 101

    assert eventually(accepted)


def test_a_restart_empties_the_cache_of_closed_orders_but_not_the_history(venue: Venue) -> None:
    http = venue.http()
    http.place_order(**ORDER)
    venue.set_price("BTCUSDT", "58000")
    named = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "f-1"}
    assert http.get_open_orders(**named)["result"]["list"]
    inject(venue, "restart")
    eventually(lambda: not http.get_open_orders(**named)["result"]["list"])
    assert http.get_order_history(**named)["result"]["list"][0]["orderStatus"] == "Filled"


def test_listings_lag_when_told_to() -> None:
    with venue_of(manual_config(query_lag_ms=400)) as venue:
        venue.http().place_order(**ORDER)
        assert not exists(venue)
        assert eventually(lambda: exists(venue))


def test_control_is_off_by_default_and_explains_mistakes(venue: Venue) -> None:
    with venue_of(manual_config()) as closed:
        assert closed.control({"action": "list"}).status_code == 404
    wrong = {"action": "inject", "fault": {"kind": "eror"}}
    reply = venue.control(wrong).json()
    assert reply["retCode"] == 10001
    assert "kind" in reply["retMsg"]


def test_control_pushes_prices_and_lists_rules(venue: Venue) -> None:
    def control(**command: Any) -> dict[str, Any]:
        return dict(venue.control(command).json())

    control(action="set_price", symbol="BTCUSDT", price="61000")
    ticker = venue.http(None).get_tickers(category="linear", symbol="BTCUSDT")["result"]["list"][0]
    assert ticker["lastPrice"] == "61000.00"
    inject(venue, "error", times=2)
    assert control(action="list")["faults"] == [{"kind": "error", "times": 2, "seen": 0, "struck": 0}]


def test_every_kind_of_fault_is_in_the_documentation() -> None:
    text = (Path(__file__).parents[3] / "docs" / "paper.md").read_text()
    assert [kind.value for kind in FaultKind if f"`{kind.value}`" not in text] == []
