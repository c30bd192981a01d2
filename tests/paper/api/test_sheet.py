"""Fields, texts and rules that Bybit's documents and captured frames have newer than the references of `conformance`.

In the same process, without sockets.
"""

from __future__ import annotations

from decimal import Decimal

import orjson
import pytest

from tests.paper.api.desk import LINEAR, MARKET, Desk
from tests.paper.support import limit_order


@pytest.fixture
def desk() -> Desk:
    return Desk()


def resting(desk: Desk, link_id: str = "rests", **extra: object) -> None:
    desk.ask("order/create", **limit_order("BTCUSDT", "Buy", "0.010", "59000.00", 1, orderLinkId=link_id, **extra))


# ------------------------------------------------------------------------------------------- orders


def test_where_an_order_shows_the_group_of_self_matching_and_retail_quotes(desk: Desk) -> None:
    desk.ask("order/create", **MARKET, qty="0.010", orderLinkId="m", rpiTakerAccess=True)
    [pushed] = desk.rows("order")
    [live] = desk.ask("order/realtime", **LINEAR, orderLinkId="m")["list"]
    [past] = desk.ask("order/history", **LINEAR, orderLinkId="m")["list"]
    assert (pushed["smpGroup"], live["smpGroup"], past["smpGroup"]) == ("0", "0", "0")
    for row in (pushed, past):  # it met none of those quotes, whatever it asked for
        assert (row["rpiTakerAccess"], row["rpiMatchedQty"]) == (False, "0")
    assert not {"rpiTakerAccess", "rpiMatchedQty", "extraFees"} & live.keys()
    assert past["extraFees"] == ""
    assert desk.ask("account/info")["smpGroup"] == desk.ask("account/smp-group")["smpGroup"] == 0


def test_what_is_not_set_is_written_otherwise_on_the_stream(desk: Desk) -> None:
    resting(desk)
    [pushed] = desk.rows("order")
    [live] = desk.ask("order/realtime", **LINEAR)["list"]
    names = ("tpslMode", "tpLimitPrice", "slLimitPrice", "slippageTolerance", "takeProfit", "stopLoss")
    assert [pushed[name] for name in names] == ["UNKNOWN", "0", "0", "0", "", ""]
    assert [live[name] for name in names] == [""] * 6
    resting(desk, "more", takeProfit="61000.00", tpslMode="Partial", tpOrderType="Limit", tpLimitPrice="61100.00")
    [pushed] = desk.rows("order")
    assert [pushed[name] for name in names] == ["Partial", "61100.00", "0", "0", "61000.00", ""]


def test_an_orders_closed_pnl_is_net_of_both_fees_and_that_of_its_fill_is_not(desk: Desk) -> None:
    desk.ask("order/create", **MARKET, qty="0.020")
    assert {row["closedPnl"] for row in desk.rows("order")} == {"0"}
    desk.ask("order/create", **{**MARKET, "side": "Sell"}, qty="0.010", reduceOnly=True)
    pushes = {push.topic: push.rows for push in desk.exchange.outbox.take()}
    [closed] = desk.ask("position/closed-pnl", category="linear")["list"]
    fees = Decimal(closed["openFee"]) + Decimal(closed["closeFee"])
    assert pushes["order"][-1]["closedPnl"] == closed["closedPnl"]
    assert Decimal(pushes["execution"][-1]["execPnl"]) - fees == Decimal(closed["closedPnl"])


def test_fees_of_an_order_are_told_in_their_coin(desk: Desk) -> None:
    command = {"action": "charges", "account": "a", "coin": "MNT", "price": "0.5"}
    desk.exchange.strange.carry_out(command, desk.now_ms)
    desk.ask("order/create", **MARKET, qty="0.020", orderLinkId="m")
    [row] = desk.ask("order/realtime", **LINEAR, orderLinkId="m")["list"]
    assert row["cumFeeDetail"].keys() == {"MNT"}
    assert row["cumFeeDetail"]["MNT"] == row["cumExecFee"]


def test_an_order_by_its_place_in_the_book_says_so(desk: Desk) -> None:
    order = {**LINEAR, "side": "Buy", "orderType": "Limit", "qty": "0.010", "positionIdx": 1}
    desk.ask("order/create", **order, bboSideType="Queue", bboLevel="3")
    assert desk.rows("order")[0]["createType"] == "CreateByBboOrder"


def test_the_row_of_a_failed_cancel_or_amend_has_the_id_that_was_sent(desk: Desk) -> None:
    items = [{"symbol": "BTCUSDT", "orderId": "gone"}, {"symbol": "BTCUSDT", "orderLinkId": "mine"}]
    for path, verb in (("order/cancel-batch", "cancel"), ("order/amend-batch", "replace")):
        answer = desk.envelope(path, category="linear", request=[{**item, "qty": "0.02"} for item in items])
        assert answer["retCode"] == 0
        assert [(row["orderId"], row["orderLinkId"]) for row in answer["result"]["list"]] == [
            ("gone", ""),
            ("", "mine"),
        ]
        texts = {row["msg"] for row in answer["retExtInfo"]["list"]}
        assert texts == {f"order not exists or too late to {verb}"}
    answer = desk.envelope("order/create-batch", category="linear", request=[{**MARKET, "orderLinkId": "x"}])
    [row] = answer["result"]["list"]
    assert (row["orderId"], row["orderLinkId"], row["createAt"]) == ("", "x", "")


def test_an_amended_quantity_is_more_than_what_is_filled(desk: Desk) -> None:
    """It counts what is filled already; the rest of what a book's level holds goes on resting."""
    order = limit_order("BTCUSDT", "Buy", "0.500", "60000.10", 1, timeInForce="GTC", orderLinkId="part")
    desk.ask("order/create", **order)
    [row] = desk.ask("order/realtime", **LINEAR)["list"]
    filled = Decimal(row["cumExecQty"])
    assert (row["orderStatus"], 0 < filled < Decimal("0.5")) == ("PartiallyFilled", True)
    named = {**LINEAR, "orderLinkId": "part"}
    for qty in (filled, filled - Decimal("0.001")):
        assert desk.refusal("order/amend", **named, qty=str(qty))[0] == 110064
    desk.ask("order/amend", **named, qty=str(filled + Decimal("0.001")))
    [row] = desk.ask("order/realtime", **LINEAR)["list"]
    assert row["leavesQty"] == "0.001"


# ------------------------------------------------------------------------------------------- what a refusal says


def test_texts_of_refusals(desk: Desk) -> None:
    code, text = desk.refusal("order/create", **limit_order("BTCUSDT", "Buy", "100", "59000.00", 1))
    assert (code, text) == (110007, "ab not enough for new order")
    desk.ask("account/set-limit-px-action", category="linear", modifyEnable=False)
    high = limit_order("BTCUSDT", "Buy", "0.001", "90000.00", 1)
    assert desk.refusal("order/create", **high) == (110003, "Order price is out of permissible range")
    assert desk.refusal("order/cancel", **LINEAR, orderId="x") == (110001, "order not exists or too late to cancel")
    assert desk.refusal("order/amend", **LINEAR, orderId="x", qty="1") == (
        110001,
        "order not exists or too late to replace",
    )
    assert desk.refusal("order/create", **MARKET, qty="0") == (
        10001,
        "The number of contracts exceeds minimum limit allowed",
    )


def test_an_account_without_any_margin_left_is_told_otherwise() -> None:
    desk = Desk(balance=100, default_leverage=50)
    desk.ask("order/create", **MARKET, qty="0.060")
    market = desk.exchange.markets["BTCUSDT"]
    market.pinned_mark = market.mark - 800
    market.revalue(desk.now_ms)
    assert desk.exchange.totals(desk.account).available < 0
    for path in ("order/create", "order/pre-check"):
        assert desk.refusal(path, **limit_order("BTCUSDT", "Buy", "0.001", "59000.00", 1)) == (
            110007,
            "CheckMarginRatio fail! InsufficientAB",
        )


def test_a_refusal_carries_the_quota_that_it_cost(desk: Desk) -> None:
    left = []
    for _ in range(11):
        reply = desk.reply("order/cancel", **LINEAR, orderId="gone")
        assert reply.headers["X-Bapi-Limit"] == "10"
        left.append(int(reply.headers["X-Bapi-Limit-Status"]))
    assert left == [*range(9, -1, -1), 0]
    assert int(reply.headers["X-Bapi-Limit-Reset-Timestamp"]) > desk.now_ms


def test_refused_items_of_a_batch_cost_quota_too(desk: Desk) -> None:
    items = [{"symbol": "BTCUSDT", "orderId": f"gone{n}"} for n in range(3)]
    reply = desk.reply("order/cancel-batch", category="linear", request=items)
    assert (reply.headers["X-Bapi-Limit"], reply.headers["X-Bapi-Limit-Status"]) == ("10", "7")
    for _ in range(3):
        reply = desk.reply("order/cancel-batch", category="linear", request=items)
    assert [row["code"] for row in orjson.loads(reply.body)["retExtInfo"]["list"]] == [110001, 10006, 10006]


# ------------------------------------------------------------------------------------------- where nobody knows


def test_a_post_only_order_beyond_the_band_is_moved_first_and_then_looked_at(desk: Desk) -> None:
    """It crosses at its own price, and at the one that it is moved to; after a fall of the mark it rests there."""
    beyond = limit_order("BTCUSDT", "Buy", "0.010", "90000.00", 1)
    desk.ask("order/create", **beyond)
    [pushed] = desk.rows("order")
    assert (pushed["orderStatus"], pushed["rejectReason"]) == ("Cancelled", "EC_PostOnlyWillTakeLiquidity")
    assert pushed["price"] == desk.ask("market/price-limit", **LINEAR)["buyLmt"]
    market = desk.exchange.markets["BTCUSDT"]
    market.pinned_mark = market.mark * Decimal("0.95")
    market.index = market.pinned_mark
    market.revalue(desk.now_ms)
    limit = desk.ask("market/price-limit", **LINEAR)["buyLmt"]
    desk.ask("order/create", **beyond)
    assert [(row["orderStatus"], row["price"]) for row in desk.rows("order")] == [("New", limit)]


def test_the_reason_of_refused_portfolio_margin_is_the_code_itself(desk: Desk) -> None:
    answer = desk.envelope("account/set-margin-mode", setMarginMode="PORTFOLIO_MARGIN")
    assert answer["retCode"] == 3400045
    assert [reason["reasonCode"] for reason in answer["result"]["reasons"]] == ["3400045"]


# ------------------------------------------------------------------------------------------- envelopes


def test_successes_that_have_a_text_or_a_shape_of_their_own(desk: Desk) -> None:
    accepted = desk.envelope("account/set-margin-mode", setMarginMode="REGULAR_MARGIN")
    assert accepted == {"retCode": 0, "retMsg": "Request accepted", "result": {"reasons": []}}
    moved = desk.envelope("account/set-limit-px-action", category="linear", modifyEnable=True)
    assert (moved["retMsg"], moved["result"]) == ("success", {})
    desk.ask("account/set-limit-px-action", category="spot", modifyEnable=False)
    assert desk.ask("account/user-setting-config")["lpaPerp"] is False
    desk.ask("account/set-limit-px-action", category="inverse", modifyEnable=False)
    assert desk.ask("account/user-setting-config")["lpaPerp"] is True
    assert desk.envelope("market/price-limit", **LINEAR)["retMsg"] == ""
    guarded = Desk(dcp=True)
    reply = guarded.envelope("order/disconnected-cancel-all", product="DERIVATIVES", timeWindow=10)
    assert reply == {"retCode": 0, "retMsg": "success"}


# ------------------------------------------------------------------------------------------- queries


def test_funding_history_needs_an_end_when_it_has_a_start(desk: Desk) -> None:
    desk.exchange.on_time(desk.now_ms + 8 * 3_600_000)
    desk.now_ms += 8 * 3_600_000
    assert desk.refusal("market/funding/history", **LINEAR, startTime=1)[0] == 10001
    for params in ({}, {"endTime": desk.now_ms}, {"startTime": 1, "endTime": desk.now_ms}):
        assert len(desk.ask("market/funding/history", **LINEAR, **params)["list"]) == 1


def test_an_account_gets_smaller_pages_of_instruments_with_its_own_fields(desk: Desk) -> None:
    whole = desk.ask("account/instruments-info", category="linear", limit=1000)
    assert [row["symbol"] for row in whole["list"]] == ["BTCUSDT", "ETHUSDT"]
    for row in whole["list"]:
        assert (row["isPublicRpi"], row["myRpiPermission"]) == (True, True)
        names = ("fullName", "marketRegion", "underlyingTicker", "tags")
        assert [row[name] for name in names] == ["", "", "", []]
    page = desk.ask("account/instruments-info", category="linear", limit=1)
    assert (len(page["list"]), bool(page["nextPageCursor"])) == (1, True)
    assert "isPublicRpi" not in desk.ask("market/instruments-info", category="linear")["list"][0]


def test_settings_tell_how_self_matching_is_prevented(desk: Desk) -> None:
    assert desk.ask("account/user-setting-config")["smpType"] == 0


def test_position_modes_of_other_categories(desk: Desk) -> None:
    assert desk.ask("position/switch-mode", category="inverse", coin="BTC", mode=0) == {}
    assert desk.refusal("position/switch-mode", category="inverse", symbol="BTCUSD", mode=3)[0] == 10001
    assert desk.refusal("position/switch-mode", category="spot", symbol="BTCUSDT", mode=3)[0] == 110029
    assert len(desk.ask("position/list", **LINEAR)["list"]) == 2, "still in hedge mode"


def test_balances_of_a_unified_account_are_asked_for_by_name(desk: Desk) -> None:
    path = "asset/transfer/query-account-coins-balance"
    assert desk.refusal(path, accountType="UNIFIED")[0] == 10001
    assert desk.refusal(path, accountType="UNIFIED", coin=",".join(["BTC"] * 11))[0] == 10001
    rows = desk.ask(path, accountType="UNIFIED", coin="BTC,USDT")["balance"]
    assert [(row["coin"], row["walletBalance"]) for row in rows] == [("BTC", "0"), ("USDT", "10000")]
    assert [row["coin"] for row in desk.ask(path, accountType="FUND")["balance"]] == ["USDT"]
    path = "asset/transfer/query-account-coin-balance"
    row = desk.ask(path, accountType="UNIFIED", coin="USDT", withTransferSafeAmount=1)["balance"]
    assert (row["transferSafeAmount"], row["ltvTransferSafeAmount"]) == ("10000", "")


# ------------------------------------------------------------------------------------------- positions and executions


def test_flat_legs_on_the_stream_and_in_answers(desk: Desk) -> None:
    desk.ask("order/create", **MARKET, qty="0.010")
    desk.ask("order/create", **{**MARKET, "side": "Sell"}, qty="0.010", reduceOnly=True)
    flat = next(row for row in reversed(desk.rows("position")) if row["positionIdx"] == 1)
    names = ("size", "side", "positionIM", "positionMM", "liqPrice", "positionValue", "unrealisedPnl", "netDeltaRatio")
    assert [flat[name] for name in names] == ["0", "", "", "", "0", "0", "0", ""]
    listed = desk.ask("position/list", **LINEAR)["list"][0]
    assert [listed[name] for name in names] == ["0", "", "0", "0", "", "", "", ""]


def test_rows_of_fundings(desk: Desk) -> None:
    desk.ask("order/create", **MARKET, qty="0.010")
    desk.ask("order/create", **{**MARKET, "side": "Sell", "positionIdx": 2}, qty="0.010")
    desk.rows("execution")
    desk.exchange.on_time(desk.now_ms + 8 * 3_600_000)
    desk.now_ms += 8 * 3_600_000
    rows = desk.ask("execution/list", category="linear", execType="Funding")["list"]
    assert {row["side"]: row["feeRate"] for row in rows} == {"Buy": "0.0001", "Sell": "-0.0001"}
    for row in (*rows, *desk.rows("execution")):
        names = ("feeCurrency", "createType", "orderType", "orderPrice", "orderQty", "leavesQty", "closedSize")
        assert [row[name] for name in names] == ["", "", "UNKNOWN", "0", "0", "0", "0"]
        assert (row["isMaker"], len(row["orderId"])) == (False, 36)
    logged = desk.ask("account/transaction-log", type="SETTLEMENT")["list"]
    assert {row["side"]: row["feeRate"] for row in logged} == {"Buy": "0.0001", "Sell": "-0.0001"}
    assert {row["displayType"] for row in logged} == {""}
    assert desk.ask("account/transaction-log", transSubType="movePosition")["list"] == []


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("AdlTrade", "ADL"),
        ("ForwardSplitSettle", "FORWARD_SPLIT_SETTLE"),
        ("ReverseSplitSettle", "REVERSE_SPLIT_SETTLE"),
        ("Delivery", "DELIVERY"),
    ],
)
def test_words_of_the_transaction_log(desk: Desk, word: str, kind: str) -> None:
    desk.ask("order/create", **MARKET, qty="0.010")
    command = {"action": "execution", "account": "a", "symbol": "BTCUSDT", "positionIdx": 1, "type": word, "money": "1"}
    desk.exchange.strange.carry_out(command, desk.now_ms)
    assert desk.ask("account/transaction-log", type=kind)["list"][0]["change"] == "1"
