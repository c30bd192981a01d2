"""How many requests may leave, or come in, now. Pure; times in seconds on any clock that does not go back."""

from __future__ import annotations

from collections import deque

__all__ = ["ORDER_WINDOW_S", "RollingLimit"]

ORDER_WINDOW_S = 1.05
"""Bybit counts in a rolling second (docs/bybit.md 1.5); a little more, since requests travel at different speeds."""


class RollingLimit:
    """At most `rate` in any window of `window_s`: a token bucket would let twice that through after a pause."""

    def __init__(self, rate: int, window_s: float = ORDER_WINDOW_S) -> None:
        self.rate = rate
        self.window_s = window_s
        self._taken: deque[tuple[float, int]] = deque()
        self._in_window = 0
        self._blocked_until_s: float | None = None

    def take(self, wanted: int, now_s: float) -> int:
        """Take up to `wanted`; how many were granted (0 while blocked)."""
        if self._blocked_until_s is not None:
            if now_s < self._blocked_until_s:
                return 0
            self._blocked_until_s = None
        granted = max(0, min(wanted, self.rate - self.used(now_s)))
        if granted:
            self._taken.append((now_s, granted))
            self._in_window += granted
        return granted

    def used(self, now_s: float) -> int:
        """How many were granted within the window."""
        while self._taken and now_s - self._taken[0][0] >= self.window_s:
            self._in_window -= self._taken.popleft()[1]
        return self._in_window

    def oldest_s(self) -> float | None:
        """When the oldest ones were granted that are still counted; None when there are none."""
        return self._taken[0][0] if self._taken else None

    def wait_s(self, now_s: float) -> float:
        """Seconds until at least one more may go."""
        blocked = 0.0 if self._blocked_until_s is None else max(0.0, self._blocked_until_s - now_s)
        if self.used(now_s) < self.rate or not self._taken:
            return blocked
        return max(blocked, self._taken[0][0] + self.window_s - now_s + 1e-6)  # past the rounding of floats

    def block(self, until_s: float) -> None:
        """The exchange said "too many": nothing until then."""
        self._blocked_until_s = max(until_s, self._blocked_until_s or until_s)

    def correct(self, rate: int) -> None:
        """Take the quota the exchange's own header states."""
        if rate > 0:
            self.rate = rate
