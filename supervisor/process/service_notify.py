"""What systemd hears of a supervisor that it has started as a service of Type=notify (`docs/deployment.md`).

The protocol is sd_notify(3): lines of NAME=value in one datagram. Own code because it is one `sendto`; the libraries
for it are not kept, or need systemd's headers. Nothing here waits: what systemd does not take is left out.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import MutableMapping
from typing import Final

from gridbot.core.strict_numbers import count_or_none

__all__ = ["ServiceManager"]

OF_SYSTEMD: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class ServiceManager:
    """Takes systemd's variables out of `environment`, so that no child speaks for us; silent where there are none.

    Times are monotonic seconds.
    """

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        address, watchdog_us, watched = (environment.pop(name, "") for name in OF_SYSTEMD)
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        self._said = ""
        self._next_sign = 0.0
        is_ours = not watched or watched == str(os.getpid())
        self._every_s = (count_or_none(watchdog_us) or 0) / 2e6 if is_ours else 0.0
        """Half of what systemd waits for before it ends us; 0 without a watchdog."""
        if self._address:
            with contextlib.suppress(OSError):
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def ready(self) -> None:
        """Commands are answered from now on."""
        self._send("READY=1")

    def turned(self, now: float, state: str) -> None:
        """The loop has gone round: a sign of life where one is due, and the `state` in words where it has changed."""
        if self._socket is None:
            return
        lines = [] if state == self._said else [f"STATUS={state}"]
        if self._every_s and now >= self._next_sign:
            self._next_sign = now + self._every_s
            lines.append("WATCHDOG=1")
        if lines and self._send(*lines):
            self._said = state

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, *lines: str) -> bool:
        if self._socket is None:
            return False
        try:
            self._socket.sendto("\n".join(lines).encode(), socket.MSG_DONTWAIT, self._address)
        except OSError:  # systemd is busy or gone: the next sign counts, and trading does not depend on it
            return False
        return True
