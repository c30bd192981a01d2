"""How many orders an account may send now: a limit per endpoint, and none by HTTP while its address is banned. Pure.

Times are seconds on the monotonic clock. The limits are Bybit's (docs/bybit.md 1.5): they count orders, not requests,
over a rolling second, for each endpoint separately. The quota stated in an answer replaces the one we start with.
"""

from __future__ import annotations

from collections.abc import Iterable

from gridbot.exchange.bans import Ban
from gridbot.exchange.failures import ErrorKind, ExchangeError
from gridbot.exchange.requests import RateLimit
from gridbot.rolling_limit import RollingLimit

__all__ = ["ORDERS_PER_S", "PAUSE_S", "WINDOW_S", "RateBudget"]

ORDERS_PER_S = 10
"""The smallest quota an account can have, until an answer states the real one."""
WINDOW_S = 1.05
"""Bybit's second plus a margin, since requests travel at different speeds."""
PAUSE_S = 1.0
"""How long an endpoint pauses after it answered "too many" (10006)."""


class RateBudget:
    """One per account, for the endpoints that take orders."""

    def __init__(self, endpoints: Iterable[str]) -> None:
        self.ban: Ban | None = None
        """The last ban of our address; it may be over."""
        self._limits = {endpoint: RollingLimit(ORDERS_PER_S, WINDOW_S) for endpoint in endpoints}

    def take(self, endpoint: str, wanted: int, now_s: float, *, by_http: bool = True) -> int:
        """Take up to `wanted` orders for a request that leaves now; returns how many it may hold, or 0."""
        if by_http and self.ban is not None and self.ban_left_s(now_s) > 0:
            return 0
        return self._limits[endpoint].take(wanted, now_s)

    def wait_s(self, endpoint: str, now_s: float, *, by_http: bool = True) -> float:
        """Seconds until the endpoint may take at least one more order."""
        wait_s = self._limits[endpoint].wait_s(now_s)
        return wait_s if self.ban is None or not by_http else max(self.ban_left_s(now_s), wait_s)

    def learn(self, endpoint: str, limit: RateLimit | None) -> None:
        """Use the quota stated in the exchange's last answer, if there was one."""
        if limit is not None:
            self._limits[endpoint].correct(limit.limit)

    def failed(self, endpoint: str, error: ExchangeError, now_s: float) -> None:
        """Hold back when a request failed because there were too many; other failures change nothing."""
        if error.kind is ErrorKind.RATE_LIMIT:
            self._limits[endpoint].block(now_s + PAUSE_S)
        elif error.kind is ErrorKind.IP_BAN:
            self.ban = Ban(now_s + error.silence_s, error)

    def banned(self, ban: Ban) -> None:
        """Another account of our address was told of a ban."""
        if self.ban is None or ban.until_s > self.ban.until_s:
            self.ban = ban

    def ban_left_s(self, now_s: float) -> float:
        """Seconds until HTTP requests may be sent again; not above zero when they may."""
        return 0.0 if self.ban is None else self.ban.until_s - now_s
