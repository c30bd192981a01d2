"""Take-profit and stop-loss of a position over pybit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pybit.exceptions import InvalidRequestError

from gridbot.core.vocabulary import Direction
from gridbot.paper.accounts.stop_kinds import Trail
from tests.paper.support import BOB, Inbox, Venue, limit_order, manual_config, venue_of

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
        {"positionIdx": 1, "trailingStop": "50.005"},
        {"positionIdx": 1, "trailingStop": "60001"},
        {"positionIdx": 1, "trailingStop": "50", "activePrice": "59000.00"},
        {"positionIdx": 1, "activePrice": "61000.00"},
        {"positionIdx": 1, "stopLoss": "59000.00", "slOrderType": "Market"},
        {"positionIdx": 1, "stopLoss": "59000.00", "tpslMode": "Full", "slOrderType": "Limit", "slLimitPrice": "58900"},
        {"positionIdx": 1, "stopLoss": "59000.00", "tpslMode": "Partial"},
        {"positionIdx": 1, "slSize": "0.001", "tpslMode": "Partial"},
        {"positionIdx": 1, "stopLoss": "59000.00", "slSize": "0.001", "tpslMode": "Partial", "slOrderType": "Limit"},
        {
            "positionIdx": 1,
            "stopLoss": "59000.00",
            "takeProfit": "61000.00",
            "slSize": "0.001",
            "tpSize": "0.002",
            "tpslMode": "Partial",
        },
    ],
)
def test_what_makes_no_sense_is_refused(http: Any, params: dict[str, Any]) -> None:
    assert refusal(http, **params) == 10001
    assert stops(http) == []


def test_without_a_position_there_is_nothing_to_protect(venue: Venue) -> None:
    assert refusal(venue.http(), positionIdx=1, stopLoss="59000.00") == 10001


def rows(http: Any) -> list[dict[str, Any]]:
    return list(http.get_open_orders(**LINEAR, orderFilter="StopOrder")["result"]["list"])


def test_moving_one_keeps_its_order_and_the_pair_is_cancelled_together(http: Any) -> None:
    both = {"takeProfit": "60500.00", "stopLoss": "59000.00", "tpslMode": "Full"}
    http.set_trading_stop(**LINEAR, positionIdx=1, **both)
    ids = {row["orderId"] for row in rows(http)}
    http.set_trading_stop(**LINEAR, positionIdx=1, takeProfit="60600.00", stopLoss="59100.00", slTriggerBy="MarkPrice")
    assert {row["orderId"] for row in rows(http)} == ids
    assert {row["triggerBy"] for row in rows(http)} == {"LastPrice", "MarkPrice"}
    http.cancel_order(**LINEAR, orderId=min(ids))
    assert (stops(http), legs(http)[0]) == ([], ("0.010", "", ""))
    http.set_trading_stop(**LINEAR, positionIdx=1, **both)
    http.set_trading_stop(**LINEAR, positionIdx=1, takeProfit="60600.00")
    loss = next(row["orderId"] for row in rows(http) if row["stopOrderType"] == "StopLoss")
    http.cancel_order(**LINEAR, orderId=loss)
    assert stops(http) == [("TakeProfit", "60600.00")]  # changed alone, it is no pair any more


def test_without_a_mode_it_is_the_one_of_the_symbol(venue: Venue, http: Any) -> None:
    http.set_tp_sl_mode(**LINEAR, tpSlMode="Partial")
    assert refusal(http, positionIdx=1, takeProfit="61000.00") == 10001, "a part needs its size"
    http.set_trading_stop(**LINEAR, positionIdx=1, takeProfit="61000.00", tpSize="0.004")
    brings = limit_order("BTCUSDT", "Buy", "0.001", "50000.00", 1, takeProfit="62000.00", orderLinkId="brings")
    http.place_order(**brings)
    rows = http.get_open_orders(**LINEAR)["result"]["list"]
    assert {row["orderLinkId"] or row["stopOrderType"]: row["tpslMode"] for row in rows} == {
        "brings": "Partial",
        "PartialTakeProfit": "Partial",
    }
    http.set_tp_sl_mode(**LINEAR, tpSlMode="Full")
    http.set_trading_stop(**LINEAR, positionIdx=2, takeProfit="58000.00")
    assert stops(http) == [("PartialTakeProfit", "61000.00"), ("TakeProfit", "58000.00")]


def test_partial_stops_close_their_part_and_take_their_sibling_along(venue: Venue, http: Any, private: Inbox) -> None:
    part = {"tpslMode": "Partial", "positionIdx": 1, "tpSize": "0.004", "slSize": "0.004"}
    http.set_trading_stop(**LINEAR, **part, takeProfit="60500.00", stopLoss="59000.00")
    http.set_trading_stop(**LINEAR, **part, takeProfit="60700.00", stopLoss="58900.00")
    assert [row["qty"] for row in rows(http)] == ["0.004"] * 4
    assert refusal(http, **part, takeProfit="60800.00", stopLoss="58800.00") == 110058
    assert legs(http)[0] == ("0.010", "", "")
    venue.set_price("BTCUSDT", "60500.00")
    assert (legs(http)[0][0], len(stops(http))) == ("0.006", 2)
    fill = private.wait(lambda row: row["stopOrderType"] == "PartialTakeProfit", "execution")
    assert (fill["createType"], fill["closedSize"]) == ("CreateByPartialTakeProfit", "0.004")
    gone = private.wait(lambda row: row["orderStatus"] == "Deactivated", "order")
    assert (gone["stopOrderType"], gone["cancelType"]) == ("PartialStopLoss", "CancelByTpSlTsClear")
    assert gone["tpslMode"] == "Partial"
    http.place_order(**LINEAR, side="Sell", orderType="Market", qty="0.003", positionIdx=1)
    assert [row["qty"] for row in rows(http)] == ["0.003", "0.003"]
    http.place_order(**LINEAR, side="Sell", orderType="Market", qty="0.003", positionIdx=1)
    assert stops(http) == []


def test_a_partial_stop_takes_no_more_room_than_it_needs(venue: Venue, http: Any) -> None:
    for link_id, qty, price in (("near", "0.003", "60800.00"), ("far", "0.004", "60900.00")):
        http.place_order(**limit_order("BTCUSDT", "Sell", qty, price, 1, reduceOnly=True, orderLinkId=link_id))
    http.set_trading_stop(**LINEAR, positionIdx=1, tpslMode="Partial", stopLoss="59000.00", slSize="0.005")
    venue.set_price("BTCUSDT", "59000.00")
    assert legs(http)[0][0] == "0.005"
    assert [row["orderLinkId"] for row in http.get_open_orders(**LINEAR)["result"]["list"]] == ["near"]


def test_a_waiting_market_stop_has_no_price_yet(venue: Venue, http: Any) -> None:
    http.set_trading_stop(**LINEAR, positionIdx=1, stopLoss="59000.00")
    (row,) = rows(http)
    assert (row["orderType"], row["price"], row["triggerPrice"]) == ("Market", "0", "59000.00")
    venue.set_price("BTCUSDT", "59000.00")
    (filled,) = http.get_open_orders(**LINEAR, orderId=row["orderId"])["result"]["list"]
    assert (filled["orderStatus"], filled["price"] != "0") == ("Filled", True)


def test_a_liquidation_takes_the_stops_along() -> None:
    with venue_of(manual_config(default_leverage=50)) as venue:
        http = venue.http(BOB)
        http.place_order(
            **LINEAR,
            side="Buy",
            orderType="Market",
            qty="0.300",
            positionIdx=1,
            takeProfit="70000.00",
            stopLoss="1000.00",
        )
        http.set_trading_stop(**LINEAR, positionIdx=1, trailingStop="20000")
        part = {"tpslMode": "Partial", "tpSize": "0.100", "slSize": "0.100"}
        http.set_trading_stop(**LINEAR, positionIdx=1, takeProfit="65000.00", stopLoss="2000.00", **part)
        assert len(stops(http)) == 5
        venue.set_price("BTCUSDT", "58500")
        assert (legs(http)[0], stops(http)) == (("0", "", ""), [])
        ended = http.get_order_history(**LINEAR)["result"]["list"]
        cancelled = [row["cancelType"] for row in ended if row["stopOrderType"] != "UNKNOWN"]
        assert cancelled == ["CancelAllBeforeLiq"] * 5


def test_a_limit_stop_becomes_a_limit_order_that_rests(venue: Venue, http: Any) -> None:
    http.set_trading_stop(
        **LINEAR,
        positionIdx=1,
        tpslMode="Partial",
        takeProfit="60500.00",
        tpSize="0.010",
        tpOrderType="Limit",
        tpLimitPrice="60550.00",
    )
    (row,) = rows(http)
    assert (row["orderType"], row["price"], row["stopOrderType"]) == ("Limit", "60550.00", "PartialTakeProfit")
    venue.set_price("BTCUSDT", "60500.00")
    (row,) = http.get_open_orders(**LINEAR, orderFilter="Order")["result"]["list"]
    assert (row["orderStatus"], row["price"], row["reduceOnly"]) == ("New", "60550.00", True)
    venue.set_price("BTCUSDT", "60600.00")
    assert legs(http)[0][0] == "0"
    assert http.get_executions(**LINEAR)["result"]["list"][0]["isMaker"] is True


def test_no_more_than_twenty_partial_pairs(venue: Venue) -> None:
    http = venue.http()
    http.place_order(**LINEAR, side="Buy", orderType="Market", qty="0.030", positionIdx=1)
    part = {"positionIdx": 1, "tpslMode": "Partial", "slSize": "0.001"}
    for number in range(20):
        http.set_trading_stop(**LINEAR, **part, stopLoss=f"{59000 - number}.00")
    assert refusal(http, **part, stopLoss="58000.00") == 110061


@pytest.mark.parametrize(("idx", "sign"), [(1, 1), (2, -1)])
def test_a_trailing_stop_follows_the_best_price_once_it_is_active(
    venue: Venue, http: Any, private: Inbox, idx: int, sign: int
) -> None:
    def at(distance: int) -> str:
        return f"{60000 + sign * distance}.00"

    http.set_trading_stop(**LINEAR, positionIdx=idx, trailingStop="100", activePrice=at(300))
    assert refusal(http, positionIdx=idx, trailingStop="100", activePrice=at(300)) == 34040
    (row,) = rows(http)
    assert (row["stopOrderType"], row["createType"], row["triggerPrice"]) == (
        "TrailingStop",
        "CreateByTrailingStop",
        at(200),
    )
    assert http.get_positions(**LINEAR)["result"]["list"][idx - 1]["trailingStop"] == "100.00"
    venue.set_price("BTCUSDT", at(150))  # behind its trigger price, but not active yet
    assert len(rows(http)) == 1
    for best, trigger in ((350, 250), (500, 400), (450, 400)):
        venue.set_price("BTCUSDT", at(best))
        assert rows(http)[0]["triggerPrice"] == at(trigger)
    with pytest.raises(InvalidRequestError):
        http.amend_order(**LINEAR, orderId=row["orderId"], triggerPrice=at(0))
    venue.set_price("BTCUSDT", at(400))
    assert http.get_positions(**LINEAR)["result"]["list"][idx - 1]["size"] == "0"
    assert private.wait(lambda row: row["stopOrderType"] == "TrailingStop", "execution")["closedSize"] != "0"


def test_a_trailing_stop_is_changed_and_removed(http: Any) -> None:
    http.set_trading_stop(**LINEAR, positionIdx=1, trailingStop="100")
    (row,) = rows(http)
    assert row["triggerPrice"] == "59900.00"
    http.set_trading_stop(**LINEAR, positionIdx=1, trailingStop="200", stopLoss="59000.00")
    assert [(row["orderId"], row["triggerPrice"]) for row in rows(http)][1] == (row["orderId"], "59800.00")
    http.set_trading_stop(**LINEAR, positionIdx=1, trailingStop="0")
    assert stops(http) == [("StopLoss", "59000.00")]
    assert http.get_positions(**LINEAR)["result"]["list"][0]["trailingStop"] == "0"


@given(
    st.sampled_from(Direction),
    st.integers(1, 50),
    st.none() | st.integers(950, 1050),
    st.lists(st.integers(900, 1100), min_size=1, max_size=30),
)
def test_a_trailing_stop_keeps_its_distance_to_the_best_price_it_has_seen(
    position: Direction, distance: int, active: int | None, prices: list[int]
) -> None:
    sign = 1 if position is Direction.LONG else -1
    trail = Trail(Decimal(distance), None if active is None else Decimal(active), follows=active is None)
    trigger = trail.first_trigger(position, Decimal(prices[0]))
    seen: list[int] = [prices[0]] if active is None else []
    for price in prices:
        trail, trigger = trail.follow(position, trigger, Decimal(price))
        if seen or active is None or (price - active) * sign >= 0:
            seen.append(price)
        assert trail.follows is bool(seen)
        if seen:
            best = max(seen) if sign > 0 else min(seen)
            assert trigger == best - sign * distance
