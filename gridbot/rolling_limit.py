"""How many requests may leave now. Pure; times in seconds on a monotonic clock."""

from __future__ import annotations

from collections import deque

__all__ = ["WINDOW_S", "RollingLimit"]

WINDOW_S = 1.05
"""Bybit counts in a rolling second (docs/bybit.md 1.5); a little more, since requests travel at different speeds."""


class RollingLimit:
    """At most `rate` in any window: a token bucket would let twice that through after a pause."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._taken: deque[tuple[float, int]] = deque()
        self._blocked_until_s: float | None = None

    def take(self, wanted: int, now_s: float) -> int:
        """Take up to `wanted`; how many were granted (0 while blocked)."""
        if self._blocked_until_s is not None:
            if now_s < self._blocked_until_s:
                return 0
            self._blocked_until_s = None
        granted = max(0, min(wanted, self.rate - self._used(now_s)))
        if granted:
            self._taken.append((now_s, granted))
        return granted

    def wait_s(self, now_s: float) -> float:
        """Seconds until at least one more may go."""
        blocked = 0.0 if self._blocked_until_s is None else max(0.0, self._blocked_until_s - now_s)
        if self._used(now_s) < self.rate or not self._taken:
            return blocked
        return max(blocked, self._taken[0][0] + WINDOW_S - now_s + 1e-6)  # past the rounding of floats

    def block(self, until_s: float) -> None:
        """The exchange said "too many": nothing until then."""
        self._blocked_until_s = max(until_s, self._blocked_until_s or until_s)

    def correct(self, rate: int) -> None:
        """Take the quota the exchange's own header states."""
        if rate > 0:
            self.rate = rate

    def _used(self, now_s: float) -> int:
        while self._taken and now_s - self._taken[0][0] >= WINDOW_S:
            self._taken.popleft()
        return sum(n for _, n in self._taken)
