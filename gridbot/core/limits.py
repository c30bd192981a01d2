"""Limits on money held or lost: a fixed amount, a multiple of the wallet balance, or a share of a peak."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Self

from gridbot.core.strict_numbers import amount_or_none

__all__ = ["DrawdownLimit", "Limit", "OnBreach"]

ZERO = Decimal(0)
HUNDRED = Decimal(100)


class OnBreach(StrEnum):
    """What a latched cap does to an account."""

    REDUCE = "reduce"
    CANCEL = "cancel"
    FLATTEN = "flatten"


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


@dataclass(frozen=True, slots=True)
class DrawdownLimit:
    """How far equity may fall from its peak: a fixed amount (`"500"`, USDT), or a share of the peak (`"20%"`)."""

    value: Decimal
    """USDT, or percent when `of_peak`."""
    of_peak: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError for anything but a positive number, optionally before a percent sign, then below 100."""
        of_peak = text.endswith("%")
        value = amount_or_none(text[:-1].rstrip() if of_peak else text)
        if not value or (of_peak and value >= HUNDRED):
            raise ValueError(f"expected USDT such as 500 or a share of the peak such as 20%, got {text!r}")
        return cls(value, of_peak)

    def resolve(self, peak: Decimal) -> Decimal:
        """USDT at this peak (USDT); a share of a negative peak is 0."""
        if not self.of_peak:
            return self.value
        return self.value * peak / HUNDRED if peak > 0 else ZERO

    def __str__(self) -> str:
        return f"{self.value}%" if self.of_peak else str(self.value)
