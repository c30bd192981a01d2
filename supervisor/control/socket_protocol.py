"""The control socket's protocol: where the socket is, and what goes over it. Server and client share this module.

A unix socket `control.sock` in the data directory, mode 0600. Each request is one line of JSON with a text "op", each
answer one line `{"ok": true, ...}` or `{"ok": false, "error": text}`, with `"unanswered": true` when that is because a
worker did not answer in time, or the supervisor has too much to answer. Where the kernel refuses the path, being over
about 100 bytes, both sides go by way of a descriptor of its directory.

`gridbot.commands.command_table` has the commands and their arguments. One for the fleet is an "op" itself, with its
arguments beside it; one for an account or a strategy is the "name" of the "op" `worker`, its arguments the "args".

| request                                                      | answer                                             |
|--------------------------------------------------------------|----------------------------------------------------|
| {"op": "ping"}                                               | {"ok", "pid", "version", "revision", "state"}      |
| {"op": "status"}                                             | {"ok", "status": model of supervisor.status.model} |
| {"op": "news", "run", "after": number}                       | {"ok", "run", "last", "news"}: `process/alert_feed` |
| {"op": "why", "account", "strategy": "" or a name}           | {"ok", "why": answer of gridbot.worker.explanations} |
| {"op": "config", "account"}                                  | {"ok", "config": gridbot.config.snapshots of it}   |
| {"op": "settings"}                                           | {"ok", "file", "sections": status.config_sections} |
| {"op": "permits", "exchange", "seen", "back", "wants"}       | {"ok", "guest", "lent", "keep", "ban"}             |
| {"op": "stop", "mode": null or a mode, "force": bool}        | {"ok"}; when all is gone {"ok", "killed"}, then EOF |
| {"op": "restart", "child": name or account}                  | {"ok", "child"}; also takes a child out of FATAL   |
| {"op": "worker", "account", "name", "args": {}, "wait_s": 5} | {"ok", "delivered", "result"}                      |
| {"op": "declined", "name", "args": {}, "why"}                | {"ok"}: recorded is that it was not given, and why |

A client of another version is answered alike: what it does not know it does not ask for, and keys are added, never
given another meaning, as long as `format` of the status is the same. How a client reads an earlier supervisor:
`supervisor.status.other_version`.

Any of them may have a text "who", the person or the remote operator that the client asks for (`operator_name`).
`permits` is how a command asks for its part of what an exchange ("bybit" or "paper") allows our address
(`supervisor.control.guest`). The answer names it, and the next requests of this connection have that name as "guest".
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from gridbot.doors.bounded_json import JsonMistake, read_json
from gridbot.doors.plain_text import printable_lines

__all__ = [
    "JOINING",
    "JOINING_BY_HAND",
    "LONGEST_ANSWER",
    "LONGEST_LINE",
    "UNTIL",
    "Json",
    "denied",
    "encode",
    "kernel_path",
    "read_request",
    "refused",
    "socket_path",
    "unanswered",
]

Json = dict[str, Any]

UNTIL: Final = "until_s"
"""In a request: until when its client waits, by the machine's monotonic clock. A command that is read later is refused:
the operator has been told that it was not carried out."""
SOCKET_FILE: Final = "control.sock"
DESCRIPTORS: Final = Path("/proc/self/fd")
"""Linux: the directory of our open files, by their numbers."""
JOINING: Final = "joining"
JOINING_BY_HAND: Final = "joining_by_hand"
"""The kinds of a refusal by a host that waits for its fleet, and has no processes yet; the second: for somebody to do
what it says."""
LONGEST_PATH: Final = 100
"""Bytes the path of a socket may have; the kernel's limit is a little above."""
LONGEST_LINE: Final = 256 << 10
"""Bytes of one request."""
LONGEST_REFUSAL: Final = 4000
"""Characters of a refusal."""
LONGEST_ANSWER: Final = 64 << 20
"""Bytes of one answer: the status of 10,000 accounts has a quarter of that."""


def socket_path(data_dir: Path) -> Path:
    """Where the socket is. The file need not exist."""
    return data_dir.absolute() / SOCKET_FILE


@contextlib.contextmanager
def kernel_path(path: Path) -> Iterator[str]:
    """`path` as the kernel takes it for a socket, while the block runs. Raise OSError when it is too long for that."""
    if len(os.fsencode(path)) <= LONGEST_PATH:
        yield str(path)
        return
    if not DESCRIPTORS.is_dir():
        text = f"expected a path of at most {LONGEST_PATH} bytes for the control socket; use a shorter --data-dir"
        raise OSError(errno.ENAMETOOLONG, text, str(path))
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield str(DESCRIPTORS / str(directory) / path.name)
    finally:
        os.close(directory)


def encode(message: Json) -> bytes:
    """One line. What JSON does not know becomes text."""
    return json.dumps(message, separators=(",", ":"), default=str).encode() + b"\n"


def read_request(line: bytes) -> Json | str:
    """The request of one line, or what is wrong with it."""
    try:
        request = read_json(line, longest=LONGEST_LINE)
    except JsonMistake as mistake:
        return f"expected one JSON object a line, got something else: {mistake}"
    if not isinstance(request, dict) or not isinstance(request.get("op"), str):
        return 'expected an object with a text "op", such as {"op": "ping"}'
    return request


def refused(text: str) -> Json:
    """The answer that something cannot or will not be done; of what was asked for not more than its beginning."""
    cut = text if len(text) <= LONGEST_REFUSAL else f"{text[:LONGEST_REFUSAL]}..."
    return {"ok": False, "error": printable_lines(cut)}


def denied(text: str) -> Json:
    """The answer that something was understood and cannot be done as things are; the text says why."""
    return {**refused(text), "denied": True}


def unanswered(text: str) -> Json:
    """The answer that a worker did not answer in time; the text says what that means."""
    return {**refused(text), "unanswered": True}
