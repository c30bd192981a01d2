"""The public state of one symbol."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.core.vocabulary import Side
from gridbot.paper.instruments import LISTINGS
from gridbot.paper.market import SymbolMarket
from gridbot.paper.market_views import group_candles, kline_rows

D = Decimal


@pytest.fixture
def market() -> SymbolMarket:
    return SymbolMarket(LISTINGS["BTCUSDT"], D(60000), D(10000), 0)


def test_bid_and_ask_follow_the_taker(market: SymbolMarket) -> None:
    market.apply(Side.BUY, 600100, D("0.1"), 1)
    assert (market.bid, market.ask, market.last) == (D("60009.90"), D("60010.00"), D("60010.00"))
    market.apply(Side.SELL, 600100, D("0.1"), 2)
    assert (market.bid, market.ask) == (D("60010.00"), D("60010.10"))


def test_tick_directions(market: SymbolMarket) -> None:
    seen = [market.apply(Side.BUY, ticks, D("0.1"), 1) for ticks in (600001, 600001, 600000, 600000)]
    assert [trade.tick for trade in seen if trade] == ["PlusTick", "ZeroPlusTick", "MinusTick", "ZeroMinusTick"]


def test_depth_is_a_fixed_function_of_the_price(market: SymbolMarket) -> None:
    bids, asks = market.book(50)
    assert [ticks for ticks, _ in bids] == list(range(599999, 599949, -1))
    assert [ticks for ticks, _ in asks] == list(range(600001, 600051))
    for ticks, qty in bids + asks:
        assert qty == market.level_qty(ticks)
        assert D("0.08") < qty < D("0.26")
        assert qty % D("0.001") == 0
    assert market.shown_volume(Side.BUY, 600000) == 0  # inside the spread nobody stands
    assert market.shown_volume(Side.SELL, 600001) == market.level_qty(600001)


def test_the_band_follows_mark_and_index(market: SymbolMarket) -> None:
    assert market.price_band() == (D("60600.00"), D("59400.00"))
    market.apply(Side.BUY, 610000, D("0.1"), 1)
    assert market.price_band() == (D("61610.00"), D("60390.00"))


def test_the_band_is_rounded_inwards(market: SymbolMarket) -> None:
    market.mark, market.index = D("60001.23"), D("60001.23")
    assert market.price_band() == (D("60601.20"), D("59401.30"))


def test_minutes_are_grouped_to_longer_candles(market: SymbolMarket) -> None:
    for minute, price in enumerate((60000, 60100, 59900, 60050, 60020, 60030)):
        market.apply(Side.BUY, price * 10, D("0.5"), minute * 60_000)
    five, rest = group_candles(market.candles, 300_000)
    assert (five.open, five.high, five.low, five.close, five.volume) == (
        D(60000),
        D(60100),
        D(59900),
        D(60020),
        D("2.5"),
    )
    assert rest.start_ms == 300_000
    rows = kline_rows(market.candles, start=60_000, end=180_000, limit=2)
    assert [row[0] for row in rows] == ["180000", "120000"]


def test_a_price_without_volume_makes_no_trade(market: SymbolMarket) -> None:
    assert market.apply(Side.SELL, 590000, D(0), 1) is None
    assert (market.last, market.volume, len(market.trades)) == (D(59000), D(0), 0)
