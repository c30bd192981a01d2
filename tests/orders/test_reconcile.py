"""Comparing with the exchange's list, and the shadow exchange."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from gridbot.core import Direction, OrderStatus, Side, TickerEvent
from gridbot.orders.book import OrderBook
from gridbot.orders.order import OrderState
from gridbot.orders.reconcile import GRACE_MS, Plan, adopted, compare, owns
from gridbot.orders.shadow_venue import ShadowVenue
from tests.orders.test_book import INSTRUMENT, make_order, update

D = Decimal
ASKED = 1_000_000


def run(book: OrderBook, *rows: object) -> Plan:
    return compare(book, rows, strat_id="s1", instrument=INSTRUMENT, asked_ms=ASKED)  # type: ignore[arg-type]


def test_our_resting_order_is_adopted_once_with_its_fills_accounted_for() -> None:
    """A restart finds the ladder on the exchange: taken over, never doubled (incident L2, incident L29)."""
    row = update(make_order(7), OrderStatus.PARTIALLY_FILLED, "0.004", 9)
    book = OrderBook(INSTRUMENT)
    plan = run(book, row)
    assert plan.adopt == (row,)
    order = adopted(row, "s1", INSTRUMENT)
    book.add(order)
    assert (order.state, order.ticks, order.exec_qty) == (OrderState.PARTIALLY_FILLED, 1000, D("0.004"))
    assert book.has_live(Direction.LONG, 1000)
    assert run(book, row) == Plan((row,), (), (), ())


def test_another_strategys_and_manual_orders_are_foreign() -> None:
    """incidents L4, L6, L7: ownership is the id's stable part, made with this strategy's own id."""
    mine = update(make_order(7), OrderStatus.NEW)
    manual = replace(mine, order_link_id="", order_id="m1")
    other = replace(mine, order_link_id="0" * 16 + "-7", order_id="m2")
    moved = replace(mine, price=D("101"), order_id="m3")
    one_way = replace(mine, direction=None, order_id="m4")
    assert not any(owns(row, "s1", INSTRUMENT) for row in (manual, other, moved, one_way))
    assert not owns(mine, "renamed", INSTRUMENT)
    assert run(OrderBook(INSTRUMENT), manual, other).foreign == (manual, other)


def test_an_order_that_is_not_listed_is_asked_for_not_cancelled() -> None:
    book = OrderBook(INSTRUMENT)
    order = make_order(1)
    order.sent_ms = ASKED - GRACE_MS - 1
    book.add(order)
    book.apply_update(update(order, OrderStatus.NEW))
    assert run(book).missing == (order,)
    assert order.state is OrderState.OPEN


def test_a_fresh_order_has_a_few_seconds_to_be_listed() -> None:
    book = OrderBook(INSTRUMENT)
    fresh, unsent, unresolved = make_order(1), make_order(2, ticks=1001), make_order(3, ticks=1002)
    fresh.sent_ms = unresolved.sent_ms = ASKED - 100
    unsent.on_wire = False
    for order in (fresh, unsent, unresolved):
        book.add(order)
    book.lose_reply(unresolved.key, "timeout")
    assert run(book).missing == (unresolved,)


def test_a_page_that_repeats_a_row_counts_it_once() -> None:
    row = update(make_order(7), OrderStatus.NEW)
    assert len(run(OrderBook(INSTRUMENT), row, row).adopt) == 1


def ticker(last: str, ts: int = 5, **more: str) -> TickerEvent:
    return TickerEvent("BTCUSDT", D(last), exchange_ts=ts, **{k: D(v) for k, v in more.items()})  # type: ignore[arg-type]


def test_a_shadow_order_fills_when_the_market_goes_through_it() -> None:
    venue = ShadowVenue("BTCUSDT", run_id="r1")
    buy = make_order(1)
    assert venue.place(buy, 1).status is OrderStatus.NEW
    assert venue.on_ticker(ticker("100.0")) == [], "touching is not trading through"
    [fill] = venue.on_ticker(ticker("99.9"))
    assert (fill.price, fill.qty, fill.direction, fill.leaves_qty) == (D(100), D("0.010"), Direction.LONG, 0)
    assert fill.fee == D("0.010") * 100 * D("0.0002")
    assert venue.on_ticker(ticker("99.8")) == []


def test_the_other_side_of_the_book_reaching_the_price_fills_too() -> None:
    venue = ShadowVenue("BTCUSDT", run_id="r1")
    venue.place(make_order(1, side=Side.SELL, direction=Direction.SHORT), 1)
    assert len(venue.on_ticker(ticker("99.9", bid1_price="100.0"))) == 1


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


def test_a_cancelled_shadow_order_never_fills() -> None:
    venue = ShadowVenue("BTCUSDT", run_id="r1")
    order = make_order(1)
    venue.place(order, 1)
    assert venue.cancel(order, 2).status is OrderStatus.CANCELLED
    assert venue.on_ticker(ticker("90")) == []
