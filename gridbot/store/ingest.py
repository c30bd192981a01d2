"""One account's records on their way to the database: by queue while that works, by journal whenever it does not.

    number expected next == first of the batch   -> take it (the batch says where the journal continues)
    batch starts later                            -> something was missed: read the journal, then compare again
    batch ends earlier                            -> known already, drop it
    no batch, but the journal is longer than known -> the queue was full: read the journal
    the journal itself jumps                      -> those records are lost: note the gap, continue

So the queue may lose, repeat or withhold anything; the result is each number once and in order.
"""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gridbot.frames import split
from gridbot.lease.record_floor import is_floor
from gridbot.records import codec
from gridbot.records.block_reader import NewerJournal, Part, read_block
from gridbot.records.codec import CodecError
from gridbot.records.columns import JOURNAL_TYPES, RECORD_TYPES
from gridbot.records.journal_reader import Damage, JournalReader
from gridbot.records.record_block import BLOCK, BLOCK_HEAD
from gridbot.records.record_queue import Batch, QueueReceiver

__all__ = ["AccountSource", "Taken"]

log = logging.getLogger("gridbot.store")

_SEQ_KEY: Final = b',"seq":'
_HEADS_LIMIT: Final = 64
_REPORTED_LIMIT: Final = 1_000


@dataclass(slots=True)
class Taken:
    """Records of one account for one transaction: bodies by kind in order, parts of blocks by kind, what was wrong.

    `first_us`: time of the first (`local_ts`), 0 without one. `size` is in bytes, damaged and known ones included.
    `more` says that there may be more right now.
    """

    count: int = 0
    size: int = 0
    first_us: int = 0
    bodies: dict[str, list[bytes]] = field(default_factory=dict)
    parts: dict[str, list[Part]] = field(default_factory=dict)
    gaps: list[tuple[int, int, str]] = field(default_factory=list)
    rejects: list[tuple[int | None, str | None, str, str]] = field(default_factory=list)
    last_seq: int = 0
    more: bool = False


@dataclass(frozen=True, slots=True)
class _Limit:
    count: int
    size: int

    def __call__(self, taken: Taken) -> bool:
        return taken.count >= self.count or taken.size >= self.size


class AccountSource:
    """The records of one account in order, each once, from queue and journal."""

    def __init__(self, account: str, directory: Path, queue: QueueReceiver | None = None) -> None:
        self.account = account
        self._queue = queue
        self.next_seq = 1
        self.from_journal = 0
        self._reader = JournalReader(directory)
        self._batches: deque[Batch] = deque()
        self._suspect = False
        self._damage_notes: list[str] = []
        self._recent_damage: list[str] = []
        self._reported: set[str] = set()
        self._heads: dict[bytes, str] = {}
        """Kind by what bodies of this account begin with, up to their number: the same bytes within a run."""

    def reset(self, committed: int) -> None:
        """Continue after the last number that is in the database."""
        self.next_seq = committed + 1
        self._reader.seek(self.next_seq)
        self._batches.clear()
        self._suspect = False
        self._damage_notes = []
        self._recent_damage = []

    def take(self, limit: int, max_bytes: int, *, idle: bool = True) -> Taken:
        """About `limit` records or `max_bytes`, or fewer.

        `idle`: this is a regular look, so compare with the journal's length too.
        """
        taken = Taken(last_seq=self.next_seq - 1)
        if self._queue and not self._batches:
            self._batches.extend(self._queue.take())
        arrived = bool(self._batches)
        full = _Limit(limit, max_bytes)
        while self._batches and not full(taken):
            first, last, segment, offset, frames = self._batches[0]
            if last < self.next_seq:
                self._batches.popleft()
            elif first <= self.next_seq:
                self._batches.popleft()
                self._accept(split(frames, complete=True)[0], taken)
                self._reader.move(segment, offset)
            elif not self._read_journal(full, taken):
                self._note_gap(self.next_seq, first - 1, taken, "its journal does not hold them")
                self.next_seq = first
        if not arrived:
            self._look_at_journal(full, taken, idle=idle)
        taken.more = full(taken)
        taken.last_seq = self.next_seq - 1
        return taken

    def _look_at_journal(self, full: _Limit, taken: Taken, *, idle: bool) -> None:
        """Without batches: read the journal, once it is clear that its bytes are not about to come by queue as well."""
        if not self._reader.has_more():
            self._suspect = False
        elif self._queue is None or self._suspect:
            self._read_journal(full, taken)
        elif idle:
            self._suspect = True

    def _read_journal(self, full: _Limit, taken: Taken) -> bool:
        """Read until `taken` is full; False when the journal has ended and had none that is new.

        A segment is read from its beginning, so what fills `taken` first may all be known: then nothing is missing.
        """
        before, is_at_end = self.next_seq, False
        while not (is_at_end or full(taken)):
            chunk = self._reader.read()
            found = [self._report(damage) for damage in chunk.damages]
            self._damage_notes = self._recent_damage + found  # a gap may appear in the chunk after the damage
            self._recent_damage = found
            self._accept(chunk.bodies, taken)
            is_at_end = not (chunk.bodies or chunk.damages)
        self.from_journal += self.next_seq - before
        return self.next_seq > before or not is_at_end

    def _accept(self, bodies: list[bytes], taken: Taken) -> None:
        """Sort bodies by kind. A fast path takes those that begin as earlier ones did and have the next number."""
        heads, by_kind = self._heads, taken.bodies
        taken.size += sum(map(len, bodies))
        for body in bodies:
            if body.startswith(BLOCK_HEAD):
                self._accept_block(body, taken)
                continue
            at = body.find(_SEQ_KEY) + len(_SEQ_KEY)
            kind = heads.get(body[:at])
            if kind in by_kind and body.startswith(b"%d," % self.next_seq, at):
                by_kind[kind].append(body)
                self.next_seq += 1
                taken.count += 1
            else:
                self._accept_body(body, taken)

    def _accept_body(self, body: bytes, taken: Taken) -> None:
        try:
            kind, seq = codec.peek(body)
        except CodecError as exc:
            taken.rejects.append((None, None, str(exc), body.decode(errors="replace")))
            return
        if seq < self.next_seq:
            return
        self._miss_up_to(seq, taken)
        self.next_seq = seq + 1
        taken.count += 1
        if kind not in RECORD_TYPES:
            if kind in JOURNAL_TYPES:
                return  # it stays in the journal
            text = f"record kind {kind!r} is not known; was it written by a newer gridbot?"
            taken.rejects.append((seq, kind, text, body.decode(errors="replace")))
            return
        taken.first_us = taken.first_us or int(codec.parse(body)["local_ts"])
        taken.bodies.setdefault(kind, []).append(body)
        at = body.find(_SEQ_KEY)
        if at >= 0 and body.startswith(codec.KIND_KEY):
            if len(self._heads) >= _HEADS_LIMIT:
                self._heads.clear()
            self._heads[body[: at + len(_SEQ_KEY)]] = kind

    def _accept_block(self, body: bytes, taken: Taken) -> None:
        """Raises NewerJournal."""
        try:
            block = read_block(body)
            if block.last < self.next_seq:
                return
            known = JOURNAL_TYPES.keys() >= {part.layout.kind for part in block.parts}
            if block.first < self.next_seq or not known:  # a part of it is in the database already, or fits no table
                for each in block.bodies():
                    self._accept_body(each, taken)
                return
        except NewerJournal:
            raise
        except CodecError as exc:
            self._lose_block(body, str(exc), taken)
            return
        if block.first > self.next_seq:
            self._miss_up_to(block.first, taken)
        self.next_seq = block.last + 1
        taken.count += block.last - block.first + 1
        taken.first_us = taken.first_us or block.local_ts
        for part in block.parts:
            kind = part.layout.kind
            if kind in RECORD_TYPES:  # else it stays in the journal
                taken.parts.setdefault(kind, []).append(part)

    def _lose_block(self, body: bytes, why: str, taken: Taken) -> None:
        """Its frame is whole, and what it says is not: its records up to its last number are lost."""
        last = 0
        with contextlib.suppress(CodecError):
            last = codec.seq_of(body)
        if last >= self.next_seq:
            self._note_gap(self.next_seq, last, taken, why)
            self.next_seq = last + 1
        taken.rejects.append((last or None, BLOCK, why, body.decode(errors="replace")))

    def _miss_up_to(self, seq: int, taken: Taken) -> None:
        if seq > self.next_seq:
            reason = "; ".join(self._damage_notes) or "the journal no longer holds them"
            self._note_gap(self.next_seq, seq - 1, taken, reason)

    def _note_gap(self, first: int, last: int, taken: Taken, reason: str) -> None:
        """Of a fleet the numbers of each epoch begin anew, higher up: that is no loss."""
        if is_floor(last):
            return
        taken.gaps.append((first, last, reason))
        log.error("account %s: records %d to %d are missing: %s", self.account, first, last, reason)

    def _report(self, damage: Damage) -> str:
        text = str(damage)
        if text not in self._reported:
            if len(self._reported) >= _REPORTED_LIMIT:
                self._reported.clear()
            self._reported.add(text)
            log.error("account %s: %s", self.account, text)
        return text
