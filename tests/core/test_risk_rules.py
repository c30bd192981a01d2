"""The two rule tables, their order and cross effects, mirrored; early imbalance, low balance."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.core import (
    AmountRule,
    Direction,
    LegState,
    Multipliers,
    RiskConfig,
    RiskInputs,
    imbalance_multiplier,
    is_low_balance,
    quantity_for,
    risk_multipliers,
)
from gridbot.core.risk_rules import assessed, is_far_from_liq, liq_limits, rules_stay
from tests.case_table import case_table
from tests.core.helpers import BUY, EXAMPLES, SELL, d, factors, inputs, instrument, leg

RISK = RiskConfig()
GROWING = RiskConfig(increase_same_position_on_low_margin=True)


def test_defaults_are_the_documented_ones():
    assert RiskConfig(d("0.8"), d("1.2"), d("0.15"), False, d(1), d("0.1")) == RISK


@case_table(
    "name",
    [
        "min_liq_ratio",
        "max_liq_ratio",
        "min_total_margin",
        "early_imbalance_multiplier",
        "low_balance_fraction",
    ],
)
def test_thresholds_are_decimals_from_zero_up(name):
    def config(value: Any) -> RiskConfig:
        return RiskConfig(**{name: value})

    assert getattr(config(d(0)), name) == 0
    for wrong in (d(-1), d("NaN"), d("Infinity")):
        with pytest.raises(ValueError, match=f"{name}: expected a number from 0 up"):
            config(wrong)
    with pytest.raises(TypeError, match=f"{name}: expected a Decimal, got float"):
        config(0.5)


# ---------------------------------------------------------------------- the tables


@case_table(
    ("long", "short", "last", "risk", "rule", "expected"),
    [
        # 1: liquidation above 1.05 · 0.8 = 0.84 of the price
        (leg(liq="84.01"), leg("5"), "100", RISK, "long_1", {"long_sell": "1.5"}),
        (leg(liq="84"), leg("5"), "100", RISK, "long_2", {"short_buy": "0.5"}),
        # 2: above 0.8
        (leg(liq="80.01"), leg("5"), "100", RISK, "long_2", {"short_buy": "0.5"}),
        (leg("1", liq="80"), leg("1.5"), "100", RISK, "", {}),
        # 3: margins equal within 0.94..1.05, together below 0.15 of the wallet
        (leg("0.1"), leg("0.1"), "100", RISK, "long_3", {"long_sell": "0.5", "short_buy": "0.5"}),
        (leg("0.1"), leg("0.1"), "100", GROWING, "long_3", {"long_buy": "2", "short_sell": "2"}),
        (leg("0.94"), leg("1"), "100", RiskConfig(min_total_margin=d(9)), "", {}),
        (
            leg("0.9401"),
            leg("1"),
            "100",
            RiskConfig(min_total_margin=d(9)),
            "long_3",
            {"long_sell": "0.5", "short_buy": "0.5"},
        ),
        (leg("1.05"), leg("1"), "100", RiskConfig(min_total_margin=d(9)), "", {}),
        (
            leg("1.0499"),
            leg("1"),
            "100",
            RiskConfig(min_total_margin=d(9)),
            "long_3",
            {"long_sell": "0.5", "short_buy": "0.5"},
        ),
        (leg("0.75"), leg("0.75"), "100", RISK, "", {}),  # exactly 0.15 is not below it
        (leg("0.7499"), leg("0.75"), "100", RISK, "long_3", {"long_sell": "0.5", "short_buy": "0.5"}),
        # 4: less than half of the short and losing
        (leg("0.49"), leg("1"), "99.99", RISK, "long_4", {"long_buy": "2"}),
        (leg("0.5"), leg("1"), "99.99", RISK, "", {}),
        (leg("0.49"), leg("1"), "100", RISK, "", {}),  # not losing at the entry price
        # 5: less than a fifth, losing or not
        (leg("0.19"), leg("1"), "101", RISK, "long_5", {"long_buy": "2"}),
        (leg("0.2"), leg("1"), "101", RISK, "", {}),
        (leg("0.19"), leg("1"), "99", RISK, "long_4", {"long_buy": "2"}),
    ],
)
def test_long_rules(long, short, last, risk, rule, expected):
    result = risk_multipliers(long, short, inputs(last), risk)
    assert (result.long_rule, factors(result)) == (rule, expected)


@case_table(
    ("long", "short", "last", "risk", "rule", "expected"),
    [
        # 1: liquidation below 0.95 · 1.2 = 1.14 of the price, and there is one
        (leg("1.5"), leg(liq="113.99"), "100", RISK, "short_1", {"short_buy": "1.5"}),
        (leg("1.5"), leg(liq="114"), "100", RISK, "short_2", {"long_sell": "0.5"}),
        # 2: below 1.2
        (leg("1.5"), leg(liq="119.99"), "100", RISK, "short_2", {"long_sell": "0.5"}),
        (leg("1.5"), leg(liq="120"), "100", RISK, "", {}),
        (leg("1.5"), leg(liq="50"), "100", RISK, "short_1", {"short_buy": "1.5"}),  # beyond it already
        (leg("1.5"), leg(liq="50"), "100", RiskConfig(max_liq_ratio=d("0.51")), "short_2", {"long_sell": "0.5"}),
        (leg("1.5"), leg(liq="270"), "100", RISK, "", {}),  # incident L52: far away is safe
        (leg("1.5"), leg(), "100", RISK, "", {}),
        # 3
        (leg("0.1"), leg("0.1"), "100", RISK, "short_3", {"long_sell": "0.5", "short_buy": "0.5"}),
        (leg("0.1"), leg("0.1"), "100", GROWING, "short_3", {"long_buy": "2", "short_sell": "2"}),
        # 4: more than twice the short's margin on the long side, and the short loses
        (leg("2.01"), leg("1"), "100.01", RISK, "short_4", {"short_sell": "2"}),
        (leg("2"), leg("1"), "100.01", RISK, "", {}),
        (leg("2.01"), leg("1"), "100", RISK, "", {}),
        # 5: more than five times
        (leg("5.01"), leg("1"), "99", RISK, "short_5", {"short_sell": "2"}),
        (leg("5"), leg("1"), "99", RISK, "", {}),
        (leg("5.01"), leg("1"), "101", RISK, "short_4", {"short_sell": "2"}),
    ],
)
def test_short_rules(long, short, last, risk, rule, expected):
    result = risk_multipliers(long, short, inputs(last), risk)
    assert (result.short_rule, factors(result)) == (rule, expected)


def test_the_first_rule_that_holds_wins():
    # 1 to 5 all hold for the long leg, then one after the other falls away
    long = leg("0.001", liq="90")
    for change, rule in (
        ({"liq": "90"}, "long_1"),
        ({"liq": "73"}, "long_2"),
        ({"liq": None}, "long_4"),
    ):
        long = leg("0.001", **change)
        assert risk_multipliers(long, leg("1"), inputs("90"), RISK).long_rule == rule
    assert risk_multipliers(leg("0.1", liq="90"), leg("0.1"), inputs("90"), RISK).long_rule == "long_1"
    assert risk_multipliers(leg("0.1", liq="73"), leg("0.1"), inputs("90"), RISK).long_rule == "long_2"
    assert risk_multipliers(leg("0.1", liq="70"), leg("0.1"), inputs("90"), RISK).long_rule == "long_3"


def test_a_short_rule_overrules_what_a_long_rule_did_across():
    # long 2 sets short Buy to 0.5, short 1 then sets it to 1.5
    result = risk_multipliers(leg("2", liq="82"), leg("1.1", liq="110"), inputs(), RISK)
    assert (result.rule, factors(result)) == ("long_2,short_1", {"short_buy": "1.5"})
    # long 1 sets long Sell to 1.5, short 2 then sets it to 0.5
    result = risk_multipliers(leg("2", liq="90"), leg("1.1", liq="118"), inputs(), RISK)
    assert (result.rule, factors(result)) == ("long_1,short_2", {"long_sell": "0.5"})
    # long 2 and short 2 work across each other
    result = risk_multipliers(leg("2", liq="82"), leg("1.1", liq="118"), inputs(), RISK)
    assert (result.rule, factors(result)) == ("long_2,short_2", {"long_sell": "0.5", "short_buy": "0.5"})
    # long 3 shrinks long closes while short 1 grows short ones
    result = risk_multipliers(leg("0.1"), leg("0.1", liq="110"), inputs(), RISK)
    assert (result.rule, factors(result)) == ("long_3,short_1", {"long_sell": "0.5", "short_buy": "1.5"})


def test_a_leg_without_an_entry_has_no_rule():
    for none in (leg("0", None), leg("0", "0")):
        result = risk_multipliers(none, leg("1"), inputs("99"), RISK)
        assert result.long_rule == ""
        result = risk_multipliers(leg("1"), none, inputs("101"), RISK)
        assert result.short_rule == ""
    assert risk_multipliers(leg("0", None), leg("0", None), inputs(), RISK) == Multipliers()
    assert (LegState(d(2)).value, LegState(d(2), d(100)).value) == (0, 200)


def test_without_a_short_the_ratio_stands_on_a_ten_thousandth():
    # 0.004 coins at 100 are 0.0004 of a wallet of 1000, and 4 times the ten thousandth
    flat = LegState(d(0), d(100))
    assert risk_multipliers(leg("0.004"), flat, inputs("99"), RISK).rule == ""
    assert risk_multipliers(leg("0.0051"), flat, inputs("99"), RISK).rule == "short_5"
    assert risk_multipliers(leg("0.004"), flat, inputs("101"), RISK).rule == "short_4"
    assert risk_multipliers(leg("0.00001"), flat, inputs("101"), RISK).rule == "long_5"
    assert risk_multipliers(leg("0.001"), flat, inputs("101"), RISK).rule == "long_3,short_3"


@case_table(
    "known", [inputs(last=None), inputs(wallet=None), inputs(last="0"), inputs(wallet="0"), inputs(wallet="-1")]
)
def test_what_is_unknown_changes_nothing(known):
    """incident L25: an unknown price once counted as zero and poisoned every factor."""
    assert risk_multipliers(leg(liq="99"), leg(liq="101"), known, RISK) == Multipliers()
    assert not is_low_balance(leg(), leg(), known, RISK)


def test_cheap_coins_and_poor_wallets_count():
    cheap = LegState(d(1), d("0.5"), d("0.45")), LegState(d(5), d("0.5"))
    assert risk_multipliers(*cheap, inputs(last="0.5", wallet="0.5"), RISK).rule == "long_1"


def test_thresholds_come_from_the_configuration():
    risk = RiskConfig(min_liq_ratio=d("0.5"), max_liq_ratio=d(2))
    assert risk_multipliers(leg(liq="53"), leg("1.5"), inputs(), risk).long_rule == "long_1"
    assert risk_multipliers(leg(liq="51"), leg("1.5"), inputs(), risk).long_rule == "long_2"
    assert risk_multipliers(leg("1.5"), leg(liq="189"), inputs(), risk).short_rule == "short_1"
    assert risk_multipliers(leg("1.5"), leg(liq="199"), inputs(), risk).short_rule == "short_2"


@settings(max_examples=EXAMPLES * 2, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 2000), st.integers(1, 2000)),
    liquidation=st.one_of(st.none(), st.integers(700, 1000)),
    last=st.integers(900, 1100),
    grows=st.booleans(),
)
def test_mirrored_positions_get_mirrored_rules(sizes, liquidation, last, grows):
    """Swap the legs, turn the price around the entry: rule n of one table is rule n of the other.

    Below 0.5 and 0.2 against above 2 and 5 are exact mirrors; liquidation ratios are made so, as their thresholds are
    not, and margins near the bounds of equality, which are none either, are left out.
    """
    ratio = Fraction(*sizes)
    if Fraction(90, 100) < ratio < Fraction(98, 100) or Fraction(102, 100) < ratio < Fraction(111, 100):
        return
    risk = RiskConfig(increase_same_position_on_low_margin=grows, min_total_margin=d(100))
    price, entry = Decimal(last), d(1000)
    mirrored_price = 2 * entry - price
    first_long = LegState(
        Decimal(sizes[0]), entry, None if liquidation is None else Decimal(liquidation) * price / 1000
    )
    first = risk_multipliers(first_long, LegState(Decimal(sizes[1]), entry), RiskInputs(price, d(1000)), risk)
    # 0.84 ↔ 1.14 and 0.8 ↔ 1.2: x above 0.84 mirrors to 1.14 − (x − 0.84)·1.5
    shift = (
        None
        if liquidation is None
        else Fraction(114, 100) - (Fraction(liquidation, 1000) - Fraction(84, 100)) * Fraction(3, 2)
    )
    mirrored_liq = None if shift is None else Decimal(shift.numerator) / Decimal(shift.denominator) * mirrored_price
    second_short = LegState(Decimal(sizes[0]), entry, mirrored_liq)
    second = risk_multipliers(
        LegState(Decimal(sizes[1]), entry), second_short, RiskInputs(mirrored_price, d(1000)), risk
    )
    assert second.short_rule[-1:] == first.long_rule[-1:]
    if first.long_rule and not first.short_rule and not second.long_rule:
        assert (second.short_sell, second.short_buy) == (first.long_buy, first.long_sell)
        assert (second.long_sell, second.long_buy) == (first.short_buy, first.short_sell)


# ---------------------------------------------------------------------- low balance, imbalance


@case_table(("available", "low"), [("19.99", True), ("20", False), (None, False), ("0", True), ("-5", True)])
def test_low_balance_is_a_tenth_of_the_position_value(available, low):
    assert is_low_balance(leg(), leg(), inputs(available=available), RISK) is low


def test_without_positions_no_balance_is_low():
    assert not is_low_balance(leg("0", None), leg("0", None), inputs(available="0"), RISK)


@pytest.mark.parametrize(
    ("long", "short", "rule"),
    [
        (leg("2", liq="82"), leg("1.1"), "long_2"),
        (leg("2"), leg("1.1", liq="118"), "short_2"),
        (leg("0.1"), leg("0.1"), "long_3,short_3"),
    ],
)
def test_under_low_balance_no_close_is_shrunk(long, short, rule):
    """incident L10: closes are what frees the margin."""
    assert set(factors(risk_multipliers(long, short, inputs(), RISK)).values()) == {"0.5"}
    result = risk_multipliers(long, short, inputs(available="0.1"), RISK)
    assert (result.rule, factors(result)) == (rule, {})


def test_under_low_balance_closes_still_grow():
    result = risk_multipliers(leg("2", liq="90"), leg("1.1", liq="118"), inputs(available="1"), RISK)
    assert (result.rule, factors(result)) == ("long_1,short_2", {"long_sell": "1.5"})


@settings(max_examples=EXAMPLES * 2, deadline=None)
@given(
    sizes=st.tuples(st.integers(0, 300), st.integers(0, 300)),
    liqs=st.tuples(st.integers(0, 200), st.integers(0, 200)),
    last=st.integers(50, 150),
    available=st.integers(0, 50),
    grows=st.booleans(),
)
def test_whatever_the_positions_a_close_is_never_shrunk_under_low_balance(sizes, liqs, last, available, grows):
    risk = RiskConfig(increase_same_position_on_low_margin=grows, min_total_margin=d(3))
    long, short = (LegState(Decimal(size) / 10, d(100), d(liq) or None) for size, liq in zip(sizes, liqs, strict=True))
    known = RiskInputs(d(last), d(1000), Decimal(available))
    result = risk_multipliers(long, short, known, risk)
    rules = instrument()
    for direction in Direction:
        for side in (BUY, SELL):
            factor = result.of(direction, side)
            assert factor in (d("0.5"), 1, d("1.5"), 2)
            if side is direction.open_side:
                assert factor in (1, 2), "an open is never shrunk"
            elif is_low_balance(long, short, known, risk):
                amount = AmountRule.parse("100")
                plain = quantity_for(amount, d(last), rules, d(1000), reduce_only=True)
                assert quantity_for(amount, d(last), rules, d(1000), multiplier=factor, reduce_only=True) >= plain


@case_table(
    ("long", "short", "expected"),
    [
        (leg("1.1"), leg("1"), "1"),
        (leg("1.1001"), leg("1"), "3"),
        (leg("9.9999"), leg("1"), "3"),
        (leg("10"), leg("1"), "1"),
        (leg("1"), leg("5"), "1"),
        (leg("5"), leg("0"), "1"),
        (leg("2", liq="50"), leg("1"), "1"),
        (leg("2"), leg("1", liq="150"), "1"),
        (leg("2", liq="0"), leg("1", liq="0"), "3"),
    ],
)
def test_early_imbalance(long, short, expected):
    assert imbalance_multiplier(long, short, RiskConfig(early_imbalance_multiplier=d(3))) == d(expected)


# ---------------------------------------------------------------------- where they stay as they are


@case_table(
    ("long", "short", "low", "high", "risk", "stay"),
    [
        (leg(), leg(), inputs("90", "900"), inputs("110", "1100"), RISK, True),
        (leg(), leg("0", None), inputs("90"), inputs("110"), RISK, True),
        # a price unknown, or the early multiplier, which looks at more
        (leg(), leg(), inputs(None), inputs("110"), RISK, False),
        (leg(), leg(), inputs("90"), inputs("110", None), RISK, False),
        (leg(), leg(), inputs("90"), inputs("110"), RiskConfig(early_imbalance_multiplier=d(2)), False),
        # the available balance unknown in one of them only, or low in one of them only
        (leg(), leg(), inputs("90", available="50"), inputs("110"), RISK, False),
        (leg(), leg(), inputs("90", available="19"), inputs("110", available="20"), RISK, False),
        (leg(), leg(), inputs("90", available="20"), inputs("110", available="21"), RISK, True),
        # the smaller long leg begins to lose below its entry: long_4 in place of none
        (leg("1"), leg("3"), inputs("99"), inputs("101"), RISK, False),
        (leg("1"), leg("3"), inputs("100"), inputs("110"), RISK, True),
        (leg("3"), leg("1"), inputs("99"), inputs("101"), RISK, False),
        # equal legs, and the wallet of which they are 15 %
        (leg(), leg(), inputs("90", "1300"), inputs("90", "1400"), RISK, False),
        # liquidation prices: 0.8 of 90, 1.2 of 110
        (leg(liq="72"), leg(liq="132"), inputs("90"), inputs("110"), RISK, True),
        (leg(liq="72.01"), leg(), inputs("90"), inputs("110"), RISK, False),
        (leg(), leg(liq="131.99"), inputs("90"), inputs("110"), RISK, False),
    ],
)
def test_between_two_inputs_the_rules_stay(long, short, low, high, risk, stay):
    assert rules_stay(long, short, low, high, risk) is stay


@settings(max_examples=EXAMPLES * 4, deadline=None)
@given(
    sizes=st.tuples(st.integers(0, 300), st.integers(0, 300)),
    entries=st.tuples(st.integers(90, 110), st.integers(90, 110)),
    lasts=st.tuples(st.integers(80, 120), st.integers(0, 12)),
    wallets=st.tuples(st.integers(50, 1500), st.integers(0, 60)),
    parts=st.tuples(*[st.integers(0, 10)] * 5),
)
def test_wherever_they_stay_they_are_the_same(sizes, entries, lasts, wallets, parts):
    risk = RiskConfig(min_total_margin=d(3))
    long, short = (LegState(Decimal(size) / 10, d(entry)) for size, entry in zip(sizes, entries, strict=True))
    low, high = RiskInputs(d(lasts[0]), d(wallets[0]), d(10)), RiskInputs(d(sum(lasts)), d(sum(wallets)), d(60))
    if not rules_stay(long, short, low, high, risk):
        return
    within = RiskInputs(
        *(
            least + (most - least) * part / 10
            for least, most, part in zip(_values(low), _values(high), parts, strict=False)
        )
    )
    below, above = liq_limits(d(lasts[0]), d(sum(lasts)), risk)
    near = (
        LegState(long.size, long.entry_price, below * parts[3] / 10),
        LegState(short.size, short.entry_price, above * (1 + Decimal(parts[4]) / 10)),
    )
    assert is_far_from_liq(*near, (below, above))
    assert assessed(*near, within, risk) == assessed(long, short, low, risk)


def _values(inputs: RiskInputs) -> tuple[Any, ...]:
    return inputs.last_price, inputs.wallet_balance, inputs.available_balance
