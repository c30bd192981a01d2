"""Who asks over a connection: a stranger, or somebody who has shown a key. Pure. Pages: `gridbot.doors.http_site`.

Whoever has not signed anything on a connection is a stranger. Strangers have a budget of their own, each connection
one: what they ask in vain costs the accounts of the same address nothing.
"""

from __future__ import annotations

from gridbot.paper.api.request_limits import REQUEST_WINDOW_S, AddressLimiter
from gridbot.paper.settings import RateLimitConfig
from gridbot.rolling_limit import RollingLimit

__all__ = ["Caller", "CallerLimits"]


class Caller:
    """One connection, as limits know it. `remote` is its address, `known` that a signature was right on it."""

    __slots__ = ("banned_until_s", "host", "known", "remote", "requests", "unfinished", "unsigned")

    def __init__(self, remote: str) -> None:
        self.remote = remote
        self.known = False
        self.host = ""
        """The Host it was last accepted with."""
        self.requests = 0
        self.unfinished = False
        """Half a request has come, or answers wait for it to read."""
        self.unsigned: RollingLimit | None = None
        self.banned_until_s = 0.0


class CallerLimits:
    """The budgets of addresses (those who have a key there), and of each stranger."""

    def __init__(self, config: RateLimitConfig) -> None:
        self._addresses = AddressLimiter(config)
        self._requests = config.ip_requests
        self._ban_s = config.ip_ban_s

    def allows(self, caller: Caller, now_s: float) -> bool:
        """Count one request, unless it is one too many: then the address, or the stranger, is banned for a while."""
        if caller.known:
            return self._addresses.allows(caller.remote, now_s)
        if now_s < caller.banned_until_s or self._addresses.is_banned(caller.remote, now_s):
            return False
        if not self._requests:
            return True
        if caller.unsigned is None:
            caller.unsigned = RollingLimit(self._requests, REQUEST_WINDOW_S)
        if caller.unsigned.take(1, now_s):
            return True
        caller.banned_until_s = now_s + self._ban_s
        return False

    def signed(self, caller: Caller, now_s: float) -> None:
        """Its request was signed: from now on the connection counts for its address."""
        if not caller.known:
            caller.known, caller.unsigned = True, None
            self._addresses.allows(caller.remote, now_s)

    def ban(self, address: str, until_s: float) -> None:
        """Refuse everybody at an address."""
        self._addresses.ban(address, until_s)
