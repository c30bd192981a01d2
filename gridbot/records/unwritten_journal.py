"""A journal that keeps nothing: what is appended goes the same way, to `/dev/null`, and no file is ever made.

For rehearsals (`gridbot/worker/rehearsal.py`), which must leave nothing behind.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from gridbot.records.durability import Durability
from gridbot.records.journal import Journal
from gridbot.segment_file import SYSTEM_DISK, SegmentFile

__all__ = ["UnwrittenJournal"]


class _Nowhere(SegmentFile):
    def __init__(self) -> None:
        self.path = Path(os.devnull)
        self._disk = SYSTEM_DISK
        self.fd = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        self.first, self.size, self.torn = 1, 0, False


class UnwrittenJournal(Journal):
    """See the module. It has no directory, no lock and no thread, and no second segment."""

    def __init__(self, account: str) -> None:
        self._begin(Path(os.devnull), account, Durability.PROCESS, sys.maxsize, SYSTEM_DISK)
        self._segment = _Nowhere()

    def remove_through(self, seq: int) -> int:
        """There is nothing to remove."""
        return 0

    def keep(self) -> int | None:
        """There is nothing that somebody could remove."""
        return None

    def close(self) -> None:
        """Harmless when called twice."""
        if self._segment.fd >= 0:
            self._segment.close()
            self._segment.fd = -1
