"""Orders through pybit's own HTTP and stream classes."""

from __future__ import annotations

import pytest
from pybit.exceptions import InvalidRequestError

from tests.paper.support import ALICE, BOB, Inbox, Venue, eventually, limit_order


def test_create_is_acknowledged_before_the_stream_says_new_and_then_fills(venue: Venue, private: Inbox) -> None:
    http = venue.http()
    reply = http.place_order(**limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1, orderLinkId="a-1"))
    order_id = reply["result"]["orderId"]
    assert reply["retCode"] == 0
    assert reply["result"]["orderLinkId"] == "a-1"
    new = private.wait(lambda row: row["orderStatus"] == "New", "order")
    assert (new["orderId"], new["price"], new["qty"], new["positionIdx"]) == (order_id, "59900.00", "0.010", 1)
    venue.set_price("BTCUSDT", "59800")
    filled = private.wait(lambda row: row["orderStatus"] == "Filled", "order")
    execution = private.wait(lambda row: row["execType"] == "Trade", "execution")
    assert filled["cumExecQty"] == "0.010"
    assert filled["leavesQty"] == "0"
    assert filled["cumFeeDetail"] == {"USDT": "0.1198"}
    assert (execution["execPrice"], execution["execFee"], execution["isMaker"]) == ("59900.00", "0.1198", True)
    position = private.wait(lambda row: row["positionIdx"] == 1 and row["size"] == "0.010", "position")
    assert (position["side"], position["entryPrice"]) == ("Buy", "59900")
    wallet = private.wait(lambda row: row["coin"][0]["walletBalance"] == "9999.8802", "wallet")
    assert wallet["totalPerpUPL"] == "-1"


def test_volume_at_the_price_fills_in_parts_after_the_queue(venue: Venue, private: Inbox) -> None:
    http = venue.http()
    http.place_order(**limit_order("LTCUSDT", "Buy", "50.0", "84.50", 1))
    ahead = venue.call(lambda: venue.server.exchange.markets["LTCUSDT"].depth.level_qty(8450))
    venue.trade("LTCUSDT", "84.50", str(ahead), "Sell")
    venue.trade("LTCUSDT", "84.50", "20.0", "Sell")
    part = private.wait(lambda row: row["orderStatus"] == "PartiallyFilled", "order")
    assert (part["cumExecQty"], part["leavesQty"]) == ("20.0", "30.0")
    venue.trade("LTCUSDT", "84.50", "31.0", "Sell")
    private.wait(lambda row: row["orderStatus"] == "Filled", "order")
    private.wait(lambda row: row["leavesQty"] == "0", "execution")
    assert [row["execQty"] for row in private.rows("execution")] == ["20.0", "30.0"]


def test_post_only_that_would_take_is_accepted_and_then_cancelled_on_the_stream(venue: Venue, private: Inbox) -> None:
    reply = venue.http().place_order(**limit_order("BTCUSDT", "Buy", "0.010", "60001.00", 1))
    assert reply["retCode"] == 0
    row = private.wait(lambda row: row["orderId"] == reply["result"]["orderId"], "order")
    assert (row["orderStatus"], row["rejectReason"]) == ("Cancelled", "EC_PostOnlyWillTakeLiquidity")
    assert (row["cancelType"], row["leavesQty"], row["cumExecQty"]) == ("UNKNOWN", "0.000", "0.000")


def refusal(call, **params) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as caught:
        call(**params)
    return caught.value


@pytest.mark.parametrize(
    ("code", "order"),
    [
        (110017, limit_order("BTCUSDT", "Sell", "0.010", "61000.00", 1, reduceOnly=True)),
        (110017, limit_order("BTCUSDT", "Buy", "0.010", "59000.00", 2)),
        (110007, limit_order("BTCUSDT", "Buy", "10.000", "59000.00", 1)),
        (110094, limit_order("ETHUSDT", "Buy", "0.01", "400.00", 1)),
        (10001, limit_order("BTCUSDT", "Buy", "0.0105", "59000.00", 1)),
        (10001, limit_order("BTCUSDT", "Buy", "0.010", "59000.05", 1)),
        (10001, limit_order("BTCUSDT", "Buy", "0.010", "59000.00", 0)),
        (10001, limit_order("NOSUCHUSDT", "Buy", "0.010", "59000.00", 1)),
        (10001, limit_order("BTCUSDT", "Buy", "0.010", "59000.00", 1, orderLinkId="has space")),
        (10001, limit_order("BTCUSDT", "Buy", "0.010", "59000.00", 1, orderLinkId="x" * 37)),
        (10001, limit_order("BTCUSDT", "Buy", "2000", "59000.00", 1)),
    ],
)
def test_refusals_by_code(venue: Venue, code: int, order: dict[str, object]) -> None:
    assert refusal(venue.http().place_order, **order).status_code == code
    assert venue.http().get_open_orders(category="linear", settleCoin="USDT")["result"]["list"] == []


def test_too_large_a_quantity_is_told_with_the_maximum(venue: Venue) -> None:
    error = refusal(venue.http().place_order, **limit_order("BTCUSDT", "Buy", "5797", "59000.00", 1))
    maximum = venue.http().get_instruments_info(category="linear", symbol="BTCUSDT")["result"]["list"][0]
    scaled = int(maximum["lotSizeFilter"]["maxOrderQty"]) * 10**8
    assert error.message == (
        f"The number of contracts exceeds maximum limit allowed: too large, order_qty:579700000000 > max_qty:{scaled}"
    )
    error = refusal(venue.http().place_order, **limit_order("BTCUSDT", "Buy", "0.0001", "59000.00", 1))
    assert error.message == "The number of contracts exceeds minimum limit allowed"


def test_a_link_id_is_taken_while_open_and_after(venue: Venue) -> None:
    http = venue.http()
    order = limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1, orderLinkId="once")
    http.place_order(**order)
    assert refusal(http.place_order, **order).status_code == 110072
    http.cancel_order(category="linear", symbol="BTCUSDT", orderLinkId="once")
    assert refusal(http.place_order, **order).status_code == 110072
    venue.http(BOB).place_order(**order | {"qty": "0.001"})


def test_cancel_is_confirmed_on_the_stream_and_a_second_one_is_too_late(venue: Venue, private: Inbox) -> None:
    http = venue.http()
    http.place_order(**limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1, orderLinkId="c"))
    http.cancel_order(category="linear", symbol="BTCUSDT", orderLinkId="c")
    row = private.wait(lambda row: row["orderStatus"] == "Cancelled", "order")
    assert (row["cancelType"], row["rejectReason"]) == ("CancelByUser", "EC_PerCancelRequest")
    error = refusal(http.cancel_order, category="linear", symbol="BTCUSDT", orderLinkId="c")
    assert error.status_code == 110001


def test_reduce_only_is_clamped_to_what_is_left_to_close(venue: Venue) -> None:
    http = venue.http()
    http.place_order(**limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1))
    venue.set_price("BTCUSDT", "59800")
    http.place_order(**limit_order("BTCUSDT", "Sell", "0.006", "60500.00", 1, reduceOnly=True))
    http.place_order(**limit_order("BTCUSDT", "Sell", "0.006", "60600.00", 1, reduceOnly=True, orderLinkId="second"))
    second = http.get_open_orders(category="linear", symbol="BTCUSDT", orderLinkId="second")["result"]["list"][0]
    assert second["qty"] == "0.004"
    third = limit_order("BTCUSDT", "Sell", "0.001", "60700.00", 1, reduceOnly=True)
    assert refusal(http.place_order, **third).status_code == 110017


def test_amend_changes_price_and_quantity_in_place(venue: Venue, private: Inbox) -> None:
    http = venue.http()
    http.place_order(**limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1, orderLinkId="m"))
    target = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "m"}
    http.amend_order(**target, price="59800.00", qty="0.020")
    row = private.wait(lambda row: row["price"] == "59800.00", "order")
    assert (row["orderStatus"], row["qty"]) == ("New", "0.020")
    assert refusal(http.amend_order, **target, price="59800.00").status_code == 10001
    http.amend_order(**target, price="60100.00")
    gone = private.wait(lambda row: row["orderStatus"] == "Cancelled", "order")
    assert gone["rejectReason"] == "EC_PostOnlyWillTakeLiquidity"


def test_a_market_order_takes_and_pays_the_taker_fee(venue: Venue, private: Inbox) -> None:
    http = venue.http()
    http.place_order(category="linear", symbol="BTCUSDT", side="Sell", orderType="Market", qty="0.010", positionIdx=2)
    fill = private.wait(lambda row: True, "execution")
    assert (fill["execPrice"], fill["isMaker"], fill["execFee"]) == ("59999.90", False, "0.32999945")
    leg = http.get_positions(category="linear", symbol="BTCUSDT")["result"]["list"][1]
    assert (leg["positionIdx"], leg["side"], leg["size"]) == (2, "Sell", "0.010")


def test_batches_fail_item_by_item(venue: Venue) -> None:
    http = venue.http()
    good = limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1, orderLinkId="b1")
    bad = limit_order("BTCUSDT", "Buy", "0.010", "59800.00", 1, orderLinkId="b1")
    reply = http.place_batch_order(category="linear", request=[good, bad])
    assert [item["code"] for item in reply["retExtInfo"]["list"]] == [0, 110072]
    assert [bool(row["orderId"]) for row in reply["result"]["list"]] == [True, False]
    assert reply["result"]["list"][1]["createAt"] == ""
    amended = http.amend_batch_order(
        category="linear", request=[{"symbol": "BTCUSDT", "orderLinkId": "b1", "price": "59700.00"}]
    )
    assert amended["retExtInfo"]["list"] == [{"code": 0, "msg": "OK"}]
    cancelled = http.cancel_batch_order(
        category="linear",
        request=[{"symbol": "BTCUSDT", "orderLinkId": "b1"}, {"symbol": "BTCUSDT", "orderLinkId": "nope"}],
    )
    assert [item["code"] for item in cancelled["retExtInfo"]["list"]] == [0, 110001]


def test_open_orders_come_in_pages_newest_first(venue: Venue) -> None:
    http = venue.http()
    for number in range(45):
        http.place_order(
            **limit_order("LTCUSDT", "Buy", "0.1", f"{80 - number / 100:.2f}", 1, orderLinkId=f"p{number}")
        )
    seen: list[str] = []
    pages, cursor = 0, ""
    while True:
        result = http.get_open_orders(category="linear", symbol="LTCUSDT", cursor=cursor)["result"]
        seen += [row["orderLinkId"] for row in result["list"]]
        pages += 1
        cursor = result["nextPageCursor"]
        if not cursor:
            break
        http.cancel_order(category="linear", symbol="LTCUSDT", orderLinkId=seen[-1])  # the cursor's row vanishes
    assert pages == 3
    assert seen == [f"p{number}" for number in range(44, -1, -1)]


def test_cancel_all_by_symbol_and_by_coin(venue: Venue) -> None:
    http = venue.http()
    for symbol, price in (("BTCUSDT", "59000.00"), ("ETHUSDT", "2400.00"), ("ETHUSDT", "2300.00")):
        http.place_order(**limit_order(symbol, "Buy", "0.01", price, 1))
    assert len(http.cancel_all_orders(category="linear", symbol="ETHUSDT")["result"]["list"]) == 2
    assert len(http.cancel_all_orders(category="linear", settleCoin="USDT")["result"]["list"]) == 1
    history = http.get_order_history(category="linear")["result"]["list"]
    assert [row["orderStatus"] for row in history] == ["Cancelled"] * 3


def test_a_round_trip_shows_in_executions_and_closed_pnl(venue: Venue) -> None:
    http = venue.http()
    http.place_order(**limit_order("ETHUSDT", "Buy", "0.10", "2490.00", 1))
    venue.set_price("ETHUSDT", "2480")
    http.place_order(**limit_order("ETHUSDT", "Sell", "0.10", "2520.00", 1, reduceOnly=True))
    venue.set_price("ETHUSDT", "2530")
    rows = http.get_executions(category="linear")["result"]["list"]
    assert [(row["side"], row["closedSize"]) for row in rows] == [("Sell", "0.10"), ("Buy", "0.00")]
    closed = http.get_closed_pnl(category="linear")["result"]["list"][0]
    assert (closed["closedPnl"], closed["openFee"], closed["closeFee"]) == ("2.8998", "0.0498", "0.0504")
    wallet = http.get_wallet_balance(accountType="UNIFIED")["result"]["list"][0]["coin"][0]
    assert (wallet["walletBalance"], wallet["cumRealisedPnl"]) == ("10002.8998", "2.8998")


def test_accounts_do_not_see_each_other(venue: Venue) -> None:
    venue.http(ALICE).place_order(**limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1))
    assert venue.http(BOB).get_open_orders(category="linear", symbol="BTCUSDT")["result"]["list"] == []
    assert len(venue.http(ALICE).get_open_orders(category="linear", symbol="BTCUSDT")["result"]["list"]) == 1


def test_an_execution_names_its_order_and_lookup_works_by_link_id(venue: Venue) -> None:
    http = venue.http()
    http.place_order(**limit_order("ETHUSDT", "Buy", "0.10", "2490.00", 1, orderLinkId="x1"))
    venue.set_price("ETHUSDT", "2480")
    done = http.get_open_orders(category="linear", symbol="ETHUSDT", orderLinkId="x1")["result"]["list"][0]
    assert done["orderStatus"] == "Filled"
    execution = http.get_executions(category="linear", orderLinkId="x1")["result"]["list"][0]
    assert execution["orderId"] == done["orderId"]
    assert eventually(lambda: execution["execId"])
