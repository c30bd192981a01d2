"""Arithmetic that rounds only where the code says so, whatever the ambient decimal context is.

Decisions use integers: a Decimal is split into numerator and denominator once, and compared by cross-multiplication.
Where a division has to give a Decimal, `WIDE` has 60 digits.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow

__all__ = ["WIDE", "ceil_div", "require_decimal", "round_div"]

# Prices, steps and quantities have well under 28 digits each: 60 hold any product of two exactly, and a quotient of two
# is a tie or a whole number after rounding to 60 digits only if it was one before.
WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])


def round_div(numerator: int, denominator: int) -> int:
    """`numerator / denominator` to the nearest whole number, ties to even; the denominator is positive."""
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and quotient % 2):
        return quotient + 1
    return quotient


def ceil_div(numerator: int, denominator: int) -> int:
    """The smallest whole number not below `numerator / denominator`; the denominator is positive."""
    return -(-numerator // denominator)


def require_decimal(name: str, value: object) -> None:
    """Raise TypeError unless `value` is a Decimal: a float has lost its digits before it gets here (incident L40)."""
    if not isinstance(value, Decimal):
        raise TypeError(
            f"{name}: expected a Decimal, got {type(value).__name__} {value!r}; write Decimal({str(value)!r})"
        )
