"""Margins by tiers, pair liquidation and per-leg hedge margins, worked out by hand."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.core import (
    LegMargin,
    LegState,
    MarginBalance,
    RiskTier,
    check_tiers,
    fee_to_close,
    initial_margin,
    liquidation_prices,
    maintenance_margin,
    margin_percent,
    order_cost,
    order_margin,
    pair_margins,
    reserve_fee,
    tier_for,
)
from gridbot.core.margin import margin_to_keep, pair_parts
from tests.case_table import case_table
from tests.core.helpers import EXAMPLES, LONG, SHORT, d

# Second tier: 2 % less a deduction of 1000 · (2 % − 1 %) = 10, so that the margin has no jump
TIERS = (
    RiskTier(d(1000), d("0.01"), d("0.02")),
    RiskTier(d(5000), d("0.02"), d("0.04"), d(10)),
    RiskTier(d(9000), d("0.05"), d("0.1"), d(160)),
)
FLAT = LegState()


def leg(size: str, entry: str, leverage: str = "10") -> LegState:
    return LegState(d(size), d(entry), leverage=d(leverage))


@case_table(("value", "tier"), [("0", 0), ("1000", 0), ("1000.01", 1), ("5000", 1), ("9000", 2), ("100000", 2)])
def test_the_first_tier_that_covers_a_value_and_the_last_for_more(value, tier):
    assert tier_for(TIERS, d(value)) is TIERS[tier]


def test_tiers_are_needed():
    with pytest.raises(ValueError, match=r"^expected at least one risk tier; load them from market/risk-limit$"):
        tier_for((), d(1))
    with pytest.raises(ValueError, match="expected at least one risk tier"):
        maintenance_margin(d(1), ())


@case_table(
    ("value", "initial", "maintenance"),
    [("500", "10", "5"), ("1000", "20", "10"), ("2000", "80", "30"), ("10000", "1000", "340"), ("0", "0", "0")],
)
def test_margins_by_tier(value, initial, maintenance):
    assert initial_margin(d(value), TIERS) == d(initial)
    assert maintenance_margin(d(value), TIERS) == d(maintenance)


def test_maintenance_is_never_negative():
    assert maintenance_margin(d(100), (RiskTier(d(1000), d("0.01"), d("0.02"), d(5)),)) == 0


def test_without_tiers_the_leverage_decides():
    assert initial_margin(d(1000), (), d(8)) == 125
    assert initial_margin(d(1000), ()) == 1000


@case_table(("balance", "expected"), [("200", "12.5"), ("0.5", "5000"), ("0", None), ("-1", None)])
def test_margin_in_percent_of_the_balance(balance, expected):
    assert margin_percent(d(25), d(balance)) == (None if expected is None else d(expected))


@case_table(
    ("tiers", "message"),
    [
        ((TIERS[1], TIERS[0]), "expected rising limits, got 1000 after 5000"),
        ((TIERS[0], TIERS[0]), "expected rising limits, got 1000 after 1000"),
        ((RiskTier(d(1), d(0), d("0.1")),), "expected a maintenance rate between 0 and 1, got 0 up to 1"),
        ((RiskTier(d(1), d(1), d("0.1")),), "expected a maintenance rate"),
        ((RiskTier(d(1), d("0.1"), d(0)),), "expected a initial rate between 0 and 1, got 0 up to 1"),
        ((RiskTier(d(1), d("0.1"), d(1)),), "expected a initial rate"),
    ],
)
def test_broken_tiers_are_refused(tiers, message):
    check_tiers(TIERS)
    with pytest.raises(ValueError, match=message):
        check_tiers(tiers)


# ---------------------------------------------------------------------- liquidation prices


def prices(long: LegState, short: LegState, equity: Decimal, mark: str = "100", maintenance: str = "0"):
    return liquidation_prices(long, short, d(mark), MarginBalance(equity, d(maintenance)), TIERS)


def test_of_a_pair_the_bigger_long_has_a_price_below():
    # values 1000 + 400 = 1400: MM 1400 · 2 % − 10 = 18; pool 100 − 18 = 82; surplus 6: 100 − 82/6
    long, short = prices(leg("10", "100"), leg("4", "100"), d(100))
    assert short is None
    assert long is not None
    assert round(long, 10) == d("86.3333333333")


def test_of_a_pair_the_bigger_short_has_one_above():
    long, short = prices(leg("4", "100"), leg("10", "100"), d(100))
    assert long is None
    assert short is not None
    assert round(short, 10) == d("113.6666666667")


def test_maintenance_of_a_pair_is_for_both_legs_without_relief():
    # the hedged part counts: 1 + 1 coins at 400 are 800 USDT, MM 8
    assert prices(leg("2", "400"), leg("1", "200"), d(100), mark="400")[0] == 400 - (100 - d("10"))


def test_where_the_mark_would_be_beyond_the_fit_a_pair_goes_from_the_mark_on():
    # 13.7 coins are bare: a dollar of the mark is 13.7 of the equity, of which the fit at 125 makes 130
    long, short = leg("29.9", "149.82"), leg("16.2", "150")
    equity = {mark: d(685) + d("13.7") * (mark - 150) for mark in (150, 125, 110)}
    told = [prices(long, short, equity[mark], str(mark))[0] for mark in equity]
    assert told[0] is not None
    assert round(told[0], 10) == d("113.3587518248")
    assert told[1:] == [100, 100]
    assert prices(short, long, equity[125], "175")[1] == 200


def test_of_a_leg_alone_the_accounts_spare_margin_is_used_up_from_the_mark_on():
    assert prices(leg("10", "90"), FLAT, d(100), maintenance="18") == (d("91.8"), None)
    assert prices(FLAT, leg("10", "90"), d(100), maintenance="18") == (None, d("108.2"))
    assert prices(LegState(d(10)), FLAT, d(100), maintenance="18") == (d("91.8"), None)


def test_a_long_is_never_liquidated_below_zero():
    assert prices(leg("1", "100"), FLAT, d(5000)) == (0, None)
    assert prices(leg("2", "100"), leg("1", "100"), d(5000)) == (0, None)


@pytest.mark.parametrize("equity", ["10", "5", "-100"])
def test_with_nothing_to_lose_it_is_at_the_mark_or_at_the_entry_of_a_pair(equity):
    assert prices(leg("10", "90"), FLAT, d(equity), maintenance="10") == (100, None)
    assert prices(FLAT, leg("10", "90"), d(equity), maintenance="10") == (None, 100)
    assert prices(leg("10", "90"), leg("5", "90"), d(equity)) == (90, None)


def test_equal_or_no_legs_have_none():
    assert prices(leg("3", "100"), leg("3", "90"), d(10)) == (None, None)
    assert prices(FLAT, FLAT, d(10)) == (None, None)
    assert prices(LegState(d(2)), leg("1", "100"), d(10)) == (None, None)
    assert prices(leg("1", "100"), LegState(d(2)), d(10)) == (None, None)


@settings(max_examples=EXAMPLES, deadline=None)
@given(sizes=st.tuples(st.integers(1, 50), st.integers(1, 50)), equity=st.integers(-50, 3000))
def test_at_the_price_of_a_pair_the_loss_equals_the_pool(sizes, equity):
    big, small = sizes
    long, short = leg(str(big), "100"), leg(str(small), "100")
    got = prices(long, short, Decimal(equity))
    pool = equity - maintenance_margin(long.value + short.value, TIERS)
    if big > small and pool > 0 and got[0]:
        assert abs((100 - got[0]) * (big - small) - pool) < d("1e-20")
    if small > big and pool > 0 and got[1]:
        assert abs((got[1] - 100) * (small - big) - pool) < d("1e-20")
    assert sum(price is not None for price in got) == (big != small)


# ---------------------------------------------------------------------- legs


def test_fee_to_close():
    # 2 · 100 · (1 ∓ 1/10) · 0.00075
    assert fee_to_close(LONG, leg("2", "100"), d("0.00075")) == d("0.135")
    assert fee_to_close(SHORT, leg("2", "100"), d("0.00075")) == d("0.165")
    assert fee_to_close(SHORT, FLAT, d("0.00075")) == 0


def test_margins_of_a_hedged_pair():
    long, short = leg("10", "100"), leg("4", "110", "5")
    got = pair_margins(long, short, d(105), TIERS, d("0.001"))
    # long: value 1050/10 + fee 1000·0.9·0.001; bare 6·105 = 630 at 1 %. short: fee 440·1.2·0.001 + 1 % · 4 · 10 · 5.657
    assert got[0] == LegMargin(initial=d("105.9"), maintenance=d("7.2"))
    assert got[1] == LegMargin(initial=d("2.7908"), maintenance=d("2.7908"))


def test_the_bigger_leg_may_be_the_short():
    got = pair_margins(leg("4", "100"), leg("30", "110"), d(105), TIERS, d("0.001"))
    # short: 3150/10 + 3300·1.1·0.001; bare 26·105 = 2730: 2 % − 10; long: 400·0.9·0.001 + 2 % · 4 · 10 · 5.657
    assert got[1] == LegMargin(initial=d("318.63"), maintenance=d("48.23"))
    assert got[0] == LegMargin(initial=d("4.8856"), maintenance=d("4.8856"))


def test_a_small_leg_below_one_coin_has_its_buffer():
    got = pair_margins(leg("1", "100"), leg("0.5", "110"), d(100), TIERS, d("0.001"))
    # fee 55·1.1·0.001 + 1 % · 0.5 · 10 · 5.657
    assert got[1].initial == d("0.34335")


def test_one_leg_and_equal_legs():
    alone = pair_margins(leg("10", "100"), FLAT, d(100), TIERS, d("0.001"))
    assert alone == (LegMargin(d("100.9"), d("10.9")), LegMargin(d(0), d(0)))
    alone = pair_margins(FLAT, leg("10", "100"), d(100), TIERS, d("0.001"))
    assert alone == (LegMargin(d(0), d(0)), LegMargin(d("101.1"), d("11.1")))
    equal = pair_margins(leg("5", "100"), leg("5", "100"), d(100), TIERS, d("0.001"))
    assert equal == (LegMargin(d("50.45"), d("0.45")), LegMargin(d("0.55"), d("0.55")))
    nameless = pair_margins(LegState(d(5)), leg("4", "100"), d(100), TIERS, d("0.001"))
    assert nameless[1].initial == d("0.44")


def test_the_ambient_decimal_context_decides_nothing():
    arguments = (leg("7", "123.45"), leg("3", "122.1"), d("131.37"), TIERS, d("0.00055"))
    balance = MarginBalance(d("77.77"), d("1.23"))
    expected = pair_margins(*arguments), liquidation_prices(*arguments[:3], balance, TIERS)
    fee = fee_to_close(LONG, arguments[0], d("0.00055"))
    with localcontext() as context:
        context.prec = 3
        assert (pair_margins(*arguments), liquidation_prices(*arguments[:3], balance, TIERS)) == expected
        assert fee_to_close(LONG, arguments[0], d("0.00055")) == fee


# ---------------------------------------------------------------------- captured figures (docs/bybit_streams.md 6)

HALF_PERCENT = (RiskTier(d(900_000), d("0.005"), d("0.01")),)
TAKER = d("0.00055")


def test_a_captured_long_and_its_margins():
    long, short = pair_margins(leg("0.1", "2500"), FLAT, d("2501.2"), HALF_PERCENT, TAKER)
    assert long == LegMargin(initial=d("25.13575"), maintenance=d("1.37435"))
    assert short == LegMargin(d(0), d(0))


@pytest.mark.parametrize(
    ("direction", "value", "cost"), [(LONG, "250", "25.26125"), (SHORT, "250", "25.28875"), (LONG, "248", "25.05916")]
)
def test_captured_costs_of_opening_orders(direction, value, cost):
    assert order_cost(direction, d(value), d(10), TAKER) == d(cost)


def test_a_pair_with_the_fitted_margins():
    long, short = pair_margins(leg("2", "2500"), leg("1", "2600"), d("2501.2"), HALF_PERCENT, TAKER)
    assert long == LegMargin(initial=d("502.715"), maintenance=d("14.981"))
    assert short == LegMargin(initial=d("4.4015"), maintenance=d("4.4015"))


def test_a_pair_with_the_fitted_liquidation_price():
    one_percent = (RiskTier(d(1_000_000), d("0.01"), d("0.02")),)
    balance = MarginBalance(d(50), d(0))
    assert liquidation_prices(leg("2", "100"), leg("1", "110"), d(100), balance, one_percent) == (d("53.1"), None)


@pytest.mark.parametrize(
    ("value", "rate", "added"),
    [
        ("25.293", "0.0075", "0.216128685"),  # 10 XRP at 2.5293, 2025-01: 0.21612868
        ("400", "0.005", "2.418"),  # BTC, 2024-01
        ("2800", "0.005", "16.926"),
    ],
)
def test_captured_maintenance_margins_of_opening_orders(value, rate, added):
    tiers = (RiskTier(d(1_000_000), d(rate), d("0.01")),)
    got = order_margin(LONG, d(value), d(10), tiers, TAKER)
    assert got == LegMargin(order_cost(LONG, d(value), d(10), TAKER), d(added))


def test_a_bigger_order_has_the_rate_and_the_deduction_of_its_own_tier():
    # 2000: 2 % less 10, and 2000 · 0.1 % + 2200 · 0.1 %
    assert order_margin(SHORT, d(2000), d(10), TIERS, d("0.001")).maintenance == d("34.2")


# SOLUSDT 0.2 @ 233.02, mark 233.029, 2025-10-02: an Indian account, 18 % GST on fees
SOL = RiskTier(d(50_000), d("0.005"), d("0.01"))
SOL_FEE = d("0.000649")


def test_fees_are_reserved_with_their_tax_and_at_the_usual_rate_at_least():
    assert reserve_fee(TAKER, d("0.18")) == SOL_FEE
    assert reserve_fee(d("0.0004")) == TAKER  # an account that pays 0.0004, XRP 2025-01
    assert reserve_fee(d("0.001"), d("0.1")) == d("0.0011")


def test_a_captured_long_of_an_account_that_pays_tax():
    long, _ = pair_margins(leg("0.2", "233.02"), FLAT, d("233.029"), (SOL,), SOL_FEE)
    assert (round(long.initial, 8), round(long.maintenance, 8)) == (d("4.68780140"), d("0.26025040"))  # …139, …039


def test_a_captured_liquidation_price_of_a_leg_alone():
    balance = MarginBalance(d("11.48691986"), d("0.26041992"))
    long, short = liquidation_prices(leg("0.2", "233.02"), FLAT, d("233.029"), balance, (SOL,))
    assert (long, short) == (d("176.8965003"), None)  # shown: 176.89650029


def test_the_rate_of_a_pair_is_that_of_its_bare_part():
    # 80 coins at 100 stand open, 5 are bare: 500 USDT, first tier; the gross value is in the third
    big, small = pair_margins(leg("42.5", "100"), leg("37.5", "101"), d(100), TIERS, d(0))
    assert big.maintenance == d(5)
    assert small.maintenance == d("0.01") * d("37.5") * d("5.657")


@settings(max_examples=EXAMPLES, deadline=None)
@given(size=st.integers(0, 200), more=st.integers(0, 100), hedge=st.integers(0, 200))
def test_more_that_is_bare_never_needs_less_maintenance(size, more, hedge):
    def maintenance(bare: int) -> Decimal:
        return pair_margins(leg(str(bare + hedge), "100"), leg(str(hedge), "100"), d(100), TIERS, d(0))[0].maintenance

    assert maintenance(size) <= maintenance(size + more)


@settings(max_examples=EXAMPLES * 4, deadline=None)
@given(
    sizes=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    entries=st.tuples(st.integers(80, 120), st.integers(80, 120)),
    marks=st.tuples(st.integers(85, 110), st.integers(0, 10), st.integers(0, 10)),
    limits=st.tuples(st.integers(60, 120), st.integers(80, 140)),
    more=st.integers(0, 40),
)
def test_with_the_margin_to_keep_liquidation_prices_stay_within_limits(sizes, entries, marks, limits, more):
    long, short = (leg(str(size), str(entry)) if size else FLAT for size, entry in zip(sizes, entries, strict=True))
    lowest, highest = d(marks[0]), d(marks[0] + marks[1])
    below, above = (d(limit) for limit in limits)
    keep = margin_to_keep(long, short, (lowest, highest), (below, above), TIERS)
    mark = lowest + (highest - lowest) * marks[2] / 10
    account = MarginBalance(keep.balance + max(d(more), keep.maintenance) + d("0.01"), d(0))
    one, other = liquidation_prices(long, short, mark, account, TIERS)
    assert (one or 0) <= below
    assert not other or other >= above


@case_table(
    ("long", "short", "keep"),
    [
        (FLAT, FLAT, ("0", "0")),
        (leg("2", "100"), leg("2", "90"), ("0", "0")),
        # the mark at most 110, the price at most 0.999 · 80: 30.08 a coin; and from 90 on up to 1.001 · 120
        (leg("2", "100"), FLAT, ("0", "60.16")),
        (FLAT, leg("2", "100"), ("0", "60.240")),
        # of a pair from the mark on, where the fit does not hold, and by the fit
        (leg("2", "70"), leg("1", "90"), ("0", "30.08")),
        # 1 % of 290 is needed, and from the entry on there are 20.08 for a coin
        (leg("2", "100"), leg("1", "90"), ("22.980", "30.08")),
        (leg("1", "100"), leg("2", "90"), ("32.920", "30.12")),
        (LegState(d(2)), leg("1", "90"), ("0", "0")),
    ],
)
def test_the_margin_to_keep(long, short, keep):
    found = margin_to_keep(long, short, (d(90), d(110)), (d(80), d(120)), TIERS)
    assert found == MarginBalance(*map(d, keep))


@settings(max_examples=EXAMPLES)
@given(
    st.tuples(*[st.decimals("0", "30", places=2)] * 2),
    st.tuples(*[st.decimals("80", "120", places=3)] * 2),
    st.decimals("90", "110", places=2),
    st.decimals("0.981", "1.019", places=3),
    st.sampled_from((d("8"), d("8"), d("3"))),
)
def test_around_a_mark_price_margins_are_a_line(sizes, entries, mark, part, leverage):
    long, short = (LegState(*each, None, leverage) for each in zip(sizes, entries, strict=True))
    parts = pair_parts(long, short, d("0.00055"))
    line, other = parts.line_at(mark, TIERS), mark * part
    if line is not None and line.low <= other <= line.high:
        found = LegMargin(*line.at(other)), LegMargin(line.buffer, line.buffer)
        assert (found if parts.long_is_bigger else found[::-1]) == parts.margins(other, TIERS)


@case_table(
    ("size", "leverage", "is_line"),
    (
        ("1", "10", True),
        ("0", "10", True),
        ("1", "3", False),  # a third has no end
        ("2", "3", False),  # nor have two, and rounded three times as much are two again
        ("9.9", "10", False),  # the first tier ends at 1000 USDT
        ("15", "10", True),
    ),
)
def test_where_margins_are_no_line(size, leverage, is_line):
    parts = pair_parts(leg(size, "100", leverage), leg("0", "100", leverage), d("0.00055"))
    assert (parts.line_at(d("100"), TIERS) is not None) is is_line


def test_margins_are_no_line_where_the_deduction_is_more():
    parts = pair_parts(leg("1", "100"), leg("0", "100"), d("0.00055"))
    assert parts.line_at(d("100"), (RiskTier(d("1000"), d("0.02"), d("0.1"), d("5")),)) is None
