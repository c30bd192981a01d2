"""Whether the machine's clock may say which rows are so old that they go. What a wrong clock deletes is gone. Pure.

At a start, and after a step, a clock may be days ahead for the minutes that the time service needs. So it counts once
it has run with the monotonic clock for `AGREED_S`; until then nothing is deleted because of its age, which only takes
room. Times that were recorded prove nothing: they may be of a wrong clock, too.
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

    _ahead_us: int | None = None
    _agreed_since_s: float = 0.0

    def counts(self, wall_us: int, now_s: float) -> bool:
        """Whether it has run evenly for long enough, as far as was looked."""
        ahead_us = wall_us - round(now_s * 1_000_000)
        if self._ahead_us is None or abs(ahead_us - self._ahead_us) > STEP_US:
            self._agreed_since_s = now_s
        self._ahead_us = ahead_us
        return now_s - self._agreed_since_s >= AGREED_S
