"""The journal and the documents of an account in the hands of a rescue: what a worker would have, as far as it can.

The disk may be the reason why there is no worker. What it does not give is done without: `problem` says what, holds and
latch then go to the supervisor alone, and records wait in memory.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from gridbot.core import ExecutionEvent
from gridbot.core.execution_ledger import OVERLAP_MS
from gridbot.orders.ids import Generations
from gridbot.ports import Clock, Ids
from gridbot.records import builders
from gridbot.records.journal import Journal
from gridbot.records.journal_reader import journal_directory
from gridbot.records.record_types import OrderRecord, Record
from gridbot.records.recorder import BatchQueue, Recorder
from gridbot.risk.holds import Event, Holds, step
from gridbot.state.documents import StateFile, StopFile
from gridbot.state.flatten_file import NAME, FlattenDocument, FlattenFile
from gridbot.state.generation_file import generations_from
from gridbot.state.holds_file import HoldsFile
from gridbot.state.ledger_checkpoint import Checkpoint
from gridbot.state.state_files import StateFiles
from gridbot.state.state_log import StateLog
from gridbot.state.unkept_holds import take_unkept
from gridbot.worker.ban_file import BanFile
from gridbot.worker.spec import WorkerSpec

__all__ = ["RescueBooks"]

log = logging.getLogger(__name__)


class RescueBooks:
    """One per rescue; `hand` gives what stops orders to the supervisor, `share` each document to the hosts of a fleet.

    Raises JournalBusy when another process has the account's journal, OSError when the disk gives nothing at all.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        queue: BatchQueue | None,
        clock: Clock,
        ids: Ids,
        *,
        hand: Callable[[str, dict[str, Any]], None],
        alert: Callable[[str, str, str], object],
        share: Callable[[str, bytes, bool], None] | None = None,
    ) -> None:
        self._clock = clock
        self._names = [strategy.strat_id for strategy in spec.settings.strategies_of(spec.account)]
        run_id = f"{spec.run_id[:8]}-{ids.token(8)}"
        storage = spec.settings.storage
        journal = Journal(journal_directory(spec.data_dir, spec.account), spec.account, storage.durability)
        self.recorder = Recorder(spec.account, run_id, journal, queue, clock=clock, keep_journal=storage.keep_journal)
        self._files = StateFiles(spec.data_dir / "state" / spec.account)
        handed = {name: dict(document) for name, document in spec.held.items()}
        self._states = StateLog(self._files, self.recorder, hand=hand, handed=handed, share=share)
        self.checkpoint = Checkpoint(
            StateFile(self._files, "ledger.json", share=share),
            self.recorder,
            self._states,
            lambda text: alert("error", "ledger_file", text),
        )
        self.ledger = self.checkpoint.load(clock.wall_ms())
        self._holds = HoldsFile(StopFile(self._states, "holds.json"))
        self.flatten = FlattenFile(StopFile(self._states, NAME))
        self.ban = BanFile(StopFile(self._states, "ban.json"), clock)
        lifted_by = f"resume {spec.account}"
        for unread in (
            self._holds.load(self._names, clock.wall_ms(), lifted_by),
            self.flatten.load(clock.wall_ms(), lifted_by),
        ):
            if unread:
                alert("error", "holds", unread)
        take_unkept(spec.unkept, self._holds, self.flatten, hand)
        self._generation_file = StateFile(self._files, "generation.json")
        self.generations: Generations = generations_from(self._generation_file, clock)

    def hold(self, strategies: list[str], event: Event) -> int:
        """Have something hold these strategies in the next life; how many."""
        for name in strategies:
            before = self._holds.of(name)
            after, changed = step(before, event, self._clock.wall_ms())
            if changed:
                self._holds.keep(name, after)
        return len(strategies)

    def holds(self, strategy: str) -> Holds:
        """What holds a strategy in the next life."""
        return self._holds.of(strategy)

    def unsaved(self) -> list[str]:
        """What the disk has not taken of what stops orders."""
        return self._states.unsaved

    def record(self, record: Record) -> None:
        """Keep a record; that of an order also among those that are open by our records."""
        if self.recorder.record(record) and isinstance(record, OrderRecord):
            self.checkpoint.orders.take(record)

    def count(self, executions: list[ExecutionEvent], owners: Mapping[str, str]) -> int:
        """Count and record the executions of our symbols that are new; how many. Their watermark stays as it is.

        So the next worker pages them again and finds them counted: it alone says what is complete.
        """
        found = 0
        for execution in executions:
            strategy = owners.get(execution.symbol)
            if strategy is None:
                continue
            realised = self.ledger.apply(strategy, execution)
            for correction in self.ledger.take_corrections():
                self.recorder.record(builders.of_correction(correction))
            if realised is not None:
                found += 1
                self.recorder.record(
                    builders.of_execution(strategy, execution, realised, shadow=False, source="backfill")
                )
        return found

    @property
    def executions_from_ms(self) -> int:
        """From when executions may not be counted yet (UTC); 0 when the account never traded here."""
        return max(0, self.ledger.complete_to - OVERLAP_MS) if self.ledger.complete_to else 0

    def done(self) -> None:
        """Nothing is unfinished any more; the latch stays."""
        document = self.flatten.document
        self.flatten.keep(FlattenDocument(document.latched))

    def close(self) -> None:
        """Write everything. A disk that refuses is logged: the next life reads the journal instead."""
        try:
            self._generation_file.save_now({"next": self.generations.unused})
            self.checkpoint.save_now(self.ledger)
        except OSError as error:
            log.error("cannot write the state of the account: %s", error)
        self.recorder.close()
        self._files.close()
