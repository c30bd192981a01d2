"""The supervisor's own records: its runs, its health, its alerts, its commands. A journal like any account's.

The account is called `_supervisor`; configured ones begin with a letter or a digit. The writer finds the journal on the
disk; there is no queue. When the journal cannot be opened, trading goes on, and it is tried again every few seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from gridbot.doors.pseudo_account import SUPERVISOR
from gridbot.records.block_reader import NewerJournal
from gridbot.records.durability import Durability
from gridbot.records.journal import Journal, JournalBusy
from gridbot.records.journal_reader import journal_directory
from gridbot.records.record_types import AlertRecord, CommandRecord, HealthRecord, Json, Record, UtcUs
from gridbot.records.recorder import Recorder, Removed
from gridbot.state.documents import LoneStopFile, StateFile
from gridbot.state.run_log import RunLog
from gridbot.state.state_files import StateFiles
from gridbot.system_ports import SystemClock
from supervisor.polling import wait_until

__all__ = ["JournalBusy", "SupervisorJournal"]

log = logging.getLogger("supervisor")

AGAIN_S: Final = 5.0
"""Between two tries to open a journal that could not be opened."""
LOCK_WAIT_S: Final = 0.3
"""Whoever asks who holds the journal's lock takes it for an instant."""


class SupervisorJournal:
    """Records from `open` to `close`; nothing raises in between."""

    def __init__(self, data_dir: Path, run_id: str, *, keep_journal: bool = False) -> None:
        self._data_dir = data_dir
        self._run_id = run_id
        self._keep_journal = keep_journal
        self._sampled_s = float("-inf")
        self._recorder: Recorder | None = None
        self._run: RunLog | None = None
        self._files: StateFiles | None = None
        self._snapshot: Mapping[str, Any] = {}
        self._tried_s = float("-inf")
        self._refused = ""

    @property
    def problem(self) -> str:
        """What the disk does not take at the moment, as a sentence for the operator; "" when all is well."""
        if self._refused:
            return f"no records of its own are kept; it is tried again every few seconds: {self._refused}"
        error = self._recorder.stats.journal_error if self._recorder is not None else None
        if error:
            return f"its own records cannot be written and wait in memory: {error}"
        return next(iter(self._files.failing), "") if self._files is not None else ""

    def open(self, snapshot: Mapping[str, Any]) -> None:
        """Begin a run with this configuration, and close an earlier one that was cut off.

        Raises JournalBusy when another supervisor keeps this journal: whoever removed its lock file let us in.
        """
        self._snapshot = snapshot
        if not wait_until(self._try_open, timeout_s=LOCK_WAIT_S, every_s=0.05):
            raise JournalBusy(self._refused)

    def look(self, now_s: float) -> None:
        """Once a second or so: try again what the disk refused. `now_s` is monotonic."""
        if self._refused and now_s - self._tried_s >= AGAIN_S:
            self._tried_s = now_s
            self._try_open()
        elif self._recorder is not None and self._recorder.journal.backlog_bytes:
            self._recorder.flush()

    def _try_open(self) -> bool:
        """False when another process has the journal; what the disk refuses is tried again later."""
        journal = None
        try:
            journal = Journal(journal_directory(self._data_dir, SUPERVISOR), SUPERVISOR, Durability.PROCESS)
            recorder = Recorder(SUPERVISOR, self._run_id, journal, clock=SystemClock(), keep_journal=self._keep_journal)
            files = StateFiles(self._data_dir / "state" / SUPERVISOR)
            run = RunLog(StateFile(files, "run.json"), recorder, self._snapshot, "")
            run.begin()
        except (JournalBusy, NewerJournal, OSError) as error:
            if not self._refused:
                log.warning("the supervisor keeps no records of its own: %s", error)
            self._refused = str(error)
            if journal is not None:
                journal.close()  # without what was to be recorded: the next try does that
            return not isinstance(error, JournalBusy)
        self._run, self._recorder, self._files, self._refused = run, recorder, files, ""
        return True

    def keep(self) -> Removed | None:
        """Make the files again when somebody has removed them; what is to be told then. Once a second or so."""
        if self._recorder is None or self._files is None:
            return None
        self._files.restore()
        return self._recorder.keep()

    def document(self, name: str) -> StateFile | None:
        """A small document of ours that survives a restart; None while the disk refuses us."""
        return None if self._files is None else StateFile(self._files, name)

    def stop_document(self, name: str) -> LoneStopFile | None:
        """The same for a document about what stops orders."""
        return None if self._files is None else LoneStopFile(self._files, name)

    def alert(self, level: str, child: str, text: str, phase: str, began_us: int, count: int) -> None:
        """An incident of a child begins, gets worse or ends."""
        began_at = UtcUs(began_us)
        self._record(AlertRecord(level=level, key=child, text=text, phase=phase, began_at=began_at, count=count))

    def command(self, name: str, args: Mapping[str, Any], answer: Mapping[str, Any], who: str = "") -> None:
        """A command, its answer as the control socket gives it, and who gave it ("" for nobody that is known)."""
        ok = bool(answer.get("ok"))
        result = "done" if ok else str(answer.get("error", ""))
        kept = Json(orjson.dumps(args).decode())
        self._record(CommandRecord(name=name, args=kept, ok=ok, result=result, who=who or None))

    def sample(self, now_s: float, late_s: float, interval_s: float, status: Callable[[], Mapping[str, Any]]) -> None:
        """Record how all children are, at most once in `interval_s` seconds (0: never).

        If this process dies, the newest report shows until when it lived.
        """
        if self._recorder is None or not interval_s or now_s - self._sampled_s < interval_s:
            return
        self._sampled_s = now_s
        model, stats = status(), self._recorder.stats
        strategies = [strategy for account in model["accounts"] for strategy in account["strategies"]]
        self._record(
            HealthRecord(
                state=model["supervisor"]["state"],
                health=model["health"],
                freshness=_stalest(model["accounts"]),
                reasons="; ".join(model["reasons"]),
                rss=model["supervisor"]["rss"],
                loop_lag_us=round(late_s * 1e6),
                reconnects=sum(account["reconnects"] or 0 for account in model["accounts"]),
                open_orders=sum(strategy.get("open_orders") or 0 for strategy in strategies),
                unstored=stats.last_seq - stats.acked_seq,
                queue_dropped=sum(account["queue_dropped"] or 0 for account in model["accounts"]),
            )
        )

    def ack(self, seq: int) -> None:
        """The database has everything up to `seq`."""
        if self._recorder is not None:
            self._recorder.ack(seq)

    def end(self, reason: str) -> None:
        """Record the end of the run while the writer can still store it. Harmless when called twice."""
        run, self._run = self._run, None
        if run is not None:
            run.end(reason)
            try:
                run.confirm()
            except OSError as error:
                log.warning("the end of this run is not on the disk: %s", error)

    def close(self) -> None:
        self._refused = ""
        self.end("stopped")
        if self._recorder is not None:
            self._recorder.close()
            self._recorder = None

    def _record(self, record: Record) -> None:
        if self._recorder is not None:
            self._recorder.record(record)
            self._recorder.flush()


def _stalest(accounts: Sequence[Mapping[str, Any]]) -> str:
    """The worst freshness of all accounts."""
    words = {str(account["freshness"]) for account in accounts}
    return next((word for word in ("offline", "stale") if word in words), "active")
