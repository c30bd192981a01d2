"""Who asks over a connection: a web page, a stranger, or somebody who has shown a key. Pure.

A page in a browser can send requests to any port of this machine, and a name of its own site can be made to lead here.
So a request is answered only when its Host names this exchange, and when it has no Origin but that of this exchange.
Clients of Bybit send either none or the address they were given.

Whoever has not signed anything on a connection is a stranger. Strangers have a budget of their own, each connection
one: what they ask in vain costs the accounts of the same address nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

from gridbot.paper.api.request_limits import REQUEST_WINDOW_S, AddressLimiter
from gridbot.paper.settings import RateLimitConfig
from gridbot.rolling_limit import RollingLimit

__all__ = ["Caller", "CallerLimits", "Site"]

SECURE_NAMES = ("none", "same-origin")
EVERY_ADDRESS = ("0.0.0.0", "::", "")


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


class Site:
    """What this exchange is called: loopback, and the host it listens on."""

    def __init__(self, host: str) -> None:
        self._host = host.lower()

    def refuses(self, headers: Mapping[str, str]) -> str:
        """What is wrong with Host and Origin of a request, "" when nothing is. Names of headers in capitals."""
        host = headers.get("HOST", "")
        if host and not self.is_called(host):
            return "the Host is not this exchange; ask for it by its address, or set paper.host"
        origin = headers.get("ORIGIN")
        if origin is not None and origin.lower() not in (f"http://{host.lower()}", f"https://{host.lower()}"):
            return "web pages may not ask this exchange: the Origin is another one"
        if headers.get("SEC-FETCH-SITE", "none") not in SECURE_NAMES:
            return "web pages may not ask this exchange: the request comes from another site"
        return ""

    def is_called(self, authority: str) -> bool:
        """True when name or address of `host[:port]` are ours. Whoever listens on all addresses has any address."""
        name = _name(authority)
        if name in ("localhost", self._host) and name:
            return True
        try:
            address = ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or self._host in EVERY_ADDRESS


def _name(authority: str) -> str:
    """The host of `host`, `host:port`, `[v6]` or `[v6]:port`; "" when it is none of these."""
    text = authority.lower()
    if text.startswith("["):
        name, closed, rest = text[1:].partition("]")
        port = rest[1:]
        rest = rest if closed else "x"
    else:
        name, colon, port = text.partition(":")
        rest = colon + port
    well_formed = not rest or (rest.startswith(":") and port.isascii() and port.isdigit())
    return name if well_formed else ""
