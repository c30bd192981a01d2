"""The account's ledger across restarts: a checkpoint file, and the journal's records after it. The same for the orders
that the records hold for open.

Every execution is in the journal before anything else is done with it. So the last checkpoint and the records after it
give the exact ledger at any moment. A checkpoint goes to the disk when the journal is safe up to it: one that was ahead
would count what no record has. Journal segments that the next start would need, for the ledger or for the documents of
the state log, are kept until newer files are on the disk.

Without a checkpoint the ledger began when the oldest record of an earlier life was made: what the exchange has executed
since then and no record tells is paged.
"""

from __future__ import annotations

import logging
from decimal import Decimal
from typing import Any

from gridbot.core.execution_ledger import Ledger
from gridbot.records import builders
from gridbot.records.open_orders import OpenOrders
from gridbot.records.record_types import AdjustmentRecord, CorrectionRecord, ExecutionRecord, OrderRecord, Record
from gridbot.records.recorder import Recorder
from gridbot.records.state_record import StateRecord
from gridbot.state.documents import StateFile
from gridbot.state.state_log import StateLog

__all__ = ["Checkpoint"]

log = logging.getLogger(__name__)


class Checkpoint:
    """Loads the ledger at start and saves it in the background while the account trades."""

    def __init__(self, file: StateFile, recorder: Recorder, states: StateLog) -> None:
        self.orders = OpenOrders()
        """The orders that the records hold for open; whoever records an order takes it in here."""
        self._file = file
        self._recorder = recorder
        self._states = states
        self._saved_fills: Any = None
        self._waiting: dict[str, Any] | None = None
        """A checkpoint up to which the journal is not known to be safe yet."""

    def load(self) -> Ledger:
        """The ledger as of the last record in the journal; the state log gets the records that the next start needs."""
        ledger, seq, read_from = self._read()
        folded = 0
        for header, record in self._recorder.replay(read_from):
            if seq == 0 and ledger.last_exec_ts == 0 and header.run_id != self._recorder.run_id:
                ledger.begin(header.local_ts // 1000)
            self._states.recall(header.seq, record)
            if header.seq > seq:
                folded += isinstance(record, ExecutionRecord)
                _restore(ledger, record, is_alone=seq == 0)
                if isinstance(record, OrderRecord):
                    self.orders.take(record)
        self._recorder.go_on_above(seq)  # the journal may have lost its end: no number is given twice
        self._states.begin()
        ledger.settle("worked out again at a start")
        for correction in ledger.take_corrections():
            self._recorder.record(builders.of_correction(correction))
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
        return {"version": 1, "seq": self._recorder.last_seq, "ledger": ledger.to_dict(), "orders": orders}

    def _read(self) -> tuple[Ledger, int, int]:
        """The saved ledger, the record it is of, and the one after which the journal is to be read."""
        document = self._file.load()
        if document is None:
            return Ledger(), 0, 0
        try:
            ledger, seq, read_from = Ledger.from_dict(document["ledger"]), int(document["seq"]), _read_from(document)
            self.orders.restore(document.get("orders", ()))  # an earlier version has none
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            log.warning("%s holds no valid ledger (%s); rebuilding it from the journal alone", self._file, error)
            return Ledger(), 0, 0
        return ledger, seq, read_from


def _read_from(document: dict[str, Any]) -> int:
    """Number of the record behind which the next start reads the journal."""
    seq = int(document["seq"])
    return min(seq, int(document.get("states_to", seq)))


def _restore(ledger: Ledger, record: Record | StateRecord, *, is_alone: bool) -> None:
    """Apply a record that the checkpoint does not have; `is_alone`: there is no checkpoint.

    What was held before is not known then, nor do records of version a1c99c4 tell the exchange's order: their figures
    stay as they are.
    """
    match record:
        case ExecutionRecord():
            ledger.restore(
                record.strategy,
                builders.execution_of(record),
                record.realised_pnl,
                shadow=record.shadow,
                is_final=is_alone or record.exchange_seq is None,
            )
        case CorrectionRecord():
            ledger.restore_correction(builders.correction_of(record))
        case AdjustmentRecord():
            ledger.restore_row(record.strategy, builders.position_of(record))
