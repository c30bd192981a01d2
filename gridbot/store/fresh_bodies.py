"""What a writer has just committed, kept in memory for whoever sends it on: the file need not be opened for that.

Of each account it has all records of some kinds above one number and up to another, or it says that it has not: of a
commit in which something fitted no table, of a large one, of what there is no room for, and of what was there before
this process. That is in the file. Two threads use it: the writer's puts in, the sender's takes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson

from gridbot.records.codec import CodecError
from gridbot.store.commit import Rows
from gridbot.store.record_bodies import BodyRow, Chunk

__all__ = ["FreshBodies"]

MOST_BYTES: Final = 8_000_000
MOST_AT_ONCE: Final = 5_000
"""Records of one commit: of more the file is read, a large part at a time."""


@dataclass(slots=True)
class _Span:
    """All records of an account with numbers above `above` and up to `upto`."""

    above: int
    upto: int
    rows: deque[BodyRow] = field(default_factory=deque)


class FreshBodies:
    """Of records of these kinds; of all together no more than `most_bytes` of their bodies."""

    def __init__(self, kinds: Collection[str], most_bytes: int = MOST_BYTES) -> None:
        self._kinds = frozenset(kinds)
        self._most = most_bytes
        self._lock = threading.Lock()
        self._spans: dict[str, _Span] = {}
        self._bytes = 0

    def add(self, before: Mapping[str, int], rows: Rows, *, whole: bool) -> None:
        """These are in the file now; `before`: by account the number up to which all were there before.

        `whole`: each of them, and none is missing. Else it is known only that others are there.
        """
        found: dict[str, list[BodyRow]] = {}
        if whole := whole and rows.count <= MOST_AT_ONCE:
            try:
                found = self._bodies(rows)
            except CodecError:
                whole = False
        with self._lock:
            for account, upto in rows.offsets.items():
                known = before.get(account, 0)
                span = self._spans.get(account)
                if not whole:
                    self._forget(account, upto)
                    continue
                if span is None or span.upto != known:
                    self._forget(account, known)
                    span = self._spans[account]
                fresh = found.get(account, [])
                span.rows.extend(fresh)
                span.upto = upto
                self._bytes += sum(len(row.body) for row in fresh)
            if self._bytes > self._most:
                for account, span in self._spans.items():
                    self._forget(account, span.upto)

    def clear(self) -> None:
        """Nothing is known any more of what the file has."""
        with self._lock:
            self._spans, self._bytes = {}, 0

    def take(self, above: Mapping[str, int], committed: Mapping[str, int], limit: int) -> Chunk | None:
        """At most `limit` records above these numbers (0 for an account without); None when some of them, up to those
        that are `committed`, are in the file only. What is at or below the numbers is forgotten."""
        chunk = Chunk()
        with self._lock:
            for account, last in sorted(committed.items()):
                known, span = above.get(account, 0), self._spans.get(account)
                if span is None or known < span.above:
                    if known < last:
                        return None
                    continue
                while span.rows and span.rows[0].seq <= known:
                    self._bytes -= len(span.rows.popleft().body)
                room = limit - len(chunk.rows)
                if known >= span.upto:
                    continue
                if room <= 0:
                    chunk.more = True
                    break
                taken = [row for row, _ in zip(span.rows, range(room), strict=False)]
                is_all = len(taken) == len(span.rows)
                chunk.rows += taken
                chunk.upto[account] = span.upto if is_all else taken[-1].seq
                chunk.more = chunk.more or not is_all
        return chunk

    def _forget(self, account: str, upto: int) -> None:
        if (span := self._spans.get(account)) is not None:
            self._bytes -= sum(len(row.body) for row in span.rows)
        self._spans[account] = _Span(upto, upto)

    def _bodies(self, rows: Rows) -> dict[str, list[BodyRow]]:
        found: dict[str, list[BodyRow]] = {}
        for kind in self._kinds & rows.tables.keys():
            for body in rows.tables[kind]:
                doc = orjson.loads(body)
                account = str(doc["account"])
                found.setdefault(account, []).append(BodyRow(account, int(doc["seq"]), kind, body.decode()))
        for kind in self._kinds & rows.parts.keys():
            for part in rows.parts[kind]:
                bodies = [BodyRow(part.account, seq, kind, body.decode()) for seq, body in part.numbered()]
                found.setdefault(part.account, []).extend(bodies)
        for each in found.values():
            each.sort(key=lambda row: row.seq)
        return found
