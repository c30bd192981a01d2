"""What foreign clients send beside what is meant: every documented call with parameters that are missing, wrong, of
another category, over a maximum, or of no meaning. Nothing of it breaks the exchange, or is taken for something else.

The tables are those of Bybit's pages: what a call needs, how many rows a page has at most, how far apart times may be.
"""

from __future__ import annotations

from typing import Any

import pytest

from gridbot.paper.api.dispatch import ROUTES
from tests.case_table import case_table
from tests.paper.api.desk import DAY_MS, LINEAR, MARKET, Desk
from tests.paper.support import limit_order

OTHERS = ("inverse", "option", "spot")
ORDER = limit_order("BTCUSDT", "Buy", "0.010", "59000.00", 1)
LEG = {**LINEAR, "positionIdx": 1}
MOVE = {"transferId": "t", "coin": "USDT", "amount": "1", "fromAccountType": "UNIFIED", "toAccountType": "FUND"}
NAMED = {**LINEAR, "orderLinkId": "gone"}
PLAIN: dict[str, dict[str, Any]] = {
    "market/instruments-info": {"category": "linear"},
    "market/tickers": {"category": "linear"},
    "market/orderbook": LINEAR,
    **{f"market/{name}kline": {**LINEAR, "interval": "1"} for name in ("", "mark-price-", "index-price-")},
    "market/premium-index-price-kline": {**LINEAR, "interval": "1"},
    "market/recent-trade": LINEAR,
    "market/risk-limit": {"category": "linear"},
    "market/price-limit": {"symbol": "BTCUSDT"},
    "market/funding/history": LINEAR,
    "market/open-interest": {**LINEAR, "intervalTime": "5min"},
    "market/account-ratio": {**LINEAR, "period": "5min"},
    "market/index-price-components": {"indexName": "BTCUSDT"},
    "market/fee-group-info": {"productType": "contract"},
    "market/rpi_orderbook": {"symbol": "BTCUSDT", "limit": 5},
    "market/full_orderbook": LINEAR,
    "market/delivery-price": {"category": "linear"},
    "announcements/index": {"locale": "en-US"},
    "account/withdrawal": {"coinName": "USDT"},
    "account/wallet-balance": {"accountType": "UNIFIED"},
    "account/trade-info-for-analysis": {"symbol": "BTCUSDT"},
    "account/instruments-info": {"category": "linear"},
    "account/set-limit-px-action": {"category": "linear", "modifyEnable": True},
    "account/set-margin-mode": {"setMarginMode": "REGULAR_MARGIN"},
    "position/list": {"category": "linear"},
    "position/symbol-info": {"category": "linear"},
    "position/closed-pnl": {"category": "linear"},
    "position/set-leverage": {**LINEAR, "buyLeverage": "5", "sellLeverage": "5"},
    "position/switch-mode": {"category": "linear", "mode": 3},
    "position/trading-stop": {**LEG, "takeProfit": "65000.00"},
    "position/set-auto-add-margin": {**LEG, "autoAddMargin": 1},
    "position/add-margin": {**LEG, "margin": "10"},
    "position/confirm-pending-mmr": LINEAR,
    "position/set-tpsl-mode": {**LINEAR, "tpSlMode": "Full"},
    "position/set-risk-limit": {**LEG, "riskId": 1},
    "order/create": ORDER,
    "order/pre-check": ORDER,
    "order/amend": {**NAMED, "qty": "0.020"},
    "order/cancel": NAMED,
    "order/cancel-all": {"category": "linear"},
    "order/create-batch": {"category": "linear", "request": [ORDER]},
    "order/amend-batch": {"category": "linear", "request": [NAMED]},
    "order/cancel-batch": {"category": "linear", "request": [NAMED]},
    "order/disconnected-cancel-all": {"timeWindow": 10},
    "order/realtime": {"category": "linear"},
    "order/history": {"category": "linear"},
    "execution/list": {"category": "linear"},
    "apilimit/query": {"uids": "9000001"},
    "asset/delivery-record": {"category": "linear"},
    "asset/transfer/inter-transfer": MOVE,
    "asset/transfer/universal-transfer": {**MOVE, "fromMemberId": 1, "toMemberId": 2},
    "asset/transfer/query-transfer-coin-list": {"fromAccountType": "UNIFIED", "toAccountType": "FUND"},
    "asset/transfer/query-account-coin-balance": {"accountType": "UNIFIED", "coin": "USDT"},
    "asset/transfer/query-account-coins-balance": {"accountType": "UNIFIED", "coin": "USDT"},
}
"""What a call requires; one that is not here requires nothing."""
OPTIONAL = {  # Bybit has a default for it, or takes another one instead
    *(("market/" + name + "kline", "category") for name in ("", "mark-price-", "index-price-", "premium-index-price-")),
    *(("order/create", name) for name in ("timeInForce", "orderLinkId")),
    *(("order/pre-check", name) for name in ("timeInForce", "orderLinkId")),
    ("order/amend", "qty"),
}
PAGES = {
    "market/instruments-info": 1000,
    "market/orderbook": 1000,
    "market/kline": 1000,
    "market/mark-price-kline": 1000,
    "market/index-price-kline": 1000,
    "market/premium-index-price-kline": 1000,
    "market/recent-trade": 1000,
    "market/funding/history": 200,
    "market/open-interest": 200,
    "market/account-ratio": 500,
    "market/rpi_orderbook": 50,
    "market/delivery-price": 200,
    "account/instruments-info": 200,
    "account/transaction-log": 50,
    "position/list": 200,
    "position/closed-pnl": 100,
    "position/move-history": 200,
    "order/realtime": 50,
    "order/history": 50,
    "execution/list": 100,
    "apilimit/query-all": 1000,
    "asset/delivery-record": 50,
    "asset/transfer/query-inter-transfer-list": 50,
    "asset/transfer/query-universal-transfer-list": 50,
    "asset/deposit/query-record": 50,
    "asset/withdraw/query-record": 50,
}
CURSORS = (
    *("market/instruments-info", "market/open-interest", "market/account-ratio", "market/delivery-price"),
    *("market/risk-limit", "account/instruments-info", "account/transaction-log", "position/list"),
    *("position/closed-pnl", "order/realtime", "order/history", "execution/list", "asset/delivery-record"),
)
SPANS = {
    "account/transaction-log": 7,
    "position/closed-pnl": 7,
    "position/move-history": 7,
    "order/history": 7,
    "execution/list": 7,
    "asset/transfer/query-inter-transfer-list": 7,
    "asset/transfer/query-universal-transfer-list": 7,
    "asset/delivery-record": 30,
    "asset/deposit/query-record": 30,
    "asset/withdraw/query-record": 30,
}
"""Days."""
GETS = sorted(path[4:] for path, route in ROUTES.items() if route.verb == "GET")
LISTS = [path for path in GETS if PLAIN.get(path) == {"category": "linear"}]
SCOPE = {"position/list", "order/realtime"}  # of linear they want a symbol or a coin, too


@pytest.fixture(scope="module")
def desk() -> Desk:
    """An account with orders, executions, a position and a funding, of which no request below changes anything."""
    desk = Desk(dcp=True, limits={"orders_per_second": 0, "queries_per_second": 0})
    desk.ask("order/create", **MARKET, qty="0.010", orderLinkId="in")
    desk.ask("order/create", **{**MARKET, "side": "Sell"}, qty="0.004", reduceOnly=True)
    desk.ask("order/create", **ORDER)
    desk.now_ms += DAY_MS // 3
    desk.exchange.on_time(desk.now_ms)
    return desk


def plain(path: str) -> dict[str, Any]:
    return PLAIN.get(path, {}) | ({"settleCoin": "USDT"} if path in SCOPE else {})


@case_table("path", [path for path in GETS if not path.endswith("full_orderbook")])  # 10,000 levels
def test_a_query_says_something_whatever_it_is_asked(desk: Desk, path: str) -> None:
    plainly = desk.envelope(path, **plain(path))
    assert plainly["retCode"] == 0
    assert desk.envelope(path, **plain(path), colour="blue")["result"].keys() == plainly["result"].keys()
    for name in (
        "category",
        "symbol",
        "settleCoin",
        "baseCoin",
        "status",
        "orderId",
        "orderLinkId",
        "execType",
        "coin",
    ):
        for value in ("", "-1", "%00{]", "9" * 30, "\N{SNOWMAN}"):
            answer = desk.envelope(path, **{**plain(path), name: value})
            assert answer["retCode"] in (0, 10001), (name, value, answer)


@case_table("path", sorted(PLAIN))
def test_what_a_call_requires_is_missed(desk: Desk, path: str) -> None:
    """A request to refuse prices, say, without the flag switched that on."""
    for name in PLAIN[path]:
        if (path, name) not in OPTIONAL:
            given = {key: value for key, value in PLAIN[path].items() if key != name}
            for missing in (given, {**given, name: ""}):
                code, text = desk.refusal(path, **missing)
                assert (code, bool(text)) == (10001, True), (name, code, text)


@case_table("path", sorted(PAGES))
def test_pages_have_a_maximum(desk: Desk, path: str) -> None:
    most = PAGES[path]
    whole = desk.ask(path, **plain(path) | {"limit": most})
    for limit in (most + 1, 10**6):
        assert desk.ask(path, **plain(path) | {"limit": limit}) == whole
    for wrong in (0, -1, "x"):
        assert desk.refusal(path, **plain(path) | {"limit": wrong})[0] == 10001


@case_table("path", CURSORS)
def test_a_cursor_that_nobody_gave_is_refused(desk: Desk, path: str) -> None:
    for cursor in ("garbage", "page_args%3D", "%"):
        assert desk.refusal(path, **plain(path), cursor=cursor)[0] == 10001


@case_table("path", sorted(SPANS))
def test_times_may_be_so_far_apart_and_no_farther(desk: Desk, path: str) -> None:
    span, now = SPANS[path] * DAY_MS, 100 * DAY_MS
    for times in ({"startTime": now - span, "endTime": now}, {"startTime": now}, {"endTime": now}, {}):
        desk.ask(path, **plain(path), **times)
    for times in ({"startTime": now - span - 1, "endTime": now}, {"startTime": now, "endTime": now - 1}):
        assert desk.refusal(path, **plain(path), **times)[0] == 10001
    assert desk.refusal(path, **plain(path), startTime="yesterday")[0] == 10001


@case_table("path", LISTS)
def test_lists_of_other_categories_are_empty_and_say_which(desk: Desk, path: str) -> None:
    for category in OTHERS:
        for scope in ({}, {"symbol": "BTCUSD"}, {"baseCoin": "BTC"}, {"settleCoin": "USDC"}):
            result = desk.ask(path, **{**scope, "category": category})
            assert result | {"nextPageCursor": ""} == {"category": category, "list": [], "nextPageCursor": ""}
    assert desk.refusal(path, category="LINEAR")[0] == 10001


@case_table("name", ["create", "amend", "cancel"])
def test_each_item_of_a_batch_of_another_category_fails(desk: Desk, name: str) -> None:
    for category in OTHERS:
        wish = PLAIN[f"order/{name}-batch"] | {"category": category}
        answer = desk.envelope(f"order/{name}-batch", **wish)
        assert (answer["retCode"], [row["code"] for row in answer["retExtInfo"]["list"]]) == (0, [10001])
        [row] = answer["result"]["list"]
        assert (row["category"], row["symbol"]) == (category, "BTCUSDT")


def test_of_two_filters_the_first_counts_in_every_list_of_orders_and_fills(desk: Desk) -> None:
    both = {**LINEAR, "baseCoin": "ETH", "settleCoin": "USDC"}
    for path, count in (("order/realtime", 1), ("order/history", 2), ("execution/list", 3)):
        assert len(desk.ask(path, **both)["list"]) == count
        assert desk.ask(path, category="linear", baseCoin="ETH", settleCoin="USDT")["list"] == []


def test_a_fee_rate_needs_no_category(desk: Desk) -> None:
    assert [row["symbol"] for row in desk.ask("account/fee-rate", symbol="BTCUSDT")["list"]] == ["BTCUSDT"]
    assert len(desk.ask("account/fee-rate")["list"]) == 2


def test_delivery_prices_are_those_of_one_settle_coin() -> None:
    desk = Desk()
    desk.exchange.listing.delist("BTCUSDT", desk.now_ms, desk.now_ms)
    desk.exchange.on_time(desk.now_ms)
    for scope, count in (({}, 0), ({"settleCoin": "USDT"}, 1), ({"settleCoin": "USDC"}, 0), ({"symbol": "BTCUSDT"}, 1)):
        assert len(desk.ask("market/delivery-price", category="linear", **scope)["list"]) == count


def test_flags_are_true_or_false() -> None:
    for odd in ("yes", [], {"a": 1}, 2):
        assert Desk().refusal("order/create", **ORDER | {"reduceOnly": odd})[0] == 10001
    for no in (False, "false", "", 0, None):
        Desk().ask("order/create", **ORDER | {"reduceOnly": no})


def test_coins_of_contracts_are_known(desk: Desk) -> None:
    assert [row["coin"] for row in desk.ask("asset/coin/query-info")["rows"]] == ["USDT", "BTC", "ETH"]
    assert [row["coin"] for row in desk.ask("asset/coin/query-info", coin="BTC")["rows"]] == ["BTC"]
