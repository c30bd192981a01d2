"""A limit on how often something may happen. Pure; times in seconds on a clock that never goes back."""

from __future__ import annotations

from collections import deque

__all__ = ["RollingLimit"]


class RollingLimit:
    """At most `rate` in any window of `window_s` seconds. A token bucket would let twice that through after a pause.

    `rate` is at least 1.
    """

    def __init__(self, rate: int, window_s: float) -> None:
        self.rate = rate
        self._window_s = window_s
        self._taken: deque[tuple[float, int]] = deque()
        self._used = 0
        self._blocked_until_s: float | None = None

    def take(self, wanted: int, now_s: float) -> int:
        """Take up to `wanted`; returns how many were granted (0 while blocked)."""
        if self._blocked_until_s is not None:
            if now_s < self._blocked_until_s:
                return 0
            self._blocked_until_s = None
        if self._taken and now_s - self._taken[0][0] >= self._window_s:
            self._forget_old(now_s)
        granted = min(wanted, self.rate - self._used)
        if granted <= 0:
            return 0
        self._taken.append((now_s, granted))
        self._used += granted
        return granted

    def left(self, now_s: float) -> int:
        """How many more fit into the window, whether blocked or not."""
        self._forget_old(now_s)
        return max(0, self.rate - self._used)

    def wait_s(self, now_s: float) -> float:
        """Seconds until at least one more may be taken."""
        blocked_s = 0.0 if self._blocked_until_s is None else max(0.0, self._blocked_until_s - now_s)
        if self._taken and now_s - self._taken[0][0] >= self._window_s:
            self._forget_old(now_s)
        if self._used < self.rate or not self._taken:
            return blocked_s
        oldest_leaves_s = self._taken[0][0] + self._window_s - now_s + 1e-6  # more than the rounding error of floats
        return max(blocked_s, oldest_leaves_s)

    def block(self, until_s: float) -> None:
        """Grant nothing until then."""
        self._blocked_until_s = max(until_s, self._blocked_until_s or until_s)

    def correct(self, rate: int) -> None:
        """Replace the rate; one below 1 is ignored."""
        if rate > 0:
            self.rate = rate

    def _forget_old(self, now_s: float) -> None:
        while self._taken and now_s - self._taken[0][0] >= self._window_s:
            self._used -= self._taken.popleft()[1]
