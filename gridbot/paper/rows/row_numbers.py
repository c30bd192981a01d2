"""Numbers as Bybit writes them in rows. Pure."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

__all__ = ["cut", "exact", "exact_text", "plain", "plain_text"]

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
    return exact_text(format(value, "f"))


def exact_text(text: str) -> str:
    """`exact` of a number that is text already, as `str` writes it."""
    if "E" in text:
        return exact(Decimal(text))
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def plain_text(text: str) -> str:
    """A number that is text already, as `str` writes it, without exponent and with all its zeros."""
    return format(Decimal(text), "f") if "E" in text else text
