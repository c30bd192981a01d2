"""Rows of days on their way from files: their columns, and whose they are. Pure."""

from __future__ import annotations

import re
from datetime import date
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["ROW", "SYMBOL", "DayKey", "Records"]

SYMBOL: Final = re.compile(r"[A-Z0-9][A-Z0-9-]{0,39}")
"""What may be the name of a directory of days."""
ROW: Final = np.dtype(
    [("at", "<i8"), ("price", "<i8"), ("size", "<i8"), ("side", "i1"), ("id", "<u8"), ("file", "<i4"), ("row", "<i8")]
)
"""`at` ms UTC, `price` ticks (marks: their own unit), `size` steps, `id` 0 where there is none; whence it came."""
Records: TypeAlias = NDArray[np.void]


class DayKey(NamedTuple):
    """A symbol's day, and a kind of rows."""

    symbol: str
    date: date
    kind: str
