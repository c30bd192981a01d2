"""Vocabulary, instrument, events, intents and the arithmetic under them."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_UP, Decimal, localcontext
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gridbot.core
from gridbot.core import (
    Direction,
    Instrument,
    LimitOrder,
    LimitOrders,
    OrderStatus,
    PositionEvent,
    Side,
    client_order_id,
)
from gridbot.core.exact import ceil_div, require_decimal, round_div
from tests.core.helpers import BUY, LONG, SELL, SHORT, SYMBOL, d, fill, instrument


def test_sides_and_directions():
    assert (BUY.opposite, SELL.opposite) == (SELL, BUY)
    assert (LONG.opposite, SHORT.opposite) == (SHORT, LONG)
    assert [(x.position_idx, x.open_side, x.close_side) for x in Direction] == [(1, BUY, SELL), (2, SELL, BUY)]
    assert [Direction.from_position_idx(idx) for idx in (1, 2)] == [LONG, SHORT]
    for idx in (0, 3, -1):
        with pytest.raises(ValueError, match=f"got {idx}; is the symbol in hedge mode"):
            Direction.from_position_idx(idx)
    assert Direction.of_order(BUY, reduce_only=False) is Direction.of_order(SELL, reduce_only=True) is LONG
    assert Direction.of_order(SELL, reduce_only=False) is Direction.of_order(BUY, reduce_only=True) is SHORT
    assert [str(word) for word in (*Side, *Direction)] == ["Buy", "Sell", "long", "short"]


def test_open_order_statuses():
    names = {status.value for status in OrderStatus if status.is_open}
    assert names == {"New", "PartiallyFilled", "Untriggered", "Triggered"}


def test_executions_and_positions_know_what_they_are():
    assert (fill("1").is_close, fill("1").direction) == (False, LONG)
    closing = fill("1", closed_size=d(1))
    assert (closing.is_close, closing.direction) == (True, SHORT)
    assert PositionEvent(SYMBOL, LONG, d(2), d(50)).entry_value == 100
    assert PositionEvent(SYMBOL, LONG, d(2)).entry_value == 0


def test_limit_orders_are_copied_and_answer_by_direction():
    mine = [LimitOrder("a", BUY, 1)]
    orders = LimitOrders(long=mine, version=3)
    mine.clear()
    assert orders[LONG] == orders.long == [LimitOrder("a", BUY, 1, False)]
    assert (orders[SHORT], orders.version) == ([], 3)
    assert LimitOrders().version == 0
    assert repr(LimitOrders()) == "LimitOrders(long=[], short=[], version=0)"


def test_every_part_of_an_identity_counts():
    """Quantity, level index and reduceOnly are no arguments at all (docs/strategy.md 3.1)."""
    base: list[Any] = ["grid-1", SYMBOL, BUY, 990, LONG]
    other: list[Any] = ["grid-2", "YUSDT", SELL, 991, SHORT]

    def changed(place: int) -> str:
        parts = base.copy()
        parts[place] = other[place]
        strat_id, symbol, side, ticks, direction = parts
        return client_order_id(strat_id, symbol, side, ticks, direction)

    ids = {changed(place) for place in range(5)} | {client_order_id("grid-1", SYMBOL, BUY, 990, LONG)}
    assert len(ids) == 6
    assert all(len(text) == 16 and set(text) <= set("0123456789abcdef") for text in ids)


@pytest.mark.parametrize(("tick", "step"), [("0", "1"), ("-1", "1"), ("1", "0"), ("1", "-1")])
def test_ticks_and_steps_are_positive(tick, step):
    with pytest.raises(
        ValueError, match=f"XUSDT: expected a positive tick size and quantity step, got {tick} and {step}"
    ):
        Instrument(SYMBOL, d(tick), d(step), d(1), d(1))


def test_instrument_defaults():
    rules = Instrument(SYMBOL, d(1), d(1), d(1), d(1))
    assert (rules.min_notional, rules.status, rules.tiers) == (5, "Trading", ())


@pytest.mark.parametrize(("price", "ticks"), [("0.15", 2), ("0.25", 2), ("0.249", 2), ("0.2501", 3), ("0.1", 1)])
def test_prices_round_to_the_nearest_tick_ties_to_even(price, ticks):
    assert instrument("0.1").ticks(d(price)) == ticks


def test_rounding_quantities():
    rules = instrument(step="0.3")
    assert [rules.round_qty_up(d(x)) for x in ("0.3", "0.31", "0")] == [d("0.3"), d("0.6"), 0]
    assert [rules.round_qty_down(d(x)) for x in ("0.3", "0.59", "0")] == [d("0.3"), d("0.3"), 0]


def test_the_ambient_decimal_context_decides_nothing():
    with localcontext() as context:
        context.prec = 2
        rules = instrument("0.1", "0.001")
        assert rules.price(612345) == d("61234.5")
        assert rules.ticks(d("61234.56")) == 612346
        for context.rounding in (ROUND_UP, ROUND_DOWN):
            assert [rules.ticks(d(price)) for price in ("61234.54", "61234.55", "61234.65")] == [612345, 612346, 612346]
        assert rules.round_qty_up(d("12.34567")) == d("12.346")
        assert rules.round_qty_down(d("12.34567")) == d("12.345")


def test_a_quotient_just_off_a_tie_is_not_rounded_onto_it():
    assert instrument("0.3").ticks(d("0.15000000000000000000000000000000000001")) == 1
    assert instrument("0.3").ticks(d("0.15")) == 0


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**20))
def test_integer_rounding(numerator, denominator):
    assert round_div(numerator, denominator) == round(Fraction(numerator, denominator))
    assert ceil_div(numerator, denominator) - 1 < Fraction(numerator, denominator) <= ceil_div(numerator, denominator)


@pytest.mark.parametrize(
    ("top", "bottom", "rounded"), [(1, 2, 0), (3, 2, 2), (5, 2, 2), (-1, 2, 0), (7, 3, 2), (8, 3, 3), (6, 3, 2)]
)
def test_integer_ties_go_to_even(top, bottom, rounded):
    assert round_div(top, bottom) == rounded


def test_a_float_is_refused_by_name():
    require_decimal("amount", Decimal(1))
    with pytest.raises(TypeError, match=r"amount: expected a Decimal, got float 0\.1; write Decimal\('0\.1'\)"):
        require_decimal("amount", 0.1)


def test_everything_public_is_exported_and_documented():
    for name in gridbot.core.__all__:
        assert hasattr(gridbot.core, name)
    public = [getattr(gridbot.core, name) for name in gridbot.core.__all__]
    undocumented = [x.__name__ for x in public if hasattr(x, "__name__") and not (x.__doc__ or "").strip()]
    assert undocumented == []
