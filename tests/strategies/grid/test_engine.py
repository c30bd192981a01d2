"""Events in, intents out: rules a to e, the known interval, restore, on numbers worked out by hand.

The usual ladder here is 98.0 99.0 100.0 101.0 102.0 (tick 0.1, four levels around 100, one percent).
"""

from __future__ import annotations

import sys
from decimal import Decimal
from fractions import Fraction
from typing import Any

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
    client_order_id,
)
from gridbot.strategies.grid import GridConfig, GridEngine, GridState, ImpossibleLadder, Level
from tests.core.helpers import BUY, EXAMPLES, LONG, SELL, SHORT, SYMBOL, Book, d, engine, fill, instrument, ticker


def ticks_of(engine: Any) -> list[int]:
    return [level.ticks for level in engine.grid.levels]


def short_form(intents) -> list[str]:
    """`long Buy 990 @1` for a placement, `long k1 duplicate` for a cancel."""
    lines = []
    for intent in intents:
        if hasattr(intent, "reason"):
            lines.append(f"{intent.direction} {intent.key} {intent.reason}")
        else:
            lines.append(f"{intent.direction} {intent.side} {intent.ticks} @{intent.level}")
    return lines


def settled(price: str = "100", **config: Any) -> tuple[Any, Book]:
    """An engine whose intents at `price` were all carried out."""
    made, book = engine(**config), Book()
    book.apply(made.on_event(ticker(price), book.orders))
    return made, book


# ---------------------------------------------------------------------- placing


def test_the_first_price_builds_and_places_from_the_centre_outwards():
    made = engine()
    intents = made.on_event(ticker("100", ts=7), LimitOrders())
    assert short_form(intents) == [
        "long Buy 990 @1",
        "long Sell 1010 @3",
        "long Buy 980 @0",
        "long Sell 1020 @4",
        "short Buy 990 @1",
        "short Sell 1010 @3",
        "short Buy 980 @0",
        "short Sell 1020 @4",
    ]
    assert [intent.reduce_only for intent in intents] == [False, True] * 2 + [True, False] * 2
    assert {intent.symbol for intent in intents} == {SYMBOL}
    assert (made.last_price, made.state_version, made.state().exchange_ts) == (d(100), 1, 7)


def test_ids_are_the_documented_hash_and_come_from_memory():
    made = engine()
    intents = made.on_event(ticker("100"), LimitOrders())
    for intent in intents:
        expected = client_order_id("grid-1", SYMBOL, intent.side, intent.ticks, intent.direction)
        assert intent.client_order_id == expected
        assert made.client_order_id(intent.side, intent.ticks, intent.direction) is intent.client_order_id
    assert len({intent.client_order_id for intent in intents}) == 8
    # written down once, so that a change of the recipe cannot pass: running orders are found by it
    assert client_order_id("grid-1", SYMBOL, BUY, 990, LONG) == "22899e2f95a02429"


def test_remembered_ids_are_bounded():
    made = engine()
    first = made.client_order_id(BUY, 1, LONG)
    for ticks in range(2, 10_001):
        made.client_order_id(BUY, ticks, LONG)
    assert made.client_order_id(BUY, 1, LONG) is first
    made.client_order_id(BUY, 10_001, LONG)
    assert made.client_order_id(BUY, 1, LONG) == first
    assert made.client_order_id(BUY, 1, LONG) is not first


@pytest.mark.parametrize(
    ("price", "placed"),
    [
        # 99.0 is eligible when (C − 99)/C · 100 > 0.5, above 99.4974874...; 101.0 when (101 − C)/C · 100 > 0.5, below
        # 100.4975124...
        ("99.49748", [980, 1010, 1020]),
        ("99.49749", [980, 990, 1010, 1020]),
        ("100.49751", [980, 990, 1010, 1020]),
        ("100.49752", [980, 990, 1020]),
        ("98.5", [980, 1010, 1020]),
        ("98.4", [1010, 1020]),
        ("101.6", [980, 990]),
        ("98", [1010, 1020]),
        ("102", [980, 990]),
    ],
)
def test_only_levels_more_than_half_a_step_away_are_placed(price, placed):
    made = engine(anchor_price=d(100))
    intents = made.on_event(ticker(price), LimitOrders())
    assert sorted(intent.ticks for intent in intents if intent.direction is LONG) == placed
    assert sorted(intent.ticks for intent in intents if intent.direction is SHORT) == placed


@pytest.mark.parametrize(
    ("tick", "price", "placed"),
    [
        # the ladder above in ticks that are no power of ten: 99000 from 99497.487…, 101000 up to 100497.512…
        ("25", "99497.48", ["101000"]),
        ("25", "99497.49", ["99000", "101000"]),
        ("25", "100497.51", ["99000", "101000"]),
        ("25", "100497.52", ["99000"]),
        ("0.3", "298.492462", ["303.0"]),
        ("0.3", "298.492463", ["297.0", "303.0"]),
        ("0.3", "301.492537", ["297.0", "303.0"]),
        ("0.3", "301.492538", ["297.0"]),
    ],
)
def test_eligibility_is_exact_for_any_tick(tick, price, placed):
    made = engine(tick=tick, anchor_price=d("100000") if tick == "25" else d(300))
    intents = made.on_event(ticker(price), LimitOrders())
    inner = [intent for intent in intents if intent.level in (1, 3) and intent.direction is LONG]
    assert [str(made.instrument.price(intent.ticks)) for intent in inner] == placed


def test_exactly_half_a_step_is_not_enough():
    # step 4: Buy at 98 with C = 100: 2 % = half a step exactly; Sell at 102 likewise
    levels = tuple(
        Level(ticks, side) for ticks, side in ((940, BUY), (980, BUY), (1020, SELL), (1060, SELL), (1100, SELL))
    )
    state = GridState(SYMBOL, 4, d(4), d("0.1"), levels, None, d(100))
    made = engine(step="4", restored=state)
    assert short_form(made.on_event(ticker("100"), LimitOrders()))[:3] == [
        "long Sell 1060 @3",
        "long Buy 940 @0",
        "long Sell 1100 @4",
    ]
    made = engine(step="4", restored=state)
    assert [i.ticks for i in made.on_event(ticker("100.0001"), LimitOrders())][:4] == [980, 1060, 940, 1100]
    made = engine(step="4", restored=state)
    assert [i.ticks for i in made.on_event(ticker("99.9999"), LimitOrders())][:4] == [1020, 1060, 940, 1100]


def test_a_level_on_the_wrong_side_of_the_market_is_not_placed():
    levels = tuple(
        Level(ticks, side) for ticks, side in ((980, SELL), (990, SELL), (1000, None), (1010, BUY), (1020, BUY))
    )
    made = engine(restored=GridState(SYMBOL, 4, d(1), d("0.1"), levels, None, d(100)))
    assert made.on_event(ticker("100"), LimitOrders()) == ()


def test_the_walk_starts_at_the_middle_of_the_wait_band():
    sides = [BUY, BUY, BUY, None, None, SELL, SELL]
    prices = [970, 980, 990, 1000, 1010, 1020, 1030]
    levels = tuple(Level(ticks, side) for ticks, side in zip(prices, sides, strict=True))
    made = engine(count=6, restored=GridState(SYMBOL, 6, d(1), d("0.1"), levels, d("100.5"), d(100)))
    # the band is levels 3 and 4, its integer middle 3: distances 1 (2), 2 (1, 5), 3 (0, 6)
    intents = made.on_event(ticker("100.5"), LimitOrders())
    assert [intent.level for intent in intents] == [2, 1, 5, 0, 6] * 2


# ---------------------------------------------------------------------- orders that are there


def test_what_is_there_is_not_placed_again():
    made, book = settled()
    assert made.on_event(ticker("100"), book.orders) == ()
    assert made.on_event(ticker("100.2"), book.orders) == ()


def test_an_order_that_went_is_placed_again():
    made, book = settled()
    book.remove(SHORT, next(order.key for order in book.orders.short if order.ticks == 1020))
    assert short_form(made.on_event(ticker("100"), book.orders)) == ["short Sell 1020 @4"]


def test_a_wrong_side_is_cancelled_and_replaced_at_once():
    made, book = settled()
    book.remove(LONG, next(order.key for order in book.orders.long if order.ticks == 990))
    wrong = book.add(LONG, SELL, 990)
    intents = made.on_event(ticker("100"), book.orders)
    assert short_form(intents) == [f"long {wrong.key} side_mismatch", "long Buy 990 @1"]
    assert (intents[0].side, intents[0].ticks, intents[0].symbol) == (SELL, 990, SYMBOL)
    assert short_form(made.on_event(ticker("99.2"), book.orders)) == [f"long {wrong.key} side_mismatch"]


def test_an_order_on_a_waiting_level_stays():
    made, book = settled()
    book.add(LONG, BUY, 1000)
    book.add(SHORT, BUY, 1000)
    assert made.on_event(ticker("100"), book.orders) == ()


def test_an_order_off_the_grid_is_cancelled():
    made, book = settled()
    below, between = book.add(LONG, BUY, 979), book.add(SHORT, SELL, 1015)
    assert short_form(made.on_event(ticker("100"), book.orders)) == [
        f"long {below.key} outside_grid",
        f"short {between.key} outside_grid",
    ]


@pytest.mark.parametrize(
    ("orders", "kept"),
    [
        ([(BUY, False), (BUY, False)], 0),  # all the same: the first
        ([(BUY, False), (BUY, True)], 1),  # one has fills
        ([(BUY, True), (BUY, True)], 0),
        ([(SELL, True), (BUY, False)], 1),  # the level's side comes before fills
        ([(SELL, False), (BUY, False), (BUY, True)], 2),
        ([(BUY, True), (SELL, True), (BUY, False)], 0),
    ],
)
def test_of_orders_at_one_price_the_best_is_kept(orders, kept):
    made, book = settled()
    book.remove(LONG, next(order.key for order in book.orders.long if order.ticks == 990))
    added = [book.add(LONG, side, 990, has_fills=has_fills) for side, has_fills in orders]
    lost = [order for index, order in enumerate(added) if index != kept]
    intents = made.on_event(ticker("100"), book.orders)
    assert short_form(intents) == [f"long {order.key} duplicate" for order in lost]
    book.apply(intents)
    assert made.on_event(ticker("100"), book.orders) == ()


def test_duplicates_of_the_wrong_side_or_off_the_grid_all_go():
    made, book = settled()
    book.remove(LONG, next(order.key for order in book.orders.long if order.ticks == 990))
    wrong = [book.add(LONG, SELL, 990), book.add(LONG, SELL, 990, has_fills=True)]
    off = [book.add(SHORT, SELL, 995, has_fills=True), book.add(SHORT, SELL, 995)]
    assert short_form(made.on_event(ticker("100"), book.orders)) == [
        f"long {wrong[0].key} duplicate",
        f"long {wrong[1].key} side_mismatch",
        "long Buy 990 @1",
        f"short {off[1].key} duplicate",
        f"short {off[0].key} outside_grid",
    ]


def test_orders_of_the_two_legs_do_not_mix():
    made, book = settled()
    same = book.add(LONG, BUY, 1000), book.add(SHORT, BUY, 1000)
    assert same[0].ticks == same[1].ticks
    assert made.on_event(ticker("100"), book.orders) == ()


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


# ---------------------------------------------------------------------- restore


def saved(**changes) -> GridState:
    made, book = settled()
    made.on_event(fill("99", ts=77), book.orders)
    state = made.state()
    values = {name: getattr(state, name) for name in GridState.__slots__}
    return GridState(**{**values, **changes})


def test_a_saved_grid_is_taken_back_whole():
    state = saved()
    assert (state.last_fill, state.anchor, state.version, state.exchange_ts) == (99, 100, 2, 77)
    made = engine(restored=GridState.from_dict(state.to_dict()), anchor_price=d(50))
    assert made.restore_note == ""
    assert made.state() == state
    made.on_event(ticker("100.2"), LimitOrders())
    assert made.grid.levels == state.levels
    assert made.state() == state


@pytest.mark.parametrize(
    ("changes", "note", "anchor"),
    [
        ({"grid_step": d("1.1")}, "saved with grid_step 1.1, now 1", "103"),
        ({"grid_count": 6}, "saved with grid_count 6, now 4", "103"),
        ({"tick_size": d("0.2")}, "saved with tick size 0.2, now 0.1", "100"),
        ({"symbol": "OTHER"}, "saved with symbol OTHER, now XUSDT", "103"),
        ({"levels": ()}, "no grid was saved yet", "100"),
        ({"levels": (Level(980, BUY), Level(990, BUY))}, "there are 2 levels instead of 5", "100"),
        ({"anchor": None}, "saved without the price it was built around", "103"),
    ],
)
def test_what_does_not_fit_is_built_anew_around_the_anchor_if_step_and_count_fit(changes, note, anchor):
    made = engine(restored=saved(**changes))
    assert made.restore_note == note
    assert not made.grid
    made.on_event(ticker("103"), LimitOrders())
    assert made.grid.anchor == d(anchor)
    assert made.state_version == 3, "versions go on"


def test_an_explicit_anchor_comes_before_a_saved_one():
    made = engine(restored=saved(levels=()), anchor_price=d("99.5"))
    made.on_event(ticker("103"), LimitOrders())
    assert made.grid.anchor == d("99.5")


def test_a_fill_kept_after_a_restart_counts_versions_on():
    made = engine(restored=saved())
    made.on_event(fill("98", ts=99), LimitOrders())
    assert (made.state_version, made.state().exchange_ts, made.state().pending) == (3, 99, (d(98),))


def test_kept_fills_of_another_symbol_are_not_taken():
    assert engine(restored=saved(symbol="OTHER", pending=(d(5),))).state().pending == ()
    assert engine(restored=saved(grid_count=6, pending=(d(5),))).state().pending == (d(5),)


@pytest.mark.parametrize("side", [BUY, SELL, None])
def test_any_mix_of_sides_is_taken_back(side):
    levels = tuple(Level(ticks, side) for ticks in (980, 990, 1000, 1010, 1020))
    made = engine(restored=saved(levels=levels))
    assert made.restore_note == ""
    assert made.grid.levels == levels


def test_the_state_before_the_first_price_can_be_saved():
    state = engine(anchor_price=d(100)).state()
    assert state == GridState(SYMBOL, 4, d(1), d("0.1"), anchor=d(100))
    assert engine().state().anchor is None


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    before=st.lists(st.tuples(st.integers(9500, 10500), st.integers(-1, 1)), min_size=1, max_size=10),
    after=st.lists(st.tuples(st.integers(9500, 10500), st.integers(-1, 1)), min_size=1, max_size=10),
)
def test_a_restored_engine_decides_like_the_one_that_was_saved(before, after):
    config: dict[str, Any] = {"tick": "0.01", "count": 10, "step": "0.5"}
    first, book = settled(**config)

    def feed(made, cents: int, miss: int):
        price = Decimal(cents) / 100
        if miss:
            made.on_event(fill(price + Decimal(miss) / 10), book.orders)
        return made.on_event(ticker(price), book.orders)

    for cents, miss in before:
        book.apply(feed(first, cents, miss))
    second = engine(**config, restored=GridState.from_dict(first.state().to_dict()))
    second.on_event(ticker(first.last_price), book.orders)
    first.on_event(ticker(first.last_price), book.orders)
    for cents, miss in after:
        answers = feed(first, cents, miss), feed(second, cents, miss)
        assert answers[0] == answers[1]
        assert first.state() == second.state()
        book.apply(answers[0])


# ---------------------------------------------------------------------- the known interval


class Untouchable(LimitOrders):
    """Orders that must not be looked at once `closed` is set."""

    closed = False

    def __getitem__(self, direction):
        assert not self.closed, "the engine looked at the orders"
        return super().__getitem__(direction)


def test_from_the_quiet_interval_no_order_is_looked_at():
    made, book = settled()
    book.orders = orders = Untouchable(book.orders.long, book.orders.short)
    assert made.on_event(ticker("100"), orders) == ()
    assert made.quiet_interval == (d("98.0"), d("102.0")), "every level has its orders: nothing can change inside"
    orders.closed = True
    for price in ("98", "99.123456", "102", "100"):
        assert made.on_event(ticker(price), orders) == ()
        assert made.last_price == d(price)
    for price in ("97.999", "102.001"):
        with pytest.raises(AssertionError, match="looked at"):
            made.on_event(ticker(price), orders)
        made, book = settled()
        orders = Untouchable(book.orders.long, book.orders.short)
        made.on_event(ticker("100"), orders)
        orders.closed = True


def test_the_quiet_interval_ends_where_a_missing_level_becomes_eligible():
    # without 990: eligible above 99·200/199 = 99.4974…; without 1010: below 101·200/201 = 100.4975…
    made, book = settled("98.9", anchor_price=d(100))
    assert short_form(made.on_event(ticker("98.9"), book.orders)) == []
    assert made.quiet_interval == (d("98.0"), d("99.4"))
    made, book = settled("98.4", anchor_price=d(100))
    assert made.on_event(ticker("98.4"), book.orders) == ()
    assert made.quiet_interval == (d("98.0"), d("98.4")), "980 is missing as well: eligible above 98.4924…"
    made, book = settled("99.4", anchor_price=d(100))
    assert made.on_event(ticker("99.4"), book.orders) == ()
    assert made.quiet_interval == (d("98.0"), d("99.4"))
    assert len(made.on_event(ticker("99.5"), book.orders)) == 2
    made, book = settled("100.6", anchor_price=d(100))
    assert made.on_event(ticker("100.6"), book.orders) == ()
    assert made.quiet_interval == (d("100.5"), d("102.0"))
    assert len(made.on_event(ticker("100.4"), book.orders)) == 2


def test_both_legs_bound_the_quiet_interval():
    for direction in (LONG, SHORT):
        made, book = settled("100")
        for ticks in (990, 1010):
            book.remove(direction, next(o.key for o in book.orders[direction] if o.ticks == ticks))
        made.on_event(ticker("99.45"), book.orders)
        assert made.quiet_interval is None, "1010 is asked for"
        made.on_event(fill("99.9"), book.orders)


def test_a_repeated_answer_is_the_same_object_while_no_level_joins_or_leaves_it():
    made, orders = engine(), Untouchable()
    answer = made.on_event(ticker("100"), orders)
    assert len(answer) == 8
    assert made.quiet_interval is None, "intents that were refused have to come again"
    orders.closed = True
    for price in ("99.5", "100.4", "100", "99.5123"):
        assert made.on_event(ticker(price), orders) is answer
    orders.closed = False
    assert [i.ticks for i in made.on_event(ticker("99.4"), orders)] == [1010, 980, 1020] * 2
    assert [i.ticks for i in made.on_event(ticker("100.5"), orders)] == [990, 980, 1020] * 2
    assert made.on_event(ticker("100"), orders) == answer


@pytest.mark.parametrize(
    ("price", "placed"),
    [
        ("99.4", [1010, 980, 1020]),  # 990 is eligible above 99.4974…, so 99.5 is the last whole tick
        ("99.5", [990, 1010, 980, 1020]),
        ("100.4", [990, 1010, 980, 1020]),  # 1010 is eligible below 100.4975…
        ("100.5", [990, 980, 1020]),
        ("98.4", [1010, 1020]),
        ("101.5", [990, 980]),
    ],
)
def test_a_repeated_answer_ends_where_a_level_leaves_it(price, placed):
    made, orders = engine(), LimitOrders()
    answer = made.on_event(ticker("100"), orders)
    changed = made.on_event(ticker(price), orders)
    assert [intent.ticks for intent in changed] == placed * 2
    assert (changed is answer) is (len(placed) == 4)


@pytest.mark.parametrize("change", ["version", "holder", "grid"])
def test_an_answer_is_forgotten_when_its_ground_changes(change):
    made, book = settled()
    made.on_event(ticker("100"), book.orders)
    orders = book.orders
    if change == "version":
        orders.long.clear()
        assert made.on_event(ticker("100"), orders) == ()
        orders.version += 1
        assert made.quiet_interval is None
    elif change == "holder":
        orders = LimitOrders(version=orders.version)
    else:
        made.on_event(fill("99"), orders)
        assert made.quiet_interval is None
        orders.long.clear()
    assert len(made.on_event(ticker("100"), orders)) >= 3


def test_an_unchanged_grid_keeps_the_answer():
    made, book = settled()
    made.on_event(fill("99"), book.orders)
    made.on_event(ticker("100"), book.orders)
    interval = made.quiet_interval
    made.on_event(fill("99"), book.orders)
    assert made.quiet_interval == interval


def test_a_price_between_two_whole_ticks_may_leave_no_interval():
    # tick 1, step 1: 99 is eligible above 99.497…, 101 below 100.497…; without both, C = 99.49 has 99 ineligible
    made = engine(tick="1", count=4, anchor_price=d(100))
    book = Book()
    book.apply(made.on_event(ticker("99.49"), book.orders))
    assert made.on_event(ticker("99.49"), book.orders) == ()
    assert made.quiet_interval == (d(98), d(99))
    assert made.on_event(ticker("99.495"), book.orders) == (), "above the last whole tick: evaluated, same answer"


def test_a_quiet_tick_allocates_nothing():
    made, book = settled()
    made.on_event(ticker("100"), book.orders)
    events = [ticker(f"{99 + number / 100:.2f}") for number in range(200)]
    for event in events:
        made.on_event(event, book.orders)
    on_event, orders = made.on_event, book.orders
    blocks = sys.getallocatedblocks()
    for event in events:
        on_event(event, orders)
    # the loop itself keeps one or two objects alive; 200 ticks that allocated would show as 200 or as churn of peak
    assert sys.getallocatedblocks() - blocks <= 3


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    start=st.integers(97_000, 103_000),
    missing=st.sets(st.tuples(st.sampled_from([LONG, SHORT]), st.integers(0, 10)), max_size=8),
    probes=st.lists(st.integers(95_000, 105_000), max_size=30),
)
def test_the_quiet_interval_is_exactly_where_a_fresh_engine_says_nothing(start, missing, probes):
    config: dict[str, Any] = {"tick": "0.01", "count": 10, "step": "0.5"}
    made, book = settled(**config)
    for direction, index in missing:
        ticks = made.grid.levels[index].ticks
        for order in [o for o in book.orders[direction] if o.ticks == ticks]:
            book.remove(direction, order.key)
    if made.on_event(ticker(Decimal(start) / 1000), book.orders):
        assert made.quiet_interval is None
        return
    interval = made.quiet_interval
    state, tick = made.state(), d("0.01")
    probes += [int(bound * 1000) + extra for bound in interval or () for extra in (-10, 0, 10)]
    for probe in probes:
        price = Decimal(probe) / 1000
        fresh = GridEngine(SYMBOL, instrument("0.01"), GridConfig(10, d("0.5")), "grid-1", restored=state)
        answer = fresh.on_event(ticker(price), book.orders)
        quiet = answer == () and fresh.grid == made.grid
        if interval is not None and interval[0] <= price <= interval[1]:
            assert quiet
        elif interval is not None and Fraction(price) % Fraction(tick) == 0:
            assert not quiet, "a whole tick beside the interval is quiet as well: the interval is too small"
