"""What holds an account by its supervisor's word alone, until a process of the account has made it its own.

    unkept    what a rescue without books had to hold (`WorkerSpec.unkept`): it adds to what the disk has, and never
              takes the place of it
    paused    why all strategies begin paused (`WorkerSpec.paused`)

The supervisor forgets each when a process says that the whole of it is in its own documents, which went to the
supervisor before: the first document alone is not enough, as a death can follow it. The word is an empty document.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from gridbot.risk.holds import Held, Holds, Who
from gridbot.state.flatten_file import FlattenDocument, FlattenFile
from gridbot.state.holds_file import HoldsFile

__all__ = ["BEGINS_PAUSED", "UNKEPT", "Hand", "take_unkept", "unkept_document", "unkept_of"]

UNKEPT: Final = "unkept"
BEGINS_PAUSED: Final = "paused"
Hand = Callable[[str, dict[str, Any]], None]
"""Gives a document to the supervisor, by its name."""


def unkept_document(holds: Mapping[str, Holds], latched: Held | None) -> dict[str, Any]:
    """JSON-able: the holds of strategies by their ids, and the account's latch."""
    return {
        "strategies": {name: each.durable().to_document() for name, each in holds.items()},
        "latched": latched and {"reason": latched.reason, "who": str(latched.who), "since_ms": latched.since_ms},
    }


def unkept_of(document: Mapping[str, Any]) -> tuple[dict[str, Holds], Held | None]:
    """Read what `unkept_document` made; nothing of an empty one."""
    row = document.get("latched")
    latched = Held(str(row["reason"]), Who(row["who"]), int(row["since_ms"])) if row else None
    return {name: Holds.from_document(held) for name, held in document.get("strategies", {}).items()}, latched


def take_unkept(document: Mapping[str, Any], holds: HoldsFile, flatten: FlattenFile, hand: Hand) -> None:
    """Hold what it says as well, then say so; what holds already keeps its reason."""
    if not document:
        return
    strategies, latched = unkept_of(document)
    if latched is not None and flatten.document.latched is None:
        flatten.keep(FlattenDocument(latched, flatten.document.unfinished, flatten.document.reason))
    for name, more in strategies.items():
        holds.keep(name, Holds({**more.held, **holds.of(name).held}))
    hand(UNKEPT, {})
