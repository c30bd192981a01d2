"""Rarer parameters of an order, over pybit: slippage tolerance, place in the book, retail price improvement, qty 0."""

from __future__ import annotations

from typing import Any

import pytest
from pybit.exceptions import InvalidRequestError

from tests.paper.support import Venue, limit_order

LINEAR = {"category": "linear", "symbol": "BTCUSDT"}
MARKET = {**LINEAR, "side": "Buy", "orderType": "Market", "positionIdx": 1}


def refusal(call: Any, **params: Any) -> int:
    with pytest.raises(InvalidRequestError) as caught:
        call(**params)
    return int(caught.value.status_code)


def order_of(http: Any, link_id: str) -> dict[str, Any]:
    (row,) = http.get_open_orders(**LINEAR, orderLinkId=link_id)["result"]["list"]
    return dict(row)


@pytest.mark.parametrize(
    ("side", "kind", "tolerance", "worst"),
    [
        ("Buy", "TickSize", "3", 3),
        ("Sell", "TickSize", "3", 3),
        ("Buy", "Percent", "0.01", 60),
        ("Sell", "Percent", "0.01", 59),
    ],
)
def test_a_market_order_takes_nothing_beyond_its_tolerance(
    venue: Venue, side: str, kind: str, tolerance: str, worst: int
) -> None:
    http = venue.http()
    market = venue.server.exchange.markets["BTCUSDT"]
    best = market.depth.ask_ticks if side == "Buy" else market.depth.bid_ticks
    order = {**MARKET, "side": side, "positionIdx": 1 if side == "Buy" else 2}
    http.set_leverage(**LINEAR, buyLeverage="100", sellLeverage="100")
    limits = {"slippageToleranceType": kind, "slippageTolerance": tolerance}
    qty = sum(market.depth.level_qty(best + step if side == "Buy" else best - step) for step in range(worst + 1))
    http.place_order(**order, qty=f"{min(qty * 2, 12):f}"[:5], orderLinkId="slip", **limits)
    row = order_of(http, "slip")
    assert (row["slippageToleranceType"], row["slippageTolerance"]) == (kind, tolerance)
    fills = http.get_executions(**LINEAR, limit=100)["result"]["list"]
    tick = market.instrument.tick_size
    distances = [abs(int(float(fill["execPrice"]) / float(tick) + 0.5) - best) for fill in fills]
    assert max(distances) <= worst
    if kind == "TickSize":
        assert max(distances) == worst
        assert (row["orderStatus"], row["rejectReason"]) == ("Cancelled", "EC_NoImmediateQtyToFill")


def test_tolerances_have_their_ranges(venue: Venue) -> None:
    http = venue.http()
    for kind, value, code in (
        ("TickSize", "0", 110108),
        ("TickSize", "1.5", 110108),
        ("TickSize", "10001", 110108),
        ("Percent", "0.001", 110109),
        ("Percent", "11", 110109),
        ("Points", "1", 10001),
    ):
        limits = {"slippageToleranceType": kind, "slippageTolerance": value}
        assert refusal(http.place_order, **MARKET, qty="0.001", **limits) == code
    limits = {"slippageToleranceType": "TickSize", "slippageTolerance": "5"}
    assert refusal(http.place_order, **limit_order("BTCUSDT", "Buy", "0.001", "59000.00", 1), **limits) == 10001
    assert refusal(http.place_order, **MARKET, qty="0.001", takeProfit="61000.00", **limits) == 10001


def test_an_order_can_stand_at_a_place_in_the_book(venue: Venue) -> None:
    http = venue.http()
    book = http.get_orderbook(**LINEAR, limit=5)["result"]
    order = {**LINEAR, "side": "Buy", "orderType": "Limit", "qty": "0.010", "positionIdx": 1}
    http.place_order(**order, bboSideType="Queue", bboLevel="3", orderLinkId="queue")
    assert (order_of(http, "queue")["price"], order_of(http, "queue")["orderStatus"]) == (book["b"][2][0], "New")
    http.place_order(**order, bboSideType="Counterparty", bboLevel="2", orderLinkId="other")
    assert (order_of(http, "other")["price"], order_of(http, "other")["orderStatus"]) == (book["a"][1][0], "Filled")
    http.place_order(**{**order, "side": "Sell", "positionIdx": 2}, bboSideType="Queue", bboLevel="1", orderLinkId="s")
    assert order_of(http, "s")["price"] == http.get_orderbook(**LINEAR, limit=1)["result"]["a"][0][0]
    assert refusal(http.place_order, **order, bboSideType="Queue", bboLevel="6") == 10001
    assert refusal(http.place_order, **order, bboSideType="Front", bboLevel="1") == 10001
    assert refusal(http.place_order, **MARKET, qty="0.001", bboSideType="Queue", bboLevel="1") == 10001


def test_retail_price_improvement_is_post_only(venue: Venue) -> None:
    http = venue.http()
    order = limit_order("BTCUSDT", "Buy", "0.010", "59000.00", 1) | {"timeInForce": "RPI", "rpiTakerAccess": True}
    http.place_order(**order, orderLinkId="rests")
    row = order_of(http, "rests")
    assert (row["timeInForce"], row["orderStatus"]) == ("RPI", "New")
    http.place_order(**{**order, "price": "60100.00"}, orderLinkId="takes")
    assert order_of(http, "takes")["rejectReason"] == "EC_PostOnlyWillTakeLiquidity"
    assert refusal(http.place_order, **{**MARKET, "timeInForce": "RPI"}, qty="0.001") == 10001


def test_waiting_stops_take_no_place_of_active_orders(venue: Venue) -> None:
    http = venue.http()
    http.place_order(**MARKET, qty="0.010", takeProfit="61000.00", stopLoss="59000.00")
    for start in range(0, 500, 20):
        items = [limit_order("BTCUSDT", "Buy", "0.001", f"{50000 + start + n}.00", 1) for n in range(20)]
        answer = http.place_batch_order(category="linear", request=items)
        assert {each["code"] for each in answer["retExtInfo"]["list"]} == {0}
    assert refusal(http.place_order, **limit_order("BTCUSDT", "Buy", "0.001", "49000.00", 1)) == 110020


def test_a_leverage_that_cannot_be_paid_changes_nothing(venue: Venue) -> None:
    http = venue.http()
    http.set_leverage(**LINEAR, buyLeverage="50", sellLeverage="50")
    http.place_order(**MARKET, qty="2.000")
    http.place_order(**limit_order("BTCUSDT", "Buy", "2.000", "59000.00", 1))
    before = http.get_wallet_balance(accountType="UNIFIED")["result"]
    assert refusal(http.set_leverage, **LINEAR, buyLeverage="2", sellLeverage="2") == 110007
    assert http.get_wallet_balance(accountType="UNIFIED")["result"] == before
    assert http.get_positions(**LINEAR)["result"]["list"][0]["leverage"] == "50"
