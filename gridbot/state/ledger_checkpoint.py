"""The account's ledger across restarts: a checkpoint file, and the journal's records after it.

Every execution is in the journal before anything else is done with it. So the last checkpoint and the records after it
give the exact ledger at any moment. Journal segments that the next start would need are kept until a newer checkpoint
is on the disk.
"""

from __future__ import annotations

import logging
from decimal import Decimal
from typing import Any

from gridbot.core.execution_ledger import Ledger
from gridbot.records import builders
from gridbot.records.record_types import AdjustmentRecord, CorrectionRecord, ExecutionRecord, Record
from gridbot.records.recorder import Recorder
from gridbot.state.documents import StateFile

__all__ = ["Checkpoint"]

log = logging.getLogger(__name__)


class Checkpoint:
    """Loads the ledger at start and saves it in the background while the account trades."""

    def __init__(self, file: StateFile, recorder: Recorder) -> None:
        self._file = file
        self._recorder = recorder
        self._saved_fills: Any = None

    def load(self) -> Ledger:
        """The ledger as of the last record in the journal."""
        ledger, seq = self._read()
        folded = 0
        for _, record in self._recorder.replay(seq):
            folded += isinstance(record, ExecutionRecord)
            _restore(ledger, record, is_alone=seq == 0)
        ledger.settle("worked out again at a start")
        for correction in ledger.take_corrections():
            self._recorder.record(builders.of_correction(correction))
        log.info("ledger: checkpoint at record %d, %d executions from the journal after it", seq, folded)
        self._recorder.keep_above(seq)
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
        if mark == self._saved_fills:
            return
        self._saved_fills = mark
        self._recorder.flush()
        self._file.save(self._document(ledger))

    def save_now(self, ledger: Ledger) -> None:
        """Write before going on, at an orderly stop. Raises OSError."""
        self._file.save_now(self._document(ledger))

    def written(self) -> None:
        """Release the journal segments that the checkpoint on the disk makes superfluous. Call it from time to time."""
        document = self._file.on_disk
        if document is not None:
            self._recorder.keep_above(int(document["seq"]))

    def _document(self, ledger: Ledger) -> dict[str, Any]:
        return {"version": 1, "seq": self._recorder.last_seq, "ledger": ledger.to_dict()}

    def _read(self) -> tuple[Ledger, int]:
        document = self._file.load()
        if document is None:
            return Ledger(), 0
        try:
            return Ledger.from_dict(document["ledger"]), int(document["seq"])
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            log.warning("%s holds no valid ledger (%s); rebuilding it from the journal alone", self._file, error)
            return Ledger(), 0


def _restore(ledger: Ledger, record: Record, *, is_alone: bool) -> None:
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
