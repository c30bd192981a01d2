"""The hypothetical exchange of a shadow strategy (docs/strategy.md 8)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.core import Direction, OrderStatus, PositionEvent, Side, TickerEvent
from gridbot.orders.shadow_venue import ShadowVenue
from tests.orders.helpers import make_order

D = Decimal


def ticker(last: str, **more: str) -> TickerEvent:
    return TickerEvent("BTCUSDT", D(last), exchange_ts=5, **{k: D(v) for k, v in more.items()})  # type: ignore[arg-type]


def test_a_fill_is_whole_at_the_orders_own_price_and_happens_once() -> None:
    venue = ShadowVenue("BTCUSDT", run_id="r1")
    buy = make_order(1)
    assert venue.place(buy, 1).status is OrderStatus.NEW
    [fill] = venue.on_ticker(ticker("99.9"))
    assert (fill.price, fill.qty, fill.direction, fill.leaves_qty) == (D(100), D("0.010"), Direction.LONG, 0)
    assert fill.fee == D("0.010") * 100 * D("0.0002")
    assert venue.on_ticker(ticker("99.8")) == []


@pytest.mark.parametrize(
    ("side", "last", "quote", "fills"),
    [
        (Side.BUY, "99.9", {}, 1),
        (Side.BUY, "100.0", {}, 0),  # touching is not trading through
        (Side.BUY, "100.1", {"ask1_price": "100.0"}, 1),
        (Side.BUY, "100.1", {"ask1_price": "100.1", "bid1_price": "100.0"}, 0),
        (Side.SELL, "100.1", {}, 1),
        (Side.SELL, "100.0", {}, 0),
        (Side.SELL, "99.9", {"bid1_price": "100.0"}, 1),
        (Side.SELL, "99.9", {"bid1_price": "99.9", "ask1_price": "100.0"}, 0),
    ],
)
def test_an_order_fills_when_the_price_goes_through_it_or_the_other_side_reaches_it(
    side: Side, last: str, quote: dict[str, str], fills: int
) -> None:
    venue = ShadowVenue("BTCUSDT", run_id="r1")
    venue.place(make_order(1, side=side, direction=Direction.LONG if side is Side.BUY else Direction.SHORT), 1)
    assert len(venue.on_ticker(ticker(last, **quote))) == fills


def test_shadow_closes_are_clamped_to_the_position_and_average_entry_holds() -> None:
    venue = ShadowVenue("BTCUSDT", run_id="r1")
    venue.place(make_order(1, ticks=1000), 1)
    venue.place(make_order(2, ticks=980), 1)
    fills = venue.on_ticker(ticker("97"))
    assert [fill.price for fill in fills] == [D(100), D(98)], "the nearer price first"
    [long, short] = venue.positions(D(97), 9)
    assert (long.size, long.entry_price) == (D("0.020"), D(99))
    assert (short.size, short.entry_price) == (0, None)
    venue.place(make_order(3, ticks=1010, side=Side.SELL, qty="0.5"), 1)
    [close] = venue.on_ticker(ticker("102"))
    assert (close.qty, close.closed_size, close.is_close) == (D("0.020"), D("0.020"), True)
    venue.place(make_order(4, ticks=1010, side=Side.SELL, qty="0.5"), 1)
    assert venue.on_ticker(ticker("102")) == [], "nothing left to close"


def test_a_leg_of_an_earlier_run_can_be_closed() -> None:
    venue = ShadowVenue("BTCUSDT", run_id="r1")
    venue.restore(PositionEvent("BTCUSDT", Direction.LONG, D("0.3"), D(90)))
    venue.restore(PositionEvent("BTCUSDT", Direction.SHORT, D(0)))
    venue.place(make_order(1, ticks=1010, side=Side.SELL, qty="0.2"), 1)
    assert [fill.closed_size for fill in venue.on_ticker(ticker("102"))] == [D("0.2")]
    assert [(leg.size, leg.entry_price) for leg in venue.positions(None, 9)] == [(D("0.1"), D(90)), (0, None)]


def test_sells_fill_from_the_lowest_price_up() -> None:
    venue = ShadowVenue("BTCUSDT", run_id="r1")
    for n, ticks in enumerate((1020, 1010)):
        venue.place(make_order(n, ticks=ticks, side=Side.SELL, direction=Direction.SHORT), 1)
    assert [fill.price for fill in venue.on_ticker(ticker("103"))] == [D(101), D(102)]


def test_a_cancelled_shadow_order_never_fills() -> None:
    venue = ShadowVenue("BTCUSDT", run_id="r1")
    order = make_order(1)
    venue.place(order, 1)
    assert venue.cancel(order, 2).status is OrderStatus.CANCELLED
    assert venue.on_ticker(ticker("90")) == []
