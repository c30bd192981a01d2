"""Margins and prices of legs in isolated margin: captured figures, documented formulas, and what must always hold."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.core import Direction, LegMargin, LegState, RiskTier
from gridbot.core.isolated_margin import bankruptcy_price, isolated_liquidation, isolated_margin, replenishment
from gridbot.core.margin import maintenance_margin
from tests.case_table import case_table
from tests.core.helpers import EXAMPLES, LONG, SHORT, d

TAKER = d("0.00055")
FLAT = LegState()
NO_EXTRA = d(0)
TIERS = (
    RiskTier(d(1000), d("0.01"), d("0.02")),
    RiskTier(d(5000), d("0.02"), d("0.04"), d(10)),
    RiskTier(d(9000), d("0.05"), d("0.1"), d(160)),
)
BTC = (RiskTier(d(2_000_000), d("0.005"), d("0.01")),)


def leg(size: str, entry: str, leverage: str = "10") -> LegState:
    return LegState(d(size), d(entry), leverage=d(leverage))


def whole_tick(price: Decimal | None, tick: str) -> Decimal:
    assert price is not None
    return (price / d(tick)).to_integral_value(ROUND_CEILING) * d(tick)


# ---------------------------------------------------------------------- captured


def test_a_captured_short_in_a_unified_account() -> None:
    """ccxt issue 20948, 2024-01: totalPositionIM 11.5640358, totalPositionMM 0.4702608: 57.63 USDT at 5x, 0.75 %.

    The initial margin was the same a week before at another mark price: it goes by the entry."""
    tiers = (RiskTier(d(200_000), d("0.0075"), d("0.01")),)
    entry = d("57.63")
    margin = isolated_margin(SHORT, leg("1", "57.63", "5"), entry, NO_EXTRA, tiers, TAKER)
    assert (round(margin.initial, 7), round(margin.maintenance, 7)) == (d("11.5640358"), d("0.4702608"))
    later = isolated_margin(SHORT, leg("1", "57.63", "5"), entry - d("5.96"), NO_EXTRA, tiers, TAKER)
    assert later.initial == margin.initial


def test_a_captured_long_its_margin_and_its_prices() -> None:
    """ccxt issue 21941, 2024-03: 0.001 BTC @ 70160.6 at 10x; positionBalance 7.0507895, bustPrice 63144.60, liqPrice
    63495.40. That liquidation price had the maintenance margin of the entry; with that of the price itself, as the help
    page of 2026 has it, it is lower."""
    btc = leg("0.001", "70160.6")
    margin = isolated_margin(LONG, btc, d("70152.80"), NO_EXTRA, BTC, TAKER)
    assert round(margin.initial, 7) == d("7.0507895")
    assert whole_tick(bankruptcy_price(LONG, btc, NO_EXTRA, TAKER), "0.1") == d("63144.60")
    at_entry = btc.value - btc.value / 10 + maintenance_margin(btc.value, BTC)
    assert whole_tick(at_entry / btc.size, "0.1") == d("63495.40")
    assert whole_tick(isolated_liquidation(LONG, btc, NO_EXTRA, BTC), "0.1") == d("63461.90")


# ---------------------------------------------------------------------- by hand


def test_margin_of_a_leg() -> None:
    # 1000 / 10 + 900 · 0.001 + 7; 10 · 90 · 1 % + 900 · 0.001
    assert isolated_margin(LONG, leg("10", "100"), d(90), d(7), TIERS, d("0.001")) == LegMargin(d("107.9"), d("9.9"))
    assert isolated_margin(SHORT, FLAT, d(90), NO_EXTRA, TIERS, d("0.001")) == LegMargin(d(0), d(0))


@case_table(
    ("direction", "size", "extra", "price"),
    [
        (LONG, "20", "0", "91.32653061"),  # (2000 - 200 - 10) / (20 · 0.98): second tier
        (LONG, "20", "90", "86.73469388"),
        (LONG, "11", "0", "90.90909091"),  # value there 1000, where both tiers have the same margin: 990 / (11 · 0.99)
        (LONG, "11", "55", "85.85858586"),  # (1100 - 165) / (11 · 0.99): first tier, though the entry is in the second
        (SHORT, "20", "0", "108.33333333"),  # (2000 + 200 + 10) / (20 · 1.02)
        (SHORT, "20", "-50", "105.88235294"),
        (SHORT, "9", "0", "108.91089109"),  # (900 + 90) / (9 · 1.01)
    ],
)
def test_liquidation_prices(direction, size, extra, price) -> None:
    got = isolated_liquidation(direction, leg(size, "100"), d(extra), TIERS)
    assert got is not None
    assert round(got, 8) == d(price)


def test_flat_legs_have_no_prices() -> None:
    for nothing in (FLAT, LegState(d(1))):
        assert isolated_liquidation(LONG, nothing, NO_EXTRA, TIERS) is None
        assert bankruptcy_price(LONG, nothing, NO_EXTRA, TAKER) is None


def test_a_long_that_is_paid_for_is_never_liquidated() -> None:
    paid = leg("10", "100", "1")
    assert isolated_liquidation(LONG, paid, NO_EXTRA, TIERS) == 0
    assert isolated_liquidation(LONG, paid, d(500), TIERS) == 0
    assert bankruptcy_price(LONG, paid, d(500), TAKER) == 0


@case_table(
    ("extra", "available", "added"),
    [("0", "1000", "100"), ("0", "30", "30"), ("850", "1000", "50"), ("900", "1000", "0"), ("0", "-5", "0")],
)
def test_what_a_leg_is_given_before_it_is_liquidated(extra, available, added) -> None:
    assert replenishment(leg("10", "100"), d(extra), d(available)) == d(added)


# ---------------------------------------------------------------------- always

LEGS = st.builds(
    lambda size, entry, leverage: LegState(Decimal(size) / 10, Decimal(entry) / 10, leverage=Decimal(leverage)),
    st.integers(1, 2000),
    st.integers(100, 2000),
    st.integers(2, 40),
)


def gain_at(price: Decimal, state: LegState, direction: Direction) -> Decimal:
    gain = state.size * price - state.value
    return gain if direction is LONG else -gain


@settings(max_examples=EXAMPLES, deadline=None)
@given(LEGS, st.sampled_from((LONG, SHORT)), st.integers(0, 100))
def test_at_the_liquidation_price_the_margin_left_is_the_maintenance_margin(state, direction, percent) -> None:
    extra = state.value / state.leverage * percent / 100
    price = isolated_liquidation(direction, state, extra, TIERS)
    assert price is not None
    if not price:
        return
    margin = isolated_margin(direction, state, price, extra, TIERS, TAKER)
    assert abs(margin.initial + gain_at(price, state, direction) - margin.maintenance) < d("1e-20")


@settings(max_examples=EXAMPLES, deadline=None)
@given(LEGS, st.sampled_from((LONG, SHORT)), st.integers(0, 100))
def test_closing_at_the_bankruptcy_price_costs_the_margin_and_no_more(state, direction, percent) -> None:
    extra = state.value / state.leverage * percent / 100
    price = bankruptcy_price(direction, state, extra, TAKER)
    assert price is not None
    if not price:
        return
    cost = state.size * price * TAKER - gain_at(price, state, direction)
    assert abs(cost - isolated_margin(direction, state, price, extra, TIERS, TAKER).initial) < d("1e-20")
    liquidated = isolated_liquidation(direction, state, extra, TIERS)
    assert liquidated is not None
    assert liquidated >= price if direction is LONG else liquidated <= price
