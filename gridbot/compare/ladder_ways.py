"""Which differences are of ladders that went different ways: built anew around other prices, or parted by an earlier
difference, from which they follow. Pure.

A fill that only one side has moves only that side's ladder; from then on the two want orders at other levels, and what
fills there differs, too, until the ladders are alike again. Ladders are recorded after they changed, at most once a
second; a difference that parts them has happened up to `LATE_MS` before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

__all__ = ["ANCHOR", "LATE_MS", "Cause", "Difference", "Snapshot", "apart", "causes_with_roots", "other_anchor"]

LATE_MS: Final = 5_000
"""From a fill to the record of the ladder that it moved: its way to the worker, and a second."""
ANCHOR: Final = "anchor"
LATENCY: Final = "latency"
FOLLOWS: Final = "follows from "
RECORDED_MS: Final = 1_000
"""From a change of a ladder to its record, at most."""
UNKNOWN: Final = "unexplained"


class Snapshot(NamedTuple):
    """A ladder from a time on (ms UTC): its levels as text, and the price (USDT) that it was built around."""

    at_ms: int
    levels: str
    anchor: Decimal | None = None


class Cause(NamedTuple):
    """Why a difference is there, in a word and in words; `root` is the number of the one that it follows from."""

    name: str
    words: str
    root: int | None = None


Snapshots = Sequence[Snapshot]
"""Of one strategy, sorted by time."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A fill that the sides do not share: when (ms UTC), of which strategy, its cause and that in words, and what it is
    called when another follows from it. `resized`: both have it, of another size. `alone`: the only side that has it,
    in which `leg`, and whether it `opens` that."""

    at_ms: int
    strategy: str
    cause: str
    words: str
    name: str
    resized: bool = False
    alone: str = ""
    leg: str = ""
    opens: bool = False


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
    differences: Sequence[Difference],
    ladders_apart: Mapping[str, Sequence[tuple[int, int | None]]],
    around: Callable[[str, int], str | None] = lambda _strategy, _at_ms: None,
    seen: Mapping[int, str] | None = None,
) -> list[Cause]:
    """The cause of each difference, in their order. What has no cause of its own, and came while the ladders of its
    strategy were apart, follows from the difference that parted them; its cause is `follows from` that one's. So does
    another size from the difference before it, and a close of what one side alone has opened from that opening. Where
    no difference came before they parted, the first one stands for that, and the others follow from it: by `anchor`
    where `around` a strategy and a time (ms UTC) has words for it.

    `seen`: words for differences, by number, that are of another price that one side saw (`latency`), where they follow
    from none."""
    found, seen = [(each.cause, each.words) for each in differences], seen or {}
    roots: list[int | None] = [None] * len(differences)
    earlier: dict[str, list[int]] = defaultdict(list)
    parted: dict[tuple[str, int], int] = {}
    for number in sorted(range(len(differences)), key=lambda number: differences[number].at_ms):
        each = differences[number]
        before = earlier[each.strategy]
        if each.cause == UNKNOWN:
            since = _since(each, ladders_apart.get(each.strategy, ()))
            root = _root(differences, before, each, since)
            if since is not None and root is None:
                root = parted.setdefault((each.strategy, since), number)
            if root is not None and root != number:
                root = root if roots[root] is None else roots[root]
            elif number in seen:
                root, found[number] = None, (LATENCY, seen[number])
            elif root == number:
                root, words = None, around(each.strategy, max(each.at_ms, since or 0))
                found[number] = (ANCHOR, words) if words else found[number]
            if root is not None:
                roots[number] = root
                found[number] = (f"{FOLLOWS}{found[root][0]}", f"{differences[root].name} ({each.words})")
        before.append(number)
    return [Cause(*each, root) for each, root in zip(found, roots, strict=True)]


def _since(each: Difference, apart: Sequence[tuple[int, int | None]]) -> int | None:
    """From when on (ms UTC) the ladders of its strategy were apart when it came, as far as they were recorded; None:
    they were not. Sizes say nothing of ladders."""
    if each.resized:
        return None
    return next(
        (begin for begin, end in apart if begin - RECORDED_MS < each.at_ms and (end is None or each.at_ms <= end)), None
    )


def _root(differences: Sequence[Difference], before: Sequence[int], each: Difference, since: int | None) -> int | None:
    """The number of the difference that another follows from, among those `before` it, sorted by time."""
    if each.resized:  # sizes are made of positions and wallet, which the newest difference has parted
        return before[-1] if before else None
    if each.alone and not each.opens:
        for number in reversed(before):
            opening = differences[number]
            if opening.opens and (opening.alone, opening.leg) == (each.alone, each.leg):
                return number
    if since is None:
        return None
    place = bisect_right(before, since, key=lambda number: differences[number].at_ms)
    root = before[place - 1] if place else None
    return root if root is not None and since - differences[root].at_ms <= LATE_MS else None
