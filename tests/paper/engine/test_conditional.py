"""Conditional orders over pybit: waiting, triggered, amended, cancelled, listed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pybit.exceptions import InvalidRequestError

from tests.paper.support import Inbox, Venue, eventually, limit_order, manual_config, venue_of

LINEAR = {"category": "linear", "symbol": "BTCUSDT"}


def stop_buy(link_id: str = "stop", **extra: Any) -> dict[str, Any]:
    """Open a long at the market when the last price rises to 60500."""
    trigger = {"triggerPrice": "60500.00", "triggerDirection": 1, "orderLinkId": link_id}
    return {**LINEAR, "side": "Buy", "orderType": "Market", "qty": "0.010", "positionIdx": 1} | trigger | extra


def order_of(venue: Venue, link_id: str) -> dict[str, Any]:
    (row,) = venue.http().get_open_orders(**LINEAR, orderLinkId=link_id)["result"]["list"]
    return dict(row)


def size(venue: Venue) -> str:
    return str(venue.http().get_positions(**LINEAR)["result"]["list"][0]["size"])


def available(venue: Venue) -> str:
    row = venue.http().get_wallet_balance(accountType="UNIFIED")["result"]["list"][0]
    return str(row["totalAvailableBalance"])


def refusal(call: Any, **params: Any) -> int:
    with pytest.raises(InvalidRequestError) as caught:
        call(**params)
    return int(caught.value.status_code)


def test_a_stop_waits_without_margin_and_goes_to_the_market_when_the_price_is_there(
    venue: Venue, private: Inbox
) -> None:
    http = venue.http()
    http.place_order(**stop_buy())
    row = order_of(venue, "stop")
    assert (row["orderStatus"], row["stopOrderType"], row["createType"]) == ("Untriggered", "Stop", "CreateByStopOrder")
    assert (row["triggerPrice"], row["triggerDirection"], row["triggerBy"]) == ("60500.00", 1, "LastPrice")
    assert available(venue) == "10000"
    venue.set_price("BTCUSDT", "60499.90")
    assert order_of(venue, "stop")["orderStatus"] == "Untriggered"
    venue.set_price("BTCUSDT", "60500.00")
    assert (order_of(venue, "stop")["orderStatus"], size(venue)) == ("Filled", "0.010")
    private.wait(lambda row: row["orderStatus"] == "Filled", "order")
    assert [row["orderStatus"] for row in private.rows("order")] == ["Untriggered", "Triggered", "Filled"]
    assert http.get_executions(**LINEAR)["result"]["list"][0]["stopOrderType"] == "Stop"


def test_a_stop_limit_rests_once_it_is_triggered(venue: Venue, private: Inbox) -> None:
    venue.http().place_order(
        **stop_buy(orderType="Limit", price="59000.00", triggerPrice="59500.00", triggerDirection=2)
    )
    venue.set_price("BTCUSDT", "59400.00")
    private.wait(lambda row: row["orderStatus"] == "New", "order")
    assert [row["orderStatus"] for row in private.rows("order")] == ["Untriggered", "Triggered", "New"]
    assert available(venue) != "10000"
    venue.set_price("BTCUSDT", "58900.00")
    assert size(venue) == "0.010"


def test_the_mark_price_triggers_apart_from_the_last(venue: Venue) -> None:
    venue.http().place_order(**stop_buy(triggerBy="MarkPrice"))
    market = venue.server.exchange.markets["BTCUSDT"]
    venue.call(lambda: setattr(market, "pinned_mark", market.last))
    venue.set_price("BTCUSDT", "60600.00")
    assert order_of(venue, "stop")["orderStatus"] == "Untriggered"
    venue.call(lambda: setattr(market, "pinned_mark", market.last))
    eventually(lambda: order_of(venue, "stop")["orderStatus"] == "Filled")  # by the exchange's clock


@pytest.mark.parametrize(
    ("extra", "code"),
    [
        ({"triggerPrice": "59900.00"}, 110092),
        ({"triggerDirection": 2}, 110093),
        ({"triggerDirection": ""}, 10001),
        ({"triggerPrice": "60500.01"}, 10001),
        ({"triggerBy": "SpotPrice"}, 10001),
        ({"side": "Sell", "positionIdx": 2, "reduceOnly": True}, 110017),
        ({"positionIdx": 0}, 10001),
    ],
)
def test_triggers_that_make_no_sense_are_refused(venue: Venue, extra: dict[str, Any], code: int) -> None:
    http = venue.http()
    assert refusal(http.place_order, **stop_buy(**extra)) == code
    assert http.get_open_orders(**LINEAR)["result"]["list"] == []


def test_no_more_than_ten_wait_on_a_symbol(venue: Venue) -> None:
    http = venue.http()
    for number in range(10):
        http.place_order(**stop_buy(f"s{number}"))
    assert refusal(http.place_order, **stop_buy("one-more")) == 110009
    http.place_order(**limit_order("BTCUSDT", "Buy", "0.001", "59000.00", 1))
    http.place_order(**stop_buy("other", symbol="ETHUSDT", triggerPrice="2600.00", qty="0.1"))
    http.cancel_order(**LINEAR, orderLinkId="s3")
    http.place_order(**stop_buy("one-more"))


def test_it_is_amended_and_cancelled_while_it_waits(venue: Venue, private: Inbox) -> None:
    http = venue.http()
    http.place_order(**stop_buy())
    http.amend_order(**LINEAR, orderLinkId="stop", triggerPrice="60700.00", qty="0.020")
    assert refusal(http.amend_order, **LINEAR, orderLinkId="stop", triggerPrice="60700.00") == 10001
    assert refusal(http.amend_order, **LINEAR, orderLinkId="stop", triggerPrice="59000.00") == 110092
    items = [{"symbol": "BTCUSDT", "orderLinkId": "stop", "qty": "0.030"}]
    assert http.amend_batch_order(category="linear", request=items)["retExtInfo"]["list"][0]["code"] == 10001
    venue.set_price("BTCUSDT", "60600.00")
    row = order_of(venue, "stop")
    assert (row["orderStatus"], row["triggerPrice"], row["qty"]) == ("Untriggered", "60700.00", "0.020")
    http.cancel_order(**LINEAR, orderLinkId="stop")
    last = private.wait(lambda row: row["orderStatus"] == "Deactivated", "order")
    assert last["cancelType"] == "CancelByUser"
    venue.set_price("BTCUSDT", "60800.00")
    assert size(venue) == "0"
    http.place_order(**limit_order("BTCUSDT", "Buy", "0.001", "59000.00", 1, orderLinkId="plain"))
    assert refusal(http.amend_order, **LINEAR, orderLinkId="plain", triggerPrice="60000.00") == 10001


def test_listings_tell_active_from_conditional_orders(venue: Venue) -> None:
    http = venue.http()
    http.place_order(**stop_buy())
    http.place_order(**limit_order("BTCUSDT", "Buy", "0.001", "59000.00", 1, orderLinkId="plain"))

    def listed(**params: Any) -> list[str]:
        return [row["orderLinkId"] for row in http.get_open_orders(**LINEAR, **params)["result"]["list"]]

    assert listed() == ["plain", "stop"]
    assert listed(orderFilter="Order") == ["plain"]
    assert listed(orderFilter="StopOrder") == ["stop"]
    http.cancel_all_orders(**LINEAR, orderFilter="StopOrder")
    assert listed() == ["plain"]
    history = http.get_order_history(**LINEAR, orderFilter="StopOrder")["result"]["list"]
    assert [row["orderStatus"] for row in history] == ["Deactivated"]
    http.place_order(**stop_buy("again"))
    http.cancel_all_orders(**LINEAR)
    assert listed() == []


def test_what_does_not_fit_when_it_triggers_ends(venue: Venue) -> None:
    http = venue.http()
    http.place_order(**stop_buy("rich", qty="50"))  # far more than the balance allows
    close: dict[str, Any] = {"side": "Sell", "reduceOnly": True, "closeOnTrigger": True}
    http.place_order(**stop_buy("nothing", **close))
    venue.set_price("BTCUSDT", "60500.00")
    assert order_of(venue, "rich")["orderStatus"] == "Rejected"
    late = order_of(venue, "nothing")
    assert (late["orderStatus"], late["cancelType"]) == ("Cancelled", "CancelByReduceOnly")
    assert available(venue) == "10000"


def test_a_stop_loss_closes_what_is_there(venue: Venue) -> None:
    http = venue.http()
    http.place_order(**LINEAR, side="Buy", orderType="Market", qty="0.010", positionIdx=1)
    loss: dict[str, Any] = {
        "triggerPrice": "59000.00",
        "triggerDirection": 2,
        "reduceOnly": True,
        "closeOnTrigger": True,
    }
    http.place_order(**stop_buy(side="Sell", qty="0", **loss))
    http.place_order(**limit_order("BTCUSDT", "Sell", "0.004", "60900.00", 1, reduceOnly=True, orderLinkId="other"))
    venue.set_price("BTCUSDT", "58900.00")
    assert order_of(venue, "stop")["cumExecQty"] == "0.010"
    assert order_of(venue, "other")["cancelType"] == "CancelByReduceOnly"  # closeOnTrigger makes it give way


def test_waiting_orders_survive_a_restart(tmp_path: Path) -> None:
    config = manual_config(state_file=tmp_path / "state.json")
    with venue_of(config) as venue:
        venue.http().place_order(**stop_buy())
    with venue_of(config) as venue:
        assert order_of(venue, "stop")["orderStatus"] == "Untriggered"
        venue.set_price("BTCUSDT", "60500.00")
        assert (order_of(venue, "stop")["orderStatus"], size(venue)) == ("Filled", "0.010")
