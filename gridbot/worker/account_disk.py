"""What one account keeps on disk: journal and small files, opened and read once per process, and closed last."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Any

from gridbot.config.snapshots import account_snapshot
from gridbot.lease.record_floor import first_number
from gridbot.ports import Clock
from gridbot.records.journal import Journal
from gridbot.records.journal_reader import journal_directory
from gridbot.records.recorder import Recorder
from gridbot.state import flatten_file
from gridbot.state.documents import StateFile, StopFile
from gridbot.state.generation_file import generations_from
from gridbot.state.holds_file import HoldsFile
from gridbot.state.ledger_checkpoint import Checkpoint
from gridbot.state.run_log import RunLog
from gridbot.state.state_log import StateLog
from gridbot.state.strategy_store import file_name
from gridbot.state.unkept_holds import take_unkept
from gridbot.worker.ban_file import BanFile
from gridbot.worker.entry_proof import EntryProof
from gridbot.worker.newer_state import refuse_newer
from gridbot.worker.operator_alerts import Alerts, Tell
from gridbot.worker.outside import Outside
from gridbot.worker.spec import WorkerSpec

__all__ = ["AccountDisk"]

log = logging.getLogger(__name__)


class AccountDisk:
    """One per process. Opens the journal, then reads every file. Raises OSError, JournalBusy or StartRefused.

    `records` is the queue to the writer, or None; `alert` hears how incidents begin and end, after the records.
    `hand` gives a document that stops orders to the supervisor, `share` each file of state to the hosts of a fleet.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        records: Any,
        *,
        alert: Tell,
        clock: Clock,
        run_id: str,
        outside: Outside,
        hand: Callable[[str, dict[str, Any]], None],
        share: Callable[[str, bytes, bool], None] | None,
    ) -> None:
        settings = spec.settings
        config, strategies = settings.account(spec.account), settings.strategies_of(spec.account)
        epoch = None if spec.lease is None else spec.lease.epoch
        self.recorder = _recorder(spec, records, clock, run_id, outside)
        self.recorder.go_on_above(0 if epoch is None else first_number(epoch))
        self.alerts = Alerts(self.recorder, alert, clock)
        # After the journal: its lock guarantees that no other process writes the account's state.
        self.files = outside.files(spec.data_dir / "state" / spec.account)
        refuse_newer(self.files, [file_name(each.decided_by.name, each.strat_id) for each in strategies])
        snapshot = account_snapshot(settings, spec.account)
        run_file = StateFile(self.files, "run.json")
        self._run = RunLog(run_file, self.recorder, snapshot, config.environment, epoch=epoch)
        self._run.begin()
        shared = share if spec.lease is not None else None
        handed = {name: dict(document) for name, document in spec.held.items()}
        self.states = StateLog(self.files, self.recorder, hand=hand, handed=handed, share=shared)
        self.checkpoint = Checkpoint(
            StateFile(self.files, "ledger.json", share=shared),
            self.recorder,
            self.states,
            lambda text: self.alerts("error", "ledger_file", text),
        )
        self.ledger = self.checkpoint.load(clock.wall_ms())
        self._generation_file = StateFile(self.files, "generation.json")
        self.generations = generations_from(self._generation_file, clock)
        self.proof = EntryProof(StateFile(self.files, "order_entry.json"), config.environment)
        self.holds = HoldsFile(StopFile(self.states, "holds.json"))
        self.ban = BanFile(StopFile(self.states, "ban.json"), clock)
        self.flatten = flatten_file.FlattenFile(StopFile(self.states, flatten_file.NAME))
        names = [strategy.strat_id for strategy in strategies]
        now_ms, lifted_by = clock.wall_ms(), f"resume {spec.account}"
        unread = (self.flatten.load(now_ms, lifted_by), self.holds.load(names, now_ms, lifted_by))
        take_unkept(spec.unkept, self.holds, self.flatten, hand)
        self._unread = "; ".join(filter(None, unread))

    def take_unread(self) -> str:
        """Once: what could not be read of what stops orders, and what was done about it; "" when all could."""
        unread, self._unread = self._unread, ""
        return unread

    def only_in_memory(self) -> str:
        """To be put behind a sentence: that the disk does not have what stops orders now. "" when it has."""
        names = ", ".join(self.states.unsaved)
        if not names:
            return ""
        return (
            f"; the disk did not take {names}: what was paused, halted, latched or resumed since holds as long as this "
            "supervisor runs, and no longer"
        )

    def close(self, reason: str) -> None:
        """Record that the run ended, and save everything; each step whatever became of the one before it."""
        with contextlib.ExitStack() as steps:
            steps.callback(self.files.close)
            steps.callback(self._save_all)
            steps.callback(self.recorder.close)
            steps.callback(self._run.end, reason)

    def lost(self) -> str:
        """After `close`: a sentence when the disk has not taken everything; "" when it has."""
        stats = self.recorder.stats
        lost = stats.last_seq - stats.written_seq
        if lost <= 0:
            return ""
        why = stats.journal_error or "the journal ended before"
        return f"the disk did not take the last {lost} records ({why}){self.only_in_memory()}"

    def _save_all(self) -> None:
        """With the journal closed, so safe. A failed write is logged: the stop has to finish."""
        try:
            self._generation_file.save_now({"next": self.generations.unused})  # the rest of its block is not skipped
            self.checkpoint.save_now(self.ledger)
            self.states.share()
            self._run.confirm()
        except OSError as error:
            log.error("cannot write the state of this run: %s; the next start reads the journal instead", error)


def _recorder(spec: WorkerSpec, records: Any, clock: Clock, run_id: str, outside: Outside) -> Recorder:
    account, storage = spec.account, spec.settings.storage
    directory = journal_directory(spec.data_dir, account)
    journal = Journal(directory, account, storage.durability, disk=outside.journal_disk, is_cut_off=spec.takes_over)
    return Recorder(account, run_id, journal, records, clock=clock, keep_journal=storage.keep_journal)
