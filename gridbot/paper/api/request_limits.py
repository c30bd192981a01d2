"""Request limits (docs/bybit.md 1.5): per account and endpoint over a second, per address over five. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from gridbot.paper.settings import RateLimitConfig

__all__ = ["AddressLimiter", "EndpointLimiter", "Quota", "RollingLimit"]

REQUEST_WINDOW_S = 5.0


@dataclass(frozen=True, slots=True)
class Quota:
    """Outcome of asking for some units: how many were granted, and the three header values."""

    granted: int
    limit: int
    remaining: int
    reset_ms: int

    def headers(self) -> dict[str, str]:
        return {
            "X-Bapi-Limit": str(self.limit),
            "X-Bapi-Limit-Status": str(self.remaining),
            "X-Bapi-Limit-Reset-Timestamp": str(self.reset_ms),
        }


class EndpointLimiter:
    """Rolling one-second window per (account, endpoint). A limit of 0 counts nothing and grants all."""

    def __init__(self) -> None:
        self._used: dict[tuple[str, str], deque[int]] = {}

    def take(self, account: str, endpoint: str, limit: int, units: int, now_ms: int) -> Quota:
        """Ask for `units`; fewer may be granted. When none is left the reset time lies in the future."""
        if not limit:
            return Quota(units, 1000, 999, now_ms)
        used = self._used.setdefault((account, endpoint), deque())
        while used and used[0] <= now_ms - 1000:
            used.popleft()
        granted = min(units, limit - len(used))
        used.extend([now_ms] * granted)
        remaining = limit - len(used)
        reset_ms = now_ms if granted == units else used[0] + 1001
        return Quota(granted, limit, remaining, reset_ms)


class RollingLimit:
    """At most so many of something in any window of some seconds, by key. A limit of 0 allows all."""

    def __init__(self, limit: int, window_s: float) -> None:
        self._limit = limit
        self._window_s = window_s
        self._times: dict[str, deque[float]] = {}

    def allows(self, key: str, now_s: float) -> bool:
        """Count one more, unless it is one too many."""
        if not self._limit:
            return True
        times = self._times.setdefault(key, deque())
        while times and times[0] <= now_s - self._window_s:
            times.popleft()
        if len(times) >= self._limit:
            return False
        times.append(now_s)
        return True


class AddressLimiter:
    """HTTP requests of one address; beyond the limit it is banned for a while."""

    def __init__(self, config: RateLimitConfig) -> None:
        self._requests = RollingLimit(config.ip_requests, REQUEST_WINDOW_S)
        self._ban_s = config.ip_ban_s
        self._banned_until: dict[str, float] = {}

    def allows(self, address: str, now_s: float) -> bool:
        if now_s < self._banned_until.get(address, 0.0):
            return False
        if self._requests.allows(address, now_s):
            return True
        self.ban(address, now_s + self._ban_s)
        return False

    def ban(self, address: str, until_s: float) -> None:
        self._banned_until[address] = until_s
