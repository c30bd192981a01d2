"""The range of prices for which an answer holds: what it spares, where it ends, when it is forgotten."""

from __future__ import annotations

import sys
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gridbot.strategies.grid.engine as engine_module
from gridbot.core import CancelIntent, LimitOrders
from gridbot.strategies.grid import GridConfig, GridEngine
from gridbot.strategies.grid.decision import judge
from tests.case_table import case_table
from tests.core.helpers import BUY, EXAMPLES, LONG, SHORT, SYMBOL, Book, d, engine, fill, instrument, ticker
from tests.strategies.grid.support import settled, short_form


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
    assert made.known_interval == (d("98.0"), d("102.0"), ())
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


@case_table(
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


def opens_of(intents) -> set[tuple[Any, int]]:
    return {(i.direction, i.ticks) for i in intents if not getattr(i, "reduce_only", False)}


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    start=st.integers(97_500, 102_500),
    missing=st.sets(st.tuples(st.sampled_from([LONG, SHORT]), st.integers(0, 10)), max_size=8),
    probes=st.lists(st.integers(97_500, 102_500), max_size=20),
)
def test_the_opening_interval_is_exactly_where_all_but_the_closes_of_an_answer_stays(start, missing, probes):
    made, book = settled(tick="0.01", count=10, step="0.5")
    for direction, index in missing:
        ticks = made.grid.levels[index].ticks
        for order in [o for o in book.orders[direction] if o.ticks == ticks]:
            book.remove(direction, order.key)
    answer = made.on_event(ticker(Decimal(start) / 1000), book.orders)
    rest, narrow = opens_of(answer), made.known_interval
    if narrow is None:
        assert made.opening_interval is None
        return
    if any(isinstance(intent, CancelIntent) for intent in answer):
        return
    low, high = made.opening_interval
    assert low <= narrow[0] <= narrow[1] <= high
    state, grid = made.state(), made.grid
    for price in [*(Decimal(probe) / 1000 for probe in probes), low, high, low - d("0.01"), high + d("0.01")]:
        fresh = GridEngine(SYMBOL, instrument("0.01"), GridConfig(10, d("0.5")), "grid-1", restored=state)
        stays = opens_of(fresh.on_event(ticker(price), book.orders)) == rest and fresh.grid == grid
        if low <= price <= high:
            assert stays
        elif price % d("0.01") == 0 and (price in (low - d("0.01"), high + d("0.01"))):
            assert not stays, "the rest of the answer stays beside the interval as well: it is too small"


# ---------------------------------------------------------------------- prepared answers


@pytest.fixture
def decided(monkeypatch) -> list[Decimal]:
    """The prices that are decided."""
    prices: list[Decimal] = []

    def noting(memory, event, *rest):
        prices.append(event.last_price)
        return judge(memory, event, *rest)

    monkeypatch.setattr(engine_module, "judge", noting)
    return prices


def test_a_changed_book_is_decided_before_the_price_comes(decided):
    made, book = settled()
    made.on_event(ticker("100.3"), book.orders)
    book.remove(LONG, next(order.key for order in book.orders.long if order.ticks == 990))
    decided.clear()
    made.prepare(book.orders)
    made.prepare(book.orders)
    assert decided == [d("100.3")], "once"
    assert short_form(made.on_event(ticker("100.2"), book.orders)) == ["long Buy 990 @1"]
    assert len(decided) == 1
    book.remove(SHORT, next(order.key for order in book.orders.short if order.ticks == 990))
    assert len(made.on_event(ticker("100.2"), book.orders)) == 2, "what was prepared was of another book"
    assert len(decided) == 2


def test_what_was_prepared_is_of_one_grid(decided):
    made, book = settled()
    made.on_event(ticker("100.3"), book.orders)
    made.on_event(fill("99.0"), book.orders)
    made.prepare(book.orders)
    before, answer = made.grid, made.known_interval[2]
    assert made.on_event(ticker("100.3"), book.orders) is answer
    made.on_event(fill("101.0"), book.orders)
    assert made.grid is not before
    made.on_event(ticker("100.3"), book.orders)
    assert decided[-3:] == [d("100.3")] * 3, "at the price before the fill, after it, and after the other"


def test_nothing_is_prepared_that_would_change_the_grid(decided):
    made, book = settled()
    before, prices = made.grid, len(decided)
    for number in range(12):
        book.add(LONG, BUY, 500 + number)
    made.prepare(book.orders)
    assert (made.grid, made.known_interval, len(decided)) == (before, None, prices)
    assert made.on_event(ticker("100"), book.orders)[0].reason == "rebuild"
    fresh = GridEngine(SYMBOL, instrument("0.1"), GridConfig(4, d("1")), "grid-1")
    fresh.prepare(Book().orders)
    fresh.on_event(fill("99.0"), Book().orders)
    fresh.prepare(Book().orders)
    assert (fresh.grid, fresh.known_interval, fresh.state().pending) == (None, None, (d("99.0"),))
