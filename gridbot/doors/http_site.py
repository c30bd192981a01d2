"""Whether a request to a server of ours comes from where it may: its Host, its Origin, what the browser says. Pure.

A page in a browser can send requests to any port of this machine, and a name of its own site can be made to lead here.
So a request is answered only when its Host names this server, and when it has no Origin but that of this server.
Programs that are no browser send either none or the address they were given.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from ipaddress import ip_address

__all__ = ["Site"]

SECURE_NAMES = ("none", "same-origin")
EVERY_ADDRESS = ("0.0.0.0", "::", "")


class Site:
    """What a server is called: loopback, the host it listens on, and `names` that lead to it.

    `what` it is and the `setting` of its host are for the words of a refusal.
    """

    def __init__(
        self, host: str, names: Collection[str] = (), *, what: str = "this exchange", setting: str = "paper.host"
    ) -> None:
        self._host = host.lower()
        self._names = {"localhost", self._host, *(name.lower() for name in names)} - {""}
        self._what = what
        self._setting = setting

    def refuses(self, headers: Mapping[str, str]) -> str:
        """What is wrong with Host and Origin of a request, "" when nothing is. Names of headers in capitals."""
        return self.refuses_host(headers) or self.refuses_origin(headers)

    def refuses_host(self, headers: Mapping[str, str]) -> str:
        """What is wrong with the Host; "" also when there is none: a browser always sends one."""
        host = headers.get("HOST", "")
        if host and not self.is_called(host):
            return f"the Host is not {self._what}; ask for it by its address, or set {self._setting}"
        return ""

    def refuses_origin(self, headers: Mapping[str, str]) -> str:
        """What is wrong with the place that a request comes from, by what a browser says of it."""
        host, origin = headers.get("HOST", "").lower(), headers.get("ORIGIN")
        if origin is not None and origin.lower() not in (f"http://{host}", f"https://{host}"):
            return f"web pages may not ask {self._what}: the Origin is another one"
        if headers.get("SEC-FETCH-SITE", "none") not in SECURE_NAMES:
            return f"web pages may not ask {self._what}: the request comes from another site"
        return ""

    def is_called(self, authority: str) -> bool:
        """True when name or address of `host[:port]` are ours. Whoever listens on all addresses has any address."""
        name = _name(authority)
        if name in self._names:
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
