"""Hard limits: what is configured for one strategy, and what the comparison with one means. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal

from gridbot.core.limits import Limit

__all__ = ["WARN_AT", "CapEased", "CapWarned", "Caps", "warning"]

WARN_AT = Decimal("0.8")
_SHOWN = Context(prec=10)
"""A margin is a quotient: all its 28 digits say nothing to a reader."""


@dataclass(frozen=True, slots=True)
class Caps:
    """None means unlimited.

    `max_notional` limits the value of both legs and of resting opens (USDT); `max_margin` one leg's value, as a ratio
    to the wallet balance; `max_orders_per_minute` counts attempts.
    """

    max_notional: Limit | None = None
    max_open_orders: int | None = None
    max_margin: Decimal | None = None
    max_orders_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class CapWarned:
    """80 % of the cap `key` are used: worth a warning, once."""

    key: str
    text: str


@dataclass(frozen=True, slots=True)
class CapEased:
    """Less than 80 % of the cap `key` are used again: the next time is worth a warning again."""

    key: str


def warning(
    key: str, value: Decimal | int, limit: Decimal | int, warned: frozenset[str]
) -> CapWarned | CapEased | None:
    """What using `value` of `limit` means for the warnings; `warned` has the keys of those that stand."""
    if value < limit * WARN_AT:
        return CapEased(key) if key in warned else None
    if key in warned:
        return None
    used, most = Decimal(value).normalize(_SHOWN), Decimal(limit).normalize()
    return CapWarned(key, f"{key}: {used:f} of {most:f} used")
