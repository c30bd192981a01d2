"""Streams through pybit's own WebSocket classes, and by hand where pybit hides the frames."""

from __future__ import annotations

import asyncio
import json
import time
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from gridbot.core.vocabulary import Side
from gridbot.paper.market.synthetic import MarketTrade
from gridbot.paper.server.paper_spec import PaperAccount
from tests.paper.support import ALICE, BOB, Inbox, Venue, eventually, limit_order, manual_config, venue_of


def talk(url: str, requests: list[dict[str, Any]], wanted: int) -> list[dict[str, Any]]:
    """Send requests over a bare WebSocket and return the first `wanted` frames."""

    async def run() -> list[dict[str, Any]]:
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
            for request in requests:
                await socket.send_str(json.dumps(request))
            return [json.loads(await asyncio.wait_for(socket.receive_str(), 5)) for _ in range(wanted)]

    return asyncio.run(run())


def test_public_streams_through_pybit(venue: Venue) -> None:
    tickers, trades, books, candles = Inbox(), Inbox(), Inbox(), Inbox()
    socket = venue.websocket("linear")
    socket.ticker_stream("BTCUSDT", tickers.messages.append)
    socket.trade_stream("BTCUSDT", trades)
    socket.orderbook_stream(50, "BTCUSDT", books.messages.append)
    socket.kline_stream(1, "BTCUSDT", candles)
    eventually(lambda: len(books.messages) == 1 and len(tickers.messages) == 1)
    eventually(lambda: venue.call(venue.server.hub.listeners, "kline.1.BTCUSDT"))
    venue.trade("BTCUSDT", "60100.00", "0.250", "Buy")
    eventually(lambda: any(m["data"]["lastPrice"] == "60100.00" for m in tickers.messages))
    trade = trades.wait(lambda row: row["p"] == "60100.00")
    assert (trade["S"], trade["v"], trade["L"]) == ("Buy", "0.250", "PlusTick")
    eventually(lambda: any(m["data"]["a"][0][0] == "60100.00" for m in books.messages))
    assert candles.wait(lambda row: row["close"] == "60100")["confirm"] is False
    socket.exit()


def test_a_ticker_is_a_snapshot_and_then_deltas(venue: Venue) -> None:
    async def run() -> list[dict[str, Any]]:
        url = venue.ws_url + "/v5/public/linear"
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
            await socket.send_str('{"op": "subscribe", "req_id": 7, "args": ["tickers.BTCUSDT"]}')
            frames = [json.loads(await socket.receive_str()) for _ in range(2)]
            for price in ("60001", "60002"):
                await asyncio.to_thread(venue.set_price, "BTCUSDT", price)
                frames.append(json.loads(await socket.receive_str()))
            return frames

    ack, snapshot, *deltas = asyncio.run(run())
    assert (ack["op"], ack["success"], ack["req_id"]) == ("subscribe", True, "7")
    assert snapshot["type"] == "snapshot"
    assert len(snapshot["data"]) > 20
    for delta, price in zip(deltas, ("60001.00", "60002.00"), strict=True):
        assert delta["type"] == "delta"
        assert delta["data"]["lastPrice"] == price
        assert "prevPrice24h" not in delta["data"]
        assert delta["data"]["symbol"] == "BTCUSDT"


def test_tickers_coalesce_in_their_interval() -> None:
    with venue_of(manual_config(ticker_interval_ms=60_000)) as venue:
        inbox: list[dict[str, Any]] = []
        socket = venue.websocket("linear")
        socket.ticker_stream("BTCUSDT", inbox.append)
        eventually(lambda: inbox)
        for price in range(60010, 60020):
            trade = MarketTrade("BTCUSDT", Side.BUY, Decimal(price), Decimal("0.1"))
            venue.call(venue.server.market.feed, trade)
        venue.set_price("ETHUSDT", "2600")  # publishes what waits
        eventually(lambda: len(inbox) == 2)
        assert inbox[-1]["data"]["lastPrice"] == "60019.00"
        socket.exit()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v5/public/linear", {"success": True, "ret_msg": "pong", "op": "ping", "req_id": "x"}),
        ("/v5/private", {"op": "pong", "req_id": "x"}),
        ("/v5/trade", {"retCode": 0, "retMsg": "OK", "op": "pong"}),
    ],
)
def test_pongs(venue: Venue, path: str, expected: dict[str, Any]) -> None:
    (frame,) = talk(venue.ws_url + path, [{"op": "ping", "req_id": "x"}], 1)
    assert expected.items() <= frame.items()


def test_one_bad_topic_among_good_ones(venue: Venue) -> None:
    """The good ones are subscribed, and the answer names the bad one (docs/paper.md, "Where nobody knows")."""
    wish = {"op": "subscribe", "args": ["tickers.BTCUSDT", "tickers.NOSUCH", "tickers.ETHUSDT"]}
    ack, first, second = talk(venue.ws_url + "/v5/public/linear", [wish], 3)
    assert (ack["success"], ack["ret_msg"]) == (False, "error:handler not found,topic:tickers.NOSUCH")
    assert [first["topic"], second["topic"]] == ["tickers.BTCUSDT", "tickers.ETHUSDT"]


def test_the_book_with_retail_quotes_is_acknowledged_in_its_own_way(venue: Venue) -> None:
    for topic, text in (("orderbook.rpi.BTCUSDT", "subscribe"), ("orderbook.50.BTCUSDT", "")):
        ack, _ = talk(venue.ws_url + "/v5/public/linear", [{"op": "subscribe", "args": [topic]}], 2)
        assert (ack["success"], ack["ret_msg"]) == (True, text)


def test_public_sockets_of_other_categories_have_frames_of_their_own_and_no_topics(venue: Venue) -> None:
    ping, wish = {"op": "ping", "req_id": "x"}, {"op": "subscribe", "args": ["tickers.BTCUSDT"]}
    pong, refused = talk(venue.ws_url + "/v5/public/spot", [ping, wish], 2)
    assert (pong["ret_msg"], pong["op"], "req_id" in pong) == ("pong", "ping", False)
    assert (refused["success"], refused["ret_msg"]) == (False, "error:handler not found,topic:tickers.BTCUSDT")
    pong, refused = talk(venue.ws_url + "/v5/public/option", [ping, wish], 2)
    assert (pong["op"], len(pong["args"]), len(pong)) == ("pong", 1, 2)
    assert (refused["success"], refused["type"]) == (False, "COMMAND_RESP")
    assert refused["data"] == {"failTopics": ["tickers.BTCUSDT"], "successTopics": []}
    pong, refused = talk(venue.ws_url + "/v5/public/inverse", [ping, wish], 2)
    assert (pong["req_id"], refused["success"]) == ("x", False)


def test_an_order_and_its_fill_have_the_same_frame_id(venue: Venue, private: Inbox) -> None:
    venue.http().place_order(**limit_order("BTCUSDT", "Buy", "0.001", "60100.00", 1, timeInForce="GTC"))
    fill = private.wait(lambda row: True, "execution")
    wallets = eventually(lambda: [m for m in private.messages if m["topic"] == "wallet"])
    uid = venue.server.exchange.accounts["alice"].uid
    ids = {m["topic"]: m["id"] for m in private.messages if fill in m["data"] or m["topic"] == "order"}
    assert ids == dict.fromkeys(("order", "execution"), f"{uid}_BTCUSDT_{fill['seq']}")
    assert wallets[0]["id"] == f"{uid}_wallet_{wallets[0]['creationTime']}"


def test_refused_subscriptions(venue: Venue) -> None:
    public = venue.ws_url + "/v5/public/linear"
    (frame,) = talk(public, [{"op": "subscribe", "args": ["tickers.NOSUCH"]}], 1)
    assert (frame["success"], frame["ret_msg"]) == (False, "error:handler not found,topic:tickers.NOSUCH")
    twice = {"op": "subscribe", "args": ["publicTrade.BTCUSDT"]}
    assert [frame["success"] for frame in talk(public, [twice, twice], 2)] == [True, False]
    (frame,) = talk(venue.ws_url + "/v5/private", [{"op": "subscribe", "args": ["order"]}], 1)
    assert frame["success"] is False


def test_a_bad_key_is_told_so(venue: Venue) -> None:
    socket = venue.websocket("private", PaperAccount("x", ALICE.api_key, "wrong"))
    eventually(lambda: socket.exited)
    assert socket.auth is False


def test_private_rows_reach_their_account_only(venue: Venue, private: Inbox) -> None:
    bob = Inbox()
    socket = venue.websocket("private", BOB)
    socket.order_stream(bob)
    eventually(lambda: venue.server.exchange.accounts["bob"].listening == {"order"})
    venue.http(BOB).place_order(**limit_order("BTCUSDT", "Buy", "0.001", "59900.00", 1, orderLinkId="of-bob"))
    bob.wait(lambda row: row["orderLinkId"] == "of-bob")
    venue.http(ALICE).place_order(**limit_order("BTCUSDT", "Buy", "0.001", "59900.00", 1, orderLinkId="of-alice"))
    private.wait(lambda row: row["orderLinkId"] == "of-alice", "order")
    assert all(row["orderLinkId"] != "of-bob" for row in private.rows("order"))
    assert all(row["orderLinkId"] != "of-alice" for row in bob.rows())
    socket.exit()


def test_pybit_survives_many_subscriptions(venue: Venue) -> None:
    """pybit registers a request after sending it; acknowledgements that come too soon kill its reader."""
    for _ in range(15):
        socket = venue.websocket("linear")
        got: list[dict[str, Any]] = []
        for symbol in ("BTCUSDT", "ETHUSDT", "LTCUSDT"):
            socket.ticker_stream(symbol, got.append)
        eventually(lambda: len(got) >= 3)  # noqa: B023 - called before the next turn
        assert not socket.exited
        socket.exit()


def test_a_dropped_connection_is_rebuilt_by_pybit(venue: Venue) -> None:
    got: list[dict[str, Any]] = []
    socket = venue.websocket("linear")
    socket.ticker_stream("BTCUSDT", got.append)
    eventually(lambda: got)

    (first,) = venue.server.hub.connections
    venue.call(lambda: asyncio.ensure_future(first.socket.close(code=1001)))
    eventually(lambda: first not in venue.server.hub.connections and venue.server.hub.connections)
    before = len(got)
    eventually(lambda: len(got) > before)
    socket.exit()


def test_stamps_of_ticker_frames_and_create_requests() -> None:
    stamps: list[tuple[str, str, int]] = []
    with venue_of(manual_config(), stamp=lambda what, key: stamps.append((what, key, time.monotonic_ns()))) as venue:
        got: list[dict[str, Any]] = []
        socket = venue.websocket("linear")
        socket.ticker_stream("BTCUSDT", got.append)
        eventually(lambda: got)
        venue.set_price("BTCUSDT", "60050")
        eventually(lambda: len(got) == 2)
        venue.http().place_order(**limit_order("BTCUSDT", "Buy", "0.001", "59900.00", 1))
        socket.exit()
    assert [(what, key) for what, key, _ in stamps] == [("ticker", "BTCUSDT"), ("ticker", "BTCUSDT"), ("create", "")]
