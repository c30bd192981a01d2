"""Margin of a leg in isolated margin, and where it would be liquidated. USDT throughout; prices USDT per coin.

A leg has a margin of its own, set aside from the wallet: initial margin by its entry, the fee to close it at its
bankruptcy price, and what was added by hand or by itself (`extra`; negative when a funding was taken from it). Its
liquidation is due when that margin and the leg's unrealised PnL no longer cover its maintenance margin. Legs of a pair
give each other no relief.

Sources (docs/bybit_streams.md 6.6): initial and maintenance margin, bankruptcy price and margin of a leg as in captured
frames of 2024; the liquidation price with the maintenance margin at that price, as Bybit's help page of 2026-05-27
gives it for inverse contracts ("Liquidation Price Calculation under Isolated Mode").
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from gridbot.core.exact import WIDE
from gridbot.core.instrument import RiskTier
from gridbot.core.margin import LegMargin, fee_to_close, maintenance_margin
from gridbot.core.risk_rules import LegState
from gridbot.core.vocabulary import Direction

__all__ = ["bankruptcy_price", "isolated_liquidation", "isolated_margin", "replenishment"]

ZERO = Decimal(0)
ONE = Decimal(1)


def isolated_margin(
    direction: Direction, leg: LegState, mark: Decimal, extra: Decimal, tiers: Sequence[RiskTier], fee: Decimal
) -> LegMargin:
    """Margin of a leg (`initial`) and what of it must be left (`maintenance`); nothing for a flat leg.

    `fee` is the rate that is reserved for closing (`reserve_fee`), a fraction.
    """
    if not leg.size:
        return LegMargin(ZERO, ZERO)
    closing = fee_to_close(direction, leg, fee)
    initial = WIDE.add(WIDE.add(WIDE.divide(leg.value, leg.leverage), closing), extra)
    return LegMargin(initial, WIDE.add(maintenance_margin(WIDE.multiply(leg.size, mark), tiers), closing))


def isolated_liquidation(
    direction: Direction, leg: LegState, extra: Decimal, tiers: Sequence[RiskTier]
) -> Decimal | None:
    """The mark price at which the liquidation of a leg is due: margin + unrealised PnL = maintenance margin there.

    long: (value · (1 − 1/leverage) − extra − deduction) / (size · (1 − rate)); short: (value · (1 + 1/leverage) + extra
    + deduction) / (size · (1 + rate)). The fee to close is in both margins and falls out. Rate and deduction are those
    of the tier that the leg's value at that price is in: since the maintenance margin has no jumps and its rates rise,
    that tier is the one which liquidates first. Never below 0; None for a flat leg.
    """
    if not leg.size or leg.entry_price is None:
        return None
    held = WIDE.add(WIDE.divide(leg.value, leg.leverage), extra)
    if direction is Direction.LONG:
        value = max(_left(WIDE.subtract(leg.value, held), -tier.mm_deduction, -tier.mm_rate) for tier in tiers)
    else:
        value = min(_left(WIDE.add(leg.value, held), tier.mm_deduction, tier.mm_rate) for tier in tiers)
    return max(ZERO, WIDE.divide(value, leg.size))


def _left(backed: Decimal, deduction: Decimal, rate: Decimal) -> Decimal:
    return WIDE.divide(WIDE.add(backed, deduction), WIDE.add(ONE, rate))


def bankruptcy_price(direction: Direction, leg: LegState, extra: Decimal, fee: Decimal) -> Decimal | None:
    """The price at which closing a leg costs its margin, fee included: 1/leverage from the entry without `extra`.

    Never below 0; None for a flat leg.
    """
    if not leg.size or leg.entry_price is None:
        return None
    held = WIDE.add(WIDE.add(WIDE.divide(leg.value, leg.leverage), fee_to_close(direction, leg, fee)), extra)
    if direction is Direction.LONG:
        return max(ZERO, WIDE.divide(WIDE.subtract(leg.value, held), WIDE.multiply(leg.size, WIDE.subtract(ONE, fee))))
    return WIDE.divide(WIDE.add(leg.value, held), WIDE.multiply(leg.size, WIDE.add(ONE, fee)))


def replenishment(leg: LegState, extra: Decimal, available: Decimal) -> Decimal:
    """What is added to a leg by itself before it is liquidated: its initial margin once more, as far as there is any.

    At most until the margin covers the leg's whole value (1x). Source: Bybit's help page "Auto-Margin Replenishment".
    """
    initial = WIDE.divide(leg.value, leg.leverage)
    room = WIDE.subtract(leg.value, WIDE.add(initial, extra))
    return max(ZERO, min(initial, room, available))
