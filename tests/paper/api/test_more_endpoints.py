"""Endpoints beside trading, over pybit: transaction log, pre-check, margin mode, klines of other prices."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pybit.exceptions import InvalidRequestError

from gridbot.paper.calls import account_calls, position_calls
from gridbot.paper.rows.row_numbers import plain
from tests.paper.conformance import compare
from tests.paper.shapes import fields
from tests.paper.support import BOB, Inbox, Venue, limit_order, manual_config, venue_of

D = Decimal
LINEAR = {"category": "linear", "symbol": "BTCUSDT"}
ADD_MARGIN = """
category symbol positionIdx riskId riskLimitValue size avgPrice liqPrice bustPrice markPrice positionValue leverage
autoAddMargin positionStatus positionIM positionMM takeProfit stopLoss trailingStop unrealisedPnl cumRealisedPnl
createdTime updatedTime
"""
MARKET_BUY = {**LINEAR, "side": "Buy", "orderType": "Market", "positionIdx": 1}


def refusal(call: Any, **params: Any) -> int:
    with pytest.raises(InvalidRequestError) as caught:
        call(**params)
    return int(caught.value.status_code)


def log(http: Any, **params: Any) -> list[dict[str, Any]]:
    """All pages, oldest first."""
    rows: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = {"cursor": cursor} if cursor else {}
        result = http.get_transaction_log(accountType="UNIFIED", **page, **params)["result"]
        rows += result["list"]
        cursor = result["nextPageCursor"]
        if not cursor:
            return rows[::-1]


def wallet(http: Any) -> Decimal:
    row = http.get_wallet_balance(accountType="UNIFIED")["result"]["list"][0]
    return Decimal(row["coin"][0]["walletBalance"])


def test_the_transaction_log_adds_up_to_the_wallet(venue: Venue) -> None:
    http = venue.http()
    for number in range(30):
        side, idx = (("Buy", 1), ("Sell", 2))[number % 2]
        http.place_order(**{**MARKET_BUY, "side": side, "positionIdx": idx}, qty="0.003", orderLinkId=f"t{number}")
        venue.set_price("BTCUSDT", f"{60000 + number * 7}.30")
        if number % 10 == 9:
            venue.call(venue.server.market.settle_funding, "BTCUSDT", "0.00013")
    http.place_order(**{**MARKET_BUY, "side": "Sell"}, qty="0.045")
    rows = log(http, limit=7)
    assert {row["type"] for row in rows} == {"TRANSFER_IN", "TRADE", "SETTLEMENT"}
    balance = D(0)
    for row in rows:
        balance += D(row["change"])
        assert D(row["cashBalance"]) == balance
        assert D(row["change"]) == D(row["cashFlow"] or 0) + D(row["funding"] or 0) - D(row["fee"] or 0)
    assert balance == wallet(http)
    fills = {row["execId"]: row for row in http.get_executions(**LINEAR, execType="Trade", limit=100)["result"]["list"]}
    trades = [row for row in rows if row["type"] == "TRADE"]
    assert {row["tradeId"] for row in trades} == set(fills)
    assert all(row["fee"] == fills[row["tradeId"]]["execFee"] for row in trades)
    assert trades[1]["size"] == "-0.003"
    assert trades[0]["orderLinkId"] == "t0"


def test_the_transaction_log_is_filtered_and_paged(venue: Venue) -> None:
    http = venue.http()
    for _ in range(25):
        http.place_order(**MARKET_BUY, qty="0.001")
    first = http.get_transaction_log()["result"]
    assert (len(first["list"]), bool(first["nextPageCursor"])) == (20, True)
    assert len(http.get_transaction_log(limit=51)["result"]["list"]) == 26  # the maximum is 50
    assert refusal(http.get_transaction_log, limit=0) == 10001
    assert refusal(http.get_transaction_log, startTime=1, endTime=8 * 86_400_000) == 10001
    assert refusal(http.get_transaction_log, accountType="FUND") == 10001
    assert [row["type"] for row in log(http, type="TRANSFER_IN")] == ["TRANSFER_IN"]
    assert {row["type"] for row in log(http, category="linear")} == {"TRADE"}
    assert log(http, currency="BTC") == log(http, category="spot") == log(http, baseCoin="ETH") == []
    assert log(http, endTime=1000) == []


def test_a_liquidation_and_its_insurance_are_in_the_log() -> None:
    with venue_of(manual_config(default_leverage=50)) as venue:
        http = venue.http(BOB)
        http.place_order(**MARKET_BUY, qty="0.300")
        venue.set_price("BTCUSDT", "55000")
        venue.call(venue.server.exchange.on_time, venue.server.now_ms())
        rows = log(http)
        assert list(dict.fromkeys(row["type"] for row in rows)) == ["TRANSFER_IN", "TRADE", "LIQUIDATION"]
        assert (rows[-1]["symbol"], rows[-2]["symbol"]) == ("", "BTCUSDT")  # the insurance belongs to no contract
        assert rows[-1]["cashBalance"] == "0"
        assert sum((D(row["change"]) for row in rows), D(0)) == wallet(http) == 0


def test_a_pre_check_tells_the_rates_and_places_nothing(venue: Venue) -> None:
    http = venue.http()
    order = limit_order("BTCUSDT", "Buy", "0.100", "59000.00", 1, orderLinkId="x")
    before = http.pre_check_order(**order)["result"]
    assert (before["orderLinkId"], before["preImrE4"], before["preMmrE4"]) == ("x", 0, 0)
    assert before["postImrE4"] == 596  # 5900 at ten times leverage, and both fees, of 10000
    assert before["postMmrE4"] == 35  # 29.50 at 0.5 %, 3.245 to open, 2.9205 to close
    assert http.get_open_orders(**LINEAR)["result"]["list"] == []
    http.place_order(**order)
    again = http.pre_check_order(**{**order, "orderLinkId": "y"})["result"]
    assert again["preImrE4"] == before["postImrE4"]
    assert refusal(http.pre_check_order, **order) == 110072
    assert refusal(http.pre_check_order, **{**order, "qty": "90", "orderLinkId": ""}) == 110007
    assert refusal(http.pre_check_order, **order, triggerPrice="61000.00", triggerDirection=1) == 10001
    assert refusal(http.pre_check_order, **{**order, "side": "Sell", "orderLinkId": ""}) == 110017


def test_margin_is_cross_until_it_is_switched(venue: Venue) -> None:
    http = venue.http()
    assert http.set_margin_mode(setMarginMode="REGULAR_MARGIN")["result"] == {"reasons": []}
    assert refusal(http.set_margin_mode, setMarginMode="PORTFOLIO_MARGIN") == 3400045
    assert refusal(http.set_margin_mode, setMarginMode="NONE") == 10001
    assert refusal(http.set_auto_add_margin, **LINEAR, autoAddMargin=1, positionIdx=1) == 110076
    assert refusal(http.add_or_reduce_margin, **LINEAR, margin="10", positionIdx=1) == 110015
    assert refusal(http.confirm_new_risk_limit, **LINEAR) == 110082
    assert http.get_account_instruments_info(category="linear")["result"]["list"][0]["symbol"] == "BTCUSDT"


def test_isolated_margin(venue: Venue, private: Inbox) -> None:
    http = venue.http()
    opened = http.get_account_info()["result"]["updatedTime"]
    assert http.set_margin_mode(setMarginMode="ISOLATED_MARGIN")["result"] == {"reasons": []}
    info = http.get_account_info()["result"]
    assert (info["marginMode"], info["updatedTime"] >= opened) == ("ISOLATED_MARGIN", True)
    http.set_leverage(**LINEAR, buyLeverage="20", sellLeverage="5")
    state = venue.server.exchange
    sides = position_calls.symbol_info(state, state.accounts["alice"], LINEAR, 0)["list"]
    assert {row["positionIdx"]: row["leverage"] for row in sides} == {1: "20", 2: "5"}
    http.place_order(**LINEAR, side="Buy", orderType="Market", qty="0.100", positionIdx=1)
    before = http.get_positions(**LINEAR)["result"]["list"][0]
    answer = http.add_or_reduce_margin(**LINEAR, margin="25.5", positionIdx=1)["result"]
    assert set(answer) == set(ADD_MARGIN.split())
    assert D(answer["positionIM"]) - D(before["positionIM"]) == D("25.5")
    assert D(answer["bustPrice"]) < D(answer["liqPrice"]) < D(before["liqPrice"])
    pushed = private.wait(lambda row: row["positionIM"] == answer["positionIM"], "position")
    assert (pushed["leverage"], pushed["positionBalance"], pushed["tradeMode"]) == ("20", answer["positionIM"], 0)
    coin = http.get_wallet_balance(accountType="UNIFIED")["result"]["list"][0]["coin"][0]
    assert coin["totalPositionIM"] == answer["positionIM"]
    free = D(coin["walletBalance"]) - D(coin["totalPositionIM"])
    assert plain(account_calls.withdrawable(state, state.accounts["alice"])) == plain(free)
    assert refusal(http.add_or_reduce_margin, **LINEAR, margin=str(round(free) + 1), positionIdx=1) == 110014
    for wrong in ("", "x", "NaN", "1.00001"):
        assert refusal(http.add_or_reduce_margin, **LINEAR, margin=wrong, positionIdx=1) == 10001
    assert refusal(http.add_or_reduce_margin, **LINEAR, margin="1", positionIdx=0) == 10001
    assert http.set_auto_add_margin(**LINEAR, autoAddMargin=1, positionIdx=1)["result"] == {}
    assert refusal(http.set_auto_add_margin, **LINEAR, autoAddMargin=2, positionIdx=1) == 10001
    assert http.get_positions(**LINEAR)["result"]["list"][0]["autoAddMargin"] == 1
    assert refusal(http.pre_check_order, **limit_order("BTCUSDT", "Buy", "0.100", "59000.00", 1)) == 10001
    http.set_margin_mode(setMarginMode="REGULAR_MARGIN")
    row = http.get_positions(**LINEAR)["result"]["list"][0]
    assert (row["leverage"], row["positionBalance"], row["bustPrice"]) == ("5", "0", "")


def test_older_calls_are_answered_as_a_unified_account_answers_them(venue: Venue) -> None:
    http = venue.http()
    tier = http.set_risk_limit(**LINEAR, riskId=999, positionIdx=1)["result"]
    row = http.get_positions(**LINEAR)["result"]["list"][0]
    assert tier == {"category": "linear", "riskId": row["riskId"], "riskLimitValue": row["riskLimitValue"]}
    assert refusal(http.set_risk_limit, **LINEAR, riskId=999, positionIdx=0) == 10001
    assert refusal(http.switch_margin_mode, **LINEAR, tradeMode=1, buyLeverage="10", sellLeverage="10") == 100028
    assert http.set_tp_sl_mode(**LINEAR, tpSlMode="Partial")["result"] == {"tpSlMode": "Partial"}
    assert refusal(http.set_tp_sl_mode, **LINEAR, tpSlMode="Half") == 10001


def test_klines_of_mark_index_and_premium(venue: Venue) -> None:
    http = venue.http()
    venue.trade("BTCUSDT", "60100.00", "0.5", "Buy")
    venue.call(venue.server.market.set_mark, "BTCUSDT", "60200")
    venue.trade("BTCUSDT", "60150.00", "0.5", "Buy")
    for call, close in (
        (http.get_mark_price_kline, "60200"),
        (http.get_index_price_kline, "60150.00"),
        (http.get_premium_index_price_kline, "0.000000"),
    ):
        result = call(**LINEAR, interval=1)["result"]
        assert (result["symbol"], len(result["list"][0]), result["list"][0][4]) == ("BTCUSDT", 5, close)
        assert refusal(call, **LINEAR, interval=2) == 10001


def test_maintenance_and_news_are_announced_on_command(venue: Venue) -> None:
    http, told = venue.http(None), venue.server.exchange.announced
    assert http.get_system_status()["result"] == {"list": []}
    told.carry_out({"action": "maintain", "id": "m1", "title": "engine", "end": "1760003600000"}, 1_760_000_000_000)
    told.carry_out({"action": "maintain", "id": "m1", "state": "ongoing"}, 1_760_000_001_000)
    [row] = http.get_system_status()["result"]["list"]
    assert (row["id"], row["title"], row["state"], row["begin"], row["end"]) == (
        *("m1", "engine", "ongoing", "1760000000000"),
        "1760003600000",
    )
    lists: dict[str, Any] = {"serviceTypes": [1], "product": [1], "uidSuffix": []}
    notice = fields("id title state begin end href", "maintainType env", **lists)
    assert sorted(map(str, compare(notice, row))) == []
    assert http.get_announcement(locale="en-US")["result"] == {"total": 0, "list": []}
    for title, kind in (
        ("Delisting of ETHUSDT Perpetual Contract", "delistings"),
        ("Win a prize", "latest_activities"),
    ):
        told.carry_out({"action": "announce", "title": title, "type": kind}, 1_760_000_000_000)
    result = http.get_announcement(locale="en-US", limit=1)["result"]
    assert (result["total"], [row["title"] for row in result["list"]]) == (2, ["Win a prize"])
    [row] = http.get_announcement(locale="en-US", type="delistings")["result"]["list"]
    times = "dateTimestamp startDateTimestamp endDateTimestamp publishTime"
    article = fields("title description url", times, type=fields("title key"), tags=["t"])
    assert sorted(map(str, compare(article, row))) == []
    assert (row["type"]["key"], row["dateTimestamp"], row["endDateTimestamp"]) == (
        *("delistings", 1_760_000_000_000),
        1_760_000_000_000,
    )


def test_open_interest_is_listed_by_interval(venue: Venue) -> None:
    http = venue.http()
    ticker = http.get_tickers(**LINEAR)["result"]["list"][0]
    result = http.get_open_interest(**LINEAR, intervalTime="5min")["result"]
    assert result["list"][0]["openInterest"] == ticker["openInterest"]
    assert int(result["list"][0]["timestamp"]) % 300_000 == 0
    assert refusal(http.get_open_interest, **LINEAR, intervalTime="2min") == 10001
