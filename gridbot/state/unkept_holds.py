"""What holds an account and no disk has taken: a rescue that has no books gives it to the supervisor alone.

The next process of the account gets it with its start (`WorkerSpec.unkept`), and takes it into its own documents; these
go to the supervisor as ever, which forgets it then. It adds to what the disk has, and never takes the place of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gridbot.risk.holds import Held, Holds, Who
from gridbot.state.flatten_file import FlattenDocument, FlattenFile
from gridbot.state.holds_file import HoldsFile

__all__ = ["take_unkept", "unkept_document", "unkept_of"]


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


def take_unkept(document: Mapping[str, Any], holds: HoldsFile, flatten: FlattenFile) -> None:
    """Hold what it says as well; what holds already keeps its reason."""
    strategies, latched = unkept_of(document)
    if latched is not None and flatten.document.latched is None:
        flatten.keep(FlattenDocument(latched, flatten.document.unfinished, flatten.document.reason))
    for name, more in strategies.items():
        holds.keep(name, Holds({**more.held, **holds.of(name).held}))
