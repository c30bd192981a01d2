"""Whether a host is to try the version of the fleet's configuration that counts, and when again. Pure.

What cannot be applied at the moment (a worker that does not answer, positions that would stay with nobody) is tried
again by itself: else a host would go by the version before for good, for something that passed within a second. A
text that cannot be used here is tried again only when an operator puts it in force once more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["AGAIN_S", "Busy", "Unusable", "VersionTries"]

AGAIN_S: Final = 30.0


class Busy(Exception):
    """Accounts come or go here at this moment: the version is tried at the next look."""


class Unusable(ValueError):
    """The text cannot be used on this host."""


@dataclass(slots=True)
class VersionTries:
    """One per host. Times are monotonic seconds."""

    version: int = 0
    """The one that is not applied here; 0 for none."""
    _forced: str = ""
    _again_s: float | None = None

    def is_due(self, version: int, forced: str, in_force: int, now_s: float) -> bool:
        """Whether to try the version that counts, put in force at `forced`, by a host that goes by `in_force`."""
        if version == in_force:
            return False
        if (version, forced) != (self.version, self._forced):
            return True
        return self._again_s is not None and now_s >= self._again_s

    def refused(self, version: int, forced: str, why: ValueError, now_s: float) -> bool:
        """It could not be applied; whether that is news. Another reason is none: a text has sizes and prices in it,
        which change each time."""
        is_news = (version, forced) != (self.version, self._forced)
        self.version, self._forced = version, forced
        self._again_s = None if isinstance(why, Unusable) else now_s + AGAIN_S
        return is_news

    def applied(self) -> None:
        """What counts is in force here."""
        self.version, self._forced, self._again_s = 0, "", None
