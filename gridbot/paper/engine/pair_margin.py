"""Margin arithmetic of a cross-margin hedge-mode pair. Pure functions, Decimal, USDT.

Sources: docs/bybit.md 6.1 (single leg, fitted to a real capture) and docs/incidents-operations.md 7.4-7.6 (the pair).
A leg's `size` is absolute; `mark` and `entry` are prices; `taker` is the fee fraction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from gridbot.core.instrument import RiskTier
from gridbot.core.vocabulary import Direction

__all__ = [
    "FLAT",
    "LegMargin",
    "fee_to_close",
    "order_cost",
    "pair_liquidation_prices",
    "pair_margins",
    "tier_for",
    "unrealised_pnl",
]

ZERO = Decimal(0)
HEDGED_FACTOR = Decimal("5.657")
"""Empirical factor on the hedged part (docs/incidents-operations.md 7.6): close to 4*sqrt(2), without a derivation."""


@dataclass(frozen=True, slots=True)
class LegMargin:
    """Initial and maintenance margin of one leg, each with the fee to close it."""

    initial: Decimal
    maintenance: Decimal


FLAT = LegMargin(ZERO, ZERO)


def tier_for(tiers: Sequence[RiskTier], value: Decimal) -> RiskTier:
    """First tier whose limit holds `value`; the last one is open-ended."""
    for tier in tiers:
        if value <= tier.limit:
            return tier
    return tiers[-1]


def unrealised_pnl(direction: Direction, size: Decimal, entry: Decimal, mark: Decimal) -> Decimal:
    move = mark - entry if direction is Direction.LONG else entry - mark
    return size * move


def fee_to_close(direction: Direction, size: Decimal, entry: Decimal, leverage: Decimal, taker: Decimal) -> Decimal:
    """Fee at the bankruptcy price, where the leg's initial margin is gone."""
    share = 1 / leverage
    factor = 1 - share if direction is Direction.LONG else 1 + share
    return size * entry * factor * taker


def order_cost(direction: Direction, qty: Decimal, price: Decimal, leverage: Decimal, taker: Decimal) -> Decimal:
    """What an opening order locks: initial margin, fee to open, fee to close."""
    value = qty * price
    return value / leverage + value * taker + fee_to_close(direction, qty, price, leverage, taker)


def pair_margins(
    long_size: Decimal,
    long_entry: Decimal,
    short_size: Decimal,
    short_entry: Decimal,
    *,
    mark: Decimal,
    leverage: Decimal,
    taker: Decimal,
    tiers: Sequence[RiskTier],
) -> tuple[LegMargin, LegMargin]:
    """Margins of (long, short). The bigger leg pays for its value, the smaller one for the hedged part only.

    With one leg flat this is the single-leg arithmetic of docs/bybit.md 6.1. The long leg counts as the bigger one
    of an equal pair.
    """
    if not long_size and not short_size:
        return FLAT, FLAT
    tier = tier_for(tiers, long_size * long_entry + short_size * short_entry)
    hedged = min(long_size, short_size)
    smaller_extra = tier.mm_rate * hedged * abs(long_entry - short_entry) * HEDGED_FACTOR

    def margin(direction: Direction, size: Decimal, entry: Decimal, *, bigger: bool) -> LegMargin:
        if not size:
            return FLAT
        fee = fee_to_close(direction, size, entry, leverage, taker)
        if not bigger:
            return LegMargin(fee + smaller_extra, fee + smaller_extra)
        maintenance = max((size - hedged) * mark * tier.mm_rate - tier.mm_deduction, ZERO)
        return LegMargin(size * mark / leverage + fee, maintenance + fee)

    long_is_bigger = long_size >= short_size
    return (
        margin(Direction.LONG, long_size, long_entry, bigger=long_is_bigger),
        margin(Direction.SHORT, short_size, short_entry, bigger=not long_is_bigger),
    )


def pair_liquidation_prices(
    long_size: Decimal,
    long_entry: Decimal,
    short_size: Decimal,
    short_entry: Decimal,
    *,
    equity: Decimal,
    tiers: Sequence[RiskTier],
) -> tuple[Decimal | None, Decimal | None]:
    """Estimated liquidation prices of (long, short); None where there is none (docs/incidents-operations.md 7.5).

    Maintenance margin counts at the full rate on the gross value, without relief for the hedge. Other symbols are
    not seen here.
    """
    net = long_size - short_size
    if not net:
        return None, None
    gross = long_size * long_entry + short_size * short_entry
    tier = tier_for(tiers, gross)
    pool = max(ZERO, equity - max(ZERO, gross * tier.mm_rate - tier.mm_deduction))
    if net > 0:
        return max(ZERO, long_entry - pool / net), None
    return None, short_entry + pool / -net
