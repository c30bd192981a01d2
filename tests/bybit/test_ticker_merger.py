"""Snapshots and deltas to tickers, in one pass."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.bybit.event_times import Horizon
from gridbot.bybit.parse_market import parse_ticker
from gridbot.bybit.raw_fields import FieldError
from gridbot.bybit.ticker_merger import TickerMerger
from gridbot.core.events import TickerEvent
from tests.bybit.support import ticker_frame
from tests.case_table import case_table

SYMBOL = "BTCUSDT"
NOW_MS = 1_000_000


def merger_with(**fields: str | None) -> TickerMerger:
    merger = TickerMerger(Horizon(lambda: NOW_MS))
    merger.merge(SYMBOL, ticker_frame(SYMBOL, 1, kind="snapshot", **fields), 1)
    return merger


def merged(merger: TickerMerger, ts: int, *, kind: str = "delta", **fields: str | None) -> TickerEvent:
    ticker = merger.merge(SYMBOL, ticker_frame(SYMBOL, ts, kind=kind, **fields), ts)
    assert ticker is not None
    return ticker


def test_a_delta_changes_only_what_it_names():
    merger = merger_with(lastPrice="10", markPrice="11", volume24h="5")
    ticker = merged(merger, 2, markPrice="12", openInterest="9")
    assert (ticker.symbol, ticker.last_price, ticker.mark_price) == (SYMBOL, 10, 12)
    assert (ticker.exchange_ts, ticker.received_ns) == (2, 2)
    assert ticker.index_price is None


ALL = {
    "lastPrice": "10.10",
    "markPrice": "11",
    "indexPrice": "12.5",
    "bid1Price": "10",
    "ask1Price": "10.2",
    "fundingRate": "-0.0001",
    "nextFundingTime": "1760025600000",
}


def test_it_is_what_the_listing_says_of_the_same_fields():
    merger = merger_with(lastPrice="1")
    ticker = merged(merger, 5, **ALL)
    assert ticker == parse_ticker({"symbol": SYMBOL, **ALL}, 5, 5)


@case_table("name", [name for name in ALL if name != "lastPrice"])
@case_table("value", ["", "0", "much", "-1.5", "1_0", "NaN", "9" * 40])
def test_what_is_no_number_is_read_as_in_a_listing(name: str, value: str):
    """And replaces what was known: it is not a price any more."""
    ticker = merged(merger_with(**ALL), 2, **{name: value})
    assert ticker == parse_ticker({"symbol": SYMBOL, **ALL, name: value}, 2, 2)


def test_a_handed_out_ticker_never_changes():
    merger = merger_with(lastPrice="10")
    first = merged(merger, 2, lastPrice="20")
    merged(merger, 3, lastPrice="30")
    assert first.last_price == 20


def test_a_snapshot_replaces_everything():
    ticker = merged(merger_with(lastPrice="10", markPrice="11"), 2, kind="snapshot", lastPrice="12")
    assert ticker.mark_price is None


def test_a_delta_before_the_snapshot_and_an_older_message_are_ignored():
    merger = TickerMerger(Horizon(lambda: NOW_MS))
    assert merger.merge(SYMBOL, ticker_frame(SYMBOL, 5, lastPrice="9"), 1) is None
    assert merger.merge(SYMBOL, ticker_frame(SYMBOL, 5, kind="snapshot", lastPrice="10"), 2) is not None
    assert merger.merge(SYMBOL, ticker_frame(SYMBOL, 4, lastPrice="8"), 3) is None
    assert merger.merge(SYMBOL, ticker_frame(SYMBOL, 4, kind="snapshot", lastPrice="7"), 3) is None
    assert merger.ignored == 3
    assert merged(merger, 5, markPrice="11").last_price == 10


def test_symbols_do_not_know_each_other():
    merger = merger_with(lastPrice="10")
    assert merger.merge("ETHUSDT", ticker_frame("ETHUSDT", 5, lastPrice="9"), 1) is None
    merger.merge("ETHUSDT", ticker_frame("ETHUSDT", 5, kind="snapshot", lastPrice="9"), 1)
    assert merged(merger, 2, markPrice="1").last_price == 10


def test_a_time_ahead_of_our_clock_does_not_hide_what_comes_after_it():
    merger = TickerMerger(Horizon(lambda: NOW_MS))
    first = merger.merge(SYMBOL, ticker_frame(SYMBOL, NOW_MS + 10**9, kind="snapshot", lastPrice="10"), 1)
    assert first is not None
    assert first.exchange_ts == NOW_MS
    assert merged(merger, NOW_MS + 1, lastPrice="11").last_price == 11


def test_a_frame_that_cannot_be_read_changes_nothing():
    merger = merger_with(lastPrice="10")
    bad: list[dict[str, object]] = [{"data": {}}, {"ts": "2", "data": []}, {"ts": 2**63 - 1, "data": {}}, {"ts": 2}]
    for frame in bad:
        with pytest.raises(FieldError):
            merger.merge(SYMBOL, {"type": "snapshot", **frame}, 2)
    ticker = merged(merger, 2, markPrice="11", lastPrice=None)
    assert (ticker.last_price, ticker.mark_price) == (10, 11)


@case_table("price", ["", "0", "-1", "much", "1" * 40])
def test_without_a_last_price_there_is_no_ticker_until_there_is_one_again(price: str):
    """The old price must not stand for one that cannot be read; what else was told is kept."""
    merger = merger_with(lastPrice="10")
    with pytest.raises(FieldError, match="lastPrice"):
        merged(merger, 2, lastPrice=price, markPrice="12")
    with pytest.raises(FieldError, match="lastPrice"):
        merged(merger, 3, indexPrice="13")
    ticker = merged(merger, 4, lastPrice="11")
    assert (ticker.last_price, ticker.mark_price, ticker.index_price) == (11, 12, 13)


def test_what_is_remembered_of_prices_is_bounded_and_changes_no_reading():
    merger = merger_with(lastPrice="1")
    for number in range(1, 5_000):
        ticker = merged(merger, number, lastPrice=f"{number}.50", markPrice="x" * number, bid1Price=f"{number}.50")
        assert (ticker.last_price, ticker.mark_price) == (Decimal(number) + Decimal("0.5"), None)
        assert ticker.bid1_price == ticker.last_price
    assert len(merger._prices) <= 256
    assert max(map(len, merger._prices)) <= 18
