"""How far the writer is, and what holds it up."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Final

from gridbot.store.commit import Rows

__all__ = ["WriterState"]

log = logging.getLogger("supervisor.store")

TOLD_S: Final = 5.0
"""The page looks every few seconds, each time for a moment: who had the file so long is told at the usual level."""


@dataclass(slots=True)
class WriterState:
    """What `health` reports: how far the writer is, and what holds it up."""

    committed: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    flushes: int = 0
    flush_ms: float = 0.0
    held_by: str | None = None
    held_since: float | None = None
    error: str | None = None
    gaps: int = 0
    rejects: int = 0
    unmatched: int = 0

    def held(self, by: str) -> None:
        """Another process has the file."""
        if self.held_by is None:
            self.held_since = time.monotonic()
        self.held_by = by

    def went_well(self) -> None:
        """A flush has ended without an error: the file is free."""
        if self.held_by:
            held_s = time.monotonic() - (self.held_since or 0.0)
            level = logging.INFO if held_s >= TOLD_S else logging.DEBUG
            log.log(level, "the database is free again; %s had it for %.1f s", self.held_by, held_s)
        self.held_by = self.held_since = self.error = None

    def committed_rows(self, rows: Rows, moved: Rows, flush_ms: float) -> None:
        """One transaction is in the file; what was `moved` in it into the tables of their kinds says what fits none."""
        self.rows += rows.count
        self.gaps += len(rows.gaps)
        self.rejects += len(moved.rejects)
        self.flushes += 1
        self.flush_ms = flush_ms
        self.committed.update(rows.offsets)
        self.went_well()
