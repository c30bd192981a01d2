"""As of when rows are deleted because of their age. What a wrong clock deletes does not come back. Pure.

The machine's clock counts once it has run with the monotonic clock for `AGREED_S`. Before that, at a start and after
each step, it may be days ahead for the minutes that the time service needs. Then the time is at most the last one known
(of the newest commit before this process, or the last that counted) plus what has passed since.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["AGREED_S", "STEP_US", "RetentionClock"]

AGREED_S: Final = 3000.0
"""Less than the hour from one deletion to the next: the second one after a start or a step goes by the clock again."""
STEP_US: Final = 60_000_000
"""From one look to the next the clock is set by less (drift, a leap second, a time service that corrects it slowly)."""


@dataclass(slots=True)
class RetentionClock:
    """Times of the wall in µs UTC, monotonic ones in seconds."""

    _known: tuple[int, float] | None = None
    """Time of the wall that was right, and the monotonic time of then."""
    _ahead_us: int | None = None
    _agreed_since_s: float = 0.0

    def begin(self, newest_us: int | None, now_s: float) -> None:
        """The newest commit of earlier processes, None without one. Only the first call counts."""
        if self._known is None and newest_us is not None:
            self._known = newest_us, now_s

    def now_us(self, wall_us: int, now_s: float) -> int:
        """As of when rows are old."""
        ahead_us = wall_us - round(now_s * 1_000_000)
        if self._ahead_us is None or abs(ahead_us - self._ahead_us) > STEP_US:
            self._agreed_since_s = now_s
        self._ahead_us = ahead_us
        if self._known is None or now_s - self._agreed_since_s >= AGREED_S:
            self._known = wall_us, now_s
            return wall_us
        known_us, then_s = self._known
        return min(wall_us, known_us + round((now_s - then_s) * 1_000_000))
