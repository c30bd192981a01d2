"""Rules of the exchange that need a longer story than one refusal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
import requests
from pybit.exceptions import InvalidRequestError

from tests.paper.support import Inbox, Venue, eventually, limit_order, manual_config, venue_of

LINEAR = {"category": "linear", "symbol": "BTCUSDT"}


def test_no_more_than_500_active_orders_on_a_symbol(venue: Venue) -> None:
    http = venue.http()
    for start in range(0, 500, 20):
        batch = [limit_order("LTCUSDT", "Buy", "0.1", f"{84 - n / 100:.2f}", 1) for n in range(start, start + 20)]
        http.place_batch_order(category="linear", request=batch)
    with pytest.raises(InvalidRequestError) as caught:
        http.place_order(**limit_order("LTCUSDT", "Buy", "0.1", "84.50", 1))
    assert caught.value.status_code == 110020
    http.place_order(**limit_order("BTCUSDT", "Buy", "0.001", "59000.00", 1))
    assert len(http.cancel_all_orders(category="linear", symbol="LTCUSDT")["result"]["list"]) == 500


def test_a_price_outside_the_band_is_moved_into_it_or_refused_when_asked(venue: Venue, private: Inbox) -> None:
    http = venue.http()
    band = http.get_price_limit(**LINEAR)["result"]
    too_high = limit_order("BTCUSDT", "Buy", "0.001", "90000.00", 1, timeInForce="GTC", orderLinkId="high")
    http.place_order(**too_high)
    row = private.wait(lambda row: row["orderLinkId"] == "high", "order")
    assert row["price"] == band["buyLmt"]
    assert http.get_user_setting_config()["result"]["lpaPerp"] is False
    http.set_limit_price_action(category="linear", modifyEnable=False)
    assert http.get_user_setting_config()["result"]["lpaPerp"] is True
    with pytest.raises(InvalidRequestError) as caught:
        http.place_order(**too_high | {"orderLinkId": "higher"})
    assert caught.value.status_code == 110003
    http.place_order(**limit_order("BTCUSDT", "Buy", "0.001", "30000.00", 1))  # far below is always legal


def test_what_rests_keeps_its_price_when_the_tick_size_changes(venue: Venue, private: Inbox) -> None:
    """Bybit changes tick sizes while trading goes on. Between two ticks an order fills at the next one beyond it."""
    http = venue.http()
    for link, side, price in (("buy", "Buy", "59999.30"), ("sell", "Sell", "60000.70"), ("lower", "Buy", "59900.00")):
        order = limit_order("BTCUSDT", side, "0.001", price, 1 if side == "Buy" else 2, orderLinkId=link)
        http.place_order(**order | {"timeInForce": "PostOnly"})
    venue.call(lambda: venue.server.exchange.change_rules("BTCUSDT", tick_size=Decimal("0.50")))
    listing = http.get_instruments_info(**LINEAR)["result"]["list"][0]
    assert listing["priceFilter"]["tickSize"] == "0.50"
    rows = http.get_open_orders(**LINEAR)["result"]["list"]
    assert {row["orderLinkId"]: row["price"] for row in rows} == {
        "buy": "59999.30", "sell": "60000.70", "lower": "59900.00"
    }  # fmt: skip
    with pytest.raises(InvalidRequestError) as caught:
        http.place_order(**limit_order("BTCUSDT", "Buy", "0.001", "59998.30", 1))
    assert caught.value.status_code == 10001
    venue.set_price("BTCUSDT", "60000.50")
    venue.set_price("BTCUSDT", "59999.50")
    assert len(http.get_open_orders(**LINEAR)["result"]["list"]) == 3, "passed by none of them"
    venue.set_price("BTCUSDT", "59998.50")
    assert private.wait(lambda row: row["orderLinkId"] == "buy", "execution")["execPrice"] == "59999.30"
    venue.set_price("BTCUSDT", "60001.50")
    assert private.wait(lambda row: row["orderLinkId"] == "sell", "execution")["execPrice"] == "60000.70"


def test_an_amended_price_is_moved_into_the_band_as_well(venue: Venue, private: Inbox) -> None:
    http = venue.http()
    band = http.get_price_limit(**LINEAR)["result"]
    order = limit_order("BTCUSDT", "Buy", "0.001", "59000.00", 1, timeInForce="GTC", orderLinkId="x")
    http.place_order(**order)
    http.set_limit_price_action(category="linear", modifyEnable=False)
    with pytest.raises(InvalidRequestError) as caught:
        http.amend_order(**LINEAR, orderLinkId="x", price="90000.00")
    assert caught.value.status_code == 110003
    http.set_limit_price_action(category="linear", modifyEnable=True)
    http.amend_order(**LINEAR, orderLinkId="x", price="90000.00")
    row = private.wait(lambda row: row["orderLinkId"] == "x" and row["orderStatus"] == "Filled", "order")
    assert row["price"] == band["buyLmt"]


def test_resting_reduce_only_orders_go_when_the_position_goes() -> None:
    """In one-way mode an order of the other side may close what a reduce-only order waits for."""
    with venue_of(manual_config(position_mode="one_way")) as venue:
        http = venue.http()
        http.place_order(**limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 0))
        venue.set_price("BTCUSDT", "59800")
        for price in ("60500.00", "60900.00"):
            http.place_order(**limit_order("BTCUSDT", "Sell", "0.005", price, 0, reduceOnly=True))
        http.place_order(**LINEAR, side="Sell", orderType="Market", qty="0.005", positionIdx=0)
        rows = http.get_order_history(**LINEAR)["result"]["list"]
        assert [row["price"] for row in rows if row["cancelType"] == "CancelByReduceOnly"] == ["60900.00"]
        assert [row["price"] for row in http.get_open_orders(**LINEAR)["result"]["list"]] == ["60500.00"]


def test_a_one_way_position_is_turned_around(venue: Venue) -> None:
    with venue_of(manual_config(position_mode="one_way")) as one_way:
        http = one_way.http()
        market = {**LINEAR, "orderType": "Market", "positionIdx": 0}
        http.place_order(**market, side="Buy", qty="0.010")
        http.place_order(**market, side="Sell", qty="0.030")
        (row,) = http.get_positions(**LINEAR)["result"]["list"]
        assert (row["side"], row["size"], row["positionIdx"]) == ("Sell", "0.020", 0)


def test_close_all_closes_what_is_there(venue: Venue) -> None:
    http = venue.http()
    http.place_order(**LINEAR, side="Buy", orderType="Market", qty="0.013", positionIdx=1)
    http.place_order(
        **LINEAR, side="Sell", orderType="Market", qty="0", positionIdx=1, reduceOnly=True, closeOnTrigger=True
    )
    assert http.get_positions(**LINEAR)["result"]["list"][0]["size"] == "0"


@pytest.mark.parametrize(
    ("time_in_force", "reason"), [("IOC", "EC_NoImmediateQtyToFill"), ("FOK", "EC_NoEnoughQtyToFill")]
)
def test_what_may_not_rest_is_cancelled(venue: Venue, private: Inbox, time_in_force: str, reason: str) -> None:
    venue.http().place_order(**limit_order("BTCUSDT", "Buy", "0.010", "59000.00", 1, timeInForce=time_in_force))
    row = private.wait(lambda row: row["orderStatus"] == "Cancelled", "order")
    assert (row["rejectReason"], row["cumExecQty"]) == (reason, "0.000")


def test_an_immediate_order_takes_what_stands_up_to_its_price(venue: Venue, private: Inbox) -> None:
    at_best = venue.call(lambda: venue.server.exchange.markets["BTCUSDT"].depth.level_qty(600001))
    venue.http().place_order(**limit_order("BTCUSDT", "Buy", "1.000", "60000.10", 1, timeInForce="IOC"))
    row = private.wait(lambda row: row["orderStatus"] == "Cancelled", "order")
    assert row["cumExecQty"] == format(at_best, "f")
    assert row["avgPrice"] == "60000.1"


def test_it_runs_alone_and_says_how_to_use_it() -> None:
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-m", "gridbot.paper", "--port", "0", "--accounts", "carol"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        assert eventually(lambda: requests.get(url + "/v5/market/time", timeout=5).json()["retCode"] == 0)
        os.kill(process.pid, signal.SIGINT)
        text = process.stdout.read()
    assert process.returncode == 0
    assert "carol: api_key=paper-carol" in text
    assert f'http.endpoint = "{url}"' in text
    assert "ccxt.bybit" in text


def test_a_reduce_only_order_swept_together_with_what_closed_the_position_does_not_open_one() -> None:
    with venue_of(manual_config(position_mode="one_way")) as venue:
        http = venue.http()
        http.place_order(**limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 0))
        venue.set_price("BTCUSDT", "59800")
        http.place_order(**limit_order("BTCUSDT", "Sell", "0.010", "60500.00", 0))
        http.place_order(**limit_order("BTCUSDT", "Sell", "0.010", "60600.00", 0, reduceOnly=True, orderLinkId="late"))
        venue.set_price("BTCUSDT", "60700")
        (row,) = http.get_positions(**LINEAR)["result"]["list"]
        assert (row["size"], row["side"]) == ("0", "")
        late = http.get_order_history(**LINEAR, orderLinkId="late")["result"]["list"][0]
        assert (late["orderStatus"], late["cancelType"]) == ("Cancelled", "CancelByReduceOnly")
