"""The account's ledger across restarts: a checkpoint file, and the journal for what came after it.

The journal holds every execution before anything else happens with it, so a ledger is exact at any moment: the last
checkpoint plus the records behind it. Segments that the next start would need are kept until a newer checkpoint is on
the disk.
"""

from __future__ import annotations

import logging
from typing import Any

from gridbot.core.execution_ledger import Ledger
from gridbot.records import builders
from gridbot.records.record_types import ExecutionRecord
from gridbot.records.recorder import Recorder
from gridbot.state.documents import StateFile

__all__ = ["Checkpoint"]

log = logging.getLogger(__name__)


class Checkpoint:
    """Loads the ledger at start; `save` from time to time writes it behind the journal's back."""

    def __init__(self, file: StateFile, recorder: Recorder) -> None:
        self._file = file
        self._recorder = recorder
        self._saved_fills: Any = None

    def load(self) -> Ledger:
        """The ledger as of the last record in the journal."""
        ledger, seq = self._read()
        folded = 0
        for _, record in self._recorder.replay(seq):
            if isinstance(record, ExecutionRecord):
                execution = builders.execution_of(record)
                ledger.restore(record.strategy, execution, record.realised_pnl, shadow=record.shadow)
                folded += 1
        log.info("ledger: checkpoint at record %d, %d executions from the journal behind it", seq, folded)
        self._recorder.keep_above(seq)
        return ledger

    def save(self, ledger: Ledger) -> None:
        """Write in the background when something was counted since the last time."""
        mark = (ledger.last_exec_ts, sum(t.fills for t in ledger.totals.values()), len(ledger.totals))
        if mark == self._saved_fills:
            return
        self._saved_fills = mark
        self._recorder.flush()
        self._file.save(self._document(ledger))

    def save_now(self, ledger: Ledger) -> None:
        """At an orderly stop, after the last flush."""
        self._file.save_now(self._document(ledger))

    def written(self) -> None:
        """Call now and then: releases journal segments behind the checkpoint that is on the disk."""
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
            log.warning("%s is no ledger (%s); rebuilding it from the journal alone", self._file, error)
            return Ledger(), 0
