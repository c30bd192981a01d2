"""The years in which a time that somebody types may lie. Pure.

Far outside of them a calendar ends: the day after 9999-12-31 is none, and years below 1000 are written with fewer
digits.
"""

from __future__ import annotations

from datetime import date
from typing import Final

__all__ = ["TYPED_YEARS", "is_typed_year"]

_FIRST: Final = 1970
_LAST: Final = 2999
TYPED_YEARS: Final = f"in a year from {_FIRST} to {_LAST}"
"""What is expected, in words."""


def is_typed_year(moment: date) -> bool:
    """Whether the year of a day, or of a time, is one of them."""
    return _FIRST <= moment.year <= _LAST
