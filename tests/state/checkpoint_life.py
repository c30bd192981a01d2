"""A worker's life, as far as its ledger and its open orders go: what it records, and what it has on the disk."""

from __future__ import annotations

import itertools
from decimal import Decimal
from pathlib import Path

from gridbot.core.execution_ledger import Ledger
from gridbot.core.strict_numbers import LATEST_MS
from gridbot.records import builders
from gridbot.records.recorder import Recorder
from gridbot.state.documents import StateFile
from gridbot.state.ledger_checkpoint import Checkpoint
from gridbot.state.state_files import StateFiles
from gridbot.state.state_log import StateLog
from tests.records.test_open_orders import order
from tests.store.kit import execution, make_recorder, ticker

NUMBERS = itertools.count(1)


class Life:
    """One life of a worker, as far as its ledger goes."""

    def __init__(self, data_dir: Path, now_ms: int = LATEST_MS) -> None:
        self.recorder: Recorder = make_recorder(data_dir, segment_bytes=2000)
        self.recorder.run_id = f"life-{next(NUMBERS)}"
        self.files = StateFiles(data_dir / "state" / "alice")
        self.problems: list[str] = []
        self.checkpoint = Checkpoint(
            StateFile(self.files, "ledger.json"),
            self.recorder,
            StateLog(self.files, self.recorder),
            self.problems.append,
        )
        self.ledger: Ledger = self.checkpoint.load(now_ms)

    def trade(self, first: int, last: int) -> None:
        for number in range(first, last + 1):
            record = execution(number)
            self.recorder.record(record)
            self.recorder.record(ticker(number))
            event = builders.execution_of(record)
            self.ledger.restore(record.strategy, event, record.realised_pnl, shadow=False, is_final=True)
            self.recorder.flush()

    def record_order(self, link_id: str, state: str) -> None:
        record = order(link_id, state)
        self.recorder.record(record)
        self.checkpoint.orders.take(record)
        self.recorder.flush()

    def end(self) -> None:
        self.files.close()
        self.recorder.close()


def assert_counted(ledger: Ledger, fills: int) -> None:
    totals = ledger.of("btc")
    assert (totals.fills, totals.realised, totals.fees) == (fills, Decimal("0.1") * fills, Decimal("0.0208") * fills)
