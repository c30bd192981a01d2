"""What a saved grid is worth after a restart, and the steps of the memory as values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.core import LimitOrders
from gridbot.strategies.grid import GridConfig, GridState, ImpossibleLadder, Level
from gridbot.strategies.grid.grid_memory import (
    GridMemory,
    GridSetup,
    at_price,
    keep_fill,
    plan_of,
    rebuilt,
    to_state,
    use_fill,
)
from tests.case_table import case_table
from tests.core.helpers import BUY, EXAMPLES, SELL, SYMBOL, d, engine, fill, instrument, ticker
from tests.strategies.grid.support import settled


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


@case_table(
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


# ---------------------------------------------------------------------- the steps as values

SETUP = GridSetup(SYMBOL, instrument(), GridConfig(4, d(1), d(1)))


def test_a_step_returns_the_next_memory_and_leaves_the_one_it_was_given():
    empty = GridMemory()
    built = at_price(SETUP, empty, d(100), 5)
    assert (empty.plan, empty.version) == (None, 0)
    assert (plan_of(built).grid.anchor, built.version, built.changed_ts) == (d(100), 1, 5)
    kept = keep_fill(built, fill("99", ts=7), market_known=True)
    assert (kept.pending, kept.version, built.pending) == ((d(99),), 1, ())
    moved = use_fill(SETUP, kept, d(100), 7)
    assert (moved.pending, moved.version, moved.changed_ts) == ((), 2, 7)
    assert plan_of(moved).grid.last_fill == d(99)
    assert plan_of(kept).grid.last_fill is None


def test_without_a_change_the_memory_is_the_same_object():
    built = at_price(SETUP, GridMemory(), d(100), 5)
    for price in ("98", "99.5", "102"):
        assert at_price(SETUP, built, d(price), 6) is built
    assert at_price(SETUP, built, d("102.1"), 6).version == 2
    assert rebuilt(built, d(100), 6) is built, "the ladder around the same price is the same grid"


def test_the_oldest_fill_is_used_and_one_that_cannot_be_leaves_the_memory():
    built = at_price(SETUP, GridMemory(), d(100), 5)
    both = keep_fill(keep_fill(built, fill("99"), market_known=True), fill("1.1"), market_known=True)
    first = use_fill(SETUP, both, d(100), 7)
    assert (plan_of(first).grid.last_fill, first.pending) == (d(99), (d("1.1"),))
    with pytest.raises(ImpossibleLadder):
        use_fill(SETUP, first, d(1), 8)
    assert first.pending == (d("1.1"),)


def test_a_memory_before_its_first_price_has_no_plan():
    with pytest.raises(ValueError, match="before its first price"):
        plan_of(GridMemory())
    assert to_state(SETUP, GridMemory(seed=d(7))).anchor == d(7)
