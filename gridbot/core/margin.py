"""Margins of positions and orders, and where a hedge pair would be liquidated. USDT throughout.

The only margin arithmetic: the paper exchange, checks and what-ifs all use it. Rules: docs/risk.md 7; captured
figures: docs/bybit_streams.md 6, checked by tests/core/test_margin.py.

Margins by tiers, of one leg and of orders are the exchange's published rules. The pair's liquidation price and the
margins of its legs are fits to a real account; the exchange's own figures come first. They know one symbol only.

A rate and its deduction always belong to the tier of the value they are applied to. The margin is then continuous and
grows with the value; with the tier of another value it would jump, or fall as the position grows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from gridbot.core.exact import WIDE
from gridbot.core.instrument import RiskTier
from gridbot.core.risk_rules import LegState
from gridbot.core.vocabulary import Direction

__all__ = [
    "LegMargin",
    "check_tiers",
    "fee_to_close",
    "initial_margin",
    "maintenance_margin",
    "margin_percent",
    "order_cost",
    "pair_liquidation",
    "pair_margins",
    "tier_for",
]

ZERO = Decimal(0)
ONE = Decimal(1)

HEDGE_FACTOR = Decimal("5.657")
"""Fitted factor in the smaller leg's buffer (docs/bybit_streams.md 6.4): close to 4 * sqrt(2), without a derivation."""


@dataclass(frozen=True, slots=True)
class LegMargin:
    """Initial and maintenance margin of one leg, in USDT."""

    initial: Decimal
    maintenance: Decimal


def check_tiers(tiers: Sequence[RiskTier]) -> None:
    """Raise ValueError unless limits rise strictly and every rate is above 0 and below 1."""
    for lower, upper in pairwise(tiers):
        if upper.limit <= lower.limit:
            raise ValueError(f"risk tiers: expected rising limits, got {upper.limit} after {lower.limit}")
    for tier in tiers:
        for name, rate in (("maintenance", tier.mm_rate), ("initial", tier.im_rate)):
            if not 0 < rate < 1:
                raise ValueError(f"risk tiers: expected a {name} rate between 0 and 1, got {rate} up to {tier.limit}")


def tier_for(tiers: Sequence[RiskTier], value: Decimal) -> RiskTier:
    """The first tier whose limit covers a position value; the last is open-ended. Raise ValueError without tiers."""
    if not tiers:
        raise ValueError("expected at least one risk tier; load them from market/risk-limit")
    for tier in tiers:
        if value <= tier.limit:
            return tier
    return tiers[-1]


def initial_margin(value: Decimal, tiers: Sequence[RiskTier], leverage: Decimal = ONE) -> Decimal:
    """value · the tier's initial rate; without tiers value / leverage."""
    if not tiers:
        return WIDE.divide(value, leverage)
    return WIDE.multiply(value, tier_for(tiers, value).im_rate)


def maintenance_margin(value: Decimal, tiers: Sequence[RiskTier]) -> Decimal:
    """value · the tier's maintenance rate − its deduction, never below 0."""
    return _maintenance(value, tier_for(tiers, value))


def _maintenance(value: Decimal, tier: RiskTier) -> Decimal:
    return max(ZERO, WIDE.subtract(WIDE.multiply(value, tier.mm_rate), tier.mm_deduction))


def margin_percent(margin: Decimal, margin_balance: Decimal) -> Decimal | None:
    """IMR % or MMR %: total margin against the margin balance; None when there is no balance to divide by."""
    if not margin_balance > 0:
        return None
    return WIDE.divide(WIDE.multiply(margin, Decimal(100)), margin_balance)


def pair_liquidation(
    long: LegState, short: LegState, total_equity: Decimal, tiers: Sequence[RiskTier]
) -> tuple[Decimal | None, Decimal | None]:
    """Liquidation prices (long, short) in cross margin and hedge mode; only the bigger leg has one.

    Source: docs/bybit_streams.md 6.3.

    What the account can lose, `total_equity` less the maintenance margin of both legs together (no relief for the
    hedge), is spread over the surplus of the bigger leg. Nothing left to lose means liquidation at the entry price.
    """
    entry, surplus = long.entry_price, WIDE.subtract(long.size, short.size)
    if surplus < 0:
        entry = short.entry_price
    if not surplus or entry is None:
        return None, None
    pool = WIDE.subtract(total_equity, maintenance_margin(WIDE.add(long.value, short.value), tiers))
    price = entry if pool <= 0 else WIDE.subtract(entry, WIDE.divide(pool, surplus))
    return (max(ZERO, price), None) if surplus > 0 else (None, price)


def fee_to_close(direction: Direction, leg: LegState, taker_fee: Decimal) -> Decimal:
    """Taker fee to close a leg at its bankruptcy price: 1/leverage below the entry for long, above it for short."""
    value = leg.value
    return WIDE.multiply(_bankrupt_value(direction, value, WIDE.divide(value, leg.leverage)), taker_fee)


def order_cost(direction: Direction, value: Decimal, leverage: Decimal, taker_fee: Decimal) -> Decimal:
    """What an opening order of this value (quantity · limit price) locks: initial margin, fees to open and to close."""
    initial = WIDE.divide(value, leverage)
    traded = WIDE.add(value, _bankrupt_value(direction, value, initial))
    return WIDE.add(initial, WIDE.multiply(traded, taker_fee))


def _bankrupt_value(direction: Direction, value: Decimal, initial: Decimal) -> Decimal:
    """A leg's value at the price where its initial margin is gone."""
    return WIDE.subtract(value, initial) if direction is Direction.LONG else WIDE.add(value, initial)


def pair_margins(
    long: LegState, short: LegState, mark: Decimal, tiers: Sequence[RiskTier], taker_fee: Decimal
) -> tuple[LegMargin, LegMargin]:
    """Margins (long, short) the exchange shows for each leg of a hedged pair (docs/bybit_streams.md 6.4).

    The bigger leg (long if they are equal) carries the initial margin of its whole mark value and the maintenance
    margin of what the other does not hedge, at the tier of that part. The smaller leg carries a buffer for the distance
    of the two entries, at the same rate. A leg alone has the margins of a single position (docs/bybit_streams.md 6.1).
    """
    fees = fee_to_close(Direction.LONG, long, taker_fee), fee_to_close(Direction.SHORT, short, taker_fee)
    long_is_bigger = long.size >= short.size
    big, small = (long, short) if long_is_bigger else (short, long)
    big_fee, small_fee = fees if long_is_bigger else (fees[1], fees[0])
    bare_value = WIDE.multiply(WIDE.subtract(big.size, small.size), mark)
    tier = tier_for(tiers, bare_value)
    initial = WIDE.divide(WIDE.multiply(big.size, mark), big.leverage)
    bigger = LegMargin(WIDE.add(initial, big_fee), WIDE.add(_maintenance(bare_value, tier), big_fee))
    buffer = small_fee
    if small.size > 0 and big.entry_price is not None and small.entry_price is not None:
        distance = WIDE.abs(WIDE.subtract(big.entry_price, small.entry_price))
        factor = WIDE.multiply(tier.mm_rate, HEDGE_FACTOR)
        buffer = WIDE.add(buffer, WIDE.multiply(WIDE.multiply(factor, small.size), distance))
    smaller = LegMargin(initial=buffer, maintenance=buffer)
    return (bigger, smaller) if long_is_bigger else (smaller, bigger)
