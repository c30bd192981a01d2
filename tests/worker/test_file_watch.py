"""Files of an account that somebody removes below a running worker, on a real journal and real state files."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from gridbot.incidents import Change
from gridbot.records.journal_reader import JournalReader, journal_directory
from gridbot.state.state_files import StateFiles
from gridbot.system_ports import SystemClock
from gridbot.worker.file_watch import FileWatch
from gridbot.worker.operator_alerts import Alerts
from tests.store.kit import execution, make_recorder


@dataclass
class Renewals:
    """As much of `Checkpoint` as is called."""

    count: int = 0

    def renew(self) -> None:
        self.count += 1


@dataclass
class Told:
    alerts: list[tuple[str, str, str]] = field(default_factory=list)

    def __call__(self, change: Change) -> None:
        self.alerts.append((change.level, change.incident.name.key, change.text))


def test_what_is_removed_is_made_again_and_told_and_a_loss_stays_told(tmp_path: Path) -> None:
    """The journal went on without a name, and health was healthy."""
    recorder = make_recorder(tmp_path, segment_bytes=2000)
    files = StateFiles(tmp_path / "state" / "alice")
    files.write("run.json", b"{}")
    files.write("ledger.json", b"{}")
    told, checkpoint = Told(), Renewals()
    alerts = Alerts(recorder, told, SystemClock())
    watch = FileWatch(recorder, files, checkpoint, alerts)  # type: ignore[arg-type]
    for number in range(1, 41):
        recorder.record(execution(number))
        recorder.flush()
    watch.look()
    assert (told.alerts, watch.reasons, checkpoint.count) == ([], [], 0)
    recorder.ack(40)
    for path in (tmp_path / "journal", tmp_path / "state"):
        shutil.rmtree(path)
    watch.look()
    assert [(level, key) for level, key, _ in told.alerts] == [("error", "deleted"), ("error", "deleted")]
    assert told.alerts[0][2].endswith("no record is lost")
    assert told.alerts[1][2] == (
        f"somebody removed {tmp_path}/state/alice/run.json and 1 more files while the bot runs; written again as before"
    )
    assert watch.reasons == [text for _, _, text in told.alerts]
    assert checkpoint.count == 1
    assert files.flush()
    assert (tmp_path / "state" / "alice" / "run.json").read_bytes() == b"{}"
    recorder._acked_seq = 0
    shutil.rmtree(tmp_path / "journal")
    watch.look()
    assert told.alerts[2][1] == "lost_records"
    assert "are lost" in watch.reasons[-1]
    recorder.flush()
    first, *_, last = [header.seq for header, _ in JournalReader(journal_directory(tmp_path, "alice")).read_from(1)]
    assert (first > 1, last) == (True, 43), "the alerts are recorded in the journal that was made again"
    files.close()
    recorder.close()
