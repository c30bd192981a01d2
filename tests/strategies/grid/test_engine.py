"""The grid under events: prices beyond its bounds, fills, too many orders, what is ignored."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.core import (
    ExecType,
    LimitOrders,
    OrderStatus,
    OrderUpdateEvent,
    PositionEvent,
    WalletEvent,
)
from gridbot.strategies.grid import ImpossibleLadder
from tests.core.helpers import BUY, EXAMPLES, LONG, SELL, SHORT, SYMBOL, Book, d, engine, fill, ticker
from tests.strategies.grid.support import settled, short_form, ticks_of

# ---------------------------------------------------------------------- too many orders


def crowd(book: Book, direction, number: int) -> list[str]:
    return [book.add(direction, BUY, 500 + index).key for index in range(number)]


def test_up_to_ten_orders_more_than_levels_are_sorted_out_one_by_one():
    made, book = settled()
    before = made.grid
    crowd(book, LONG, 11)
    assert len(book.orders.long) == 5 + 10
    intents = made.on_event(ticker("100.3"), book.orders)
    assert {intent.reason for intent in intents} == {"outside_grid"}
    assert made.grid is before


def test_more_orders_than_that_start_the_leg_over():
    made, book = settled()
    crowd(book, LONG, 12)
    everything = [order.key for order in book.orders.long]
    intents = made.on_event(ticker("100.3", ts=9), book.orders)
    assert made.grid.anchor == d("100.3")
    assert ticks_of(made) == [983, 993, 1003, 1013, 1023]
    assert made.state().exchange_ts == 9
    own = [intent for intent in intents if intent.direction is LONG]
    assert [(intent.key, intent.reason) for intent in own] == [(key, "rebuild") for key in everything]
    # the short leg is decided with the new grid in the same event
    others = [line for line in short_form(intents) if line.startswith("short")]
    assert "short Buy 993 @1" in others
    assert sum("outside_grid" in line for line in others) == 4
    assert made.quiet_interval is None


def test_the_short_leg_starts_over_after_the_long_one_was_decided():
    made, book = settled()
    book.remove(LONG, next(order.key for order in book.orders.long if order.ticks == 990))
    crowd(book, SHORT, 12)
    intents = short_form(made.on_event(ticker("100.3"), book.orders))
    assert intents[0] == "long Buy 990 @1"
    assert len(intents) == 1 + 16
    assert ticks_of(made) == [983, 993, 1003, 1013, 1023]
    again = made.on_event(ticker("100.4"), book.orders)
    assert made.grid.anchor == d("100.4"), "still too many: the answer is not remembered"
    assert len([i for i in again if getattr(i, "reason", "") == "rebuild"]) == 16


# ---------------------------------------------------------------------- the grid under events


def test_the_price_at_the_bounds_stays_inside_and_beyond_them_rebuilds():
    for price, rebuilt in (("98.0", False), ("102.0", False), ("97.9999", True), ("102.0001", True)):
        made, book = settled()
        made.on_event(ticker(price, ts=5), book.orders)
        assert (made.grid.anchor == d(price)) is rebuilt
        assert made.state_version == (2 if rebuilt else 1)
        assert made.state().exchange_ts == (5 if rebuilt else 0)


def test_a_fill_moves_the_grid_and_answers_nothing():
    made, book = settled(threshold="1")
    assert made.on_event(fill("99", ts=11), book.orders) == ()
    assert made.grid.last_fill == d(99)
    assert [level.side for level in made.grid.levels] == [BUY, None, None, SELL, SELL]
    assert (made.state_version, made.state().exchange_ts) == (2, 11)
    made.on_event(fill("99", ts=12), book.orders)
    assert (made.state_version, made.state().exchange_ts) == (2, 11), "nothing changed, nothing to save"


def test_only_complete_trades_of_this_symbol_are_fills():
    made, book = settled()
    before = made.grid
    for event in (
        fill("99", leaves="0.001"),
        fill("99", symbol="OTHER"),
        fill("0"),
        fill("99", exec_type=ExecType.FUNDING),
        fill("99", exec_type=ExecType.BUST),
    ):
        assert made.on_event(event, book.orders) == ()
        assert made.grid is before
        assert made.state().pending == ()


def test_coins_below_one_usdt_trade_as_well():
    made, book = settled("0.5", tick="0.0001")
    made.on_event(ticker("0.51"), book.orders)
    made.on_event(fill("0.505"), book.orders)
    assert (made.last_price, made.grid.last_fill) == (d("0.51"), d("0.505"))


def test_other_events_change_nothing():
    made, book = settled()
    before = made.state()
    for event in (
        OrderUpdateEvent(SYMBOL, "o", "l", BUY, LONG, d(99), d(1), OrderStatus.FILLED, d(1)),
        PositionEvent(SYMBOL, LONG, d(1), d(99)),
        WalletEvent("USDT", d(1000)),
    ):
        assert made.on_event(event, book.orders) == ()
    assert made.state() == before


def test_other_symbols_and_prices_that_are_none_are_ignored():
    made, book = settled()
    foreign = ticker("300")
    foreign = type(foreign)("OTHER", d("100"))
    for event in (foreign, ticker("0"), ticker("-5")):
        assert made.on_event(event, book.orders) == ()
        assert made.last_price == d(100)
    fresh = engine()
    assert fresh.on_event(ticker("0"), LimitOrders()) == ()
    assert (fresh.grid, fresh.last_price) == (None, None)
    # the same while the answer is remembered
    made.on_event(ticker("100"), book.orders)
    assert made.quiet_interval is not None
    made.on_event(type(foreign)("OTHER", d("100.1")), book.orders)
    assert made.last_price == d(100)


def test_a_fill_before_the_first_price_is_kept_and_applied_after_it():
    made = engine(threshold="1")
    assert made.on_event(fill("99", ts=3), LimitOrders()) == ()
    assert not made.grid
    assert (made.state_version, made.state().exchange_ts, made.state().pending) == (1, 3, (d(99),))
    intents = made.on_event(ticker("100", ts=8), LimitOrders())
    assert made.grid.last_fill == d(99)
    assert (made.state().pending, made.state().exchange_ts, made.restore_note) == ((), 8, "")
    assert [intent.ticks for intent in intents[:2]] == [980, 1010], "990 waits for the fill to be left behind"


def test_kept_fills_survive_a_restart_and_are_applied_in_order():
    made = engine()
    made.on_event(fill("99"), LimitOrders())
    made.on_event(fill("101"), LimitOrders())
    again = engine(restored=made.state())
    again.on_event(ticker("100"), LimitOrders())
    assert again.grid.last_fill == d(101)
    assert [level.side for level in again.grid.levels] == [BUY, BUY, None, None, SELL]


def test_a_first_price_with_a_kept_fill_at_the_bounds_rebuilds_for_the_fill():
    made = engine(anchor_price=d(100))
    made.on_event(fill("99"), LimitOrders())
    made.on_event(ticker("98.0"), LimitOrders())
    assert made.grid.anchor == d("98.0")
    assert made.grid.last_fill == d(99)


def test_the_anchor_seeds_the_first_build_only():
    made = engine(anchor_price=d(100))
    made.on_event(ticker("101.3"), LimitOrders())
    assert ticks_of(made) == [980, 990, 1000, 1010, 1020]
    made.on_event(ticker("110"), LimitOrders())
    assert made.grid.anchor == d(110)
    far = engine(anchor_price=d(100))
    far.on_event(ticker("500"), LimitOrders())
    assert far.grid.anchor == d(100), "on the first price the anchor decides, whatever the price"
    far.on_event(ticker("500"), LimitOrders())
    assert far.grid.anchor == d(500)


def test_an_impossible_rebuild_raises_and_leaves_the_grid():
    made, book = settled()
    before = made.grid
    for _ in range(2):
        with pytest.raises(ImpossibleLadder, match=r"tick 0\.1 and grid_step 1 %"):
            made.on_event(ticker("1"), book.orders)
        assert made.grid is before
        assert made.last_price == d(1)
    with pytest.raises(ImpossibleLadder):
        made.on_event(fill("1.1"), book.orders)
    assert made.state().pending == (d("1.1"),)
    made.on_event(ticker("100"), book.orders)
    assert made.grid.last_fill == d("1.1"), "the fill was not lost"


def test_a_fill_after_a_failed_first_build_builds_around_the_market():
    made = engine(anchor_price=d(1))
    with pytest.raises(ImpossibleLadder):
        made.on_event(ticker("100"), LimitOrders())
    assert not made.grid
    made.on_event(fill("99"), LimitOrders())
    assert (made.grid.anchor, made.grid.last_fill) == (d(100), d(99))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.tuples(st.integers(97_000, 103_000), st.booleans()), max_size=40))
def test_inside_the_bounds_and_without_a_fill_the_grid_is_unchanged(path):
    """incident L19: a correction at every tick caused real duplicate fills."""
    made, book = settled(tick="0.01", count=12, step="0.6")
    made.on_event(fill("99.41"), book.orders)
    before, version = made.grid, made.state_version
    for thousandths, partial in path:
        price = Decimal(thousandths) / 1000
        assert before.low <= price <= before.high
        if partial:
            made.on_event(fill(price, leaves="0.1"), book.orders)
        book.apply(made.on_event(ticker(price), book.orders))
        assert made.grid is before
        assert made.state_version == version
