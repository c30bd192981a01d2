"""How much may differ and still be the same, and how far one looks for what belongs together. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Final

from gridbot.core.strict_numbers import amount_or_none

__all__ = ["EXACT_WORDS", "Reach", "Tolerance", "tolerance_of"]

LARGEST: Final = Decimal(10) ** 9
EXACT_WORDS: Final = "price (ticks), size (percent), time (seconds), rows (percent), money (USDT)"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Of a pair: price in ticks, size in percent of the larger, time in seconds. Of all rows: how many percent may
    differ for all to be the same; and how far the net results may be apart, USDT (None: that decides nothing)."""

    price: Decimal = Decimal(0)
    size: Decimal = Decimal(0)
    time: Decimal = Decimal(5)
    rows: Decimal = Decimal(0)
    money: Decimal | None = None

    def __str__(self) -> str:
        given = asdict(self).items()
        return ",".join(f"{name}={value.normalize():f}" for name, value in given if value is not None)


@dataclass(frozen=True, slots=True)
class Reach:
    """How far apart two rows may be and still be a pair that differs: in time (ms), in price (parts in a million)."""

    time_ms: int = 60_000
    near: int = 500


def tolerance_of(texts: Sequence[str], otherwise: Tolerance | None = None) -> Tolerance:
    """What texts such as `price=1,time=2` say, over what holds otherwise. Raise ValueError: expected ..., got ..."""
    found = otherwise or Tolerance()
    names = set(asdict(found))
    for text in texts:
        for part in filter(None, (each.strip() for each in text.split(","))):
            name, _, value = (each.strip() for each in part.partition("="))
            number = amount_or_none(value.removesuffix("%") if name in ("size", "rows") else value)
            if name not in names or number is None or number > LARGEST:
                raise ValueError(f"expected NAME=NUMBER of {EXACT_WORDS}, got {part!r:.60}")
            found = replace(found, **{name: number})
    return found
