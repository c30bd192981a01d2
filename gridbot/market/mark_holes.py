"""Where the mark prices of a day have holes. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gridbot.market.day import Day

__all__ = ["HOLE_MS", "is_unmarked"]

HOLE_MS: Final = 30 * 60_000
"""A mark price that is older says nothing of now. Candles of an hour, the longest in use, have one each 20 minutes."""


def is_unmarked(day: Day) -> NDArray[np.bool_] | None:
    """Which ticks come over `HOLE_MS` after the newest mark price of their day, or before its first; None if none."""
    marks, times = day.marks_ms, day.times_ms
    if not len(marks):
        return np.ones(len(times), np.bool_) if len(times) else None
    if not len(times) or np.diff(np.concatenate([times[:1], marks, times[-1:]])).max() <= HOLE_MS:
        return None
    newest = np.searchsorted(marks, times, side="right") - 1
    found = np.where(newest < 0, marks[0] - times[0] > HOLE_MS, times - marks[newest] > HOLE_MS)
    return found if found.any() else None
