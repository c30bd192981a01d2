"""ccxt on the paper exchange, one question a test; the whole of it in one go is tests/clients."""

from __future__ import annotations

import decimal
import importlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.paper.support import ALICE, Venue, manual_config, venue_of

SYMBOL = "BTC/USDT:USDT"
ccxt: Any = None


@pytest.fixture(autouse=True)
def _own_rounding() -> Iterator[None]:
    """It sets how the whole process rounds, and leaves it so. Slow to import: not by those who only collect."""
    global ccxt
    with decimal.localcontext():
        ccxt = importlib.import_module("ccxt")
        yield


@pytest.fixture
def venue() -> Iterator[Venue]:
    with venue_of(manual_config(position_mode="one_way")) as running:
        yield running


def options(venue: Venue) -> dict[str, Any]:
    ws = venue.ws_url
    return {
        "apiKey": ALICE.api_key,
        "secret": ALICE.api_secret,
        "enableRateLimit": False,
        "options": {"fetchMarkets": {"types": ["linear"]}},
        "urls": {
            "api": {
                "public": venue.url,
                "private": venue.url,
                "ws": {
                    "public": {"linear": ws + "/v5/public/linear"},
                    "private": {"contract": ws + "/v5/private", "trade": ws + "/v5/trade"},
                },
            }
        },
    }


@pytest.fixture
def client(venue: Venue) -> Any:
    client = ccxt.bybit(options(venue))
    client.load_markets()
    client.set_position_mode(True, SYMBOL)
    return client


def place(client: Any, side: str, amount: float, price: float, **params: Any) -> dict[str, Any]:
    flags = {"hedged": True, "postOnly": True} | params
    return dict(client.create_order(SYMBOL, "limit", side, amount, price, flags))


def test_markets_time_and_public_data(venue: Venue, client: Any) -> None:
    market = client.market(SYMBOL)
    assert (market["precision"]["price"], market["precision"]["amount"]) == (0.1, 0.001)
    assert abs(client.fetch_time() - client.milliseconds()) < 60_000
    venue.trade("BTCUSDT", "60100.00", "0.5", "Buy")
    assert client.fetch_ticker(SYMBOL)["last"] == 60100.0
    assert client.fetch_order_book(SYMBOL)["asks"][0][0] == 60100.0
    assert client.fetch_trades(SYMBOL)[0]["amount"] == 0.5
    assert client.fetch_ohlcv(SYMBOL)[0][4] == 60100.0
    assert client.fetch_trading_fee(SYMBOL)["maker"] == 0.0002


def test_orders_are_placed_amended_listed_and_cancelled(venue: Venue, client: Any) -> None:
    client.set_leverage(20, SYMBOL)
    order = place(client, "buy", 0.01, 59900, clientOrderId="ccxt-1")
    assert client.fetch_open_orders(SYMBOL)[0]["clientOrderId"] == "ccxt-1"
    client.edit_order(order["id"], SYMBOL, "limit", "buy", 0.02, 59800)
    edited = client.fetch_open_orders(SYMBOL)[0]
    assert (edited["price"], edited["amount"], edited["status"]) == (59800.0, 0.02, "open")
    client.cancel_order(order["id"], SYMBOL)
    assert client.fetch_open_orders(SYMBOL) == []
    with pytest.raises(ccxt.OrderNotFound):
        client.cancel_order(order["id"], SYMBOL)
    place(client, "buy", 0.01, 59700)
    client.cancel_all_orders(SYMBOL)
    assert client.fetch_open_orders() == []


def test_fills_positions_balance_and_trades(venue: Venue, client: Any) -> None:
    place(client, "buy", 0.01, 59900)
    place(client, "sell", 0.02, 60200)
    venue.set_price("BTCUSDT", "59800")
    venue.set_price("BTCUSDT", "60300")
    positions = {position["side"]: position for position in client.fetch_positions()}
    assert (positions["long"]["contracts"], positions["short"]["contracts"]) == (0.01, 0.02)
    assert (positions["long"]["entryPrice"], positions["long"]["hedged"]) == (59900.0, True)
    place(client, "sell", 0.01, 60400, reduceOnly=True)
    venue.set_price("BTCUSDT", "60500")
    assert [position["side"] for position in client.fetch_positions([SYMBOL]) if position["contracts"]] == ["short"]
    trades = client.fetch_my_trades(SYMBOL)
    assert [(trade["side"], trade["amount"], trade["takerOrMaker"]) for trade in trades] == [
        ("buy", 0.01, "maker"),
        ("sell", 0.02, "maker"),
        ("sell", 0.01, "maker"),
    ]
    balance = client.fetch_balance()["USDT"]
    assert balance["total"] == pytest.approx(10000 + 5.0 - sum(trade["fee"]["cost"] for trade in trades))
    assert client.fetch_closed_orders(SYMBOL)[0]["status"] == "closed"


def test_refusals_are_ccxts_own_exceptions(client: Any) -> None:
    with pytest.raises(ccxt.InsufficientFunds):
        place(client, "buy", 100, 59000)
    with pytest.raises(ccxt.InvalidOrder):
        place(client, "sell", 0.01, 61000, reduceOnly=True)
    with pytest.raises(ccxt.AuthenticationError):
        ccxt.bybit({**client_options(client), "secret": "wrong"}).fetch_balance()


def client_options(client: Any) -> dict[str, Any]:
    return {"apiKey": client.apiKey, "secret": client.secret, "urls": client.urls}


def test_batches_report_the_refused_item(client: Any) -> None:
    params = {"hedged": True}
    good = {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": 0.01, "price": 59000, "params": params}
    bad = {**good, "amount": 100}
    placed = client.create_orders([good, bad])
    assert [order["status"] for order in placed] == [None, "rejected"]


def test_orders_bring_their_stops_along(venue: Venue, client: Any) -> None:
    stops = {"takeProfit": {"triggerPrice": 60500}, "stopLoss": {"triggerPrice": 59000}}
    order = place(client, "buy", 0.01, 59900, **stops)
    shown = client.fetch_open_orders(SYMBOL)[0]
    assert (shown["id"], shown["takeProfitPrice"], shown["stopLossPrice"]) == (order["id"], 60500.0, 59000.0)
    client.edit_order(order["id"], SYMBOL, "limit", "buy", 0.01, 59900, {"takeProfit": "60600"})
    venue.set_price("BTCUSDT", "59800")
    position = next(each for each in client.fetch_positions([SYMBOL]) if each["contracts"])
    assert (position["takeProfitPrice"], position["stopLossPrice"]) == (60600.0, 59000.0)
    waiting = client.fetch_open_orders(SYMBOL, params={"orderFilter": "StopOrder"})
    assert {each["triggerPrice"] for each in waiting} == {60600.0, 59000.0}
    venue.set_price("BTCUSDT", "60600")
    assert not [each for each in client.fetch_positions([SYMBOL]) if each["contracts"]]
    assert client.fetch_open_orders(SYMBOL) == []


def test_limit_stops_with_an_order_and_with_a_position(venue: Venue, client: Any) -> None:
    limit = {"stopLoss": {"triggerPrice": 59000, "price": 58900}}
    client.create_order(SYMBOL, "market", "buy", 0.02, None, {"hedged": True, **limit})
    (loss,) = client.fetch_open_orders(SYMBOL, params={"orderFilter": "StopOrder"})
    assert (loss["type"], loss["price"], loss["info"]["stopOrderType"]) == ("limit", 58900.0, "PartialStopLoss")
    both = {"takeProfitPrice": 60500, "stopLossPrice": 58000, "positionIdx": 1}
    client.cancel_order(loss["id"], SYMBOL)
    client.create_order(SYMBOL, "market", "sell", 0.01, None, both)
    waiting = client.fetch_open_orders(SYMBOL, params={"orderFilter": "StopOrder"})
    assert {(each["info"]["stopOrderType"], each["amount"]) for each in waiting} == {
        ("PartialTakeProfit", 0.01),
        ("PartialStopLoss", 0.01),
    }


def test_a_trailing_stop(venue: Venue, client: Any) -> None:
    client.create_order(SYMBOL, "market", "buy", 0.01, None, {"hedged": True})
    trailing = {"trailingAmount": 100, "trailingTriggerPrice": 60200, "positionIdx": 1}
    client.create_order(SYMBOL, "market", "sell", 0.01, None, trailing)
    venue.set_price("BTCUSDT", "60400")
    (stop,) = client.fetch_open_orders(SYMBOL, params={"orderFilter": "StopOrder"})
    assert stop["triggerPrice"] == 60300.0
    venue.set_price("BTCUSDT", "60300")
    assert client.fetch_open_orders(SYMBOL) == []
    assert client.fetch_my_trades(SYMBOL)[-1]["info"]["stopOrderType"] == "TrailingStop"


def test_the_ledger_is_the_transaction_log(venue: Venue, client: Any) -> None:
    client.create_order(SYMBOL, "market", "buy", 0.01, None, {"hedged": True})
    venue.call(venue.server.market.settle_funding, "BTCUSDT", "0.0001")
    entries = client.fetch_ledger("USDT")
    by_kind = {entry["info"]["type"]: entry for entry in entries}
    assert set(by_kind) == {"TRANSFER_IN", "TRADE", "SETTLEMENT"}
    total = sum(entry["amount"] if entry["direction"] == "in" else -entry["amount"] for entry in entries)
    assert total == pytest.approx(client.fetch_balance()["USDT"]["total"])
    assert by_kind["SETTLEMENT"]["after"] == pytest.approx(total)


def test_further_public_data(venue: Venue, client: Any) -> None:
    venue.trade("BTCUSDT", "60100.00", "0.5", "Buy")
    assert client.fetch_mark_ohlcv(SYMBOL)[0][4] == 60100.0
    assert client.fetch_index_ohlcv(SYMBOL)[0][4] == 60100.0
    assert client.fetch_open_interest_history(SYMBOL, "1h")[0]["openInterestAmount"] > 0
    assert client.fetch_funding_rate(SYMBOL)["fundingRate"] == 0.0001
