"""The control socket's protocol: where the socket is, and what goes over it. Server and client share this module.

A unix socket `control.sock` in the data directory, mode 0600. Each request is one line of JSON with a text "op", each
answer one line `{"ok": true, ...}` or `{"ok": false, "error": text}`, with `"unanswered": true` when that is because a
worker did not answer in time. A path that is too long for the kernel (about 100 bytes) is replaced by one in a private
directory below the temporary directory, written into `control.path`.

`gridbot.commands.command_table` has the commands and their arguments. One for the fleet is an "op" itself, with its
arguments beside it; one for an account or a strategy is the "name" of the "op" `worker`, its arguments the "args".

| request                                                      | answer                                             |
|--------------------------------------------------------------|----------------------------------------------------|
| {"op": "ping"}                                               | {"ok", "pid", "version", "state"}                  |
| {"op": "status"}                                             | {"ok", "status": model of supervisor.status.model} |
| {"op": "stop", "mode": null or a mode, "force": bool}        | {"ok"}; when all is gone {"ok", "killed"}, then EOF |
| {"op": "restart", "child": name or account}                  | {"ok", "child"}; also takes a child out of FATAL   |
| {"op": "worker", "account", "name", "args": {}, "wait_s": 5} | {"ok", "delivered", "result"}                      |
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any, Final

__all__ = [
    "LONGEST_LINE",
    "PATH_FILE",
    "SOCKET_FILE",
    "Json",
    "direct_path",
    "encode",
    "fits",
    "read_request",
    "refused",
    "socket_path",
    "unanswered",
]

Json = dict[str, Any]

SOCKET_FILE: Final = "control.sock"
PATH_FILE: Final = "control.path"
LONGEST_PATH: Final = 100
"""Bytes the path of a socket may have; the kernel's limit is a little above."""
LONGEST_LINE: Final = 4 << 20
"""Bytes of one request."""


def direct_path(data_dir: Path) -> Path:
    """Where the socket is unless that path is too long."""
    return data_dir.absolute() / SOCKET_FILE


def fits(path: Path) -> bool:
    """Whether the kernel takes a socket of this path."""
    return len(os.fsencode(path)) <= LONGEST_PATH


def socket_path(data_dir: Path) -> Path:
    """Where a client has to look. The file need not exist."""
    direct = direct_path(data_dir)
    if fits(direct):
        return direct
    with contextlib.suppress(OSError, ValueError):
        return Path((data_dir / PATH_FILE).read_text(encoding="utf-8").strip())
    return direct


def encode(message: Json) -> bytes:
    """One line. What JSON does not know becomes text."""
    return json.dumps(message, separators=(",", ":"), default=str).encode() + b"\n"


def read_request(line: bytes) -> Json | str:
    """The request of one line, or what is wrong with it."""
    try:
        request = json.loads(line)
    except ValueError as error:
        return f"expected one JSON object a line, got something else: {error}"
    if not isinstance(request, dict) or not isinstance(request.get("op"), str):
        return 'expected an object with a text "op", such as {"op": "ping"}'
    return request


def refused(text: str) -> Json:
    """The answer that something cannot or will not be done."""
    return {"ok": False, "error": text}


def unanswered(text: str) -> Json:
    """The answer that a worker did not answer in time; the text says what that means."""
    return {**refused(text), "unanswered": True}
