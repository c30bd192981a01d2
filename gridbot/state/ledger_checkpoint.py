"""The account's ledger across restarts: a checkpoint file, and the journal's records after it. The same for the orders
that the records hold for open.

Every execution is in the journal before anything else is done with it. So the last checkpoint and the records after it
give the exact ledger at any moment. A checkpoint goes to the disk when the journal is safe up to it: one that was ahead
would count what no record has. Journal segments that the next start would need, for the ledger or for the documents of
the state log, are kept until newer files are on the disk.

So a checkpoint that ends before the journal begins is an older copy, and does not know what was counted in between: the
ledger is then made from the journal alone, as when there is none.

Without a checkpoint the ledger began when the oldest record of an earlier life was made: what the exchange has executed
since then and no record tells is paged. Where the journal has lost its beginning, since it was not needed any more,
that goes for what was made after its first execution: what was made before it may be counted already.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, TypeVar

from gridbot.core.events import ExecutionEvent, PositionEvent
from gridbot.core.execution_ledger import OVERLAP_MS, Ledger
from gridbot.core.ledger_document import document_of, ledger_of
from gridbot.core.ledger_times import AHEAD_MS, brought_back
from gridbot.records import builders
from gridbot.records.open_orders import OpenOrders
from gridbot.records.record_types import AdjustmentRecord, CorrectionRecord, ExecutionRecord, OrderRecord, Record
from gridbot.records.recorder import Recorder
from gridbot.records.state_record import StateRecord
from gridbot.state.documents import StateFile
from gridbot.state.state_log import StateLog, record_number

__all__ = ["VERSION", "Checkpoint"]

log = logging.getLogger(__name__)

Told = TypeVar("Told", ExecutionEvent, PositionEvent)

ORDERS: Final = frozenset({OrderRecord.TABLE})
FOLDED: Final = ORDERS | {kind.TABLE for kind in (ExecutionRecord, CorrectionRecord, AdjustmentRecord, StateRecord)}
"""The kinds of which a ledger, the open orders and the state log are made."""

VERSION = 1
"""Of the file around the ledger, which has a version of its own."""


class Checkpoint:
    """Loads the ledger at start and saves it in the background while the account trades."""

    def __init__(
        self, file: StateFile, recorder: Recorder, states: StateLog, on_problem: Callable[[str], object]
    ) -> None:
        self.orders = OpenOrders()
        """The orders that the records hold for open; whoever records an order takes it in here."""
        self._file = file
        self._recorder = recorder
        self._states = states
        self._on_problem = on_problem
        self._saved_fills: Any = None
        self._knows_orders = True
        """False when the checkpoint tells of no orders: those in the journal before it are then all that is known."""
        self.is_brought = False
        """Another host had the account until now: this journal's older records say nothing about it."""
        self._waiting: dict[str, Any] | None = None
        """A checkpoint up to which the journal is not known to be safe yet."""

    def load(self, now_ms: int) -> Ledger:
        """The ledger as of the last record in the journal; the state log gets the records that the next start needs.

        `now_ms` is our clock (UTC): what is later is brought back (`core/ledger_times.py`).
        """
        ledger, seq, read_from, problem = self._read(now_ms)
        is_alone, is_whole = ledger is None, self._recorder.oldest_seq <= 1
        ledger = ledger or Ledger()
        folded, began_ms = 0, 0
        # A journal that has lost its end may have lost the record with which an order ended: it is open there, and gets
        # another one when the next listing does not have it.
        if not self._knows_orders or (seq > self._recorder.found_seq and not self.is_brought):
            for _, record in self._recorder.replay(0, ORDERS):
                if isinstance(record, OrderRecord):
                    self.orders.take(record)
        # Without a checkpoint the time of the oldest record counts, of whatever kind it is.
        for header, record in self._recorder.replay(read_from, None if is_alone else FOLDED):
            if not began_ms and header.run_id != self._recorder.run_id:
                began_ms = header.local_ts // 1000
            self._states.recall(header.seq, record)
            if header.seq > seq:
                folded += isinstance(record, ExecutionRecord)
                _restore(ledger, record, header.local_ts // 1000, knows_before=is_whole or not is_alone)
                if isinstance(record, OrderRecord):
                    self.orders.take(record)
        if is_alone and began_ms:
            _begin(ledger, began_ms, is_whole=is_whole)
        self._recorder.go_on_above(seq)  # the journal may have lost its end: no number is given twice
        self._states.begin()
        ledger.settle("worked out again at a start")
        for correction in ledger.take_corrections():
            self._recorder.record(builders.of_correction(correction))
        if problem:
            self._on_problem(f"{problem}; totals begin anew there")
        log.info("ledger: checkpoint at record %d, %d executions from the journal after it", seq, folded)
        self._recorder.keep_above(read_from)
        return ledger

    def save(self, ledger: Ledger) -> None:
        """Write in the background if the ledger has changed since the last save."""
        mark = (
            ledger.last_exec_ts,
            ledger.complete_to,
            ledger.checked_to,
            sum((t.net for t in ledger.totals.values()), Decimal(0)),
            sum(t.fills for t in ledger.totals.values()),
            len(ledger.totals),
        )
        if mark != self._saved_fills:
            self._saved_fills = mark
            self._recorder.flush()
            self._waiting = self._document(ledger)
        self.release()

    def renew(self) -> None:
        """Have the next `save` write whether or not the ledger has changed: older records are gone."""
        self._saved_fills = None

    def release(self) -> None:
        """Give the disk what waits for the journal, and free the segments that nobody needs. Call it now and then."""
        self._states.release()
        if self._waiting is not None and self._waiting["seq"] <= self._recorder.safe_seq:
            self._file.save({**self._waiting, "states_to": self._states.in_files})
            self._waiting = None
        document = self._file.on_disk
        if document is not None:
            self._recorder.keep_above(_read_from(document))

    def save_now(self, ledger: Ledger) -> None:
        """Write before going on, at start and at an orderly stop. Raises OSError.

        Also when the journal does not take all records: then the older checkpoint counts.
        """
        self._recorder.flush()
        self._states.release()
        refused = self._recorder.stats.journal_error if self._recorder.stats.backlog_bytes else None
        if refused:
            raise OSError(refused)
        self._waiting = None
        self._file.save_now({**self._document(ledger), "states_to": self._states.in_files})

    def _document(self, ledger: Ledger) -> dict[str, Any]:
        orders = self.orders.to_rows()
        return {"version": VERSION, "seq": self._recorder.last_seq, "ledger": document_of(ledger), "orders": orders}

    def _read(self, now_ms: int) -> tuple[Ledger | None, int, int, str]:
        """The saved ledger, the record it is of, the one after which the journal is to be read, and what is wrong.

        None when the ledger is to be made from the journal alone.
        """
        document = self._file.load()
        if document is None:
            return None, 0, 0, ""
        try:
            told, done = brought_back(document["ledger"], now_ms)
            ledger, seq = ledger_of(told), record_number(document["seq"])
            read_from = record_number(_read_from(document))
            self.orders.restore(document.get("orders", ()))
            self._knows_orders = "orders" in document  # an earlier version has none
            self.is_brought = document.get("brought") is True
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            log.warning("%s holds no valid ledger (%s); rebuilding it from the journal alone", self._file, error)
            self._file.on_disk = None  # it names no record behind which segments may go
            return None, 0, 0, ""
        if done:
            self._on_problem(f"{self._file}: {done}")
        begins_at = self._recorder.oldest_seq
        if begins_at <= seq + 1:
            return ledger, seq, read_from, ""
        problem = f"{self._file} is an older copy: it ends at record {seq}, the journal begins at {begins_at}"
        return None, 0, 0, problem


def _read_from(document: dict[str, Any]) -> int:
    """Number of the record behind which the next start reads the journal."""
    seq = int(document["seq"])
    return min(seq, int(document.get("states_to", seq)))


def _begin(ledger: Ledger, began_ms: int, *, is_whole: bool) -> None:
    """Have a ledger without a checkpoint go on where it began: `began_ms` is when the journal's oldest record was made.

    Of a journal that is not whole, what was made earlier is not to be paged again, not even by the overlap.
    """
    if is_whole:
        ledger.begin(began_ms)
        return
    first_ms = ledger.complete_to + 1 if ledger.complete_to else began_ms
    ledger.begin(first_ms)
    ledger.reached(complete_to=first_ms + OVERLAP_MS, checked_to=first_ms + OVERLAP_MS)


def _restore(ledger: Ledger, record: Record | StateRecord, made_ms: int, *, knows_before: bool) -> None:
    """Apply a record that the checkpoint does not have, made at `made_ms` (our clock): it tells nothing later.

    `knows_before`: a checkpoint or the journal's beginning tells what was held before. If neither does, or a record is
    of version a1c99c4, which does not tell the exchange's order, the figures stay as they are.
    """
    match record:
        case ExecutionRecord():
            ledger.restore(
                record.strategy,
                _no_later(builders.execution_of(record), made_ms),
                record.realised_pnl,
                shadow=record.shadow,
                is_final=not knows_before or record.exchange_seq is None,
            )
        case CorrectionRecord():
            ledger.restore_correction(builders.correction_of(record))
        case AdjustmentRecord():
            ledger.restore_row(record.strategy, _no_later(builders.position_of(record), made_ms))


def _no_later(event: Told, made_ms: int) -> Told:
    return event if event.exchange_ts <= made_ms + AHEAD_MS else replace(event, exchange_ts=made_ms)
