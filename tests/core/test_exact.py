"""Arithmetic with whole numbers."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.core.exact import ceil_div, require_decimal, round_div
from tests.case_table import case_table


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**20))
def test_integer_rounding(numerator, denominator):
    assert round_div(numerator, denominator) == round(Fraction(numerator, denominator))
    assert ceil_div(numerator, denominator) - 1 < Fraction(numerator, denominator) <= ceil_div(numerator, denominator)


@case_table(
    ("top", "bottom", "rounded"), [(1, 2, 0), (3, 2, 2), (5, 2, 2), (-1, 2, 0), (7, 3, 2), (8, 3, 3), (6, 3, 2)]
)
def test_integer_ties_go_to_even(top, bottom, rounded):
    assert round_div(top, bottom) == rounded


@case_table(("top", "bottom", "rounded"), [(0, 3, 0), (1, 3, 1), (3, 3, 1), (4, 3, 2), (-4, 3, -1)])
def test_rounding_up(top, bottom, rounded):
    assert ceil_div(top, bottom) == rounded


def test_a_float_is_refused_by_name():
    require_decimal("amount", Decimal(1))
    with pytest.raises(TypeError, match=r"amount: expected a Decimal, got float 0\.1; write Decimal\('0\.1'\)"):
        require_decimal("amount", 0.1)
