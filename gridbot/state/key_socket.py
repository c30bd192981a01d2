"""A lock without a file: a Unix socket with an abstract name, which the kernel frees with its process.

It needs no directory, so it works where the home directory is missing, read-only, or another one for each of two
processes. It is seen by all processes of the machine (of the network namespace), also by those of other users. Another
user could take the name to stop us, so a socket of another user is reported and does not count.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
import time
from pathlib import Path

from gridbot.state.lock_directory import LockHeld

__all__ = ["ForeignHolder", "socket_holder", "sockets_of", "take_socket"]

_ATTEMPTS = 10
_RETRY_S = 0.02
_BACKLOG = 4096
"""The holder never accepts, so each process that asks takes a place in its queue for good. The kernel may allow less
(net.core.somaxconn)."""
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid


class ForeignHolder(Exception):
    """A process of another user has the name, or one that does not say whose it is."""


def take_socket(name: str) -> socket.socket | None:
    """Hold `name` until the socket is closed; None where the system has no such sockets.

    Raises LockHeld when a process of this user has it, ForeignHolder when another one has it, OSError.
    """
    if sys.platform != "linux":
        return None
    for _ in range(_ATTEMPTS):
        taken = _bound(name)
        if taken is not None:
            return taken
        holder = _holder(name)
        if holder is not None:
            pid, uid = holder
            if uid != os.geteuid():
                raise ForeignHolder(f"process {pid or 'unknown'} of uid {uid}")
            raise LockHeld(str(pid or "unknown"))
        time.sleep(_RETRY_S)  # it ended just now, or does not listen yet
    raise ForeignHolder("a process that does not answer")


def sockets_of(prefix: str) -> list[str]:
    """The names with this beginning that are taken, by whomever; none where the system does not tell them."""
    try:
        lines = Path("/proc/net/unix").read_text(errors="replace").splitlines()
    except OSError:
        return []
    names = (line.rpartition(" @")[2] for line in lines if " @" in line)
    return sorted({name for name in names if name.startswith(prefix)})


def socket_holder(name: str) -> str:
    """The pid of a process of this user that holds `name`, or "unknown"; "" when nobody of this user does."""
    if sys.platform != "linux":
        return ""
    try:
        pid, uid = _holder(name) or (0, -1)
    except LockHeld as held:
        return held.holder
    return "" if uid != os.geteuid() else str(pid or "unknown")


def _bound(name: str) -> socket.socket | None:
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        lock.bind(f"\0{name}")
        lock.listen(_BACKLOG)  # so that the kernel tells others who we are
    except OSError as error:
        lock.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return lock


def _holder(name: str) -> tuple[int, int] | None:
    """Process (0: in another container) and user that hold the name; None when no process listens there.

    Raises LockHeld when the holder's queue is full: it lives, but the kernel no longer says whose it is. To take it for
    another user's would let two processes trade with one key.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.setblocking(False)
        try:
            probe.connect(f"\0{name}")
        except BlockingIOError:
            raise LockHeld("unknown") from None
        except OSError:
            return None
        pid, uid, _ = _CREDENTIALS.unpack(probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
        return pid, uid
