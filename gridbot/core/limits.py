"""Limits on money held or lost: a fixed amount, or a multiple of the wallet balance."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Self

from gridbot.core.strict_numbers import amount_or_none

__all__ = ["Limit"]

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Limit:
    """A cap in USDT: a fixed amount (`"20000"`), or a multiple of the wallet balance (`"x10"`)."""

    value: Decimal
    of_wallet: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError for anything but a positive number, optionally after an x."""
        of_wallet = text.startswith("x")
        value = amount_or_none(text[1:] if of_wallet else text)
        if not value:
            raise ValueError(f"expected USDT such as 20000 or a multiple of the wallet such as x10, got {text!r}")
        return cls(value, of_wallet)

    def resolve(self, wallet: Decimal) -> Decimal:
        """USDT at this wallet balance (USDT); a multiple of a negative balance is 0."""
        if not self.of_wallet:
            return self.value
        return self.value * wallet if wallet > 0 else ZERO

    def __str__(self) -> str:
        return f"x{self.value}" if self.of_wallet else str(self.value)
