"""One piece of news for one address: what became of an alert. What waits together becomes one. Pure.

::

    begun ──worse──► begun            worse ──worse──► worse        ended ──begun, worse──► worse
    begun ──ended──► passed           worse ──ended──► ended        passed ──begun, worse──► begun

`passed` has begun and ended while its message waited. A letter is a text of its own, such as the daily summary. Times
are microseconds UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

__all__ = ["LEVELS", "Kind", "Notice", "joined", "rank"]

LEVELS: Final = ("INFO", "WARNING", "ERROR", "CRITICAL")


class Kind(StrEnum):
    """What became of it."""

    BEGUN = "begun"
    WORSE = "worse"
    ENDED = "ended"
    PASSED = "passed"
    LETTER = "letter"


def rank(level: str) -> int:
    """How bad a level is, from 0; one that nobody knows counts as the worst."""
    return LEVELS.index(level.upper()) if level.upper() in LEVELS else len(LEVELS) - 1


@dataclass(frozen=True, slots=True)
class Notice:
    """`name` is the alert's id; `about` an account with its strategy, or a process; `account` "" for the fleet.

    `at_us` is when the first of it came, `put_us` since when it waits, `count` how often the alert has happened,
    `news` how many changes it stands for, `unsent` how many repetitions there was no message for.
    """

    name: str
    kind: Kind
    level: str
    account: str
    about: str
    key: str
    text: str
    at_us: int
    put_us: int
    count: int = 1
    news: int = 1
    unsent: int = 0

    @property
    def is_over(self) -> bool:
        return self.kind in (Kind.ENDED, Kind.PASSED)

    def to_document(self) -> list[Any]:
        """JSON-able."""
        return [str(getattr(self, name)) if name == "kind" else getattr(self, name) for name in _FIELDS]

    @classmethod
    def from_document(cls, values: Sequence[Any]) -> Notice:
        """Read what `to_document` wrote. ValueError, TypeError for anything else."""
        if len(values) != len(_FIELDS):
            raise ValueError(f"expected {len(_FIELDS)} values of a notice, got {len(values)}")
        made = [_TYPES[name](value) for name, value in zip(_FIELDS, values, strict=True)]
        return cls(*made)


_TYPES: Final[Mapping[str, Any]] = {
    "name": str, "kind": Kind, "level": str, "account": str, "about": str, "key": str, "text": str,
    "at_us": int, "put_us": int, "count": int, "news": int, "unsent": int,
}  # fmt: skip
_FIELDS: Final = tuple(_TYPES)

_JOINED: Final = {
    (Kind.BEGUN, Kind.BEGUN): Kind.BEGUN,
    (Kind.BEGUN, Kind.WORSE): Kind.BEGUN,
    (Kind.BEGUN, Kind.ENDED): Kind.PASSED,
    (Kind.WORSE, Kind.BEGUN): Kind.WORSE,
    (Kind.WORSE, Kind.WORSE): Kind.WORSE,
    (Kind.WORSE, Kind.ENDED): Kind.ENDED,
    (Kind.ENDED, Kind.BEGUN): Kind.WORSE,
    (Kind.ENDED, Kind.WORSE): Kind.WORSE,
    (Kind.ENDED, Kind.ENDED): Kind.ENDED,
    (Kind.PASSED, Kind.BEGUN): Kind.BEGUN,
    (Kind.PASSED, Kind.WORSE): Kind.BEGUN,
    (Kind.PASSED, Kind.ENDED): Kind.PASSED,
}


def _join(older: Notice, newer: Notice) -> Notice:
    kind = _JOINED.get((older.kind, newer.kind), newer.kind)
    again = older.is_over and not newer.is_over
    return replace(
        newer,
        kind=kind,
        level=max(older.level, newer.level, key=rank),
        at_us=older.at_us,
        put_us=older.put_us,
        count=older.count + newer.count if again else max(older.count, newer.count),
        news=older.news + newer.news,
        unsent=older.unsent + newer.unsent,
    )


def joined(older: Iterable[Notice], newer: Iterable[Notice]) -> tuple[Notice, ...]:
    """Those that wait, each alert once, in the order in which the first of it came."""
    found: dict[str, Notice] = {}
    for notice in (*older, *newer):
        known = found.get(notice.name)
        found[notice.name] = notice if known is None else _join(known, notice)
    return tuple(found.values())
