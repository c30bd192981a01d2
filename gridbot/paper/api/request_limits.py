"""Request limits (docs/bybit.md 1.5): per account and endpoint over a second, per address over five. Pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from gridbot.paper.settings import RateLimitConfig
from gridbot.rolling_limit import RollingLimit

__all__ = [
    "ENDPOINT_WINDOW_MS",
    "REQUEST_WINDOW_S",
    "AddressLimiter",
    "EndpointLimiter",
    "KeyedLimit",
    "Quota",
]

ENDPOINT_WINDOW_MS = 1000
REQUEST_WINDOW_S = 5.0
KEYS_KEPT = 1000


class Quota(NamedTuple):
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
    """Rolling window per (account, endpoint), mostly of a second. A limit of 0 counts nothing and grants all."""

    def __init__(self) -> None:
        self._limits: dict[tuple[str, str], RollingLimit] = {}

    def take(
        self,
        account: str,
        endpoint: str,
        limit: int,
        units: int,
        now_ms: int,
        window_ms: int = ENDPOINT_WINDOW_MS,
    ) -> Quota:
        """Ask for `units`; fewer may be granted. The reset time is in the future if any were refused."""
        if not limit:
            return Quota(units, 1000, 999, now_ms)
        rolling = self._limits.get((account, endpoint))
        if rolling is None:  # in milliseconds: whole numbers
            rolling = self._limits[(account, endpoint)] = RollingLimit(limit, window_ms)
        granted = rolling.take(units, now_ms)
        reset_ms = now_ms if granted == units else now_ms + int(rolling.wait_s(now_ms)) + 1
        return Quota(granted, limit, rolling.left(now_ms), reset_ms)


class KeyedLimit:
    """At most so many of something in any window of some seconds, for each key. A limit of 0 allows all.

    Of more keys than `KEYS_KEPT` those that were heard of last are counted.
    """

    def __init__(self, limit: int, window_s: float) -> None:
        self._limit = limit
        self._window_s = window_s
        self._limits: OrderedDict[str, RollingLimit] = OrderedDict()

    def is_used_up(self, key: str, now_s: float) -> bool:
        """True when one more would be too many."""
        rolling = self._limits.get(key)
        return rolling is not None and not rolling.left(now_s)

    def allows(self, key: str, now_s: float) -> bool:
        """Count one more, unless it is one too many."""
        if not self._limit:
            return True
        rolling = self._limits.get(key)
        if rolling is None:
            rolling = self._limits[key] = RollingLimit(self._limit, self._window_s)
            if len(self._limits) > KEYS_KEPT:
                self._limits.popitem(last=False)
        self._limits.move_to_end(key)
        return rolling.take(1, now_s) == 1


class AddressLimiter:
    """HTTP requests of one address; beyond the limit it is banned for a while."""

    def __init__(self, config: RateLimitConfig) -> None:
        self._requests = KeyedLimit(config.ip_requests, REQUEST_WINDOW_S)
        self._ban_s = config.ip_ban_s
        self._banned_until: OrderedDict[str, float] = OrderedDict()

    def allows(self, address: str, now_s: float) -> bool:
        if self.is_banned(address, now_s):
            return False
        if self._requests.allows(address, now_s):
            return True
        self.ban(address, now_s + self._ban_s)
        return False

    def is_banned(self, address: str, now_s: float) -> bool:
        return now_s < self._banned_until.get(address, 0.0)

    def ban(self, address: str, until_s: float) -> None:
        self._banned_until[address] = until_s
        self._banned_until.move_to_end(address)
        if len(self._banned_until) > KEYS_KEPT:
            self._banned_until.popitem(last=False)
