"""Candles as ticks, by a rule that docs/market-data.md states. Pure.

Four ticks each: open, the extreme that is nearer to the open, the other one, close; at the start, a third, two thirds,
and the last ms of the candle. Of extremes equally far the low comes first where the candle rises, else the high. A
quarter of the volume goes to each, in whole steps, and the rest to the close. Nothing says that the market went so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["TICKS", "candle_ticks", "span_of"]

Whole: TypeAlias = NDArray[np.int64]
TICKS: Final = 4
MINUTE_MS: Final = 60_000
LONGEST_MS: Final = 86_400_000


def span_of(starts_ms: Whole) -> int:
    """How long each candle is, ms: the least distance of two; a minute where there is one alone."""
    steps = np.diff(np.unique(starts_ms))
    return min(int(steps.min()), LONGEST_MS) if len(steps) else MINUTE_MS


def candle_ticks(
    starts_ms: Whole, corners: Sequence[Whole], volumes: Whole, span_ms: int
) -> tuple[Whole, Whole, Whole]:
    """Times (ms), prices (ticks) and sizes (steps) of the four ticks of each candle, one after the other.

    `corners` are opens, highs, lows and closes.
    """
    opens, highs, lows, closes = corners
    to_high, to_low = highs - opens, opens - lows
    low_first = (to_low < to_high) | ((to_low == to_high) & (closes >= opens))
    prices = np.stack([opens, np.where(low_first, lows, highs), np.where(low_first, highs, lows), closes], axis=1)
    offsets = np.array([0, span_ms // 3, 2 * span_ms // 3, span_ms - 1])
    quarter = volumes // TICKS
    sizes = np.stack([quarter, quarter, quarter, volumes - 3 * quarter], axis=1)
    return (starts_ms[:, None] + offsets).ravel(), prices.ravel(), sizes.ravel()
