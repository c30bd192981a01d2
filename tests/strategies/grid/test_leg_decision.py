"""Which levels get an order and which orders go, on numbers worked out by hand (the ladder of `support`)."""

from __future__ import annotations

from gridbot.core import (
    LimitOrders,
)
from gridbot.strategies.grid import GridState, Level
from tests.case_table import case_table
from tests.core.helpers import BUY, LONG, SELL, SHORT, SYMBOL, d, engine, ticker
from tests.strategies.grid.support import settled, short_form

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


@case_table(
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


@case_table(
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


@case_table(
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
