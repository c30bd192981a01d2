"""Numbers that came from outside: of the exchange, of a request, of a file that a person wrote. Pure.

One way to read them, at every door. A number is ASCII digits with at most one sign and one point, and perhaps an
exponent of two digits, since that is how JSON writes a small float: no underscores, no blanks, no digits of other
scripts, nothing that is not finite. What is longer or larger than any price, size or time is no number either: it
would cost time or memory later, or break arithmetic where nobody expects it.

Each function begins with the one test that nearly all numbers pass: `strip` leaves every sign that is not in its list,
wherever it stands. The hot path reads a dozen numbers a frame.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import TypeVar

__all__ = [
    "HIGHEST",
    "LATEST_MS",
    "amount_of",
    "amount_or_none",
    "count_or_none",
    "decimal_of",
    "decimal_or_none",
    "saved_decimal",
    "time_of",
    "time_or_none",
    "whole_of",
    "whole_or_none",
]

T = TypeVar("T")
HIGHEST = Decimal(10) ** 18
"""No price, size or amount of money reaches it."""
SMALLEST_POWER = -30
"""A number that is nearer to zero is no number of ours."""
MOST_WHOLE = 2**63
"""Whole numbers have 64 bits."""
LATEST_MS = 9_999_999_999_999
"""The last time (ms UTC) of 13 digits, in the year 2286."""

_AMOUNT = "0123456789."
_NUMBER = "0123456789.-"
_LONGEST = 18
"""Characters up to which a text of these cannot be too large."""
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,18}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,2})?").fullmatch
_WHOLE = re.compile(r"[+-]?[0-9]{1,19}").fullmatch


def decimal_or_none(value: object) -> Decimal | None:
    """A number nearer to zero than `HIGHEST`, from text or from a number of JSON; None for everything else."""
    if type(value) is str and len(value) <= _LONGEST and not value.strip(_NUMBER):
        try:
            return Decimal(value) if value else None
        except InvalidOperation:
            return None
    return _decimal(value)


def amount_or_none(value: object) -> Decimal | None:
    """The same for what is never below zero: a price, a size, an amount."""
    if type(value) is str and len(value) <= _LONGEST and not value.strip(_AMOUNT):
        try:
            return Decimal(value) if value else None
        except InvalidOperation:
            return None
    number = _decimal(value)
    return number if number is not None and number >= 0 else None


def whole_or_none(value: object) -> int | None:
    """A whole number of 64 bits, from text or int; None for everything else, a float or a bool included."""
    if type(value) is str:
        if len(value) <= _LONGEST and value.isdigit() and value.isascii():
            return int(value)
        if _WHOLE(value) is None:
            return None
        value = int(value)
    elif type(value) is not int:
        return None
    return value if -MOST_WHOLE <= value < MOST_WHOLE else None


def count_or_none(text: str) -> int | None:
    """A whole number of digits alone, as headers and paths have it: without a sign."""
    return int(text) if len(text) <= _LONGEST and text.isdigit() and text.isascii() else None


def time_or_none(value: object) -> int | None:
    """A time in ms UTC, 0 to `LATEST_MS`, from text or int; None for everything else."""
    found = whole_or_none(value)
    return found if found is not None and 0 <= found <= LATEST_MS else None


def decimal_of(value: object) -> Decimal:
    """`decimal_or_none`, for files: ValueError for what is no number."""
    return _found(decimal_or_none(value), "a number", value)


def amount_of(value: object) -> Decimal:
    """`amount_or_none`, for files: ValueError for what is no number, or below zero."""
    return _found(amount_or_none(value), f"a number from 0 to below {HIGHEST:.0e}", value)


def whole_of(value: object) -> int:
    """`whole_or_none`, for files: ValueError for what is no whole number."""
    return _found(whole_or_none(value), "a whole number", value)


def time_of(value: object) -> int:
    """`time_or_none`, for files: ValueError for what is no time in ms UTC."""
    return _found(time_or_none(value), "a time in ms", value)


def saved_decimal(value: object) -> Decimal:
    """A number that this program worked out and saved as text: of any length, but finite. ValueError for others."""
    try:
        number = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        number = None
    return _found(number if number is not None and number.is_finite() else None, "a finite number as text", value)


def _found(number: T | None, wanted: str, value: object) -> T:
    if number is None:
        raise ValueError(f"expected {wanted}, got {value!r:.80}")
    return number


def _decimal(value: object) -> Decimal | None:
    if type(value) is int:
        return Decimal(value) if -HIGHEST < value < HIGHEST else None
    text = repr(value) if type(value) is float else value
    if type(text) is not str or _DECIMAL(text) is None:
        return None
    number = Decimal(text)
    if not -HIGHEST < number < HIGHEST or (number and number.adjusted() < SMALLEST_POWER):
        return None
    return number
