"""What the exchange allows: rounding to ticks and steps (docs/strategy.md 1.1, docs/risk.md 4.2)."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_UP, localcontext

import pytest

from gridbot.core import Instrument
from tests.case_table import case_table
from tests.core.helpers import SYMBOL, d, instrument


@case_table(("tick", "step"), [("0", "1"), ("-1", "1"), ("1", "0"), ("1", "-1")])
def test_ticks_and_steps_are_positive(tick, step):
    with pytest.raises(
        ValueError, match=f"XUSDT: expected a positive tick size and quantity step, got {tick} and {step}"
    ):
        Instrument(SYMBOL, d(tick), d(step), d(1), d(1))


def test_instrument_defaults():
    rules = Instrument(SYMBOL, d(1), d(1), d(1), d(1))
    assert (rules.min_notional, rules.status, rules.tiers) == (5, "Trading", ())


@case_table(("price", "ticks"), [("0.15", 2), ("0.25", 2), ("0.249", 2), ("0.2501", 3), ("0.1", 1)])
def test_prices_round_to_the_nearest_tick_ties_to_even(price, ticks):
    assert instrument("0.1").ticks(d(price)) == ticks


def test_rounding_quantities():
    rules = instrument(step="0.3")
    assert [rules.round_qty_down(d(x)) for x in ("0.3", "0.59", "0")] == [d("0.3"), d("0.3"), 0]


def test_the_ambient_decimal_context_decides_nothing():
    with localcontext() as context:
        context.prec = 2
        rules = instrument("0.1", "0.001")
        assert rules.price(612345) == d("61234.5")
        assert rules.ticks(d("61234.56")) == 612346
        for context.rounding in (ROUND_UP, ROUND_DOWN):
            assert [rules.ticks(d(price)) for price in ("61234.54", "61234.55", "61234.65")] == [612345, 612346, 612346]
        assert rules.round_qty_down(d("12.34567")) == d("12.345")


def test_a_quotient_just_off_a_tie_is_not_rounded_onto_it():
    assert instrument("0.3").ticks(d("0.15000000000000000000000000000000000001")) == 1
    assert instrument("0.3").ticks(d("0.15")) == 0
