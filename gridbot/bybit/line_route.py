"""The way to a WebSocket's host: proxy, address, socket."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import urllib.request
from urllib.parse import urlsplit

from gridbot.bybit.dialling import TRY_S, look_up, source_for

__all__ = ["addresses", "connected_socket", "is_tls", "make_socket", "proxy_for"]

RECEIVE_BYTES = 1 << 18
"""Of the kernel's buffer. All that lies in it may come in one turn of the loop: a flood is bounded here."""


def is_tls(url: str) -> bool:
    """Whether an address is one of TLS."""
    return url.startswith(("wss:", "https:"))


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


async def addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
    """(family, address) of a name, in the system's order. OSError when there is none."""
    try:
        found = [str(ipaddress.ip_address(host))]
    except ValueError:
        found = await look_up(host, port)
    return [(socket.AF_INET6 if ":" in address else socket.AF_INET, address) for address in found]


def make_socket(family: int) -> socket.socket:
    """A socket that is not connected yet, with a bounded buffer."""
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    if (source := source_for("::" if family == socket.AF_INET6 else "0.0.0.0")) is not None:
        made.bind(source)
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
