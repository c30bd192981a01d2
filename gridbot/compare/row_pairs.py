"""Which row of one side is which of the other, within a level: one to one, by time. Pure.

Two rows of a level may be a pair when their times differ by at most the *reach*. Of all ways to pair the rows of a
level that is taken in which the differences of time, and half the reach for each row that stays alone, add up to the
least::

    here   10:00:00            10:00:31                        10:01:02
    there            10:00:02            10:00:33    10:00:45
                     pair, 2 s           pair, 2 s   alone     alone (reach 15 s)

So a row that is missing on one side does not shift all that follow it. Whichever side comes first and in whatever order
rows were read, the answer is the same. Rows of a level come sorted by time; what lies further apart than the reach is a
block of its own, so that memory holds one block. A block of more than `BLOCK` rows is cut where its times are furthest
apart: only then something better may be missed.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

__all__ = ["BLOCK", "HERE", "THERE", "Block", "blocks", "pairs_in", "row_pairs"]

HERE: Final = 0
THERE: Final = 1
BLOCK: Final = 512
"""Rows of a block that are weighed against one another."""

Row = tuple[int, int, int, int]
"""Number of the level, time in ms, `HERE` or `THERE`, number of the row."""


@dataclass(slots=True)
class Block:
    """Rows of one level that lie within the reach of their neighbours: of either side (time in ms, row), by time."""

    here: list[tuple[int, int]] = field(default_factory=list)
    there: list[tuple[int, int]] = field(default_factory=list)


def row_pairs(rows: Iterable[Row], reach_ms: int) -> Iterator[tuple[int, int]]:
    """Pairs of row numbers, (here, there); what is in none stays alone.

    `rows` are sorted by level, then time, then whatever tells rows of one time apart on both sides alike.
    """
    for block in blocks(rows, reach_ms):
        yield from pairs_in(block, reach_ms)


def blocks(rows: Iterable[Row], reach_ms: int) -> Iterator[Block]:
    """The rows in blocks that have nothing to do with one another."""
    waiting: list[Row] = []
    level, last_ms = -1, 0
    for row in rows:
        if row[0] != level or row[1] - last_ms > reach_ms:
            waiting = yield from _cut(waiting)
            if waiting:
                yield _block(waiting)
            waiting = []
        elif len(waiting) >= BLOCK:
            waiting = yield from _cut(waiting)
        waiting.append(row)
        level, last_ms = row[0], row[1]
    waiting = yield from _cut(waiting)
    if waiting:
        yield _block(waiting)


def pairs_in(block: Block, reach_ms: int) -> Iterator[tuple[int, int]]:
    """The pairs of one block."""
    here, there = block.here, block.there
    if not here or not there:
        return
    if len(here) == 1 and len(there) == 1:  # most blocks by far; the two are within reach, or they were not in one
        yield here[0][1], there[0][1]
    elif _told_apart(here, there):
        yield from ((mine[1], theirs[1]) for mine, theirs in zip(here, there, strict=False))
    else:
        yield from _cheapest(here, there, reach_ms)


def _block(rows: Iterable[Row]) -> Block:
    block = Block()
    for _, at_ms, side, number in rows:
        (block.there if side else block.here).append((at_ms, number))
    return block


def _cut(rows: list[Row]) -> Generator[Block, None, list[Row]]:
    """What has to go as blocks before there are fewer than `BLOCK` rows, or rows of one time; and what is left."""
    while len(rows) >= BLOCK and rows[0][1] != rows[-1][1]:
        place = _widest(rows)
        yield _block(rows[:place])
        rows = rows[place:]
    return rows


def _widest(rows: Sequence[Row]) -> int:
    """Where to cut: before the row that is furthest from the one before it, in the second half if there it can be."""
    gaps = [(rows[place][1] - rows[place - 1][1], place) for place in range(1, len(rows))]
    _, place = max([gap for gap in gaps[len(gaps) // 2 :] if gap[0]] or gaps)
    return place


def _told_apart(here: Sequence[tuple[int, int]], there: Sequence[tuple[int, int]]) -> bool:
    """Whether each row is nearer to the one of its own place on the other side than to any other.

    Then no other way to pair them can be cheaper. Rows of one time alone are told apart by nothing, and any way does.
    """
    if here[0][0] == here[-1][0] == there[0][0] == there[-1][0]:
        return True
    if len(here) != len(there):
        return False
    latest = None
    previous = 0
    for (mine, _), (theirs, _) in zip(here, there, strict=True):
        apart = abs(mine - theirs)
        if latest is not None:
            between = min(mine, theirs) - latest
            if between < apart or between < previous:
                return False
        latest, previous = max(mine, theirs), apart
    return True


def _cheapest(
    here: Sequence[tuple[int, int]], there: Sequence[tuple[int, int]], reach_ms: int
) -> Iterator[tuple[int, int]]:
    """As the text above says, by a table of the least cost of the first rows of either side (twice: no halves)."""
    costs = [[place * reach_ms for place in range(len(there) + 1)]]
    for mine, _ in here:
        above = costs[-1]
        left = above[0] + reach_ms
        line = [left]
        for place, (theirs, _) in enumerate(there):
            apart = mine - theirs if mine > theirs else theirs - mine
            over = above[place + 1]
            least = (left if left < over else over) + reach_ms
            if apart <= reach_ms and above[place] + 2 * apart <= least:
                least = above[place] + 2 * apart
            line.append(least)
            left = least
        costs.append(line)
    yield from _way_back(costs, here, there, reach_ms)


def _way_back(
    costs: Sequence[Sequence[int]],
    here: Sequence[tuple[int, int]],
    there: Sequence[tuple[int, int]],
    reach_ms: int,
) -> Iterator[tuple[int, int]]:
    """The pairs of the cheapest way. Of several that is taken which pairs later rows, whichever side they are of."""
    mine, theirs = len(here), len(there)
    while mine and theirs:
        apart = abs(here[mine - 1][0] - there[theirs - 1][0])
        cost = costs[mine][theirs]
        if apart <= reach_ms and cost == costs[mine - 1][theirs - 1] + 2 * apart:
            mine, theirs = mine - 1, theirs - 1
            yield here[mine][1], there[theirs][1]
            continue
        without_mine = cost == costs[mine - 1][theirs] + reach_ms
        without_theirs = cost == costs[mine][theirs - 1] + reach_ms
        if without_mine and not (without_theirs and there[theirs - 1][0] > here[mine - 1][0]):
            mine -= 1
        else:
            theirs -= 1
