"""The life of a contract on the paper exchange, as a client sees it: announced, settling, closed, cut, changed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import requests
from pybit.exceptions import InvalidRequestError

from tests.paper.streams.test_streams import talk
from tests.paper.support import Inbox, Venue, eventually, limit_order, manual_config, venue_of

D = Decimal
LINEAR = {"category": "linear", "symbol": "BTCUSDT"}


@pytest.fixture
def venue() -> Iterator[Venue]:
    with venue_of(manual_config(control=True)) as running:
        yield running


def control(venue: Venue, action: str, **fields: Any) -> None:
    answer = venue.control({"action": action, **fields})
    assert answer.status_code == 200
    assert answer.json().get("ok"), answer.text


def refused(venue: Venue, **order: Any) -> int:
    with pytest.raises(InvalidRequestError) as caught:
        venue.http().place_order(**order)
    return int(caught.value.status_code)


def listed(venue: Venue, **wanted: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = venue.http(None).get_instruments_info(category="linear", **wanted)["result"]["list"]
    return rows


def announced(venue: Venue, **wanted: str) -> dict[str, Any]:
    answer = requests.get(venue.url + "/v5/announcements/index", {"locale": "en-US", **wanted}, timeout=5)
    result: dict[str, Any] = answer.json()["result"]
    return result


def delivery_prices(venue: Venue) -> dict[str, str]:
    rows = venue.http(None).get_option_delivery_price(category="linear", settleCoin="USDT")["result"]["list"]
    return {row["symbol"]: row["deliveryPrice"] for row in rows}


BUY = limit_order("BTCUSDT", "Buy", "0.010", "59900.00", 1)


def test_a_delisting_is_announced_and_its_time_stands_in_the_listing(venue: Venue) -> None:
    assert announced(venue) == {"total": 0, "list": []}
    control(venue, "delist", symbol="BTCUSDT", in_s=7 * 3600)
    notice = announced(venue, type="delistings")
    assert notice["total"] == 1
    row = notice["list"][0]
    assert (row["type"]["key"], "BTCUSDT" in row["title"]) == ("delistings", True)
    assert listed(venue, symbol="BTCUSDT")[0]["deliveryTime"] == str(row["endDateTimestamp"])
    assert announced(venue, type="new_crypto") == {"total": 0, "list": []}
    venue.http().place_order(**BUY)  # seven hours before there is still time to open
    control(venue, "delist", symbol="BTCUSDT", in_s=3600)
    assert refused(venue, **BUY) == 30228
    assert [len(announced(venue, limit="1", page=page)["list"]) for page in ("1", "2", "3")] == [1, 1, 0]


def test_orders_end_then_it_settles_then_positions_are_closed_at_the_mean_of_the_index(venue: Venue) -> None:
    venue.http().place_order(**BUY)
    venue.set_price("BTCUSDT", "59800")  # filled at 59900
    venue.http().place_order(**limit_order("BTCUSDT", "Sell", "0.010", "61000.00", 1, reduceOnly=True))
    market, exchange = venue.server.exchange.markets["BTCUSDT"], venue.server.exchange
    now_ms = venue.server.now_ms()
    minute = now_ms // 60_000 * 60_000 + 60_000

    def settles() -> tuple[str, int, Decimal, Decimal, list[Decimal]]:
        """In one turn: two minutes at other prices, then the time has come, and a minute later the positions go."""
        for number, price in enumerate((60_000, 60_600)):
            market.pinned_index = D(price)
            market.revalue(minute + number * 60_000)
        market.pinned_index = D(99_999)  # what comes after the time does not count
        ends_ms = minute + 110_000
        exchange.listing.delist("BTCUSDT", ends_ms, now_ms, settling_ms=60_000)
        exchange.listing.deliver_due("BTCUSDT", ends_ms - 1)
        open_before = len(exchange.accounts["alice"].open)
        exchange.listing.deliver_due("BTCUSDT", ends_ms)
        status, size = market.instrument.status, exchange.accounts["alice"].leg("BTCUSDT", 1).size
        closes = [candle.close for candle in market.index_candles]
        exchange.listing.deliver_due("BTCUSDT", ends_ms + 60_000)
        left = exchange.accounts["alice"].leg("BTCUSDT", 1).size
        return status, open_before - len(exchange.accounts["alice"].open), size, left, closes

    *found, closes = venue.call(settles)
    assert found == ["Settling", 1, D("0.010"), D(0)]
    assert closes[-2:] == [D(60_000), D(60_600)]
    [closed] = venue.http().get_order_history(category="linear", orderStatus="Cancelled")["result"]["list"]
    assert closed["cancelType"] == "CancelBySettle"
    delivery = venue.http().get_executions(category="linear", execType="Delivery")["result"]["list"][0]
    assert D(delivery["execPrice"]) == market.instrument.price(market.instrument.ticks(sum(closes, D(0)) / len(closes)))
    assert listed(venue, symbol="BTCUSDT") == []
    assert listed(venue, symbol="BTCUSDT", status="Closed")[0]["status"] == "Closed"
    assert delivery_prices(venue) == {"BTCUSDT": format(D(delivery["execPrice"]).normalize(), "f")}
    span = {"startTime": now_ms, "endTime": int(delivery["execTime"])}
    [record] = venue.http().get_option_delivery_record(category="linear", **span)["result"]["list"]
    assert (record["side"], record["position"], record["entryPrice"]) == ("Buy", "0.01", "59900")
    assert refused(venue, **BUY) == 110074


def test_what_is_over_has_an_empty_book_and_no_trade_and_no_funding_any_more(venue: Venue) -> None:
    """Prices went on for ever, so that no client ever saw the silence of a contract that is gone."""
    frames: list[Any] = []
    subscribe: list[dict[str, Any]] = [{"op": "subscribe", "args": [f"orderbook.{n}.BTCUSDT" for n in ("1", "50")]}]
    thread = threading.Thread(target=lambda: frames.extend(talk(venue.ws_url + "/v5/public/linear", subscribe, 7)))
    thread.start()
    eventually(lambda: venue.server.hub.listeners("orderbook.50.BTCUSDT"))
    venue.set_price("BTCUSDT", "59990")
    venue.call(venue.server.exchange.listing.delist, "BTCUSDT", venue.server.now_ms(), venue.server.now_ms())
    thread.join(10)
    last = [frame for frame in frames if "data" in frame and frame["data"]["u"] == 1 and not frame["data"]["b"]]
    assert {frame["topic"]: frame["type"] for frame in last} == dict.fromkeys(subscribe[0]["args"], "snapshot")
    market = venue.server.exchange.markets["BTCUSDT"]
    before = market.seq, market.mark, len(market.trades), len(market.fundings), len(market.candles)
    venue.trade("BTCUSDT", "61000.00", "1", "Buy")
    venue.call(venue.server.exchange.on_time, market.next_funding_ms + 1)
    assert before == (market.seq, market.mark, len(market.trades), len(market.fundings), len(market.candles))
    book = venue.http(None).get_orderbook(**LINEAR)["result"]
    assert (book["b"], book["a"], book["u"]) == ([], [], 1)


def test_a_delisting_that_is_put_off_is_settled_at_its_new_time(venue: Venue) -> None:
    control(venue, "delist", symbol="BTCUSDT", in_s=0, settling_s=3600)
    assert venue.server.exchange.markets["BTCUSDT"].instrument.status == "Settling"
    control(venue, "list_as", symbol="BTCUSDT", status="Trading", delivery_ms=0)
    venue.set_price("BTCUSDT", "50000")
    venue.http().place_order(**limit_order("BTCUSDT", "Buy", "0.010", "49900.00", 1))
    control(venue, "delist", symbol="BTCUSDT", in_s=0)
    assert delivery_prices(venue) == {"BTCUSDT": "50000"}


@pytest.mark.parametrize(
    ("status", "phase", "code"),
    [
        ("PendingOpen", None, 110074),
        ("PreLaunch", "NotStarted", 110074),
        ("PreLaunch", "CrossMatching", 110095),
        ("Settling", None, 110074),
        ("Delivering", None, 110074),
    ],
)
def test_what_is_not_open_takes_no_order(venue: Venue, status: str, phase: str | None, code: int) -> None:
    control(venue, "list_as", symbol="BTCUSDT", status=status, **({"phase": phase} if phase else {}))
    assert refused(venue, **BUY) == code
    assert [row["symbol"] for row in listed(venue, status=status)] == ["BTCUSDT"]
    control(venue, "list_as", symbol="BTCUSDT", status="Trading")
    venue.http().place_order(**BUY)


def test_a_contract_before_its_launch_shows_its_phases_and_trades_in_the_last(venue: Venue) -> None:
    control(venue, "list_as", symbol="BTCUSDT", status="PreLaunch", phase="ContinuousTrading")
    row = listed(venue, symbol="BTCUSDT", status="PreLaunch")[0]
    assert (row["isPreListing"], row["preListingInfo"]["curAuctionPhase"]) == (True, "ContinuousTrading")
    assert {each["phase"] for each in row["preListingInfo"]["phases"]} >= {"CallAuction", "CrossMatching"}
    venue.http().place_order(**BUY)
    control(venue, "list_as", symbol="BTCUSDT", status="Trading")
    assert listed(venue, symbol="BTCUSDT")[0]["preListingInfo"] is None


def test_tick_and_lot_change_while_it_trades_and_what_rests_stays(venue: Venue) -> None:
    venue.http().place_order(**limit_order("BTCUSDT", "Buy", "0.013", "59900.10", 1))
    control(venue, "change_rules", symbol="BTCUSDT", tick_size="0.50", qty_step="0.01")
    row = listed(venue, symbol="BTCUSDT")[0]
    lots = row["lotSizeFilter"]
    assert (row["priceFilter"]["tickSize"], lots["qtyStep"], lots["minOrderQty"]) == ("0.50", "0.01", "0.01")
    resting = venue.http().get_open_orders(**LINEAR)["result"]["list"][0]
    assert (resting["price"], resting["qty"]) == ("59900.10", "0.013")
    assert refused(venue, **limit_order("BTCUSDT", "Buy", "0.013", "59900.00", 1)) == 10001
    assert refused(venue, **limit_order("BTCUSDT", "Buy", "0.010", "59900.10", 1)) == 10001
    venue.set_price("BTCUSDT", "59800")
    assert venue.http().get_positions(**LINEAR)["result"]["list"][0]["size"] == "0.013"
    closing = {"orderType": "Market", "reduceOnly": True, "closeOnTrigger": True, "positionIdx": 1}
    venue.http().place_order(**LINEAR, side="Sell", qty="0", **closing)  # also what is no whole lot
    assert D(venue.http().get_positions(**LINEAR)["result"]["list"][0]["size"]) == 0


def test_a_cut_of_the_risk_tier_lets_a_leg_only_be_reduced_until_it_is_confirmed(venue: Venue) -> None:
    venue.http().place_order(**BUY)
    venue.set_price("BTCUSDT", "59800")
    with pytest.raises(InvalidRequestError, match="110082"):
        venue.http().confirm_new_risk_limit(**LINEAR)
    control(venue, "cut_risk", account="alice", symbol="BTCUSDT", positionIdx=1, reduce_only=True)
    assert venue.http().get_positions(**LINEAR)["result"]["list"][0]["isReduceOnly"] is True
    lower = limit_order("BTCUSDT", "Buy", "0.010", "59700.00", 1)
    assert refused(venue, **lower) == 110023
    venue.http().place_order(**limit_order("BTCUSDT", "Sell", "0.005", "61000.00", 1, reduceOnly=True))
    venue.http().confirm_new_risk_limit(**LINEAR)
    assert venue.http().get_positions(**LINEAR)["result"]["list"][0]["isReduceOnly"] is False
    venue.http().place_order(**lower)


def test_the_engine_rejects_what_was_accepted_until_it_no_longer_does(venue: Venue) -> None:
    control(venue, "reject_orders", reason="EC_ReachRiskPriceLimit")
    gone = venue.http().place_order(**BUY)["result"]["orderId"]
    control(venue, "reject_orders", reason="")
    stays = venue.http().place_order(**BUY)["result"]["orderId"]
    [row] = venue.http().get_order_history(category="linear")["result"]["list"]
    assert (row["orderId"], row["orderStatus"], row["rejectReason"]) == (gone, "Rejected", "EC_ReachRiskPriceLimit")
    assert [row["orderId"] for row in venue.http().get_open_orders(**LINEAR)["result"]["list"]] == [stays]


def test_adl_takes_a_part_of_a_leg_without_an_order_and_money_is_kept(venue: Venue, private: Inbox) -> None:
    venue.http().place_order(**BUY)
    venue.set_price("BTCUSDT", "59800")
    venue.set_price("BTCUSDT", "60900")
    control(venue, "adl", account="alice", symbol="BTCUSDT", positionIdx=1, qty="0.004")
    row = private.wait(lambda each: each["execType"] == "AdlTrade", "execution")
    assert (row["createType"], row["closedSize"], row["side"], row["orderLinkId"]) == (
        "CreateByAdl_PassThrough",
        "0.004",
        "Sell",
        "",
    )
    assert D(row["execPnl"]) == (D(60900) - D(59900)) * D("0.004")
    assert venue.http().get_positions(**LINEAR)["result"]["list"][0]["size"] == "0.006"
    control(venue, "adl", account="alice", symbol="BTCUSDT", positionIdx=1)
    assert D(venue.http().get_positions(**LINEAR)["result"]["list"][0]["size"]) == 0
    assert len(venue.server.exchange.accounts["bob"].executions) == 0


def test_maintenance_is_told_on_its_topic_as_it_goes_on(venue: Venue) -> None:
    subscribe: list[dict[str, Any]] = [{"op": "subscribe", "args": ["system.status"]}]
    told: list[Any] = []
    thread = threading.Thread(target=lambda: told.extend(talk(venue.ws_url + "/v5/public/misc/status", subscribe, 3)))
    thread.start()
    eventually(lambda: venue.server.hub.listeners("system.status"))
    for state in ("scheduled", "ongoing"):
        control(venue, "maintain", id="m-1", state=state, title="upgrade")
    thread.join(10)
    _, first, second = told
    assert [(frame["topic"], frame["data"][0]["state"]) for frame in (first, second)] == [
        ("system.status", "scheduled"),
        ("system.status", "ongoing"),
    ]
    (row,) = requests.get(venue.url + "/v5/system/status", {"state": "ongoing"}, timeout=5).json()["result"]["list"]
    assert row == second["data"][0]
