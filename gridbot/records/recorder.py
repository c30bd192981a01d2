"""Numbers an account's records, writes them to the journal, and passes the same bytes to the store's writer.

`record()` only encodes into memory. `write()` appends everything to the journal with one system call. It is called at
the end of a turn of the loop in which something arrived by stream. `write_ahead()`, before any request that must not be
sent unrecorded, leaves out what was put off by `record_later()`: that follows when the request has left. What else is
recorded (answers, listings, timers) goes with the next of these, at the latest with the
second's tick: until then a death loses it, and the next start asks the exchange again. `flush()` also offers what has
been written to the queue; it is called beside the hot path, because that is a system call which no order need wait for.
Where one write after the other has many records, they wait for their write as they are, and become a block there
(`gridbot.records.record_block`): less than half of the time and a fourth of the size of their frames of JSON.
The queue may be full or absent, and may lose what it has: the writer notices the missing numbers and reads the
journal. Nothing here raises into trading, and memory is bounded: when the disk refuses for long, samples (tickers,
health, grids) are given up first, money last, without spending a number.
"""

from __future__ import annotations

import queue as queues
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from gridbot.command_line import pasteable
from gridbot.frames import frame
from gridbot.ports import Clock
from gridbot.records import codec
from gridbot.records.codec import CodecError
from gridbot.records.journal import Journal, JournalBusy
from gridbot.records.journal_reader import JournalReader, newest_header
from gridbot.records.record_block import LEAST_ROWS, MOST_ROWS, block_of
from gridbot.records.record_queue import Batch
from gridbot.records.record_types import (
    AdjustmentRecord,
    CorrectionRecord,
    ExecutionRecord,
    GridRecord,
    Header,
    HealthRecord,
    OrderRecord,
    PublicTradeRecord,
    RawMessageRecord,
    Record,
    TickerRecord,
)
from gridbot.records.state_record import StateRecord

__all__ = ["BatchQueue", "Recorder", "RecorderStats", "Removed"]

MEMORY_LIMIT: Final = 32 * 1024 * 1024
FULL_PAUSE_S: Final = 0.25
_ROW_BYTES: Final = 640
"""What a record counts for in memory before it is bytes."""
_URGENT: Final = frozenset((ExecutionRecord, StateRecord))
_FIRST_TO_GO: Final = (TickerRecord, PublicTradeRecord, HealthRecord, GridRecord, RawMessageRecord)
_LAST_TO_GO: Final = (ExecutionRecord, CorrectionRecord, AdjustmentRecord)


class BatchQueue(Protocol):
    """A queue to the writer (`record_queue`). Raises queue.Full or OSError; it never waits."""

    def put_nowait(self, batch: Batch, /) -> None: ...


@dataclass(frozen=True, slots=True)
class RecorderStats:
    """Counts since the start of the worker; ages in seconds."""

    last_seq: int
    written_seq: int
    synced_seq: int
    acked_seq: int
    queue_dropped: int
    records_refused: int
    bytes_written: int
    backlog_bytes: int
    journal_age_s: float
    journal_error: str | None
    damages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Removed:
    """Somebody has removed the journal: the sentence for the operator, and how many records are lost by it."""

    text: str
    lost: int


class Recorder:
    """Recorder of one account. Not thread safe: it belongs to the worker's loop.

    `queue` is the account's own queue to the writer, or None.
    """

    def __init__(
        self,
        account: str,
        run_id: str,
        journal: Journal,
        queue: BatchQueue | None = None,
        *,
        clock: Clock,
        keep_journal: bool = False,
        memory_limit: int = MEMORY_LIMIT,
    ) -> None:
        self.account = account
        self.run_id = run_id
        self.journal = journal
        self.queue = queue
        self._clock = clock
        self._wall_us = clock.wall_us
        self._keep_journal = keep_journal
        self._memory_limit = memory_limit
        self._most_rows = min(MOST_ROWS, memory_limit // 2 // _ROW_BYTES)
        self._next_seq = journal.last_seq + 1
        self.found_seq = journal.last_seq
        """Number of the last record of earlier lives that the journal still has."""
        self._acked_seq = 0
        self._order_head = codec.head_of(OrderRecord.TABLE, account, run_id)
        self._later: list[tuple[int, Callable[[], Record]]] = []
        """What was put off: when (wall us), and what makes the record."""
        self._buffer: list[bytes] = []
        self._buffer_bytes = 0
        self._buffer_first = self._next_seq
        self._is_busy = False
        """The last write was large: what is recorded waits for the next as it is, to become a block."""
        self._rows: list[Record | StateRecord] = []
        self._row_times: list[int] = []
        """The newest records, which are no frames yet, and their times (wall us)."""
        self._row_room = 0
        """As many may wait so without a look at the memory: none if no block is to be, or the disk has refused."""
        self._unoffered: list[bytes] = []
        self._unoffered_first = self._next_seq
        self._unoffered_end = (0, 0, 0)
        """Number of the last one, and segment and byte offset after it."""
        self._urgent = False
        self._last_write = clock.monotonic_s()
        self._queue_dropped = 0
        self._queue_pause_until: float | None = None
        self._refused = 0
        self._closed = False
        self._keep_error = ""

    # -- recording

    def record(self, record: Record | StateRecord) -> int:
        """Number the record and keep it for the next `write`. 0 when it was dropped (see `stats.records_refused`)."""
        rows = self._rows
        if len(rows) >= self._row_room:
            return self._record(record, self._wall_us())
        rows.append(record)
        self._row_times.append(self._wall_us())
        self._next_seq = (seq := self._next_seq) + 1
        return seq

    def record_sent(self, order_data: bytes) -> int:
        """Number and keep the record of an order that is being sent (`sent_order`), like `record`. On the hot path."""
        if self._held > self._memory_limit:
            self._refused += 1
            return 0
        seq = self._next_seq
        self._keep(codec.encode_data(self._order_head, seq, self._wall_us(), order_data))
        return seq

    def record_later(self, make: Callable[[], Record]) -> None:
        """Record what `make` returns with the next `write`, dated now: no request waits for it. It must not raise."""
        self._later.append((self._wall_us(), make))

    def _record(self, record: Record | StateRecord, local_ts: int) -> int:
        held = self._held
        if held > self._memory_limit // 2 and self._gives_up(record, held):
            self._refused += 1
            return 0
        seq = self._next_seq
        if self._is_busy:
            self._rows.append(record)
            self._row_times.append(local_ts)
            self._next_seq += 1
        elif (encoded := self._encoded(seq, local_ts, record)) is None:
            return 0
        else:
            self._keep(encoded)
            if type(record) in _URGENT:
                self._urgent = True
        return seq

    @property
    def _held(self) -> int:
        """Bytes that wait in memory, here and in the journal."""
        return self._buffer_bytes + _ROW_BYTES * len(self._rows) + self.journal.backlog_bytes

    def _encoded(self, seq: int, local_ts: int, record: Record | StateRecord) -> bytes | None:
        """The frame of a record; None, and one more that is refused, when it cannot be written."""
        try:
            return codec.encode(self.account, self.run_id, seq, local_ts, record)
        except CodecError:
            try:
                return codec.encode(self.account, self.run_id, seq, local_ts, codec.storable(record))
            except CodecError:
                self._refused += 1
                return None

    def _keep(self, encoded: bytes) -> None:
        if self._rows:
            self._settle()
        self._next_seq += 1
        self._buffer.append(encoded)
        self._buffer_bytes += len(encoded)

    def _settle(self) -> None:
        """Make frames of what waits as it is. The number of one that cannot be written is lost."""
        rows, times = self._rows, self._row_times
        self._rows, self._row_times = [], []
        self._urgent |= not _URGENT.isdisjoint(map(type, rows))
        first = self._next_seq - len(rows)
        for at in range(0, len(rows), MOST_ROWS):
            for encoded in self._frames(first + at, times[at : at + MOST_ROWS], rows[at : at + MOST_ROWS]):
                self._buffer.append(encoded)
                self._buffer_bytes += len(encoded)

    def _frames(self, first: int, times: list[int], rows: list[Record | StateRecord]) -> list[bytes]:
        if len(rows) >= LEAST_ROWS:
            try:
                return [frame(block_of(self.account, self.run_id, first, times, rows))]
            except CodecError:
                pass
        pairs = zip(times, rows, strict=True)
        found = (self._encoded(seq, at, record) for seq, (at, record) in enumerate(pairs, start=first))
        return [each for each in found if each is not None]

    def _gives_up(self, record: Record | StateRecord, held: int) -> bool:
        if isinstance(record, _FIRST_TO_GO):
            return True
        return held > self._memory_limit * (2 if isinstance(record, _LAST_TO_GO) else 1)

    def write(self) -> bool:
        """Write what was recorded since the last call, and what was put off before.

        True while something waits for `flush` to offer it.
        """
        if self._later:
            later, self._later = self._later, []
            for local_ts, make in later:
                self._record(make(), local_ts)
        return self.write_ahead()

    def write_ahead(self) -> bool:
        """Write what was recorded since the last call, but for what was put off. On the hot path."""
        if self._rows:
            self._settle()
        if not self._buffer:
            if self.journal.backlog_bytes:
                self.journal.append(b"", self.journal.last_seq)
            return bool(self._unoffered)
        frames = self._buffer[0] if len(self._buffer) == 1 else b"".join(self._buffer)
        first, last = self._buffer_first, self._next_seq - 1
        urgent, self._is_busy = self._urgent, last - first >= LEAST_ROWS
        self._buffer, self._buffer_bytes, self._buffer_first, self._urgent = [], 0, self._next_seq, False
        if self.journal.append(frames, last, urgent=urgent):
            self._last_write = self._clock.monotonic_s()
            if not self._unoffered:
                self._unoffered_first = first
            self._unoffered.append(frames)
            self._unoffered_end = (last, *self.journal.position)
            self._row_room = self._most_rows if self._is_busy else 0
        else:
            self._row_room = 0
            self._offer()  # a batch must not have a gap inside, and these frames will be missing
        return bool(self._unoffered)

    def flush(self) -> None:
        """Write, and offer to the queue what is in the journal since the last call."""
        self.write()
        self._offer()

    def _offer(self) -> None:
        if not self._unoffered:
            return
        frames = b"".join(self._unoffered)
        self._unoffered = []
        if self.queue is None:
            return
        if self._queue_pause_until is not None:
            if self._last_write < self._queue_pause_until:
                self._queue_dropped += 1
                return
            self._queue_pause_until = None
        try:
            self.queue.put_nowait((self._unoffered_first, *self._unoffered_end, frames))
        except (queues.Full, OSError):
            self._queue_dropped += 1
            self._queue_pause_until = self._last_write + FULL_PAUSE_S

    # -- acknowledgement

    @property
    def last_seq(self) -> int:
        """Number of the last record; 0 before the first of the account's life."""
        return self._next_seq - 1

    @property
    def acked_seq(self) -> int:
        """Number up to which the database has everything, as far as the supervisor has reported."""
        return self._acked_seq

    def ack(self, seq: int) -> None:
        """The database holds everything up to `seq`: remove whole segments below it, unless they are to be kept."""
        if seq <= self._acked_seq:
            return
        self._acked_seq = seq
        if not self._keep_journal:
            self.journal.remove_through(min(seq, self.journal.written_seq))

    @property
    def safe_seq(self) -> int:
        """Number up to which the disk has the records, as safe as the journal's durability makes them."""
        return self.journal.synced_seq

    def go_on_above(self, seq: int) -> None:
        """Give no number up to `seq`: a file that outlived the journal's end names it. The numbers between are gone."""
        if seq >= self._next_seq:
            self.flush()  # a batch has no gap inside
            self._next_seq = self._buffer_first = seq + 1

    def keep_above(self, seq: int | None) -> None:
        """Records above `seq` are still needed by `replay` (a checkpoint is behind): keep their segments."""
        self.journal.keep_above(seq)

    @property
    def oldest_seq(self) -> int:
        """Number at which the journal begins (`Journal.oldest_seq`)."""
        return self.journal.oldest_seq

    def replay(
        self, after_seq: int = 0, kinds: frozenset[str] | None = None
    ) -> Iterator[tuple[Header, Record | StateRecord]]:
        """Records of this account numbered above `after_seq` that are in the journal, in order; also earlier runs'.

        `kinds`: only of these tables (None: of all).
        """
        return JournalReader(self.journal.directory).read_from(after_seq + 1, kinds)

    def newest_header(self) -> Header | None:
        """Header of the last record in the journal, of whatever run. Raises OSError."""
        return newest_header(self.journal.directory)

    # -- files that somebody removes

    def keep(self) -> Removed | None:
        """Make the journal's files again when somebody has removed them; what is to be told then.

        Call it once a second or so. Never raises: what cannot be made is an error of the journal (`stats`).
        """
        try:
            first = self.journal.keep()
        except (OSError, JournalBusy) as exc:
            self._keep_error = f"its files were removed and cannot be made again: {exc}"
            return None
        self._keep_error = ""
        if first is None:
            return None
        lost = max(0, first - 1 - self._acked_seq)
        look = pasteable("ledger check --exchange", data_dir=self.journal.directory.parent.parent)
        what = (
            f"{lost} records before that had not reached the database and are lost: `{look}` names the executions "
            "among them"
            if lost
            else "no record is lost"
        )
        text = f"somebody removed the journal {self.journal.directory} while the bot runs; it was made again, "
        return Removed(f"{text}with all records from number {first} on; {what}", lost)

    # -- state

    @property
    def stats(self) -> RecorderStats:
        journal = self.journal
        return RecorderStats(
            last_seq=self.last_seq,
            written_seq=journal.written_seq,
            synced_seq=journal.synced_seq,
            acked_seq=self._acked_seq,
            queue_dropped=self._queue_dropped,
            records_refused=self._refused,
            bytes_written=journal.bytes_written,
            backlog_bytes=self._held,
            journal_age_s=self._clock.monotonic_s() - self._last_write,
            journal_error=self._keep_error or journal.error or journal.sync_error,
            damages=tuple(str(damage) for damage in journal.damages),
        )

    def close(self) -> None:
        """Flush and give up the journal. Harmless when called twice."""
        if self._closed:
            return
        self._closed = True
        self.flush()
        self.journal.close()
