"""The supervisor's own records: its runs, its alerts, the commands it was given. A journal like any account's.

The account is called `_supervisor`; configured ones begin with a letter or a digit. The writer finds the journal on the
disk, there is no queue. A diary that cannot be kept is no reason not to trade: it says so once and keeps nothing.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import orjson

from gridbot.journal import Durability, Journal, JournalBusy
from gridbot.journal_reader import journal_directory
from gridbot.recorder import Recorder
from gridbot.records import AlertRecord, CommandRecord, Json, Record
from gridbot.run_log import RunLog
from gridbot.state import StateFile

__all__ = ["SUPERVISOR", "Diary"]

log = logging.getLogger("supervisor")

SUPERVISOR: Final = "_supervisor"
ALERTS_SHOWN: Final = 50


class Diary:
    """Kept from `open` to `close`; nothing raises in between. `snapshot` says what the supervisor runs."""

    def __init__(self, data_dir: Path, run_id: str, snapshot: Mapping[str, Any], *, keep_journal: bool = False) -> None:
        self._data_dir = data_dir
        self._run_id = run_id
        self._snapshot = snapshot
        self._keep_journal = keep_journal
        self._recorder: Recorder | None = None
        self._run: RunLog | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="diary")  # starts no thread until it is used
        self.alerts: deque[dict[str, Any]] = deque(maxlen=ALERTS_SHOWN)
        """The newest, for `status`."""

    def open(self) -> None:
        """Begin a run, and close an earlier one that was cut off."""
        try:
            directory = journal_directory(self._data_dir, SUPERVISOR)
            journal = Journal(directory, SUPERVISOR, Durability.PROCESS)
            recorder = Recorder(SUPERVISOR, self._run_id, journal, keep_journal=self._keep_journal)
            file = StateFile(self._data_dir / "state" / SUPERVISOR / "run.json", self._pool)
            self._run = RunLog(file, recorder, self._snapshot, "")
            self._recorder = recorder
            self._run.begin()
        except (JournalBusy, OSError) as error:
            log.warning("the supervisor keeps no records of its own: %s", error)

    def alert(self, time: str, level: str, child: str, text: str, *, recorded: bool = False) -> None:
        """An alert about a child; `recorded` when the child has kept it itself."""
        self.alerts.append({"time": time, "level": level, "child": child, "text": text})
        if not recorded:
            self._record(AlertRecord(level=level, key=child, text=text))

    def command(self, name: str, args: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """A command and its answer, as the control socket gives it."""
        ok = bool(answer.get("ok"))
        result = "done" if ok else str(answer.get("error", ""))
        self._record(CommandRecord(name=name, args=Json(orjson.dumps(args).decode()), ok=ok, result=result))

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
        self.end("stopped")
        if self._recorder is not None:
            self._recorder.close()
            self._recorder = None
        self._pool.shutdown(wait=False)

    def _record(self, record: Record) -> None:
        if self._recorder is not None:
            self._recorder.record(record)
            self._recorder.flush()
