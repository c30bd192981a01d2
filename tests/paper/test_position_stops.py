"""Take-profit and stop-loss of a position over pybit."""

from __future__ import annotations

from typing import Any

import pytest
from pybit.exceptions import InvalidRequestError

from tests.paper.support import Inbox, Venue, limit_order

LINEAR = {"category": "linear", "symbol": "BTCUSDT"}


@pytest.fixture
def http(venue: Venue) -> Any:
    """Alice, long 0.010 and short 0.020."""
    http = venue.http()
    for side, idx, qty in (("Buy", 1, "0.010"), ("Sell", 2, "0.020")):
        http.place_order(**LINEAR, side=side, orderType="Market", qty=qty, positionIdx=idx)
    return http


def legs(http: Any) -> list[tuple[str, str, str]]:
    rows = http.get_positions(**LINEAR)["result"]["list"]
    return [(row["size"], row["takeProfit"], row["stopLoss"]) for row in rows]


def stops(http: Any) -> list[tuple[str, str]]:
    rows = http.get_open_orders(**LINEAR, orderFilter="StopOrder")["result"]["list"]
    return sorted((row["stopOrderType"], row["triggerPrice"]) for row in rows)


def refusal(http: Any, **params: Any) -> int:
    with pytest.raises(InvalidRequestError) as caught:
        http.set_trading_stop(**LINEAR, **params)
    return int(caught.value.status_code)


def test_each_leg_has_its_own_and_the_one_that_is_reached_closes_it(venue: Venue, http: Any, private: Inbox) -> None:
    http.set_trading_stop(**LINEAR, positionIdx=1, takeProfit="60500.00", stopLoss="59000.00", tpslMode="Full")
    http.set_trading_stop(**LINEAR, positionIdx=2, takeProfit="58000.00", stopLoss="62000.00")
    assert legs(http) == [("0.010", "60500.00", "59000.00"), ("0.020", "58000.00", "62000.00")]
    http.place_order(**limit_order("BTCUSDT", "Sell", "0.010", "60900.00", 1, reduceOnly=True, orderLinkId="grid"))
    venue.set_price("BTCUSDT", "60500.00")
    assert legs(http) == [("0", "", ""), ("0.020", "58000.00", "62000.00")]
    assert stops(http) == [("StopLoss", "62000.00"), ("TakeProfit", "58000.00")]
    gone = private.wait(lambda row: row["cancelType"] == "CancelByTpSlTsClear", "order")
    assert (gone["stopOrderType"], gone["orderStatus"]) == ("StopLoss", "Deactivated")
    grid = private.wait(lambda row: row["orderLinkId"] == "grid" and row["orderStatus"] == "Cancelled", "order")
    assert grid["cancelType"] == "CancelByReduceOnly"
    assert http.get_executions(**LINEAR)["result"]["list"][0]["stopOrderType"] == "TakeProfit"


def test_they_are_moved_removed_and_go_with_the_position(venue: Venue, http: Any) -> None:
    http.set_trading_stop(**LINEAR, positionIdx=1, takeProfit="60500.00", stopLoss="59000.00")
    http.set_trading_stop(**LINEAR, positionIdx=1, takeProfit="60700.00")
    assert stops(http) == [("StopLoss", "59000.00"), ("TakeProfit", "60700.00")]
    http.set_trading_stop(**LINEAR, positionIdx=1, stopLoss="0")
    assert legs(http)[0] == ("0.010", "60700.00", "")
    assert refusal(http, positionIdx=1, takeProfit="60700.00", stopLoss="0") == 34040
    http.place_order(**LINEAR, side="Sell", orderType="Market", qty="0.010", positionIdx=1)
    assert (legs(http)[0], stops(http)) == (("0", "", ""), [])


def test_its_order_can_be_amended_and_spared_by_a_cancel_of_all_conditional_ones(http: Any) -> None:
    http.set_trading_stop(**LINEAR, positionIdx=1, takeProfit="60500.00", stopLoss="59000.00")
    rows = http.get_open_orders(**LINEAR, orderFilter="StopOrder")["result"]["list"]
    loss = next(row["orderId"] for row in rows if row["stopOrderType"] == "StopLoss")
    http.amend_order(**LINEAR, orderId=loss, triggerPrice="59100.00")
    assert legs(http)[0] == ("0.010", "60500.00", "59100.00")
    http.cancel_all_orders(**LINEAR, orderFilter="StopOrder", stopOrderType="Stop")
    assert len(stops(http)) == 2
    http.cancel_all_orders(**LINEAR)
    assert (legs(http)[0], stops(http)) == (("0.010", "", ""), [])


@pytest.mark.parametrize(
    "params",
    [
        {"positionIdx": 1, "takeProfit": "59000.00"},
        {"positionIdx": 2, "stopLoss": "59000.00"},
        {"positionIdx": 0, "stopLoss": "59000.00"},
        {"positionIdx": 1},
        {"positionIdx": 1, "trailingStop": "50"},
        {"positionIdx": 1, "stopLoss": "59000.00", "tpslMode": "Partial"},
    ],
)
def test_what_makes_no_sense_is_refused(http: Any, params: dict[str, Any]) -> None:
    assert refusal(http, **params) == 10001
    assert stops(http) == []


def test_without_a_position_there_is_nothing_to_protect(venue: Venue) -> None:
    assert refusal(venue.http(), positionIdx=1, stopLoss="59000.00") == 10001
