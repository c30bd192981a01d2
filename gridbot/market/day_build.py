"""From the rows of a day to its columns: order, duplicates, gaps. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gridbot.market.day import DAY_MS
from gridbot.market.day_rows import Records
from gridbot.market.text_columns import NO_ID, mixed

__all__ = ["STEP_BACK_MS", "Conflict", "Ordered", "copies_in", "gaps_of", "in_order", "without_doubles"]

STEP_BACK_MS: Final = 1000
"""Rows of a file that lie so little before the one in front of them are no disorder: clocks of a matching engine."""
Whole: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ordered:
    """Rows by time, and how many were more than a second before the row in front of them in their file."""

    rows: Records
    out_of_order: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two rows with one id that say different things: their files (numbers) and rows."""

    first: tuple[int, int]
    second: tuple[int, int]


def in_order(rows: Records) -> Ordered:
    """Rows by time; those of one time as their file has them, from its end where it is newest first."""
    pieces: list[Records] = []
    out_of_order = 0
    for piece in _by_file(rows):
        at = piece["at"]
        if at[0] > at[-1]:
            piece = piece[::-1]
            at = piece["at"]
        out_of_order += int(np.count_nonzero(np.diff(at) < -STEP_BACK_MS))
        pieces.append(piece)
    pieces.sort(key=lambda piece: int(piece["at"].min()))
    whole = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
    at = np.ascontiguousarray(whole["at"])
    if (np.diff(at) < 0).any():
        whole = whole[np.argsort(at, kind="stable")]
    return Ordered(whole, out_of_order)


def _by_file(rows: Records) -> Iterable[Records]:
    cuts = np.flatnonzero(np.diff(rows["file"])) + 1
    if len(cuts) == 0:
        return [rows]
    # A file's rows come together, but for those of a file that was read in parts between others.
    found: dict[int, list[Records]] = {}
    for piece in np.split(rows, cuts):
        found.setdefault(int(piece["file"][0]), []).append(piece)
    return [np.concatenate(pieces) for pieces in found.values()]


def without_doubles(rows: Records) -> tuple[Records, int, Conflict | None]:
    """The rows without those that are there already by their id, how many those were, and the first contradiction."""
    ids = np.ascontiguousarray(rows["id"])
    order = np.argsort(ids, kind="stable")
    known = ids[order]
    again = np.flatnonzero((known[1:] == known[:-1]) & (known[1:] != 0))
    if not len(again):
        return rows, 0, None
    earlier, later = order[again], order[again + 1]
    same = np.ones(len(again), bool)
    for name in ("at", "price", "size", "side"):
        same &= rows[name][earlier] == rows[name][later]
    if not same.all():
        wrong = int(np.flatnonzero(~same)[0])
        return rows, 0, Conflict(_origin(rows, int(earlier[wrong])), _origin(rows, int(later[wrong])))
    keep = np.ones(len(rows), bool)
    keep[later] = False
    return rows[keep], len(later), None


def copies_in(rows: Records) -> tuple[int, int] | None:
    """Two files (numbers), the second of which repeats the first: most of its rows, which have no ids, are there."""
    if not len(rows) or (rows["file"] == rows["file"][0]).all():
        return None
    plain = rows[rows["id"] == NO_ID]
    said = np.stack([plain[name].astype(np.int64) for name in ("at", "price", "size", "side")], axis=1)
    pairs = np.unique(np.stack([mixed(said.view(np.uint64)), plain["file"].astype(np.uint64)], axis=1), axis=0)
    again = np.flatnonzero(pairs[1:, 0] == pairs[:-1, 0])
    earlier, later = pairs[again, 1].astype(np.int64), pairs[again + 1, 1].astype(np.int64)
    files, rows_each = np.unique(pairs[:, 1].astype(np.int64), return_counts=True)
    for number, count in zip(files.tolist(), rows_each.tolist(), strict=True):
        of = np.flatnonzero(later == number)
        if len(of) > 1 and 2 * len(of) > count:
            return int(earlier[of[0]]), int(number)
    return None


def _origin(rows: Records, at: int) -> tuple[int, int]:
    return int(rows["file"][at]), int(rows["row"][at])


def gaps_of(times_ms: Whole, start_ms: int, quiet_ms: int) -> tuple[tuple[int, int], ...]:
    """Times (from, to) of a day without a tick that are longer than `quiet_ms`, its beginning and end included."""
    edges = np.concatenate([[start_ms], times_ms, [start_ms + DAY_MS]])
    wide = np.flatnonzero(np.diff(edges) > quiet_ms)
    return tuple((int(edges[at]), int(edges[at + 1])) for at in wide)
