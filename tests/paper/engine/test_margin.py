"""Margin arithmetic against the figures of docs/bybit.md 6 and docs/incidents-operations.md 7.5, 7.6."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

from gridbot.core.instrument import RiskTier
from gridbot.core.vocabulary import Direction
from gridbot.paper.engine.pair_margin import (
    FLAT,
    order_cost,
    pair_liquidation_prices,
    pair_margins,
    tier_for,
    unrealised_pnl,
)
from gridbot.paper.market.instruments import LISTINGS

D = Decimal
TAKER = D("0.00055")
TIERS = LISTINGS["ETHUSDT"].instrument.tiers
FIGURES: dict[str, Any] = {"mark": D("2501.20"), "leverage": D(10), "taker": TAKER, "tiers": TIERS}


def test_a_single_long_is_the_worked_example_of_the_reference() -> None:
    long, short = pair_margins(D("0.10"), D(2500), D(0), D(0), **FIGURES)
    assert long.initial == D("25.13575")
    assert long.maintenance == D("1.37435")
    assert short == FLAT
    assert unrealised_pnl(Direction.LONG, D("0.10"), D(2500), D("2501.20")) == D("0.12")


def test_cost_of_an_opening_order_is_margin_and_both_fees() -> None:
    assert order_cost(Direction.LONG, D("0.10"), D(2480), D(10), TAKER) == D("24.8") + D("0.1364") + D("0.12276")
    short = order_cost(Direction.SHORT, D("0.10"), D(2480), D(10), TAKER)
    assert short == D("24.8") + D("0.1364") + D("0.15004")


def test_the_smaller_leg_of_a_pair_pays_only_for_the_hedged_part() -> None:
    long, short = pair_margins(D(2), D(2500), D(1), D(2600), **FIGURES)
    fee_short = D(1) * D(2600) * D("1.1") * TAKER
    assert short.initial == short.maintenance == fee_short + D("0.005") * 100 * D("5.657")
    fee_long = D(2) * D(2500) * D("0.9") * TAKER
    assert long.initial == D(2) * D("2501.20") / 10 + fee_long
    assert long.maintenance == D(1) * D("2501.20") * D("0.005") + fee_long


def test_pair_liquidation_prices() -> None:
    tiers = (RiskTier(D(1_000_000), D("0.01"), D("0.02")),)
    one = pair_liquidation_prices(D(2), D(100), D(1), D(110), equity=D(50), tiers=tiers)
    assert one == (D(100) - (D(50) - D("3.1")), None)
    other = pair_liquidation_prices(D(1), D(100), D(2), D(110), equity=D(50), tiers=tiers)
    assert other == (None, D(110) + (D(50) - D("3.2")))
    assert pair_liquidation_prices(D(1), D(100), D(1), D(110), equity=D(50), tiers=tiers) == (None, None)
    ruined = pair_liquidation_prices(D(2), D(100), D(0), D(0), equity=D(1), tiers=tiers)
    assert ruined == (D(100), None)


def test_tiers_are_chosen_by_value_and_continuous() -> None:
    for listing in LISTINGS.values():
        tiers = listing.instrument.tiers
        for lower, upper in pairwise(tiers):
            at_limit = lower.limit * lower.mm_rate - lower.mm_deduction
            assert at_limit == upper.limit * 0 + lower.limit * upper.mm_rate - upper.mm_deduction
            assert lower.limit < upper.limit
        assert tier_for(tiers, tiers[0].limit) is tiers[0]
        assert tier_for(tiers, tiers[-1].limit * 10) is tiers[-1]
