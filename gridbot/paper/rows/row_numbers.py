"""Numbers as Bybit writes them in rows. Pure."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

__all__ = ["cut", "exact", "plain"]

UNIT = Decimal("0.00000001")


def plain(value: Decimal) -> str:
    """Without exponent and trailing zeros: `250`, `25.13575`; at most eight decimals."""
    if not value:
        return "0"
    text = format(value, "f")
    decimals = len(text) - 1 - text.find(".") if "." in text else 0
    if not decimals:
        return text
    if decimals > 8:
        text = format(value.quantize(UNIT), "f")
    return text.rstrip("0").rstrip(".")


def cut(value: Decimal, places: int) -> str:
    """As `plain`, with at most so many decimals; the others are cut off, not rounded."""
    return plain(value.quantize(Decimal(1).scaleb(-places), ROUND_DOWN))


def exact(value: Decimal) -> str:
    """As `plain`, but with all its decimals: amounts that others add up."""
    text = format(value, "f")
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text
