"""Self-match prevention, splitting of big closing orders, and which closing order goes first."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.paper.support import BOB, Inbox, Venue, limit_order, manual_config, venue_of

LINEAR = {"category": "linear", "symbol": "BTCUSDT"}
INSTRUMENT = {"price": 100, "tick_size": 0.01, "qty_step": 0.1, "max_order_qty": 5, "tier_limit": 1_000_000}


def order_of(venue: Venue, link_id: str) -> dict[str, Any]:
    (row,) = venue.http().get_open_orders(**LINEAR, orderLinkId=link_id)["result"]["list"]
    return dict(row)


def rest_two_asks(venue: Venue) -> None:
    """Alice opens shorts one and three ticks above the best ask of 60000.10."""
    for ticks, link_id in ((1, "near"), (3, "far")):
        price = f"{60000.1 + ticks / 10:.2f}"
        venue.http().place_order(**limit_order("BTCUSDT", "Sell", "0.010", price, 2, orderLinkId=link_id))


def take(venue: Venue, **extra: Any) -> None:
    """A buy up to the second tick above the best ask, far more than stands there."""
    order = limit_order("BTCUSDT", "Buy", "1.000", "60000.30", 1, timeInForce="GTC", orderLinkId="taker")
    venue.http().place_order(**order | extra)


@pytest.mark.parametrize(
    ("smp_type", "near", "taker"),
    [
        ("None", "New", "PartiallyFilled"),
        ("CancelMaker", "Cancelled", "PartiallyFilled"),
        ("CancelTaker", "New", "Cancelled"),
        ("CancelBoth", "Cancelled", "Cancelled"),
    ],
)
def test_the_takers_setting_decides_about_the_first_own_order_it_reaches(
    venue: Venue, private: Inbox, smp_type: str, near: str, taker: str
) -> None:
    rest_two_asks(venue)
    take(venue, smpType=smp_type)
    incoming, resting = order_of(venue, "taker"), order_of(venue, "near")
    assert (resting["orderStatus"], incoming["orderStatus"]) == (near, taker)
    assert order_of(venue, "far")["orderStatus"] == "New"  # beyond the taker's price
    met = {row["orderLinkId"]: row for row in (incoming, resting) if row["orderStatus"] == "Cancelled"}
    assert {row["cancelType"] for row in met.values()} <= {"CancelBySmp"}
    for row, other in ((incoming, resting), (resting, incoming)):
        assert row["smpOrderId"] == (other["orderId"] if row["orderLinkId"] in met else "")
    at_best = venue.call(lambda: venue.server.exchange.markets["BTCUSDT"].depth.level_qty(600001))
    if smp_type in ("CancelTaker", "CancelBoth"):  # what stood before its own order is taken, and stays
        assert Decimal(incoming["cumExecQty"]) == at_best
        private.wait(lambda row: row["orderLinkId"] == "taker" and row["cancelType"] == "CancelBySmp", "order")
    else:
        assert Decimal(incoming["cumExecQty"]) > at_best


def test_a_market_order_reaches_only_the_own_orders_it_needs(venue: Venue) -> None:
    rest_two_asks(venue)
    at_best = venue.call(lambda: venue.server.exchange.markets["BTCUSDT"].depth.level_qty(600001))
    market = {**LINEAR, "side": "Buy", "orderType": "Market", "positionIdx": 1, "smpType": "CancelBoth"}
    venue.http().place_order(**market, qty=format(at_best, "f"), orderLinkId="small")
    assert order_of(venue, "small")["orderStatus"] == "Filled"
    assert order_of(venue, "near")["orderStatus"] == "New"
    venue.http().place_order(**market, qty="1.000", orderLinkId="big")
    assert order_of(venue, "big")["cancelType"] == "CancelBySmp"
    assert order_of(venue, "near")["cancelType"] == "CancelBySmp"


@pytest.mark.parametrize(("smp_type", "filled"), [("CancelTaker", "0.000"), ("CancelMaker", "0.300")])
def test_fill_or_kill_is_whole_or_nothing_with_prevention_too(venue: Venue, smp_type: str, filled: str) -> None:
    rest_two_asks(venue)
    take(venue, smpType=smp_type, timeInForce="FOK", qty="0.300")
    assert order_of(venue, "taker")["cumExecQty"] == filled


def test_an_own_order_inside_the_spread_is_met_as_well(venue: Venue) -> None:
    http = venue.http()
    http.place_order(**limit_order("BTCUSDT", "Sell", "0.010", "60000.00", 2, orderLinkId="inside"))
    http.place_order(**limit_order("BTCUSDT", "Buy", "0.010", "60000.00", 1, smpType="CancelMaker", orderLinkId="po"))
    assert order_of(venue, "po")["rejectReason"] == "EC_PostOnlyWillTakeLiquidity"
    assert order_of(venue, "inside")["orderStatus"] == "New"
    take(venue, price="60000.00", qty="0.010", smpType="CancelMaker")
    assert order_of(venue, "inside")["cancelType"] == "CancelBySmp"
    assert order_of(venue, "taker")["orderStatus"] == "New"


def test_amending_into_an_own_order_counts_as_taking(venue: Venue) -> None:
    rest_two_asks(venue)
    take(venue, price="59900.00", qty="0.010", smpType="CancelTaker")
    venue.http().amend_order(**LINEAR, orderLinkId="taker", price="60000.20", qty="1.000")
    assert order_of(venue, "taker")["cancelType"] == "CancelBySmp"


def test_orders_of_different_accounts_never_meet(venue: Venue) -> None:
    bob = venue.http(BOB)
    bob.place_order(**limit_order("BTCUSDT", "Sell", "0.001", "60000.00", 2))
    take(venue, price="60000.00", qty="0.001", smpType="CancelBoth")
    assert order_of(venue, "taker")["orderStatus"] == "New"
    assert [row["orderStatus"] for row in bob.get_open_orders(**LINEAR)["result"]["list"]] == ["New"]


def small_orders_only(**changes: Any) -> Any:
    market = {
        "source": "manual",
        "mark_halflife_s": 0,
        "level_notional": 100_000,
        "instruments": {"ABCUSDT": INSTRUMENT},
    }
    return manual_config(market=market | {"symbols": {"ABCUSDT": {"price": 100}}}, **changes)


def test_a_reduce_only_quantity_beyond_the_maximum_becomes_several_orders() -> None:
    with venue_of(small_orders_only()) as venue:
        http = venue.http()
        abc = {"category": "linear", "symbol": "ABCUSDT"}
        for _ in range(3):
            http.place_order(**abc, side="Buy", orderType="Market", qty="4", positionIdx=1)
        sell = limit_order("ABCUSDT", "Sell", "40", "101.00", 1, reduceOnly=True, orderLinkId="out")
        first = http.place_order(**sell)["result"]
        rows = http.get_open_orders(**abc)["result"]["list"]
        assert sorted((row["qty"], row["orderLinkId"]) for row in rows) == [("2.0", ""), ("5.0", ""), ("5.0", "out")]
        assert first["orderId"] == next(row["orderId"] for row in rows if row["orderLinkId"] == "out")
        http.cancel_all_orders(**abc)
        close_all = {"qty": "0", "reduceOnly": True, "closeOnTrigger": True}
        http.place_order(**abc, side="Sell", orderType="Market", positionIdx=1, **close_all)  # up to the maximum
        assert http.get_positions(**abc)["result"]["list"][0]["size"] == "7.0"
        http.place_order(**abc, side="Sell", orderType="Market", positionIdx=1, qty="7", reduceOnly=True)
        assert http.get_positions(**abc)["result"]["list"][0]["size"] == "0"


@pytest.mark.parametrize(
    ("first", "kept"),
    [
        ("", "60500.00"),
        ("farthest", "60500.00"),
        ("nearest", "60900.00"),
        ("newest", "60900.00"),
        ("oldest", "60500.00"),
    ],
)
def test_which_closing_order_goes_first_is_configured(first: str, kept: str) -> None:
    chosen = {"reduce_only_cancels": first} if first else {}
    with venue_of(manual_config(position_mode="one_way", **chosen)) as venue:
        http = venue.http()
        http.place_order(**LINEAR, side="Buy", orderType="Market", qty="0.010", positionIdx=0)
        for price in ("60900.00", "60500.00"):
            http.place_order(**limit_order("BTCUSDT", "Sell", "0.005", price, 0, reduceOnly=True))
        http.place_order(**LINEAR, side="Sell", orderType="Market", qty="0.005", positionIdx=0)
        assert [row["price"] for row in http.get_open_orders(**LINEAR)["result"]["list"]] == [kept]
