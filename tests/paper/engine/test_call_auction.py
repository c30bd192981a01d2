"""The call auction before a launch: what it takes, at which price it is matched, and that it survives a restart."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pybit.exceptions import InvalidRequestError

from gridbot.core.vocabulary import Side
from gridbot.paper.engine.call_auction import Interest, clearing, shares
from tests.paper.engine.test_contract_life import LINEAR, control, listed, refused
from tests.paper.support import BOB, Venue, limit_order, manual_config, venue_of

D = Decimal
INTERESTS = st.lists(
    st.builds(Interest, st.sampled_from(Side), st.integers(90, 110), st.integers(1, 9).map(D), st.integers(0, 5)),
    max_size=12,
)


@pytest.fixture
def venue() -> Iterator[Venue]:
    market = {
        "source": "manual",
        "mark_halflife_s": 0,
        "level_notional": 1000,
        "symbols": {"BTCUSDT": {"price": 60000}},
    }
    with venue_of(manual_config(control=True, market=market)) as running:
        yield running


def collect(venue: Venue, phase: str = "CallAuction") -> None:
    control(venue, "list_as", symbol="BTCUSDT", status="PreLaunch", phase=phase)


def buy(qty: str, price: str, **more: Any) -> dict[str, Any]:
    return limit_order("BTCUSDT", "Buy", qty, price, 1, **{"timeInForce": "GTC", **more})


def sell(qty: str, price: str) -> dict[str, Any]:
    return limit_order("BTCUSDT", "Sell", qty, price, 2, timeInForce="GTC")


BUY = buy("0.010", "59900.00")


def ticker(venue: Venue) -> dict[str, str]:
    row: dict[str, str] = venue.http(None).get_tickers(**LINEAR)["result"]["list"][0]
    return row


def volume(venue: Venue) -> Decimal:
    """Of all candles."""
    return sum((D(row[5]) for row in venue.http(None).get_kline(**LINEAR, interval="1")["result"]["list"]), D(0))


@given(INTERESTS, st.integers(90, 110))
def test_the_price_matches_most_and_both_sides_get_the_same(interests: list[Interest], near: int) -> None:
    def matched(ticks: int) -> Decimal:
        sides = [
            sum((each.qty for each in interests if each.side is side and fits(each, ticks)), D(0)) for side in Side
        ]
        return min(sides)

    def fits(each: Interest, ticks: int) -> bool:
        return each.ticks >= ticks if each.side is Side.BUY else each.ticks <= ticks

    found = clearing(interests, near)
    best = max(map(matched, range(90, 111)))
    assert (found is None) == (best == 0)
    if found is None:
        return
    ticks, qty = found
    assert qty == best == matched(ticks)
    for side in Side:
        got = shares(interests, side, ticks, qty)
        assert sum(got) == qty
        assert all(
            not share or (each.side is side and fits(each, ticks)) for each, share in zip(interests, got, strict=True)
        )


def test_what_is_priced_better_goes_first_then_what_was_there_first() -> None:
    interests = [
        Interest(Side.BUY, 100, D(5), 2),
        Interest(Side.BUY, 101, D(2), 3),
        Interest(Side.BUY, 100, D(4), 1),
        Interest(Side.SELL, 99, D(7)),
    ]
    assert shares(interests, Side.BUY, 100, D(7)) == [1, 2, 4, 0]


def test_of_prices_that_match_as_much_the_one_that_leaves_least_over_then_the_nearest() -> None:
    assert clearing([Interest(Side.BUY, 105, D(5)), Interest(Side.SELL, 95, D(5))], 100) == (95, 5)
    assert clearing([Interest(Side.BUY, 105, D(5)), Interest(Side.SELL, 95, D(5))], 101) == (105, 5)
    three = [Interest(Side.BUY, 105, D(5)), Interest(Side.BUY, 95, D(3)), Interest(Side.SELL, 95, D(5))]
    assert clearing(three, 95) == (105, 5)
    assert clearing([Interest(Side.BUY, 95, D(5)), Interest(Side.SELL, 105, D(5))], 100) is None


def test_orders_are_collected_and_matched_at_one_price_when_it_is_over(venue: Venue) -> None:
    collect(venue)
    alice, bob = venue.http(), venue.http(BOB)
    alice.place_order(**buy("1.000", "60002.00", orderLinkId="high"))
    alice.place_order(**buy("0.020", "59000.00", orderLinkId="low"))
    bob.place_order(**sell("0.010", "60001.00"))
    venue.trade("BTCUSDT", "59500.00", "900", "Sell")  # goes through all of them, and fills none
    venue.set_price("BTCUSDT", "60000.00")
    assert len(alice.get_open_orders(**LINEAR)["result"]["list"]) == 2
    assert venue.http(None).get_public_trade_history(**LINEAR)["result"]["list"] == []
    assert ticker(venue)["curPreListingPhase"] == "CallAuction"
    expected, matched = ticker(venue)["preOpenPrice"], D(ticker(venue)["preQty"])
    assert matched > D("0.05")
    assert volume(venue) == 0
    collect(venue, "CrossMatching")
    assert volume(venue) == matched
    fills = [row for http in (alice, bob) for row in http.get_executions(category="linear")["result"]["list"]]
    assert {D(row["execPrice"]) for row in fills} == {D(expected)}
    assert {(row["isMaker"], D(row["feeRate"])) for row in fills} == {(True, venue.server.exchange.config.maker_fee)}
    assert {(row["orderLinkId"], row["side"]) for row in fills} == {("high", "Buy"), ("", "Sell")}
    assert ticker(venue)["lastPrice"] == expected
    assert refused(venue, **BUY) == 110095
    collect(venue, "ContinuousTrading")
    assert (ticker(venue)["preOpenPrice"], ticker(venue)["preQty"]) == ("", "")
    resting = {row["orderLinkId"]: row["orderStatus"] for row in alice.get_open_orders(**LINEAR)["result"]["list"]}
    assert resting == {"high": "PartiallyFilled", "low": "New"}
    venue.set_price("BTCUSDT", "58900.00")
    assert alice.get_open_orders(**LINEAR)["result"]["list"] == []


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"timeInForce": "PostOnly"}, 110098),
        ({"timeInForce": "IOC"}, 110098),
        ({"orderType": "Market", "price": ""}, 110098),
        ({"takeProfit": "70000"}, 110099),
        ({"triggerPrice": "59000", "triggerDirection": 2}, 110099),
        ({"price": "29999.90"}, 110003),
    ],
)
def test_an_auction_takes_plain_limit_orders_only(venue: Venue, more: dict[str, Any], code: int) -> None:
    collect(venue)
    assert refused(venue, **{**BUY, **more}) == code


def test_what_is_collected_cannot_be_amended_and_later_not_be_cancelled(venue: Venue) -> None:
    http = venue.http()
    collect(venue)
    http.place_order(**BUY, orderLinkId="one")
    http.place_order(**{**BUY, "price": "59800.00"}, orderLinkId="two")
    with pytest.raises(InvalidRequestError, match="110095"):
        http.amend_order(**LINEAR, orderLinkId="one", price="59850.00")
    http.cancel_order(**LINEAR, orderLinkId="one")
    collect(venue, "CallAuctionNoCancel")
    assert refused(venue, **{**BUY, "price": "67000.00"}) == 110003
    assert refused(venue, **sell("0.010", "53000.00")) == 110003
    http.place_order(**sell("0.010", "90000.00"))
    for cancel in (lambda: http.cancel_order(**LINEAR, orderLinkId="two"), lambda: http.cancel_all_orders(**LINEAR)):
        with pytest.raises(InvalidRequestError, match="110095"):
            cancel()
    assert len(http.get_open_orders(**LINEAR)["result"]["list"]) == 2


def test_what_an_auction_holds_keeps_no_other_contract_from_being_cancelled() -> None:
    everything = {"category": "linear", "settleCoin": "USDT"}
    with venue_of(manual_config(control=True)) as venue:
        http = venue.http()
        collect(venue)
        http.place_order(**BUY, orderLinkId="held")
        http.place_order(**limit_order("ETHUSDT", "Buy", "0.10", "2000.00", 1, orderLinkId="other"))
        collect(venue, "CallAuctionNoCancel")
        gone, left = http.cancel_all_orders(**everything)["result"], http.get_open_orders(**everything)["result"]
        assert [[row["orderLinkId"] for row in rows["list"]] for rows in (gone, left)] == [["other"], ["held"]]


def test_one_that_comes_to_nothing_ends_its_orders(venue: Venue) -> None:
    collect(venue)
    venue.http().place_order(**BUY)
    collect(venue, "Finished")
    [row] = venue.http().get_order_history(**LINEAR)["result"]["list"]
    assert (row["orderStatus"], row["cancelType"]) == ("Cancelled", "CancelBySettle")


def test_phases_follow_each_other_by_themselves_with_their_times(venue: Venue) -> None:
    control(venue, "launch", symbol="BTCUSDT", call_s=3600, no_cancel_s=300, matching_s=60, trading_s=86400)
    row = listed(venue, symbol="BTCUSDT", status="PreLaunch")[0]
    phases = row["preListingInfo"]["phases"]
    assert [each["phase"] for each in phases] == [
        "CallAuction",
        "CallAuctionNoCancel",
        "CrossMatching",
        "ContinuousTrading",
    ]
    assert [int(each["endTime"]) - int(each["startTime"]) for each in phases] == [3600_000, 300_000, 60_000, 86400_000]
    begins_ms, ends_ms = int(phases[0]["startTime"]), int(phases[-1]["endTime"])
    venue.http().place_order(**buy("0.010", "60100.00"))
    exchange = venue.server.exchange

    def goes_on() -> list[str]:
        """In one turn, so that no real one comes in between."""
        seen = []
        for after_ms in (0, 3600_000, 3900_000, 3960_000):
            exchange.listing.on_time("BTCUSDT", begins_ms + after_ms)
            seen.append(
                f"{exchange.markets['BTCUSDT'].listing.phase} {exchange.accounts['alice'].leg('BTCUSDT', 1).size}"
            )
        exchange.listing.on_time("BTCUSDT", ends_ms)
        return seen

    assert venue.call(goes_on) == [
        *("CallAuction 0", "CallAuctionNoCancel 0", "CrossMatching 0.010", "ContinuousTrading 0.010")
    ]
    row = listed(venue, symbol="BTCUSDT")[0]
    assert (row["status"], row["isPreListing"], row["launchTime"]) == ("Trading", False, str(ends_ms))


def test_phases_go_on_when_the_end_of_the_contract_is_announced(venue: Venue) -> None:
    control(venue, "launch", symbol="BTCUSDT", call_s=3600, matching_s=60)
    control(venue, "delist", symbol="BTCUSDT", in_s=86400)
    listing, now_ms = venue.server.exchange.listing, venue.server.now_ms()
    market = venue.server.exchange.markets["BTCUSDT"]
    assert (market.listing.phase, len(market.listing.phases)) == ("CallAuction", 3)
    venue.call(listing.on_time, "BTCUSDT", now_ms + 3630_000)
    assert (market.listing.phase, (market.instrument.delivery_ms or 0) > now_ms) == ("CrossMatching", True)


def test_an_exchange_that_slept_through_an_auction_matches_it(venue: Venue) -> None:
    control(venue, "launch", symbol="BTCUSDT", call_s=60)
    venue.http().place_order(**buy("0.010", "60100.00"))
    later_ms = venue.server.now_ms() + 3600_000
    listing, market = venue.server.exchange.listing, venue.server.exchange.markets["BTCUSDT"]

    def wakes() -> str:
        listing.on_time("BTCUSDT", later_ms)
        return market.listing.phase

    assert venue.call(wakes) == "ContinuousTrading"
    assert venue.http().get_positions(**LINEAR)["result"]["list"][0]["size"] == "0.010"


def test_the_life_of_a_contract_goes_on_after_a_restart(tmp_path: Path) -> None:
    """An auction with its orders, a delisting that settles, another tick, and what was announced."""
    config = manual_config(state_file=tmp_path / "state.json", control=True)
    with venue_of(config) as venue:
        control(venue, "launch", symbol="BTCUSDT", call_s=3600, matching_s=60)
        venue.http().place_order(**buy("0.010", "60100.00"))
        control(venue, "delist", symbol="ETHUSDT", in_s=0, settling_s=3600)
        control(venue, "change_rules", symbol="LTCUSDT", tick_size="0.05", qty_step="0.5")
        control(venue, "maintain", id="m-1", state="ongoing")
        before = [listed(venue, status=status) for status in ("Trading", "PreLaunch", "Settling")]
        notices = venue.http(None).get_system_status()["result"], announced_rows(venue)
        price = venue.server.exchange.markets["ETHUSDT"].listing.delivery_price
    with venue_of(config) as venue:
        assert [listed(venue, status=status) for status in ("Trading", "PreLaunch", "Settling")] == before
        assert (venue.http(None).get_system_status()["result"], announced_rows(venue)) == notices
        assert venue.server.exchange.markets["ETHUSDT"].listing.delivery_price == price
        venue.trade("BTCUSDT", "59000.00", "9", "Sell")
        assert len(venue.http().get_open_orders(**LINEAR)["result"]["list"]) == 1, "it is collected, not matched"
        control(venue, "list_as", symbol="BTCUSDT", phase="ContinuousTrading")
        assert venue.http().get_positions(**LINEAR)["result"]["list"][0]["size"] == "0.010"


def announced_rows(venue: Venue) -> Any:
    return venue.http(None).get_announcement(locale="en-US")["result"]
