"""Which readings of the exchange fail for minutes: jobs of the schedule, and questions that are asked until answered.

::

    well ──fails──► failing ──fails still, `FAILS_FOR_S` later──► told ──succeeds, given up, or long not tried──► well

One failure is a line in the log. What lasts is an incident of its kind, with what was read, how often it failed, the
newest error and what can be done; it ends when all of the kind succeed again. What a ban or a maintenance explains is
not told beside it. Every job and every such question goes through here: `Jobs` and the `Reconciler` start no other
(`tests/house/test_watched_jobs.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Container
from dataclasses import dataclass, replace
from typing import NamedTuple

from gridbot.exchange.failures import ExchangeError
from gridbot.exchange.remedies import with_reading_remedy
from gridbot.incidents import Name, Standing

__all__ = ["FAILS_FOR_S", "FORGOTTEN_S", "KEPT", "JobWatch", "Reading"]

FAILS_FOR_S = 300.0
FORGOTTEN_S = 900.0
"""What was not tried for so long is not wanted any more."""
KEPT = 200
"""So many failing readings are remembered; the one that failed longest ago makes room."""


class Reading(NamedTuple):
    """What is read: its kind and that in words; `subject` is the symbol or order, "" for the account."""

    kind: str
    words: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class _Failing:
    """Failures without a success between them; times are monotonic seconds."""

    since_s: float
    last_s: float
    count: int
    error: ExchangeError
    is_told: bool = False

    @property
    def lasts(self) -> bool:
        return self.last_s - self.since_s >= FAILS_FOR_S


class JobWatch:
    """One per account."""

    def __init__(self) -> None:
        self._failing: dict[Reading, _Failing] = {}

    def ended(self, reading: Reading, error: ExchangeError | None, now_s: float) -> None:
        """A reading ended, with this error or well."""
        known = self._failing.pop(reading, None)
        if error is None:
            return
        if known is None or now_s - known.last_s >= FORGOTTEN_S:
            known = _Failing(now_s, now_s, 0, error)
        self._failing[reading] = replace(known, last_s=now_s, count=known.count + 1, error=error)
        if len(self._failing) > KEPT:
            del self._failing[min(self._failing, key=lambda each: self._failing[each].last_s)]

    def asked_still(self, kinds: Collection[str], subjects: Container[str]) -> None:
        """Of these kinds only what is about one of the `subjects` is asked still; the rest is given up."""
        for reading in [each for each in self._failing if each.kind in kinds and each.subject not in subjects]:
            del self._failing[reading]

    def look(self, now_s: float, *, is_explained: bool) -> None:
        """A second has passed; with `is_explained` a ban or a maintenance tells why nothing more begins to be told."""
        for reading, row in list(self._failing.items()):
            if now_s - row.last_s >= FORGOTTEN_S:
                del self._failing[reading]
            elif row.lasts and not (row.is_told or is_explained):
                self._failing[reading] = replace(row, is_told=True)

    def failing(self) -> dict[str, str]:
        """What is told, in words, by kind."""
        kinds: dict[str, list[tuple[Reading, _Failing]]] = {}
        for reading, row in self._failing.items():
            if row.is_told:
                kinds.setdefault(reading.kind, []).append((reading, row))
        return {kind: _in_words(rows) for kind, rows in kinds.items()}

    def standing(self) -> dict[Name, Standing]:
        """The incidents."""
        return {Name(f"job.{kind}"): Standing("warning", text) for kind, text in self.failing().items()}


def _in_words(rows: list[tuple[Reading, _Failing]]) -> str:
    """Of several of a kind the one that has failed for longest."""
    reading, row = min(rows, key=lambda each: each[1].since_s)
    of = f" of {reading.subject}" if reading.subject else ""
    more = f" (and of {len(rows) - 1} more)" if len(rows) > 1 else ""
    return f"{reading.words}{of}{more} failed {row.count} times in a row: {with_reading_remedy(row.error)}"
