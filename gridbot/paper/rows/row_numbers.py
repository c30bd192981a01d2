"""Numbers as Bybit writes them in rows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import ROUND_DOWN, Decimal

__all__ = ["cut", "exact", "exact_text", "multiples", "plain", "plain_text"]

UNIT = Decimal("0.00000001")
UNITS = tuple(Decimal(1).scaleb(-places) for places in range(9))
"""The last place of a number with so many decimals."""


def plain(value: Decimal) -> str:
    """Without exponent and trailing zeros: `250`, `25.13575`; at most eight decimals."""
    if not value:
        return "0"
    text = str(value)  # half the time of `format`, and there are twenty of them in the frames of an order
    if "E" in text:
        text = format(value, "f")
    point = text.find(".")
    if point < 0:
        return text
    if len(text) - point > 9:
        text = format(value.quantize(UNIT), "f")
    return text.rstrip("0").rstrip(".")


def cut(value: Decimal, places: int) -> str:
    """As `plain`, with at most so many decimals; the others are cut off, not rounded."""
    return plain(value.quantize(UNITS[places], ROUND_DOWN))


def exact(value: Decimal) -> str:
    """As `plain`, but with all its decimals: amounts that others add up."""
    return exact_text(str(value))


def exact_text(text: str) -> str:
    """`exact` of a number that is text already, as `str` writes it."""
    if "E" in text:
        text = format(Decimal(text), "f")
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def plain_text(text: str) -> str:
    """A number that is text already, as `str` writes it, without exponent and with all its zeros."""
    return format(Decimal(text), "f") if "E" in text else text


def multiples(unit: Decimal, counts: Iterable[int]) -> Iterator[str]:
    """Each whole multiple of a unit, with the unit's own number of decimals; `unit` and counts are above 0."""
    _, digits, exponent = unit.as_tuple()
    assert isinstance(exponent, int)
    one, places = int("".join(map(str, digits))) * 10 ** max(0, exponent), max(0, -exponent)
    if not places:
        return (str(one * count) for count in counts)
    scale = 10**places
    parts = (divmod(one * count, scale) for count in counts)
    return (f"{whole}.{part:0{places}d}" for whole, part in parts)
