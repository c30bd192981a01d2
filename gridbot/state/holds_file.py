"""Pause and halt of an account's strategies across restarts: one document, `holds.json`, with reason, who and when.

::

    a hold is set or lifted ──► memory ──► the journal, at once ──► the file, soon (tried again until the disk takes it)
    start ──► journal and file ──► neither: nothing is held
                               ├─► the newest: what it says
                               └─► an unreadable file alone: every strategy is halted, until an operator resumes it

The loss latch of the account has a file of its own (`worker/loss_guard.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gridbot.risk.holds import Held, Hold, Holds, Who
from gridbot.state.documents import StopFile, Unreadable

__all__ = ["VERSION", "HoldsFile"]

VERSION = 1


class HoldsFile:
    """One per life of a worker: after `load`, memory has the newest state, whatever the disk has taken of it."""

    def __init__(self, file: StopFile) -> None:
        self._file = file
        self._holds: dict[str, Holds] = {}

    def load(self, strategies: Iterable[str], now_ms: int, lifted_by: str) -> str:
        """Read what an earlier life left. A sentence for the operator when that is unreadable, otherwise "".

        Then every one of `strategies` is halted since `now_ms` (UTC), with a reason that names `lifted_by`, the command
        that lifts it. Never raises.
        """
        try:
            self._holds = self._file.load_as(_read) or {}
        except Unreadable as error:
            reason = f"{error}, so it is unknown what was paused or halted; `{lifted_by}` lets it trade"
            halted = Holds({Hold.HALTED: Held(reason, Who.FAULT, now_ms)})
            self._holds = dict.fromkeys(strategies, halted)
            self._save()
            return reason
        return ""

    def of(self, strat_id: str) -> Holds:
        """What holds a strategy, of what survives a restart."""
        return self._holds.get(strat_id, Holds())

    def keep(self, strat_id: str, holds: Holds) -> None:
        """Have this on the disk soon. Never blocks, never raises."""
        self._holds[strat_id] = holds.durable()
        self._save()

    def _save(self) -> None:
        held = {name: holds.to_document() for name, holds in self._holds.items() if holds.held}
        self._file.save({"version": VERSION, "strategies": held})


def _read(document: dict[str, Any]) -> dict[str, Holds]:
    """Raises KeyError, TypeError, ValueError or AttributeError for anything but a document of `HoldsFile`."""
    if document["version"] != VERSION:
        raise ValueError(f"expected version {VERSION}, got {document['version']!r}")
    return {str(name): Holds.from_document(held).durable() for name, held in document["strategies"].items()}
