"""Topics and connection rules that few clients use."""

from __future__ import annotations

from typing import Any

import pytest
from pybit.exceptions import InvalidRequestError

from gridbot.paper.streams.channels import _max_active_s
from tests.paper.streams.test_streams import talk
from tests.paper.support import ALICE, BOB, Inbox, Venue, eventually, limit_order, manual_config, venue_of


def test_fast_executions_hide_the_makers_link_id(venue: Venue) -> None:
    inbox = Inbox()
    socket = venue.websocket("private", ALICE)
    socket.fast_execution_stream(inbox, "linear")
    eventually(lambda: "execution" in venue.server.exchange.accounts["alice"].listening)
    venue.http().place_order(**limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1, orderLinkId="mine"))
    venue.set_price("BTCUSDT", "59800")
    row = inbox.wait(lambda row: True)
    assert (row["orderLinkId"], row["isMaker"], row["execPrice"]) == ("", True, "59900.00")
    assert "execFee" not in row
    socket.exit()


def test_liquidations_are_public() -> None:
    with venue_of(manual_config(default_leverage=50)) as venue:
        inbox = Inbox()
        socket = venue.websocket("linear")
        socket.all_liquidation_stream("BTCUSDT", inbox)
        eventually(lambda: venue.call(venue.server.hub.listeners, "allLiquidation.BTCUSDT"))
        order = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market", "positionIdx": 1}
        venue.http(BOB).place_order(**order, qty="0.300")
        venue.set_price("BTCUSDT", "58500")
        row = inbox.wait(lambda row: True)
        assert (row["S"], row["v"], row["p"]) == ("Buy", "0.300", "58500.00")
        socket.exit()


def test_the_best_level_is_repeated_with_the_same_u(venue: Venue) -> None:
    books: list[dict[str, Any]] = []
    socket = venue.websocket("linear")
    socket.orderbook_stream(1, "BTCUSDT", lambda message: books.append(dict(message, u=message["data"]["u"])))
    eventually(lambda: len(books) == 1)
    venue.call(venue.server.publisher.books.repeat_best)
    eventually(lambda: len(books) == 2)
    venue.set_price("BTCUSDT", "60010")
    eventually(lambda: len(books) == 3)
    assert [book["u"] for book in books] == [books[0]["u"], books[0]["u"], books[0]["u"] + 1]
    socket.exit()


def test_the_deepest_book_has_the_update_id_of_rest(venue: Venue) -> None:
    updates: list[int] = []
    socket = venue.websocket("linear")
    socket.orderbook_stream(1000, "BTCUSDT", lambda message: updates.append(message["data"]["u"]))
    eventually(lambda: updates)
    for price in ("60010", "60020"):
        venue.set_price("BTCUSDT", price)
        wanted = venue.http(None).get_orderbook(category="linear", symbol="BTCUSDT")["result"]["u"]
        eventually(lambda wanted=wanted: updates[-1] == wanted)  # type: ignore[misc]
    socket.exit()


def test_too_many_topics_on_one_connection_are_refused(venue: Venue) -> None:
    topics = [f"kline.1.{'X' * 200}{number}" for number in range(110)]
    (frame,) = talk(venue.ws_url + "/v5/public/linear", [{"op": "subscribe", "args": topics}], 1)
    assert frame["success"] is False
    assert "21000" in frame["ret_msg"]


def test_how_long_a_connection_may_be_idle() -> None:
    assert [_max_active_s(text) for text in ("30s", "2m", "10m", "", "5s", "11m", "xs")] == [
        30.0,
        120.0,
        600.0,
        600.0,
        600.0,
        600.0,
        600.0,
    ]


def test_an_idle_connection_is_known(venue: Venue) -> None:
    socket = venue.websocket("linear")
    (connection,) = eventually(lambda: venue.server.hub.connections)
    assert not connection.is_idle()
    connection.max_idle_s = -1.0
    assert connection.is_idle()
    socket.exit()


def test_dcp_is_refused_unless_switched_on(venue: Venue) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        venue.http().set_dcp(timeWindow=3, product="DERIVATIVES")
    assert caught.value.status_code == 10005


def test_dcp_cancels_when_the_last_guarded_connection_has_gone() -> None:
    with venue_of(manual_config(dcp=True)) as venue:
        http = venue.http()
        http.set_dcp(timeWindow=3, product="DERIVATIVES")
        assert http.query_dcp_info()["result"]["dcpInfos"][0]["timeWindow"] == "3"
        account = venue.server.exchange.accounts["alice"]
        account.dcp_window_s = 0  # not to wait three seconds
        http.place_order(**limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1))
        first, second = venue.websocket("private", ALICE), venue.websocket("private", ALICE)
        for socket in (first, second):
            socket.subscribe("dcp.future", print, symbol="x")
        eventually(lambda: sum("dcp.future" in c.topics for c in venue.server.hub.connections) == 2)
        first.exit()
        eventually(lambda: sum("dcp.future" in c.topics for c in venue.server.hub.connections) == 1)
        assert http.get_open_orders(category="linear", symbol="BTCUSDT")["result"]["list"]
        second.exit()
        history = eventually(lambda: http.get_order_history(category="linear")["result"]["list"])
        assert history[0]["cancelType"] == "CancelByDCP"


def test_a_candle_that_is_over_is_confirmed(venue: Venue) -> None:
    inbox = Inbox()
    socket = venue.websocket("linear")
    socket.kline_stream(1, "BTCUSDT", inbox)
    eventually(lambda: venue.call(venue.server.hub.listeners, "kline.1.BTCUSDT"))
    venue.trade("BTCUSDT", "60100.00", "0.5", "Buy")
    first = inbox.wait(lambda row: row["close"] == "60100")
    market = venue.server.exchange.markets["BTCUSDT"]
    venue.call(market.revalue, first["end"] + 1)  # a minute without trades begins
    final = inbox.wait(lambda row: row["confirm"])
    assert (final["start"], final["end"], final["volume"]) == (first["start"], first["end"], "0.5")
    quiet = inbox.wait(lambda row: row["start"] == first["end"] + 1)
    assert (quiet["open"], quiet["close"], quiet["volume"], quiet["confirm"]) == ("60100", "60100", "0", False)
    socket.exit()


def test_topics_without_messages_are_accepted(venue: Venue) -> None:
    subscribe = {"op": "subscribe", "args": ["system.status"]}
    (frame,) = talk(venue.ws_url + "/v5/public/misc/status", [subscribe], 1)
    assert frame["success"] is True
    socket = venue.websocket("private", ALICE)
    socket.greek_stream(print)
    eventually(lambda: any("greeks" in each.topics for each in venue.server.hub.connections))
    socket.exit()


@pytest.mark.parametrize("category", ["spot", "inverse"])
def test_other_categories_have_channels_without_topics(venue: Venue, category: str) -> None:
    """A client that watches all categories connects to each; without the channel it tried again for ever."""
    asked: list[dict[str, Any]] = [{"op": "subscribe", "args": ["tickers.BTCUSDT"]}, {"op": "ping"}]
    refused, pong = talk(f"{venue.ws_url}/v5/public/{category}", asked, 2)
    assert (refused["success"], refused["ret_msg"]) == (False, "error:handler not found,topic:tickers.BTCUSDT")
    assert pong["ret_msg"] == "pong"


def test_a_request_does_not_mix_a_topic_with_its_categorised_one(venue: Venue) -> None:
    socket = venue.websocket("private", ALICE)
    eventually(lambda: any(each.account for each in venue.server.hub.connections))
    (connection,) = venue.server.hub.connections
    request = {"op": "subscribe", "args": ["order", "order.linear"]}
    venue.call(venue.server.channels._subscribe, connection, request, "subscribe")
    assert not connection.topics
    socket.exit()


def test_dcp_has_a_window_as_soon_as_it_is_switched_on() -> None:
    with venue_of(manual_config(dcp=True)) as venue:
        http = venue.http()
        assert http.query_dcp_info()["result"]["dcpInfos"][0]["timeWindow"] == "10"
        assert http.get_account_info()["result"]["dcpStatus"] == "ON"
