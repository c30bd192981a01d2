"""Candles as ticks, by a rule that docs/market-data.md states. Pure.

Four ticks each: open, the extreme that is nearer to the open, the other one, close; at the start, a third, two thirds,
and the last ms of the candle. Of extremes equally far the low comes first where the candle rises, else the high. A
quarter of the volume goes to each, in whole steps, and the rest to the close. Nothing says that the market went so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["TICKS", "Grid", "candle_ticks", "grid_of"]

Whole: TypeAlias = NDArray[np.int64]
TICKS: Final = 4
MINUTE_MS: Final = 60_000
LONGEST_MS: Final = 86_400_000


class Grid(NamedTuple):
    """How long each candle is, and how far after a multiple of that it begins, both in ms; `is_sure`: most say so."""

    span_ms: int
    offset_ms: int
    is_sure: bool


def grid_of(starts_ms: Whole) -> Grid:
    """The distance of most neighbours, which one candle too many does not change; at most a day.

    Where no distance is that of most, as where minutes without a trade are left out, all are multiples of it. One
    candle alone is a minute.
    """
    steps, counts = np.unique(np.diff(np.unique(starts_ms)), return_counts=True)
    is_sure = bool(len(steps)) and bool(counts.max() > 1) and bool(2 * counts.max() > counts.sum())
    span = int(steps[counts.argmax()] if is_sure else np.gcd.reduce(steps)) if len(steps) else MINUTE_MS
    span = min(span, LONGEST_MS)
    offsets, votes = np.unique(starts_ms % span, return_counts=True)
    return Grid(span, int(offsets[votes.argmax()]) if len(offsets) else 0, is_sure)


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
