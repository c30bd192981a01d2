"""An account's latch (`kill`), and a flattening that is not over: one document, `flatten.json`.

Both go to the journal and to the supervisor at once, like every document that stops orders. Whichever process has the
account next, a worker or a rescue, goes on with what is not over. A document that does not say what it is latches the
account: only an operator knows better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from gridbot.flatten.flatten_words import Wanted
from gridbot.risk.holds import Held, Who
from gridbot.state.documents import StopFile, Unreadable

__all__ = ["NAME", "FlattenDocument", "FlattenFile"]

NAME = "flatten.json"
VERSION = 1


@dataclass(frozen=True, slots=True)
class FlattenDocument:
    """`latched`: why the account is latched, None when it is not. `unfinished`: what is to be gone on with, and why."""

    latched: Held | None = None
    unfinished: Wanted | None = None
    reason: str = ""

    def to_document(self) -> dict[str, Any]:
        """JSON-able."""
        held = self.latched
        return {
            "version": VERSION,
            "latched": held and {"reason": held.reason, "who": str(held.who), "since_ms": held.since_ms},
            "unfinished": self.unfinished and self.unfinished.to_document(),
            "reason": self.reason,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read what `to_document` wrote. KeyError, TypeError, ValueError or ArithmeticError for anything else."""
        if document["version"] != VERSION:
            raise ValueError(f"expected version {VERSION}, got {document['version']!r}")
        held, unfinished = document["latched"], document["unfinished"]
        return cls(
            None if held is None else Held(str(held["reason"]), Who(held["who"]), int(held["since_ms"])),
            None if unfinished is None else Wanted.from_document(unfinished),
            str(document["reason"]),
        )


class FlattenFile:
    """One per life of a process that has the account: after `load`, memory has the newest."""

    def __init__(self, file: StopFile) -> None:
        self._file = file
        self.document = FlattenDocument()

    def load(self, now_ms: int, lifted_by: str) -> str:
        """Read what an earlier life left. A sentence when that is unreadable: then it is latched since `now_ms` (UTC).

        `lifted_by` is the command that lifts it. Never raises.
        """
        try:
            self.document = self._file.load_as(FlattenDocument.from_document) or FlattenDocument()
        except Unreadable as error:
            reason = f"{error}, so it is unknown whether the account was killed; `{lifted_by}` lets it trade"
            self.keep(FlattenDocument(Held(reason, Who.OPERATOR, now_ms)))
            return reason
        return ""

    def keep(self, document: FlattenDocument) -> None:
        """Have this survive. Never blocks, never raises."""
        self.document = document
        self._file.save(document.to_document())
