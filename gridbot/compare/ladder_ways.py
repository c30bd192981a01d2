"""Which differences follow from an earlier one: the ladders of two sides that went different ways after it. Pure.

A fill that only one side has moves only that side's ladder; from then on the two want orders at other levels, and what
fills there differs, too, until the ladders are alike again. Ladders are recorded after they changed, at most once a
second; a difference that parts them has happened up to `LATE_MS` before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["LATE_MS", "Difference", "apart", "causes_with_roots"]

LATE_MS: Final = 5_000
"""From a fill to the record of the ladder that it moved: its way to the worker, and a second."""
UNKNOWN: Final = "unexplained"
Snapshots = Sequence[tuple[int, str]]
"""(ms UTC, the ladder as text) of one strategy, sorted by time."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A fill that the sides do not share: when (ms UTC), of which strategy, its cause and that in words, and what it is
    called when another follows from it."""

    at_ms: int
    strategy: str
    cause: str
    words: str
    name: str


def apart(here: Snapshots, there: Snapshots) -> list[tuple[int, int | None]]:
    """The times (from, to; ms UTC) in which both ladders are known and differ. None as an end: to the end."""
    moves = sorted([(at, 0, text) for at, text in here] + [(at, 1, text) for at, text in there])
    now: list[str | None] = [None, None]
    found: list[tuple[int, int | None]] = []
    since: int | None = None
    for at, side, text in moves:
        now[side] = text
        differ = None not in now and now[0] != now[1]
        if differ and since is None:
            since = at
        elif not differ and since is not None:
            if at > since:
                found.append((since, at))
            since = None
    return [*found, (since, None)] if since is not None else found


def causes_with_roots(
    differences: Sequence[Difference], ladders_apart: Mapping[str, Sequence[tuple[int, int | None]]]
) -> list[tuple[str, str]]:
    """(cause, words) of each difference, in their order. What has no cause of its own, and came while the ladders of
    its strategy were apart, follows from the difference that parted them; its cause is `follows from` that one's."""
    order = sorted(range(len(differences)), key=lambda number: differences[number].at_ms)
    found = [(each.cause, each.words) for each in differences]
    for place, number in enumerate(order):
        each = differences[number]
        if each.cause != UNKNOWN:
            continue
        since = next(
            (
                begin
                for begin, end in ladders_apart.get(each.strategy, ())
                if begin < each.at_ms and (end is None or each.at_ms <= end)
            ),
            None,
        )
        if since is None:
            continue
        root = next(
            (
                other
                for other in reversed(order[:place])
                if differences[other].strategy == each.strategy and differences[other].at_ms <= since
            ),
            None,
        )
        if root is not None and since - differences[root].at_ms <= LATE_MS:
            cause = found[root][0]
            cause = cause if cause.startswith("follows from ") else f"follows from {cause}"
            found[number] = (cause, f"{differences[root].name} ({each.words})")
    return found
