"""A ban of our address across restarts: one document, `ban.json`, with its end.

A request during the ten minutes of a ban begins them again for every account on this address, so a worker that is
started in that time must not send any.
"""

from __future__ import annotations

import logging
from typing import Any

from gridbot.exchange.failures import ExchangeError
from gridbot.ports import Clock
from gridbot.state.documents import StopFile, Unreadable

__all__ = ["VERSION", "BanFile"]

log = logging.getLogger(__name__)

VERSION = 1


class BanFile:
    """One per life of a worker."""

    def __init__(self, file: StopFile, clock: Clock) -> None:
        self._file = file
        self._clock = clock

    def left_s(self) -> float:
        """Seconds that are left of a ban, at most its full length, whatever our clock says now. Never raises.

        A file that cannot be read counts as a ban that begins now. So does one whose ban would end later than that: the
        clock was ahead when it was written. Written anew, it is over with that time, and not when the clock says so.
        """
        try:
            until_ms = self._file.load_as(_read) or 0
        except Unreadable as error:
            log.warning("%s; as if this address had been banned just now", error)
            self.begin(ExchangeError.silence_s)
            return ExchangeError.silence_s
        left_s = (until_ms - self._clock.wall_ms()) / 1000
        if left_s > ExchangeError.silence_s:
            log.warning("%s ends in %.0f s; as if this address had been banned just now", self._file, left_s)
            self.begin(ExchangeError.silence_s)
            return ExchangeError.silence_s
        return max(0.0, left_s)

    def begin(self, seconds: float) -> None:
        """The exchange has banned this address for so long. Never blocks, never raises."""
        self._file.save({"version": VERSION, "until_ms": self._clock.wall_ms() + round(seconds * 1000)})


def _read(document: dict[str, Any]) -> int:
    """Raises KeyError, TypeError or ValueError for anything but a document of `BanFile`."""
    if document["version"] != VERSION:
        raise ValueError(f"expected version {VERSION}, got {document['version']!r}")
    return int(document["until_ms"])
