"""Lines of the log that say the same again: one a minute, with how many there were. Times are monotonic seconds.

    12:00:01  ... was not confirmed: Too many visits! (retry)
    12:01:04  ... was not confirmed: Too many visits! (retry) (and 163 more like it since the last line)

What is counted here is in the records one by one; the log is for an operator, who learns nothing from the second line.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Repeats"]

QUIET_S = 60.0
KEPT = 100


class Repeats:
    """What was said, by any text that is the same for lines that say the same."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._said: dict[str, tuple[float, int]] = {}

    def tail(self, what: str) -> str | None:
        """What to write behind the line; None when it has been said, and is only counted."""
        now_s = self._now_s()
        said_s, more = self._said.pop(what, (now_s - QUIET_S, 0))
        if now_s - said_s < QUIET_S:
            self._said[what] = said_s, more + 1
            return None
        if len(self._said) >= KEPT:
            del self._said[next(iter(self._said))]
        self._said[what] = now_s, 0
        return f" (and {more} more like it since the last line)" if more else ""
