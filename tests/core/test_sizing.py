"""Quantities: the three amount forms, every rounding, and closes (docs/risk.md 4)."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.core import AmountKind, AmountRule, Instrument, closable, quantity_for
from tests.case_table import case_table
from tests.core.helpers import EXAMPLES, d, instrument

BTC = instrument("0.1", "0.001")
WHOLE = instrument("0.0001", "1", min_order_qty=d(1), max_order_qty=d(1_000_000))


def quantity(amount: str, price: str, wallet: str | None = "10000", rules: Instrument = BTC, **more) -> Decimal:
    return quantity_for(AmountRule.parse(amount), d(price), rules, None if wallet is None else d(wallet), **more)


@case_table(
    ("text", "kind", "value"),
    [
        ("x0.001", AmountKind.WALLET_FRACTION, "0.001"),
        ("100", AmountKind.NOTIONAL, "100"),
        (" 12.5 ", AmountKind.NOTIONAL, "12.5"),
        ("q0.01", AmountKind.QUANTITY, "0.01"),
        ("1e2", AmountKind.NOTIONAL, "100"),
    ],
)
def test_amounts_are_read(text, kind, value):
    rule = AmountRule.parse(text)
    assert (rule.kind, rule.value) == (kind, d(value))
    assert AmountRule.parse(str(rule)) == rule


@case_table("text", ["", "x", "q", "0", "-1", "x0", "q-0.1", "b100", "NaN", "Infinity", "xNaN", "1 0", "100 USDT"])
def test_other_amounts_are_refused(text):
    with pytest.raises(ValueError, match=r'^amount: expected "x0.001" .*USDT.* with a positive number, got '):
        AmountRule.parse(text)


def test_an_amount_prints_as_it_was_written():
    assert [str(AmountRule.parse(text)) for text in ("x0.001", "100", "q0.01", "1e2")] == [
        "x0.001",
        "100",
        "q0.01",
        "100",
    ]


@case_table(
    ("amount", "price", "wallet", "expected"),
    [
        ("x0.1", "50000", "10000", "0.02"),
        ("x0.1", "50001", "10000", "0.02"),  # 0.01999960 is rounded up
        ("x0.1", "49999", "10000", "0.021"),  # 0.02000040 likewise
        ("1000", "50000", None, "0.02"),
        ("1000", "49999", None, "0.021"),
        ("q0.02", "50000", None, "0.02"),
        ("q0.0201", "50000", None, "0.021"),
        ("x0.1", "50000", "0", "0"),
        ("x0.1", "50000", "-5", "0"),
        ("x0.1", "0.005", "0.5", "1000"),  # a poor wallet counts: raised to 5 USDT
        ("x0.1", "50000", None, "0"),
        ("x0.0001", "1000", "10000", "0.005"),  # 1 USDT is raised to 5
        ("1", "1000", None, "0.005"),
        ("q0.001", "1000", None, "0.005"),
        ("q0.001", "5000", None, "0.001"),
        ("q0.001", "4999", None, "0.002"),
        ("q5000", "1000", None, "1000"),  # the largest order allowed
    ],
)
def test_base_quantities(amount, price, wallet, expected):
    assert quantity(amount, price, wallet) == d(expected)


def test_the_minimum_notional_is_the_instruments():
    assert quantity("1", "1000", rules=instrument(min_notional=d(20))) == d("0.02")
    assert quantity("1", "1000", rules=instrument(min_notional=d(0))) == d("0.001")


@case_table(
    ("multiplier", "imbalance", "expected"),
    [
        ("1", "1", "0.021"),
        ("2", "1", "0.042"),
        ("1.5", "1", "0.032"),
        ("0.5", "1", "0.011"),
        ("2", "1.5", "0.063"),
        ("1", "3", "0.063"),
    ],
)
def test_multipliers_work_on_the_rounded_quantity_and_are_rounded_up_again(multiplier, imbalance, expected):
    # 1000 USDT at 49999 is 0.0200004 and first 0.021: 0.021 · 1.5 = 0.0315 → 0.032 and not 0.0300006 → 0.031
    factors: dict[str, Any] = {"multiplier": d(multiplier), "imbalance_multiplier": d(imbalance)}
    assert quantity("1000", "49999", **factors) == d(expected)


def test_an_opening_order_is_never_below_the_minimum_notional_after_multipliers():
    assert quantity("5", "1000", multiplier=d("0.5")) == d("0.005")
    assert quantity("5", "1000", imbalance_multiplier=d("0.1")) == d("0.005")
    assert quantity("6", "1000", multiplier=d("0.9")) == d("0.006")  # 5.4 USDT
    assert quantity("5", "1000", multiplier=d("0.5"), reduce_only=True) == d("0.003")  # the exchange takes small closes


def test_below_the_smallest_order_nothing_is_sent():
    rules = instrument(min_order_qty=d("0.01"))
    assert quantity("q0.009", "50000", rules=rules) == 0
    assert quantity("q0.0091", "50000", rules=rules) == d("0.01")
    assert quantity("q0.01", "50000", rules=rules, multiplier=d("0.5"), reduce_only=True) == 0
    assert quantity("q0.01", "50000", multiplier=d(0)) == 0
    assert quantity("q0.01", "50000", imbalance_multiplier=d(0), reduce_only=True) == 0


def test_a_largest_order_off_the_step_is_rounded_down():
    assert quantity("q70", "1", rules=instrument(max_order_qty=d("55.5555"))) == d("55.555")
    assert quantity("q55.555", "1", rules=instrument(max_order_qty=d("55.555"))) == d("55.555")


@pytest.mark.parametrize("price", ["0", "-1"])
def test_a_price_is_positive(price):
    with pytest.raises(ValueError, match=f"XUSDT: expected a positive price to size an order, got {price}"):
        quantity("100", price)


def test_the_ambient_decimal_context_decides_nothing():
    expected = quantity("x0.0123456789", "12345.6789", "98765.4321", multiplier=d("1.5"))
    with localcontext() as context:
        context.prec = 2
        assert quantity("x0.0123456789", "12345.6789", "98765.4321", multiplier=d("1.5")) == expected


@settings(max_examples=EXAMPLES * 3, deadline=None)
@given(
    kind=st.sampled_from(["x", "", "q"]),
    amount=st.integers(1, 10**7),
    price=st.integers(1, 10**9),
    wallet=st.integers(1, 10**9),
    multiplier=st.sampled_from(["0.5", "1", "1.5", "2"]),
    imbalance=st.sampled_from(["1", "1.3", "0.7"]),
    reduce_only=st.booleans(),
    rules=st.sampled_from([BTC, WHOLE, instrument("0.1", "0.3"), instrument("0.1", "0.1", min_order_qty=d("0.7"))]),
)
def test_every_quantity_can_be_sent(kind, amount, price, wallet, multiplier, imbalance, reduce_only, rules):
    at = Decimal(price) / 10000
    rule = AmountRule.parse(f"{kind}{Decimal(amount) / 10**4:f}")
    factors: dict[str, Any] = {
        "multiplier": d(multiplier),
        "imbalance_multiplier": d(imbalance),
        "reduce_only": reduce_only,
    }
    qty = quantity_for(rule, at, rules, Decimal(wallet) / 100, **factors)
    largest = rules.round_qty_down(rules.max_order_qty)
    assert Fraction(qty) % Fraction(rules.qty_step) == 0
    assert qty == 0 or rules.min_order_qty <= qty <= largest
    if qty and not reduce_only:
        assert Fraction(qty) * Fraction(at) >= rules.min_notional or qty == largest
    base = {
        "x": Fraction(rule.value) * Fraction(Decimal(wallet) / 100) / Fraction(at),
        "": Fraction(rule.value) / Fraction(at),
        "q": Fraction(rule.value),
    }[kind]
    if qty not in (0, largest):
        assert Fraction(qty) >= base * Fraction(d(multiplier)) * Fraction(d(imbalance)), "always rounded up"


@settings(max_examples=EXAMPLES, deadline=None)
@given(qty=st.integers(1, 5000), price=st.integers(10**6, 10**9))
def test_an_amount_on_the_step_is_not_rounded(qty, price):
    wanted = Decimal(qty) / 1000
    at = Decimal(price) / 100
    assert quantity_for(AmountRule(AmountKind.QUANTITY, wanted), at, BTC, None) == wanted
    assert quantity_for(AmountRule(AmountKind.NOTIONAL, wanted * at), at, BTC, None) == wanted


@case_table(
    ("size", "qty", "resting", "expected"),
    [
        ("1", "0.1", "0", "0.1"),
        ("1", "0.1", "0.9", "0.1"),  # exactly covered
        ("1", "0.1", "0.901", "0"),
        ("1", "1", "0", "1"),
        ("0.05", "0.1", "0", "0.05"),  # the last lot
        ("0.05", "0.1", "0.01", "0"),
        ("0", "0.1", "0", "0"),
        ("1", "0", "0", "0"),
        ("-1", "0.1", "0", "0"),
    ],
)
def test_a_close_needs_a_position_that_covers_it(size, qty, resting, expected):
    assert closable(d(size), d(qty), d(resting)) == d(expected)
