"""Files of an account's state that came from another host, written as if they had been made here.

A document says up to which record of the journal it knows. That journal is on the other host: here the numbers begin at
`floor`, and the document knows everything up to there.
"""

from __future__ import annotations

from pathlib import Path

import orjson

from gridbot.atomic_file import write_atomic
from gridbot.state.state_log import encoded

__all__ = ["OF_THE_HOST", "brought", "write_brought"]

LEDGER = "ledger.json"
OF_THE_HOST = frozenset({"ban.json"})
"""Documents about a host's address, which say nothing to another one."""


def write_brought(path: Path, body: bytes, floor: int) -> None:
    """Write a document as the file of that name. Raises OSError, ValueError when it is no JSON object."""
    write_atomic(path, brought(path.name, body, floor))


def brought(name: str, body: bytes, floor: int) -> bytes:
    """The content of the file `name`. Raises ValueError when the document is no JSON object."""
    document = orjson.loads(body)
    if not isinstance(document, dict):
        raise ValueError(f"expected the document {name} to be an object, got {type(document).__name__}")
    document.pop("checksum", None)  # that of the former number
    document["seq"] = floor
    if name == LEDGER:
        return orjson.dumps({**document, "states_to": floor, "brought": True})
    return encoded(document)
