"""How long records stay where they landed: what is small lands, what is large or old goes into its tables. Pure."""

from __future__ import annotations

from typing import Final

__all__ = ["LandingPace"]

MOST_AT_ONCE: Final = 3_000
"""Records of one flush that may land: of more, the tables of their kinds cost no more than landing and moving."""
MOST_LANDED: Final = 20_000
MOST_BYTES: Final = 16 * 1024 * 1024
"""Readers parse what has landed with each question, so there is an end to it."""


class LandingPace:
    """How much has landed and since when; times are monotonic, in seconds."""

    def __init__(self, compact_s: float) -> None:
        self._compact_s = compact_s
        self._since: float | None = None
        self.count = 0
        self.size = 0

    def begin(self, count: int, size: int, now: float) -> None:
        """As much as this is in the file."""
        self.count, self.size = count, size
        self._since = now if count else None

    def takes(self, count: int, size: int) -> bool:
        """Whether so many records of so many bytes may land."""
        return count <= MOST_AT_ONCE and self.count + count <= MOST_LANDED and self.size + size <= MOST_BYTES

    def is_due(self, now: float) -> bool:
        """Whether what has landed is to go into its tables."""
        return self._since is not None and now - self._since >= self._compact_s

    def note(self, count: int, size: int, now: float, *, moved: bool) -> None:
        """So many records were committed; `moved`: into their tables, with all that had landed."""
        if moved:
            self.begin(0, 0, now)
        else:
            self.begin(self.count + count, self.size + size, self._since if self._since is not None else now)
