"""The public state of one symbol."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from gridbot.core.vocabulary import Side
from gridbot.paper.market.instruments import LISTINGS
from gridbot.paper.market.market_history import CandleSeries
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.rows.candle_rows import candle_span, group_candles, kline_rows
from tests.case_table import case_table

D = Decimal


@pytest.fixture
def market() -> SymbolMarket:
    return SymbolMarket(LISTINGS["BTCUSDT"], D(60000), D(10000), 0)


def test_bid_and_ask_follow_the_taker(market: SymbolMarket) -> None:
    market.apply(Side.BUY, 600100, D("0.1"), 1)
    assert (market.depth.bid, market.depth.ask, market.last) == (D("60009.90"), D("60010.00"), D("60010.00"))
    market.apply(Side.SELL, 600100, D("0.1"), 2)
    assert (market.depth.bid, market.depth.ask) == (D("60010.00"), D("60010.10"))


def test_tick_directions(market: SymbolMarket) -> None:
    seen = [market.apply(Side.BUY, ticks, D("0.1"), 1) for ticks in (600001, 600001, 600000, 600000)]
    assert [trade.tick for trade in seen if trade] == ["PlusTick", "ZeroPlusTick", "MinusTick", "ZeroMinusTick"]


def test_depth_is_a_fixed_function_of_the_price(market: SymbolMarket) -> None:
    bids, asks = market.depth.levels(50)
    assert (bids, asks) == (range(599999, 599949, -1), range(600001, 600051))
    for ticks in (*bids, *asks):
        qty = market.depth.level_qty(ticks)
        assert qty == market.depth.level_steps(ticks) * D("0.001")
        assert D("0.08") < qty < D("0.26")
        assert qty % D("0.001") == 0
    assert market.depth.shown_volume(Side.BUY, 600000) == 0  # inside the spread nobody stands
    assert market.depth.shown_volume(Side.SELL, 600001) == market.depth.level_qty(600001)


def test_the_band_follows_mark_and_index(market: SymbolMarket) -> None:
    assert market.price_band() == (D("60600.00"), D("59400.00"))
    market.apply(Side.BUY, 610000, D("0.1"), 1)
    assert market.price_band() == (D("61610.00"), D("60390.00"))


def test_the_band_is_rounded_inwards(market: SymbolMarket) -> None:
    market.mark, market.index = D("60001.23"), D("60001.23")
    assert market.price_band() == (D("60601.20"), D("59401.30"))


def test_a_change_of_the_tick_size_keeps_the_price_and_rounds_it(market: SymbolMarket) -> None:
    market.apply(Side.BUY, 600003, D("0.1"), 1)
    assert market.price_band() == (D("60600.30"), D("59400.30"))
    market.change_rules(tick_size=D("0.5"))
    assert (market.last, market.last_ticks, market.listing.instrument.tick_size) == (D("60000.5"), 120001, D("0.5"))
    assert (market.depth.bid, market.depth.ask) == (D("60000.0"), D("60001.0"))
    assert market.price_band() == (D("60600.0"), D("59400.5"))
    market.apply(Side.SELL, 120000, D("0.1"), 2)
    assert market.last == D("60000.0")


def test_the_smallest_order_changes_with_the_lot_only() -> None:
    listing = LISTINGS["BTCUSDT"]
    large = replace(listing, instrument=replace(listing.instrument, min_order_qty=D("0.005")))
    market = SymbolMarket(large, D(60000), D(10000), 0)
    market.change_rules(tick_size=D("0.5"))
    assert market.instrument.min_order_qty == D("0.005")
    market.change_rules(qty_step=D("0.01"))
    assert market.instrument.min_order_qty == D("0.01")


def test_minutes_are_grouped_to_longer_candles(market: SymbolMarket) -> None:
    for minute, price in enumerate((60000, 60100, 59900, 60050, 60020, 60030)):
        market.apply(Side.BUY, price * 10, D("0.5"), minute * 60_000)
    five, rest = group_candles(market.candles, "5")
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
    assert (market.last, market.day.volume, len(market.trades)) == (D(59000), D(0), 0)


@case_table(
    ("interval", "first", "last"),
    [
        ("5", "2026-02-18T10:35:00", "2026-02-18T10:39:59"),
        ("D", "2026-02-18T00:00:00", "2026-02-18T23:59:59"),
        ("W", "2026-02-16T00:00:00", "2026-02-22T23:59:59"),
        ("M", "2026-02-01T00:00:00", "2026-02-28T23:59:59"),
    ],
)
def test_candles_begin_where_the_calendar_says(interval: str, first: str, last: str) -> None:
    def ms(text: str) -> int:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000

    assert candle_span(interval, ms("2026-02-18T10:37:21")) == (ms(first), ms(last) + 999)
    assert candle_span("M", ms("2025-12-31T23:59:59"))[1] == ms("2025-12-31T23:59:59") + 999


def test_a_quiet_minute_has_a_candle_too() -> None:
    series = CandleSeries()
    series.roll(60_000)
    assert not series.candles
    series.add(D(5), 61_000, D(2), D(10))
    series.add(D(4), 62_000)
    series.roll(119_999)
    series.roll(120_000)
    series.add(D(7), 190_000, D(1), D(7))
    rows = [(c.start_ms, c.open, c.high, c.low, c.close, c.volume) for c in series.candles]
    assert rows == [(60_000, 5, 5, 4, 4, 2), (120_000, 4, 4, 4, 4, 0), (180_000, 4, 7, 4, 7, 1)]


def test_day_and_hour_figures_forget() -> None:
    market = SymbolMarket(LISTINGS["BTCUSDT"], D(60000), D(10000), 0)
    hour, ticks = 3_600_000, market.last_ticks
    market.apply(Side.BUY, ticks + 5000, D(1), 1000)
    market.apply(Side.BUY, ticks + 50, D(1), 2000)
    market.apply(Side.BUY, ticks, D(2), 30 * 60_000)
    market.revalue(hour // 2)
    assert (market.day.prev_1h, market.day.volume, market.day.high) == (60000, 4, market.instrument.price(ticks + 5000))
    market.apply(Side.BUY, ticks + 100, D(4), 2 * hour)
    market.revalue(2 * hour)
    assert market.day.prev_1h == 60000
    market.apply(Side.BUY, ticks + 200, D(1), 24 * hour + 120_000)
    market.revalue(24 * hour + 120_000)
    assert (market.day.volume, market.day.high) == (7, market.instrument.price(ticks + 200))
    assert market.day.prev_24h == market.instrument.price(ticks + 50)  # where the first of these minutes began


def test_the_band_moves_with_the_premium_at_trades() -> None:
    market = SymbolMarket(LISTINGS["BTCUSDT"], D(60000), D(10000), 0)
    market.pinned_mark = market.pinned_index = D(59500)
    market.revalue(0)
    assert market.price_band()[0] == D("60095.00")
    market.apply(Side.BUY, 600_000, D("0.1"), 500)  # the middle is 59,999.95
    assert market.price_band() == (D("60594.90"), D("58905.00"))
    for at_ms in range(1000, 29_000, 1000):
        market.revalue(at_ms)  # no trade
    assert market.in_band(Side.BUY, D(60700)) == D("60594.90")
    market.apply(Side.SELL, 594_999, D("0.1"), 29_000)  # 59,499.95: half of them is 249.95 less 0.05 and rounding
    assert market.price_band()[0] == D("60344.90")
    market.apply(Side.SELL, 594_999, D("0.1"), 31_000)  # the first is forgotten: -0.05
    assert market.price_band() == (D("60095.00"), D("58905.00"))
    assert (market.in_band(Side.BUY, D(60700)), market.in_band(Side.SELL, D(60700))) == (D("60095.00"), D(60700))
