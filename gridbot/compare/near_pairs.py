"""Pairs of what no level has in common: the same wish at another price. Pure.

What is alone within its level may be the other side's row a few ticks away: another anchor, another rounding. Of one
symbol, action, leg and side two such rows may be a pair when their times differ by at most the reach and their prices
by at most `near` parts in a million. The nearest in price become a pair first; of those equally near the nearest in
time, then the earlier, then the lower.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Final

from gridbot.compare.row_pairs import BLOCK

__all__ = ["near_pairs"]

MILLION: Final = 1_000_000

Lonely = tuple[int, int, int, int, int]
"""Number of the kind (symbol, action, leg, side), time in ms, `HERE` or `THERE`, price in ticks, number of the row."""


def near_pairs(rows: Iterable[Lonely], reach_ms: int, near: int) -> Iterator[tuple[int, int]]:
    """Pairs of row numbers, (here, there). `rows` are sorted by kind, then time, then price."""
    waiting: list[Lonely] = []
    for row in rows:
        if waiting and (row[0] != waiting[0][0] or row[1] - waiting[-1][1] > reach_ms):
            yield from _nearest(waiting, reach_ms, near)
            waiting = []
        while len(waiting) >= BLOCK:
            cut = _widest(waiting)
            yield from _nearest(waiting[:cut], reach_ms, near)
            waiting = waiting[cut:]
        waiting.append(row)
    yield from _nearest(waiting, reach_ms, near)


def _widest(rows: list[Lonely]) -> int:
    """Where to cut: before the row that comes longest after the one before it, in the second half.

    Rows of one time are cut where the price changes most: their pairs are of nearly one price.
    """
    gaps = [
        (rows[place][1] - rows[place - 1][1], abs(rows[place][3] - rows[place - 1][3]), place)
        for place in range(len(rows) // 2, len(rows))
    ]
    return max(gaps)[2]


def _nearest(rows: list[Lonely], reach_ms: int, near: int) -> Iterator[tuple[int, int]]:
    theirs = sorted((ticks, at_ms, number) for _, at_ms, side, ticks, number in rows if side)
    if not theirs or len(theirs) == len(rows):
        return
    found = []
    for _, at_ms, side, ticks, number in rows:
        if side:
            continue
        furthest = ticks * near // (MILLION - near) + 1
        for place in range(bisect_left(theirs, (ticks - furthest,)), len(theirs)):
            others, other_ms, other = theirs[place]
            apart, late = abs(ticks - others), abs(at_ms - other_ms)
            if others > ticks + furthest:
                break
            if late <= reach_ms and apart <= max(1, max(ticks, others) * near // MILLION):
                found.append((apart, late, min(at_ms, other_ms), min(ticks, others), number, other))
    found.sort()
    taken: tuple[set[int], set[int]] = set(), set()
    for *_, number, other in found:
        if number not in taken[0] and other not in taken[1]:
            taken[0].add(number)
            taken[1].add(other)
            yield number, other
