"""Documented calls beside trading: their fields, and the figures that mean something."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pybit.exceptions import InvalidRequestError

from gridbot.paper.api.dispatch import ROUTES
from gridbot.paper.rows.pool_rows import POOL_AT_START
from tests.paper.conformance import compare
from tests.paper.shapes import fields
from tests.paper.support import BOB, Venue, limit_order, manual_config, venue_of

D = Decimal
LINEAR = {"category": "linear", "symbol": "BTCUSDT"}
OPEN = {**LINEAR, "side": "Buy", "orderType": "Market", "positionIdx": 1}
TRANSFER = {"transferId": "t", "coin": "USDT", "amount": "1", "fromAccountType": "UNIFIED", "toAccountType": "FUND"}


def ask(venue: Venue, path: str, **params: Any) -> dict[str, Any]:
    http, route = venue.http(), ROUTES[f"/v5/{path}"]
    answer = http._submit_request(
        method=route.verb, path=f"{http.endpoint}/v5/{path}", query=params, auth=route.public is None
    )
    return dict(answer["result"])


def refusal(venue: Venue, path: str, **params: Any) -> int:
    with pytest.raises(InvalidRequestError) as caught:
        ask(venue, path, **params)
    return int(caught.value.status_code)


BOOK = fields("s", "ts u seq cts")
BALANCE = fields("coin walletBalance transferBalance bonus")
SIDES = "avg{0}ExecPrice sum{0}ExecValue sum{0}ExecQty sum{0}ExecFee sum{0}OrderQty"
SHAPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "market/account-ratio": (
        {**LINEAR, "period": "5min"},
        fields("nextPageCursor", list=[fields("symbol buyRatio sellRatio timestamp")]),
    ),
    "market/insurance": ({}, fields("updatedTime", list=[fields("coin symbols balance value")])),
    "market/adlAlert": (
        {},
        fields(
            "updatedTime",
            list=[fields("coin symbol balance maxBalance insurancePnlRatio pnlRatio adlTriggerThreshold adlStopRatio")],
        ),
    ),
    "market/index-price-components": (
        {"indexName": "BTCUSDT"},
        fields(
            "indexName lastPrice updateTime",
            components=[fields("exchange spotPair equivalentPrice multiplier price weight")],
        ),
    ),
    "market/fee-group-info": (
        {"productType": "contract"},
        {
            "list": [
                fields(
                    "groupName updateTime",
                    "weightingFactor symbolsNumbers",
                    symbols=["BTCUSDT"],
                    feeRates={"pro": [], "marketMaker": []},
                )
            ]
        },
    ),
    "market/rpi_orderbook": ({**LINEAR, "limit": 5}, BOOK | {"a": [["1", "1", "1"]], "b": [["1", "1", "1"]]}),
    "market/full_orderbook": (LINEAR, BOOK | {"a": [["1", "1"]], "b": [["1", "1"]]}),
    "account/withdrawal": (
        {"coinName": "USDT"},
        fields("availableWithdrawal", availableWithdrawalMap={"USDT": "1"}),
    ),
    "account/collateral-info": (
        {},
        {
            "list": [
                fields(
                    "currency hourlyBorrowRate maxBorrowingAmount freeBorrowingLimit freeBorrowAmount borrowAmount "
                    "otherBorrowAmount availableToBorrow borrowUsageRate collateralRatio freeBorrowingAmount",
                    flags="borrowable marginCollateral collateralSwitch",
                )
            ]
        },
    ),
    "account/smp-group": ({}, fields(numbers="smpGroup")),
    "account/trade-info-for-analysis": (
        {"symbol": "BTCUSDT"},
        fields(
            f"symbolRnl netExecQty sumExecValue sumExecQty {SIDES.format('Buy')} {SIDES.format('Sell')} "
            "baseCoin settleCoin",
            "maxMarginVersion",
        ),
    ),
    "position/symbol-info": (LINEAR, fields("category", list=[fields("symbol leverage side", "positionIdx")])),
    "apilimit/query-cap": ({}, {"list": [fields("bizType totalRate insCap uidCap")]}),
    "apilimit/query-all": ({}, fields("nextPageCursor", list=[fields("uids bizType", "rate")])),
    "asset/transfer/query-transfer-coin-list": (
        {"fromAccountType": "UNIFIED", "toAccountType": "FUND"},
        {"list": ["USDT"]},
    ),
    "asset/transfer/query-account-coin-balance": (
        {"accountType": "UNIFIED", "coin": "USDT"},
        fields(
            "accountId accountType memberId",
            "bizType",
            balance=BALANCE | fields("transferSafeAmount ltvTransferSafeAmount"),
        ),
    ),
    "asset/transfer/query-account-coins-balance": (
        {"accountType": "UNIFIED", "coin": "USDT"},
        fields("memberId accountType", balance=[BALANCE]),
    ),
}
EMPTY: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "market/delivery-price": ({"category": "option"}, {"category": "option", "list": [], "nextPageCursor": ""}),
    "announcements/index": ({"locale": "en-US"}, {"total": 0, "list": []}),
    "position/move-history": ({}, {"list": [], "nextPageCursor": ""}),
    "asset/delivery-record": (
        {"category": "inverse"},
        {"category": "inverse", "list": [], "nextPageCursor": ""},
    ),
    "asset/transfer/query-inter-transfer-list": ({}, {"list": [], "nextPageCursor": ""}),
    "asset/transfer/query-universal-transfer-list": ({}, {"list": [], "nextPageCursor": ""}),
    "asset/deposit/query-record": ({}, {"rows": [], "nextPageCursor": ""}),
    "asset/withdraw/query-record": ({}, {"rows": [], "nextPageCursor": ""}),
}


@pytest.mark.parametrize("path", sorted(SHAPES))
def test_answers_have_the_fields_of_the_sheet(venue: Venue, path: str) -> None:
    params, shape = SHAPES[path]
    result = ask(venue, path, **params)
    assert sorted(map(str, compare(shape, result))) == []
    assert [] not in result.values()


@pytest.mark.parametrize("path", sorted(EMPTY))
def test_what_there_is_none_of_is_an_empty_answer(venue: Venue, path: str) -> None:
    params, expected = EMPTY[path]
    assert ask(venue, path, **params) == expected


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("market/account-ratio", {**LINEAR, "period": "2min"}, 10001),
        ("market/index-price-components", {"indexName": "NOSUCH"}, 10001),
        ("market/fee-group-info", {"productType": "spot"}, 10001),
        ("market/fee-group-info", {"productType": "contract", "groupId": 10}, 10001),
        ("market/rpi_orderbook", LINEAR, 10001),
        ("announcements/index", {}, 10001),
        ("account/withdrawal", {}, 10001),
        ("account/withdrawal", {"coinName": ",".join(["USDT"] * 21)}, 10001),
        ("apilimit/query", {"uids": "1"}, 3500153),
        ("apilimit/set", {"list": []}, 3500002),
        ("asset/delivery-record", {**LINEAR, "startTime": 1, "endTime": 31 * 86_400_000}, 10001),
        ("asset/transfer/inter-transfer", TRANSFER, 10005),
        ("asset/transfer/universal-transfer", TRANSFER | {"fromMemberId": 1, "toMemberId": 2}, 10005),
        ("asset/transfer/inter-transfer", TRANSFER | {"coin": ""}, 10001),
        ("asset/transfer/inter-transfer", TRANSFER | {"toAccountType": "SPOT"}, 10001),
        ("position/move-positions", {"fromUid": "1", "toUid": "2", "list": []}, 10005),
    ],
)
def test_refusals(venue: Venue, path: str, params: dict[str, Any], code: int) -> None:
    assert refusal(venue, path, **params) == code


def test_what_may_be_withdrawn_is_no_unrealised_profit_and_no_margin(venue: Venue) -> None:
    def amount() -> Decimal:
        result = ask(venue, "account/withdrawal", coinName="USDT,BTC")
        assert result["availableWithdrawalMap"] == {"USDT": result["availableWithdrawal"], "BTC": "0"}
        return D(result["availableWithdrawal"])

    def wallet(name: str) -> Decimal:
        return D(venue.http().get_wallet_balance(accountType="UNIFIED")["result"]["list"][0][name])

    assert amount() == 10000
    venue.http().place_order(**limit_order("BTCUSDT", "Buy", "0.100", "59000.00", 1))
    assert amount() == wallet("totalAvailableBalance") < 9500
    venue.http().place_order(**OPEN, qty="0.010")
    venue.set_price("BTCUSDT", "300000")
    assert wallet("totalAvailableBalance") > wallet("totalWalletBalance") > amount() - 1
    assert amount() == wallet("totalWalletBalance")
    venue.set_price("BTCUSDT", "59500")
    assert amount() == wallet("totalAvailableBalance")


def test_the_pool_pays_for_a_liquidation() -> None:
    with venue_of(manual_config(default_leverage=50)) as venue:
        [pool] = ask(venue, "market/insurance", coin="USDT")["list"]
        assert (pool["symbols"], D(pool["balance"])) == ("BTCUSDT,ETHUSDT,LTCUSDT", POOL_AT_START)
        assert ask(venue, "market/insurance", coin="USDC")["list"] == []
        venue.http(BOB).place_order(**OPEN, qty="0.300")
        venue.set_price("BTCUSDT", "55000")
        venue.call(venue.server.exchange.on_time, venue.server.now_ms())
        paid = venue.server.exchange.accounts["bob"].insurance
        [pool], [alert] = (
            ask(venue, "market/insurance")["list"],
            ask(venue, "market/adlAlert", symbol="BTCUSDT")["list"],
        )
        assert paid > 0
        assert D(pool["balance"]) == D(pool["value"]) == D(alert["balance"]) == POOL_AT_START - paid


def test_books_with_a_third_figure_and_to_the_bottom(venue: Venue) -> None:
    plain = ask(venue, "market/orderbook", **LINEAR, limit=5)
    rpi = ask(venue, "market/rpi_orderbook", **LINEAR, limit=5)
    assert rpi["a"] == [[*row, "0"] for row in plain["a"]]
    full = ask(venue, "market/full_orderbook", **LINEAR)
    assert (len(full["b"]), full["a"][:5], full["seq"], full["u"]) == (10_000, plain["a"], rpi["seq"], rpi["u"])


def test_leverage_of_both_legs_is_told_without_a_position(venue: Venue) -> None:
    venue.http().set_leverage(**LINEAR, buyLeverage="7", sellLeverage="7")
    rows = ask(venue, "position/symbol-info", **LINEAR)["list"]
    assert [(row["positionIdx"], row["leverage"]) for row in rows] == [(2, "7"), (1, "7")]
    assert len(ask(venue, "position/symbol-info", category="linear")["list"]) == 6
    assert ask(venue, "position/symbol-info", category="inverse") == {"category": "inverse", "list": []}


def test_request_limits_are_told_to_the_account_itself(venue: Venue) -> None:
    uid = str(venue.server.exchange.accounts["alice"].uid)
    row = {"uids": uid, "bizType": "DERIVATIVES", "rate": 0}
    assert ask(venue, "apilimit/query", uids=uid) == {"list": [row]}
    assert ask(venue, "apilimit/query-all", uids="1")["list"] == []


def test_some_limits_count_by_the_minute() -> None:
    with venue_of(manual_config(limits={"ip_requests": 0})) as venue:
        path = "asset/transfer/query-inter-transfer-list"
        for _ in range(60):
            ask(venue, path)
        assert refusal(venue, path) == 10006


def test_a_delivery_is_on_record_with_its_entry_price(venue: Venue) -> None:
    http = venue.http()
    http.place_order(**OPEN, qty="0.020")
    http.place_order(**{**OPEN, "side": "Sell", "positionIdx": 2}, qty="0.010")
    prices = {row["side"]: row["avgPrice"] for row in http.get_positions(**LINEAR)["result"]["list"]}
    command = {"action": "deliver", "account": "alice", "symbol": "BTCUSDT", "price": "59000"}
    venue.call(venue.server.exchange.strange.carry_out, command, venue.server.now_ms())
    rows = ask(venue, "asset/delivery-record", category="linear")["list"]
    assert {row["side"]: row["entryPrice"] for row in rows} == prices
    assert {row["deliveryPrice"] for row in rows} == {"59000"}
    for row in rows:
        sign = 1 if row["side"] == "Buy" else -1
        gain = (D(row["deliveryPrice"]) - D(row["entryPrice"])) * D(row["position"]) * sign
        assert D(row["deliveryRpl"]) == gain
    shape = fields("symbol side position entryPrice deliveryPrice strike fee deliveryRpl", "deliveryTime")
    assert sorted(map(str, compare(shape, rows[0]))) == []
