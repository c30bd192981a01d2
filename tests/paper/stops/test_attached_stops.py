"""Take-profit and stop-loss that orders bring along, over pybit: create, amend, batch, WebSocket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pybit.exceptions import InvalidRequestError

from tests.paper.support import Inbox, Venue, dump_state, eventually, limit_order, manual_config, venue_of

LINEAR = {"category": "linear", "symbol": "BTCUSDT"}
BOTH = {"takeProfit": "60500.00", "stopLoss": "59000.00"}
PARTIAL = {**BOTH, "tpslMode": "Partial"}


def buy(qty: str = "0.010", price: str = "59900.00", **extra: Any) -> dict[str, Any]:
    return limit_order("BTCUSDT", "Buy", qty, price, 1, **extra)


def order_of(http: Any, link_id: str) -> dict[str, Any]:
    (row,) = http.get_open_orders(**LINEAR, orderLinkId=link_id)["result"]["list"]
    return dict(row)


def stops(http: Any) -> list[dict[str, Any]]:
    """Waiting stops, by kind."""
    rows = http.get_open_orders(**LINEAR, orderFilter="StopOrder")["result"]["list"]
    return sorted(rows, key=lambda row: str(row["stopOrderType"]))


def size(http: Any) -> str:
    return str(http.get_positions(**LINEAR)["result"]["list"][0]["size"])


def refusal(call: Any, **params: Any) -> int:
    with pytest.raises(InvalidRequestError) as caught:
        call(**params)
    return int(caught.value.status_code)


def test_an_order_shows_what_it_brings_along_and_places_it_when_it_fills(venue: Venue) -> None:
    http = venue.http()
    http.place_order(**buy(**BOTH, slTriggerBy="MarkPrice", orderLinkId="parent"))
    row = order_of(http, "parent")
    assert (row["takeProfit"], row["stopLoss"], row["tpslMode"]) == ("60500.00", "59000.00", "Full")
    assert (row["tpTriggerBy"], row["slTriggerBy"], row["tpLimitPrice"]) == ("LastPrice", "MarkPrice", "")
    assert stops(http) == []
    venue.set_price("BTCUSDT", "59800.00")
    loss, profit = stops(http)
    assert (loss["stopOrderType"], loss["triggerPrice"], loss["triggerBy"]) == ("StopLoss", "59000.00", "MarkPrice")
    assert (profit["stopOrderType"], profit["createType"]) == ("TakeProfit", "CreateByTakeProfit")
    assert {row["parentOrderLinkId"] for row in (loss, profit)} == {"parent"}
    leg = http.get_positions(**LINEAR)["result"]["list"][0]
    assert (leg["takeProfit"], leg["stopLoss"]) == ("60500.00", "59000.00")
    venue.set_price("BTCUSDT", "60500.00")
    assert (size(http), stops(http)) == ("0", [])


def test_full_moves_the_stops_of_the_whole_position(venue: Venue) -> None:
    http = venue.http()
    http.place_order(**LINEAR, side="Buy", orderType="Market", qty="0.010", positionIdx=1, **BOTH)
    assert [row["qty"] for row in stops(http)] == ["0.010", "0.010"]
    http.place_order(
        **LINEAR, side="Buy", orderType="Market", qty="0.005", positionIdx=1, stopLoss="59500.00", orderLinkId="second"
    )
    loss, profit = stops(http)
    assert (loss["triggerPrice"], loss["parentOrderLinkId"]) == ("59500.00", "second")
    assert (profit["triggerPrice"], profit["parentOrderLinkId"]) == ("60500.00", "")
    assert {loss["qty"], profit["qty"]} == {"0.015"}
    http.cancel_order(**LINEAR, orderId=profit["orderId"])  # no longer one of a pair
    assert [row["orderId"] for row in stops(http)] == [loss["orderId"]]
    venue.set_price("BTCUSDT", "59500.00")
    assert (size(http), stops(http)) == ("0", [])


def test_partial_makes_a_pair_for_what_was_filled(venue: Venue, private: Inbox) -> None:
    http = venue.http()
    limits = {"tpOrderType": "Limit", "tpLimitPrice": "60550.00"}
    http.place_order(**buy("0.300", "59990.00", **PARTIAL, **limits, orderLinkId="slow"))
    assert order_of(http, "slow")["tpLimitPrice"] == "60550.00"
    venue.trade("BTCUSDT", "59990.00", "0.200", "Sell")  # some of it goes to what stood there before
    filled = size(http)
    assert 0 < float(filled) < 0.3
    loss, profit = stops(http)
    assert [row["qty"] for row in (loss, profit)] == [filled, filled]
    assert (profit["orderType"], profit["price"], loss["orderType"]) == ("Limit", "60550.00", "Market")
    assert refusal(http.amend_order, **LINEAR, orderLinkId="slow", takeProfit="61000.00") == 110059
    venue.set_price("BTCUSDT", "59800.00")
    assert [row["qty"] for row in stops(http)] == ["0.300", "0.300"]  # it grew with the rest
    assert {row["orderId"] for row in stops(http)} == {loss["orderId"], profit["orderId"]}
    http.place_order(**buy("0.010", "59700.00", **PARTIAL))
    venue.set_price("BTCUSDT", "59600.00")
    assert len(stops(http)) == 4
    venue.set_price("BTCUSDT", "59000.00")
    assert (size(http), stops(http)) == ("0", [])
    part = private.wait(lambda row: row["stopOrderType"] == "PartialStopLoss", "execution")
    assert part["createType"] == "CreateByPartialStopLoss"


def test_only_the_first_fill_sets_the_stops_of_the_whole_position(venue: Venue) -> None:
    http = venue.http()
    http.place_order(**buy("0.300", "59990.00", **BOTH))
    venue.trade("BTCUSDT", "59990.00", "0.200", "Sell")
    assert 0 < float(size(http)) < 0.3
    http.set_trading_stop(**LINEAR, positionIdx=1, takeProfit="0", stopLoss="59100.00")
    venue.set_price("BTCUSDT", "59800.00")
    assert size(http) == "0.300"
    assert [(row["stopOrderType"], row["triggerPrice"]) for row in stops(http)] == [("StopLoss", "59100.00")]


def test_a_stop_closes_more_than_one_order_may() -> None:
    rules = {"price": 10, "tick_size": "0.01", "qty_step": 1, "max_order_qty": 100}
    market = {"source": "manual", "symbols": {"XYZUSDT": {}}, "instruments": {"XYZUSDT": rules}, "mark_halflife_s": 0}
    with venue_of(manual_config(market=market)) as venue:
        http = venue.http()
        order = {"category": "linear", "symbol": "XYZUSDT", "side": "Buy", "orderType": "Market", "positionIdx": 1}
        for _ in range(3):
            http.place_order(**order, qty="100", stopLoss="9.00")
        venue.set_price("XYZUSDT", "9.00")
        (leg, _) = http.get_positions(category="linear", symbol="XYZUSDT")["result"]["list"]
        assert leg["size"] == "0"


def test_an_order_that_turns_a_position_protects_what_it_opened() -> None:
    with venue_of(manual_config(position_mode="one_way")) as venue:
        http = venue.http()
        market = {**LINEAR, "orderType": "Market", "tpslMode": "Partial"}
        http.place_order(**market, side="Buy", qty="0.010", takeProfit="60500.00")
        http.place_order(**market, side="Sell", qty="0.004", stopLoss="61000.00")
        assert [(row["stopOrderType"], row["qty"]) for row in stops(http)] == [("PartialTakeProfit", "0.006")]
        http.place_order(**market, side="Sell", qty="0.011", stopLoss="61000.00")
        (row,) = stops(http)
        assert (row["stopOrderType"], row["side"], row["qty"]) == ("PartialStopLoss", "Buy", "0.005")


def test_an_order_counts_as_a_pair_only_until_it_has_one(venue: Venue) -> None:
    http = venue.http()
    http.place_order(**LINEAR, side="Buy", orderType="Market", qty="0.030", positionIdx=1)
    part = {"positionIdx": 1, "tpslMode": "Partial", "slSize": "0.001"}
    for number in range(18):
        http.set_trading_stop(**LINEAR, **part, stopLoss=f"{59000 - number}.00")
    http.place_order(**buy("0.300", "59990.00", **PARTIAL))
    venue.trade("BTCUSDT", "59990.00", "0.200", "Sell")
    assert len(stops(http)) == 18 + 2
    http.place_order(**buy(**PARTIAL, orderLinkId="twentieth"))
    assert refusal(http.place_order, **buy(**PARTIAL)) == 110061
    http.amend_order(**LINEAR, orderLinkId="twentieth", takeProfit="60600.00")  # it counts already


def test_an_amend_changes_removes_and_adds(venue: Venue) -> None:
    http = venue.http()
    http.place_order(**buy(**BOTH, orderLinkId="x"))
    amend = {**LINEAR, "orderLinkId": "x"}
    assert refusal(http.amend_order, **amend, **BOTH) == 10001  # as it is already
    assert refusal(http.amend_order, **amend, stopLoss="59950.00") == 10001
    assert refusal(http.amend_order, **amend, price="58000.00") == 10001  # its stop-loss would be above it
    http.amend_order(**amend, takeProfit="60700.00", tpTriggerBy="IndexPrice", price="59800.00")
    row = order_of(http, "x")
    assert (row["takeProfit"], row["tpTriggerBy"], row["price"]) == ("60700.00", "IndexPrice", "59800.00")
    http.amend_order(**amend, takeProfit="0", stopLoss="0")
    row = order_of(http, "x")
    assert (row["takeProfit"], row["stopLoss"], row["tpslMode"]) == ("", "", "")
    http.amend_order(**amend, stopLoss="58000.00", tpslMode="Partial")
    assert order_of(http, "x")["tpslMode"] == "Partial"
    venue.set_price("BTCUSDT", "59700.00")
    assert [(row["stopOrderType"], row["triggerPrice"]) for row in stops(http)] == [("PartialStopLoss", "58000.00")]


def test_a_limit_of_a_partial_stop_is_amended(venue: Venue) -> None:
    http = venue.http()
    http.place_order(**buy(**PARTIAL, slOrderType="Limit", slLimitPrice="58900.00", orderLinkId="x"))
    http.amend_order(**LINEAR, orderLinkId="x", slLimitPrice="58800.00")
    assert order_of(http, "x")["slLimitPrice"] == "58800.00"
    assert refusal(http.amend_order, **LINEAR, orderLinkId="x", tpslMode="Full") == 10001
    venue.set_price("BTCUSDT", "59800.00")
    child = stops(http)[0]
    http.amend_order(**LINEAR, orderId=child["orderId"], qty="0.004", price="58700.00")
    assert (stops(http)[0]["qty"], stops(http)[0]["price"]) == ("0.004", "58700.00")
    assert refusal(http.amend_order, **LINEAR, orderId=child["orderId"], qty="0.020") == 110058


def test_a_resting_order_has_no_trigger_to_amend(venue: Venue) -> None:
    http = venue.http()
    http.place_order(**buy(orderLinkId="x"))
    assert refusal(http.amend_order, **LINEAR, orderLinkId="x", triggerPrice="60100.00") == 10001
    assert refusal(http.amend_order, **LINEAR, orderLinkId="x", triggerBy="MarkPrice") == 10001
    http.amend_order(**LINEAR, orderLinkId="x", takeProfit="60500.00")
    assert order_of(http, "x")["tpslMode"] == "Full"


def test_what_closes_cannot_get_stops_by_an_amend(venue: Venue) -> None:
    http = venue.http()
    http.place_order(**LINEAR, side="Buy", orderType="Market", qty="0.010", positionIdx=1)
    http.place_order(**limit_order("BTCUSDT", "Sell", "0.010", "60900.00", 1, orderLinkId="x"))
    assert refusal(http.amend_order, **LINEAR, orderLinkId="x", stopLoss="61000.00") == 10001


def test_conditional_orders_bring_them_along_too(venue: Venue) -> None:
    http = venue.http()
    stop = {"triggerPrice": "60500.00", "triggerDirection": 1, "orderLinkId": "stop"}
    order = {**LINEAR, "side": "Buy", "orderType": "Market", "qty": "0.010", "positionIdx": 1}
    assert refusal(http.place_order, **order, **stop, stopLoss="60600.00") == 10001
    http.place_order(**order, **stop, stopLoss="60400.00")
    http.amend_order(**LINEAR, orderLinkId="stop", stopLoss="60300.00", triggerPrice="60450.00", triggerBy="MarkPrice")
    row = order_of(http, "stop")
    assert (row["stopLoss"], row["triggerPrice"], row["triggerBy"]) == ("60300.00", "60450.00", "MarkPrice")
    venue.set_price("BTCUSDT", "60460.00")
    assert [row["triggerPrice"] for row in stops(http)] == ["60300.00"]


def test_batches_and_the_trade_socket_take_them(venue: Venue) -> None:
    http = venue.http()
    items = [
        buy("0.001", "59900.00", **BOTH, orderLinkId="b1"),
        buy("0.001", "59800.00", takeProfit="59000.00", orderLinkId="b2"),
    ]
    answer = http.place_batch_order(category="linear", request=items)
    assert [each["code"] for each in answer["retExtInfo"]["list"]] == [0, 10001]
    item = {"symbol": "BTCUSDT", "orderLinkId": "b1", "takeProfit": "60600.00"}
    http.amend_batch_order(category="linear", request=[item])
    assert order_of(http, "b1")["takeProfit"] == "60600.00"
    answers: list[dict[str, Any]] = []
    socket = venue.trading_socket()
    socket.place_order(answers.append, **buy("0.001", "59700.00", **PARTIAL, orderLinkId="w1"))
    eventually(lambda: answers)
    assert order_of(http, "w1")["tpslMode"] == "Partial"
    socket.exit()


@pytest.mark.parametrize(
    "params",
    [
        {"takeProfit": "59900.00"},
        {"stopLoss": "59900.00"},
        {"takeProfit": "60500.00", "tpslMode": "Half"},
        {"takeProfit": "60500.00", "tpTriggerBy": "BestPrice"},
        {"takeProfit": "60500.00", "tpOrderType": "Limit", "tpLimitPrice": "60500.00"},
        {"takeProfit": "60500.00", "tpOrderType": "Limit", "tpslMode": "Partial"},
        {"takeProfit": "60500.001"},
        {"takeProfit": "-1"},
        {"side": "Sell", "takeProfit": "50000.00"},
    ],
)
def test_what_makes_no_sense_is_refused(venue: Venue, params: dict[str, Any]) -> None:
    http = venue.http()
    http.place_order(**LINEAR, side="Buy", orderType="Market", qty="0.010", positionIdx=1)
    assert refusal(http.place_order, **{**buy(), **params}) == 10001
    assert http.get_open_orders(**LINEAR)["result"]["list"] == []


def test_a_market_order_is_measured_by_the_watched_price(venue: Venue) -> None:
    http = venue.http()
    order = {**LINEAR, "side": "Sell", "orderType": "Market", "qty": "0.010", "positionIdx": 2}
    with pytest.raises(InvalidRequestError) as caught:
        http.place_order(**order, stopLoss="59990.00")
    text = "StopLoss:59990.00 set for Sell position should greater base_price:60000.00??LastPrice"
    assert (caught.value.status_code, text in caught.value.message) == (10001, True)
    http.place_order(**order, takeProfit="0", stopLoss="")
    assert stops(http) == []


def test_stops_in_every_state_survive_a_restart(tmp_path: Path) -> None:
    config = manual_config(state_file=tmp_path / "state.json")
    with venue_of(config) as venue:
        http = venue.http()
        http.place_order(**LINEAR, side="Buy", orderType="Market", qty="0.010", positionIdx=1, **BOTH)
        http.place_order(**buy(**PARTIAL, tpOrderType="Limit", tpLimitPrice="60510.00", orderLinkId="waiting"))
        http.place_order(**buy("0.002", "59995.00", **PARTIAL))
        venue.set_price("BTCUSDT", "59990.00")
        http.set_trading_stop(**LINEAR, positionIdx=1, trailingStop="500")
        venue.set_price("BTCUSDT", "60100.00")
        before = dump_state(venue.server.exchange)
        shown = stops(http)
    assert [row["stopOrderType"] for row in shown] == [
        "PartialStopLoss",
        "PartialTakeProfit",
        "StopLoss",
        "TakeProfit",
        "TrailingStop",
    ]
    with venue_of(config) as venue:
        http = venue.http()
        assert dump_state(venue.server.exchange) == before
        assert stops(http) == shown
        venue.set_price("BTCUSDT", "59800.00")  # the waiting order fills and brings its pair
        assert len(stops(http)) == 7
        venue.set_price("BTCUSDT", "59600.00")  # the trailing stop closes everything
        assert (size(http), stops(http)) == ("0", [])
