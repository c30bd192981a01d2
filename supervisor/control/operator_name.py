"""Who gives a command, for its record: the user of this machine at the other end of the control socket, and the host.

A client may say who asked instead: whoever was somebody else before `sudo`, or the remote operator that it speaks for.
It is believed: only the user who runs the bot, and root, can reach the socket.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import struct
from collections.abc import Mapping
from typing import Final

from gridbot.doors.plain_text import one_line

__all__ = ["asked_for", "before_sudo", "peer_name", "user_at_host"]

LONGEST_NAME: Final = 100
"""Characters of a name that a client may give."""
_CREDENTIALS: Final = struct.Struct("3i")
"""Of the other end: process id, user id, group id."""


def user_at_host(uid: int) -> str:
    """`USER@HOST`; a user without a name is called by the number.

    Only our own user and root are looked up, once each at most: where users live in a directory that is slow tonight,
    no command waits for it.
    """
    if uid not in _names:
        _names[uid] = f"user {uid}"
        if uid in (0, os.getuid()):
            with contextlib.suppress(KeyError):  # usual in a container
                _names[uid] = pwd.getpwuid(uid).pw_name
    return f"{_names[uid]}@{socket.gethostname()}"


_names: dict[int, str] = {}


def peer_name(connection: socket.socket | None) -> str:
    """Who is at the other end of a unix socket, by the kernel's word; "" where it does not say."""
    try:
        if connection is None:
            return ""
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        return user_at_host(_CREDENTIALS.unpack(raw)[1])
    except (OSError, AttributeError, struct.error):  # closed meanwhile; a system without it
        return ""


def asked_for(said: object, peer: str) -> str:
    """The name for the record: what the client says of who asked, else who the client is."""
    return one_line(said, LONGEST_NAME) if isinstance(said, str) and said.strip() else peer


def before_sudo(environ: Mapping[str, str]) -> str:
    """`peter as root@host` for a command that peter gives by sudo; "" when nobody else is behind this user."""
    person = environ.get("SUDO_USER", "")
    return f"{person} as {user_at_host(os.getuid())}" if person and person != "root" else ""
