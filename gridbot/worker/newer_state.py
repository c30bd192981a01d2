"""State that a newer version of this program has left: it is told, and nothing of it is replaced.

Each file that has a version of its own is looked at before anything else of a start. Read as damaged, a newer ledger
would be made anew from a journal that no longer has all of it, and a newer grid would be built anew around the market.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import orjson

from gridbot.core import ledger_document
from gridbot.ports import Files
from gridbot.state import holds_file, ledger_checkpoint, strategy_store
from gridbot.worker import ban_file, line_file
from gridbot.worker.startup import StartRefused

__all__ = ["refuse_newer"]

CHECKPOINT = "ledger.json"
KNOWN = {
    CHECKPOINT: ("version", ledger_checkpoint.VERSION),
    "holds.json": ("version", holds_file.VERSION),
    "ban.json": ("version", ban_file.VERSION),
    "lines.json": ("version", line_file.VERSION),
}


def refuse_newer(files: Files, grids: Iterable[str]) -> None:
    """Raise StartRefused when a file of this account, or one of `grids`, is of a version that is not known yet.

    Files that cannot be read are left to those who read them.
    """
    known = {**KNOWN, **dict.fromkeys(grids, ("format", strategy_store.FORMAT))}
    for name, (key, newest) in known.items():
        document = _document(files, name)
        _compare(files, name, document.get(key), newest)
        if name == CHECKPOINT and isinstance(ledger := document.get("ledger"), dict):
            _compare(files, name, ledger.get("version"), ledger_document.VERSION)


def _compare(files: Files, name: str, found: object, newest: int) -> None:
    if isinstance(found, int) and found > newest:
        raise StartRefused(
            f"expected {files.path(name)} of version {newest} at most, got {found}: a newer gridbot has worked here; "
            "start that one again, or this one with another --data-dir"
        )


def _document(files: Files, name: str) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        document = orjson.loads(files.read(name) or b"{}")
        if isinstance(document, dict):
            return document
    return {}
