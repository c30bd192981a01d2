"""Which differences are of ladders that went different ways: built anew around other prices, or parted by an earlier
difference, from which they follow. Pure.

A fill that only one side has moves only that side's ladder; from then on the two want orders at other levels, and what
fills there differs, too, until the ladders are alike again. Ladders are recorded after they changed, at most once a
second; a difference that parts them has happened up to `LATE_MS` before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

__all__ = ["ANCHOR", "LATE_MS", "Difference", "Snapshot", "apart", "causes_with_roots", "other_anchor"]

LATE_MS: Final = 5_000
"""From a fill to the record of the ladder that it moved: its way to the worker, and a second."""
ANCHOR: Final = "anchor"
UNKNOWN: Final = "unexplained"


class Snapshot(NamedTuple):
    """A ladder from a time on (ms UTC): its levels as text, and the price (USDT) that it was built around."""

    at_ms: int
    levels: str
    anchor: Decimal | None = None


Snapshots = Sequence[Snapshot]
"""Of one strategy, sorted by time."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A fill that the sides do not share: when (ms UTC), of which strategy, its cause and that in words, and what it is
    called when another follows from it. `resized`: both have it, of another size."""

    at_ms: int
    strategy: str
    cause: str
    words: str
    name: str
    resized: bool = False


def apart(here: Snapshots, there: Snapshots) -> list[tuple[int, int | None]]:
    """The times (from, to; ms UTC) in which both ladders are known and differ. None as an end: to the end."""
    moves = sorted([(each.at_ms, 0, each.levels) for each in here] + [(each.at_ms, 1, each.levels) for each in there])
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


def other_anchor(here: Snapshots, there: Snapshots, at_ms: int) -> str | None:
    """In words, where the two ladders of a time were built around other prices; else None.

    They are built anew where the price has left them, and that is another price for who sees it later.
    """
    ours, theirs = _newest(here, at_ms), _newest(there, at_ms)
    mine, other = ours and ours.anchor, theirs and theirs.anchor
    if mine is None or other is None or mine == other:
        return None
    return f"the ladder was built around {mine.normalize():f} here and {other.normalize():f} there"


def _newest(snapshots: Snapshots, at_ms: int) -> Snapshot | None:
    place = bisect_right(snapshots, at_ms, key=lambda snapshot: snapshot.at_ms)
    return snapshots[place - 1] if place else None


def causes_with_roots(
    differences: Sequence[Difference], ladders_apart: Mapping[str, Sequence[tuple[int, int | None]]]
) -> list[tuple[str, str]]:
    """(cause, words) of each difference, in their order. What has no cause of its own, and came while the ladders of
    its strategy were apart, follows from the difference that parted them; its cause is `follows from` that one's. So
    does another size from the difference before it."""
    found = [(each.cause, each.words) for each in differences]
    earlier: dict[str, list[int]] = defaultdict(list)
    for number in sorted(range(len(differences)), key=lambda number: differences[number].at_ms):
        each = differences[number]
        before = earlier[each.strategy]
        root = None
        if each.cause == UNKNOWN:
            root = _root(differences, before, each, ladders_apart.get(each.strategy, ()))
        if root is not None:
            cause = found[root][0]
            cause = cause if cause.startswith("follows from ") else f"follows from {cause}"
            found[number] = (cause, f"{differences[root].name} ({each.words})")
        before.append(number)
    return found


def _root(
    differences: Sequence[Difference], before: Sequence[int], each: Difference, apart: Sequence[tuple[int, int | None]]
) -> int | None:
    """The number of the difference that another follows from, among those `before` it, sorted by time."""
    if each.resized:  # sizes are made of positions and wallet, which the newest difference has parted
        return before[-1] if before else None
    since = next((begin for begin, end in apart if begin < each.at_ms and (end is None or each.at_ms <= end)), None)
    if since is None:
        return None
    place = bisect_right(before, since, key=lambda number: differences[number].at_ms)
    root = before[place - 1] if place else None
    return root if root is not None and since - differences[root].at_ms <= LATE_MS else None
