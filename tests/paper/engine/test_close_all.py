"""Quantity 0 with `reduceOnly` and `closeOnTrigger` closes a leg, whatever rests."""

from __future__ import annotations

from typing import Any

import pytest
from pybit.exceptions import InvalidRequestError

from tests.paper.support import Inbox, Venue, eventually, limit_order, manual_config, venue_of

LINEAR = {"category": "linear", "symbol": "BTCUSDT"}
OPEN = {**LINEAR, "side": "Buy", "orderType": "Market", "positionIdx": 1}
CLOSE = {**OPEN, "side": "Sell", "qty": "0", "reduceOnly": True, "closeOnTrigger": True}


def refusal(call: Any, **params: Any) -> tuple[int, str]:
    with pytest.raises(InvalidRequestError) as caught:
        call(**params)
    return int(caught.value.status_code), str(caught.value.message)


def size(http: Any) -> str:
    return str(http.get_positions(**LINEAR)["result"]["list"][0]["size"])


def cancelled(private: Inbox, count: int) -> list[dict[str, Any]]:
    """The first rows of cancelled orders."""

    def rows() -> list[dict[str, Any]]:
        return [row for row in private.rows("order") if row["orderStatus"] == "Cancelled"]

    eventually(lambda: len(rows()) >= count)
    return rows()


def test_it_closes_everything_and_then_there_is_nothing(venue: Venue) -> None:
    http = venue.http()
    http.place_order(**OPEN, qty="0.030")
    http.place_order(**CLOSE, orderLinkId="all")
    [row] = http.get_open_orders(**LINEAR, orderLinkId="all")["result"]["list"]
    assert (row["qty"], row["orderStatus"], size(http)) == ("0.030", "Filled", "0")
    assert refusal(http.place_order, **CLOSE) == (
        110017,
        "current position is zero, cannot fix reduce-only order qty",
    )


def test_without_both_flags_zero_is_too_few_contracts(venue: Venue) -> None:
    http = venue.http()
    http.place_order(**OPEN, qty="0.030")
    for flags in ({"closeOnTrigger": False}, {"reduceOnly": False}):
        code, words = refusal(http.place_order, **CLOSE | flags)
        assert (code, words) == (10001, "The number of contracts exceeds minimum limit allowed")


def test_resting_reduce_only_orders_make_room(venue: Venue, private: Inbox) -> None:
    http = venue.http()
    http.place_order(**OPEN, qty="0.030")
    http.place_order(**{**OPEN, "positionIdx": 2, "side": "Sell"}, qty="0.020")
    for number in range(3):
        price = f"{60500 + number}.00"
        http.place_order(**limit_order("BTCUSDT", "Sell", "0.010", price, 1, reduceOnly=True, orderLinkId=f"c{number}"))
    http.place_order(**limit_order("BTCUSDT", "Buy", "0.010", "59000.00", 1, orderLinkId="opens"))
    http.place_order(**limit_order("BTCUSDT", "Buy", "0.010", "59000.00", 2, reduceOnly=True, orderLinkId="other"))
    plain = {**CLOSE, "qty": "0.010", "closeOnTrigger": False}
    assert refusal(http.place_order, **plain) == (110017, "orderQty will be truncated to zero")
    http.place_order(**CLOSE)
    assert size(http) == "0"
    assert {row["orderLinkId"] for row in cancelled(private, 3)} == {"c0", "c1", "c2"}
    assert {row["cancelType"] for row in cancelled(private, 3)} == {"CancelByReduceOnly"}
    left = {row["orderLinkId"] for row in http.get_open_orders(**LINEAR)["result"]["list"]}
    assert left == {"opens", "other"}


def test_a_limit_order_covers_the_leg_and_the_others_go(venue: Venue) -> None:
    http = venue.http()
    http.place_order(**OPEN, qty="0.030")
    http.place_order(**limit_order("BTCUSDT", "Sell", "0.030", "60500.00", 1, reduceOnly=True, orderLinkId="old"))
    http.place_order(**CLOSE | {"orderType": "Limit", "price": "60400.00", "orderLinkId": "new"})
    [row] = http.get_open_orders(**LINEAR)["result"]["list"]
    assert (row["orderLinkId"], row["qty"]) == ("new", "0.030")


def test_a_refused_one_leaves_what_rests(venue: Venue) -> None:
    http = venue.http()
    http.set_limit_price_action(category="linear", modifyEnable=False)
    http.place_order(**OPEN, qty="0.030")
    http.place_order(**limit_order("BTCUSDT", "Sell", "0.030", "60500.00", 1, reduceOnly=True, orderLinkId="old"))
    code, _ = refusal(http.place_order, **CLOSE | {"orderType": "Limit", "price": "30000.00"})
    assert code == 110003
    assert [row["orderLinkId"] for row in http.get_open_orders(**LINEAR)["result"]["list"]] == ["old"]


def test_a_leg_over_the_maximum_of_one_order_needs_two() -> None:
    instrument = {"price": 60000, "tick_size": "0.10", "qty_step": "0.001", "max_order_qty": "0.020"}
    market = {"source": "manual", "instruments": {"BTCUSDT": instrument}, "symbols": {"BTCUSDT": {}}}
    with venue_of(manual_config(market=market)) as venue:
        http = venue.http()
        http.place_order(**OPEN, qty="0.020")
        http.place_order(**OPEN, qty="0.010")
        http.place_order(**CLOSE)
        assert size(http) == "0.010"
        http.place_order(**CLOSE)
        assert size(http) == "0"


def test_texts_say_which_side_is_wrong(venue: Venue) -> None:
    http = venue.http()
    same_side = (110017, "reduce-only order has same side with current position")
    assert refusal(http.place_order, **CLOSE | {"side": "Buy"}) == same_side
    http.switch_position_mode(**LINEAR, mode=0)
    http.place_order(**{**OPEN, "positionIdx": 0}, qty="0.010")
    one_way = {**CLOSE, "positionIdx": 0}
    assert refusal(http.place_order, **one_way | {"side": "Buy", "qty": "0.010"}) == same_side
    assert refusal(http.place_order, **one_way | {"side": "Buy"}) == same_side
    http.place_order(**one_way)
    assert size(http) == "0"
