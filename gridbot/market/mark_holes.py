"""Where the mark prices of a day have holes. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gridbot.market.day import Day

__all__ = ["HOLE_MS", "SPARED_MS", "is_unmarked"]

HOLE_MS: Final = 30 * 60_000
"""A mark price that is older says nothing of now. Candles of an hour, the longest in use, have one each 20 minutes."""

SPARED_MS: Final = 60_000
"""Mark prices of minutes may begin so long after the first tick of all; nobody need hear of it."""


def is_unmarked(day: Day, before_ms: int | None = None, spared_ms: int = 0) -> NDArray[np.bool_] | None:
    """Which ticks have no mark price of the last `HOLE_MS`; None if none.

    `before_ms` is when (ms UTC) the newest mark price before the day was, None where there was none. Ticks that come at
    most `spared_ms` before the first one of the day are none of them.
    """
    marks, times = day.marks_ms, day.times_ms
    if not len(times):
        return None
    if not len(marks):
        return np.ones(len(times), np.bool_)
    early = times[: np.searchsorted(times, marks[0])]
    found = early < marks[0] - spared_ms
    if before_ms is not None:
        found &= early - before_ms > HOLE_MS
    if not found.any() and np.diff(np.append(marks, times[-1])).max() <= HOLE_MS:
        return None
    others = times[len(early) :]
    since = others - marks[np.searchsorted(marks, others, side="right") - 1]
    found = np.concatenate([found, since > HOLE_MS])
    return found if found.any() else None
