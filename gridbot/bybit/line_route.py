"""The way to a WebSocket's host: proxy, name, address, socket, TLS.

asyncio would look names up in its pool of threads, which the end of a process waits for. So each look-up has a daemon
thread for itself. An address needs none.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import threading
import urllib.request
from urllib.parse import urlsplit

import certifi

__all__ = ["addresses", "connected_socket", "is_tls", "make_socket", "proxy_for", "tls_context"]

RECEIVE_BYTES = 1 << 18
"""Of the kernel's buffer. All that lies in it may come in one turn of the loop: a flood is bounded here."""
TRY_S = 2.5
"""For each address but the last."""
_contexts: dict[str, ssl.SSLContext] = {}


def is_tls(url: str) -> bool:
    """Whether an address is one of TLS."""
    return url.startswith(("wss:", "https:"))


def tls_context() -> ssl.SSLContext:
    """Verified TLS, with certifi's authorities. One for all sockets of a process: it takes a megabyte."""
    where = certifi.where()
    if where not in _contexts:
        context = ssl.create_default_context(cafile=where)
        context.set_alpn_protocols(["http/1.1"])
        _contexts[where] = context
    return _contexts[where]


def proxy_for(url: str) -> str | None:
    """The proxy of the environment for an address, as http://host:port; None without one.

    It is for the internet, not for an exchange on this machine, which is what an address without TLS is.
    """
    parts = urlsplit(url)
    if not is_tls(url) or not parts.hostname or urllib.request.proxy_bypass(parts.hostname):
        return None
    proxies = urllib.request.getproxies()
    found = proxies.get("https") or proxies.get("all")
    if not found:
        return None
    return found if "://" in found else f"http://{found}"


async def addresses(host: str, port: int) -> list[tuple[int, str]]:
    """(family, address) of a name, in the system's order. OSError when there is none."""
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host)
        return [(socket.AF_INET if address.version == 4 else socket.AF_INET6, str(address))]
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[tuple[int, str]]] = loop.create_future()

    def tell(outcome: list[tuple[int, str]] | OSError) -> None:
        if found.done():
            return
        if isinstance(outcome, OSError):
            found.set_exception(outcome)
        else:
            found.set_result(outcome)

    def work() -> None:
        outcome: list[tuple[int, str]] | OSError
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            outcome = list(dict.fromkeys((row[0], str(row[4][0])) for row in rows))
        except OSError as error:
            outcome = error
        except UnicodeError:
            outcome = OSError("the name is none")
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(tell, outcome)

    threading.Thread(target=work, name="bybit-name", daemon=True).start()
    return await found


def make_socket(family: int) -> socket.socket:
    """A socket that is not connected yet, with a bounded buffer."""
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    return made


async def connected_socket(host: str, port: int) -> socket.socket:
    """A socket that is connected to the first address that answers. OSError when none does."""
    found = await addresses(host, port)
    loop = asyncio.get_running_loop()
    for family, address in found:
        is_last = (family, address) == found[-1]
        made = make_socket(family)
        try:
            async with asyncio.timeout(None if is_last else TRY_S):
                await loop.sock_connect(made, (address, port))
        except OSError:  # a TimeoutError is one
            made.close()
            if is_last:
                raise
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise OSError("the name has no address")
