"""How a connection to the exchange is made: its name, its address, TLS. (The way of a WebSocket: `line_route`.)

asyncio would look names up in its pool of threads, which the end of a process waits for. So each look-up has a daemon
thread for itself; answers hold for a minute, and longer when there is no new one. An address needs no look-up.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

import certifi

__all__ = ["Dialler", "look_up", "send_from", "source_for", "tls_context"]

P = TypeVar("P", bound=asyncio.Protocol)

NAMES_HOLD_S = 60.0
TRY_S = 2.5
"""For each address but the last."""
LAST_WORD_S = 1.0
"""How long TLS may take to say goodbye."""
_contexts: dict[str, ssl.SSLContext] = {}
_source: list[str] = []
"""The address of this machine from which the connections of this process are made; empty: as the system chooses."""


def send_from(address: str) -> None:
    """Have all connections of this process to an exchange made from this address; said once, at its start."""
    _source[:] = [address] if address else []


def source_for(address: str) -> tuple[str, int] | None:
    """What a socket to that address is bound to before it is connected; None: nothing."""
    return next(((own, 0) for own in _source if (":" in own) is (":" in address)), None)


def tls_context() -> ssl.SSLContext:
    """Verified TLS, with certifi's authorities. One for all connections of a process: it takes a megabyte."""
    where = certifi.where()
    if where not in _contexts:
        context = ssl.create_default_context(cafile=where)
        context.set_alpn_protocols(["http/1.1"])
        _contexts[where] = context
    return _contexts[where]


class Dialler:
    """Makes connections to the host of `base_url`, such as `https://api.bybit.com`. ValueError for any other text."""

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
            raise ValueError(f"expected an address like https://api.bybit.com, got {base_url}")
        self.host_header = parts.netloc
        self._host = parts.hostname
        self._is_tls = parts.scheme == "https"
        self._port = parts.port or (443 if self._is_tls else 80)
        self._addresses: list[str] = []
        self._looked_up_s = 0.0
        self._look_up: asyncio.Future[list[str]] | None = None
        with contextlib.suppress(ValueError):
            self._addresses = [str(ipaddress.ip_address(self._host))]
        self._needs_look_up = not self._addresses

    async def dial(self, make: Callable[[], P]) -> P:
        """A connection, with what `make` gives as its protocol. Raises OSError (of names and TLS too), RuntimeError.

        Takes as long as it takes: bound it.
        """
        context = tls_context() if self._is_tls else None
        addresses = await self._find()
        for address in addresses:
            is_last = address == addresses[-1]
            try:
                async with asyncio.timeout(None if is_last else TRY_S):
                    _, protocol = await asyncio.get_running_loop().create_connection(
                        make,
                        address,
                        self._port,
                        ssl=context,
                        local_addr=source_for(address),
                        server_hostname=self._host if context is not None else None,
                        ssl_shutdown_timeout=LAST_WORD_S if context is not None else None,
                    )
            except OSError:
                if is_last:
                    raise
                continue
            self._addresses = [address, *(other for other in addresses if other != address)]
            return protocol
        raise OSError("the name has no address")

    async def _find(self) -> list[str]:
        loop = asyncio.get_running_loop()
        if self._addresses and (not self._needs_look_up or loop.time() - self._looked_up_s < NAMES_HOLD_S):
            return self._addresses
        if self._look_up is None or self._look_up.done():
            self._look_up = look_up(self._host, self._port)
        try:
            found = await asyncio.shield(self._look_up)
        except OSError:
            if not self._addresses:
                raise
        else:
            self._addresses, self._looked_up_s = found, loop.time()
        return self._addresses


def look_up(host: str, port: int) -> asyncio.Future[list[str]]:
    """The addresses of a name, in the system's order. Raises OSError when awaited."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[str]] = loop.create_future()

    def tell(outcome: list[str] | OSError) -> None:
        if found.done():
            return
        if isinstance(outcome, OSError):
            found.set_exception(outcome)
            found.exception()  # whoever wanted it may be gone
        else:
            found.set_result(outcome)

    def work() -> None:
        outcome: list[str] | OSError
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            outcome = list(dict.fromkeys(str(row[4][0]) for row in rows))
        except OSError as error:
            outcome = error
        except UnicodeError:
            outcome = OSError("the name is none")
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(tell, outcome)

    threading.Thread(target=work, name="bybit-name", daemon=True).start()
    return found
