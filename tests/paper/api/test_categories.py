"""Categories beside linear: the legal empty answer, and the category that was asked for."""

from __future__ import annotations

from typing import Any

import pytest
from pybit.exceptions import InvalidRequestError

from tests.paper.support import Venue, limit_order

LINEAR = {"category": "linear", "symbol": "BTCUSDT"}


def code_of(call: Any, **params: Any) -> int:
    with pytest.raises(InvalidRequestError) as caught:
        call(**params)
    return int(caught.value.status_code)


@pytest.fixture
def traded(venue: Venue) -> Any:
    """A client whose account has an open order, a closed one with executions, a position, and a closed PnL."""
    http = venue.http()
    market = {**LINEAR, "orderType": "Market", "positionIdx": 1}
    http.place_order(**market, side="Buy", qty="0.010", orderLinkId="in")
    http.place_order(**market, side="Sell", qty="0.004", orderLinkId="out")
    http.place_order(**limit_order("BTCUSDT", "Buy", "0.010", "59000.00", 1, orderLinkId="rests"))
    return http


def test_linear_listings_need_a_scope(traded: Any) -> None:
    assert code_of(traded.get_positions, category="linear") == 10001
    assert code_of(traded.get_open_orders, category="linear") == 10001


def test_cancel_all_of_other_categories_touches_nothing(traded: Any) -> None:
    for category in ("spot", "option"):
        assert traded.cancel_all_orders(category=category)["result"] == {"list": [], "success": "1"}
    assert traded.cancel_all_orders(category="inverse", settleCoin="BTC")["result"]["list"] == []
    for category in ("linear", "inverse"):
        assert code_of(traded.cancel_all_orders, category=category) == 10001
    assert [row["orderLinkId"] for row in traded.get_open_orders(**LINEAR)["result"]["list"]] == ["rests"]


def test_an_id_overrules_every_other_filter(traded: Any) -> None:
    [order] = traded.get_open_orders(category="linear", orderLinkId="rests", symbol="ETHUSDT")["result"]["list"]
    assert order["symbol"] == "BTCUSDT"
    [order] = traded.get_open_orders(category="linear", orderId=order["orderId"], baseCoin="ETH")["result"]["list"]
    assert order["orderLinkId"] == "rests"
    [order] = traded.get_order_history(category="linear", orderLinkId="in", symbol="ETHUSDT")["result"]["list"]
    assert order["orderStatus"] == "Filled"
    [fill] = traded.get_executions(category="linear", orderLinkId="in", symbol="ETHUSDT", startTime=1)["result"]["list"]
    assert fill["execQty"] == "0.010"
    assert traded.get_open_orders(category="spot", orderLinkId="rests")["result"]["list"] == []


def test_executions_are_filtered_by_settle_coin(traded: Any) -> None:
    assert len(traded.get_executions(category="linear", settleCoin="USDT")["result"]["list"]) == 2
    assert traded.get_executions(category="linear", settleCoin="USDC")["result"]["list"] == []


def test_fee_rates_of_other_categories_are_empty(traded: Any) -> None:
    assert traded.get_fee_rates(category="spot", symbol="BTCUSDT")["result"] == {"list": []}


def test_a_limit_over_the_maximum_gets_the_maximum(traded: Any) -> None:
    """Nobody knows what Bybit does; a client that asks for too much has to get something."""
    assert len(traded.get_orderbook(**LINEAR, limit=5000)["result"]["b"]) == 1000
    assert len(traded.get_executions(**LINEAR, limit=1000)["result"]["list"]) == 2
    assert code_of(traded.get_executions, **LINEAR, limit=0) == 10001
