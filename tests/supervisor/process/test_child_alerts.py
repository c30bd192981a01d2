"""The supervisor's incidents: of its children and of itself; those of a worker it only passes on."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gridbot.doors.pseudo_account import SUPERVISOR
from gridbot.records.record_types import AlertRecord
from supervisor.children.child_spec import ChildKind, ChildSpec
from supervisor.children.policy_types import Exited, Ready, Start
from supervisor.process.child_alerts import Alerts, failed_children
from supervisor.process.commit_relay import CommitRelay
from supervisor.store.store_watch import StoreWatch
from supervisor.store.supervisor_journal import SupervisorJournal
from tests.integration.worker_bench import records
from tests.supervisor.conftest import unheard_child


class Bench:
    """A worker whose states and time the test moves."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.now_s = 100.0
        self.fed: list[tuple[Mapping[str, Any], str]] = []
        self.journal = SupervisorJournal(data_dir, "r")
        self.journal.open({})
        self.alerts = Alerts(self.journal, lambda: self.now_s, lambda: int(self.now_s * 1e6), self._feed)
        spec = ChildSpec("worker-a", ChildKind.WORKER, "x:y", account="a")
        self.worker = unheard_child(spec)
        self.worker.advance(self.now_s, [Start(), Ready()], jitter=0.0)

    def _feed(self, row: Mapping[str, Any], phase: str) -> None:
        self.fed.append((row, phase))

    def dies(self, level: str = "ERROR", text: str = "killed by SIGKILL") -> bool:
        self.worker.advance(self.now_s, [Exited(-9, text)], jitter=0.0)
        return self.alerts.add(self.worker, level, text)

    def look(self, seconds: float) -> None:
        """Time passes, the worker is looked after and looked at."""
        self.now_s += seconds
        self.worker.advance(self.now_s, [], jitter=0.0)
        self.alerts.look(failed_children([self.worker]))

    @property
    def texts(self) -> list[str]:
        return [alert["text"] for alert in self.alerts.newest]


def test_a_worker_that_dies_again_and_again_is_one_alert_and_well_again_its_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(tmp_path)
    with caplog.at_level(logging.INFO):
        assert bench.dies()
        for _ in range(3):
            bench.look(30.0)  # tried again
            bench.worker.advance(bench.now_s, [Ready()], jitter=0.0)
            bench.look(1.0)
            assert not bench.dies(), "a repetition"
        bench.look(30.0)
        bench.worker.advance(bench.now_s, [Ready()], jitter=0.0)
        bench.look(1.0)
        [row] = bench.alerts.open
        assert (row["where"], row["level"], row["count"]) == ("worker-a", "error", 4)
        bench.look(60.0)
    assert bench.alerts.open == []
    assert bench.texts == ["killed by SIGKILL", "over, 4 times in 184 s: killed by SIGKILL"]
    bench.journal.close()
    kept = [record for record in records(tmp_path, SUPERVISOR) if isinstance(record, AlertRecord)]
    assert [(r.level, r.key, r.phase, r.count) for r in kept] == [
        ("ERROR", "worker-a", "begun", 1),
        ("INFO", "worker-a", "ended", 4),
    ]
    assert kept[0].began_at == kept[1].began_at == 100_000_000
    assert [vars(record)["account"] for record in caplog.records if "killed" in record.getMessage()] == ["a", "a"]


def test_when_it_is_given_up_that_is_told_although_the_incident_is_open(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.dies()
    bench.dies("CRITICAL", "not tried again")
    bench.look(1000.0)
    assert bench.texts == ["killed by SIGKILL", "not tried again"]
    [row] = bench.alerts.open
    assert row["level"] == "critical"


def test_what_a_worker_tells_of_its_own_incidents_is_passed_on_and_not_recorded(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    row = {"key": "halt.BTCUSDT", "where": "btc", "cause": "", "level": "error", "began_us": 1, "count": 1}
    bench.alerts.pass_on(bench.worker, "ERROR", "btc is halted", {**row, "severity": "error", "phase": "begun"})
    bench.journal.close()
    assert bench.texts == ["btc is halted"]
    [(told, phase)] = bench.fed
    assert (told["account"], told["strategy"], told["key"], told["level"], phase) == (
        *("a", "btc", "halt.BTCUSDT", "ERROR"),
        "begun",
    )
    assert bench.alerts.open == []
    assert [record for record in records(tmp_path, SUPERVISOR) if isinstance(record, AlertRecord)] == []


def test_another_incident_of_a_child_ends_with_the_words_of_its_owner(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.alerts.add(bench.worker, "WARNING", "the database is 60 s behind", "store")
    bench.look(1e5)
    bench.alerts.over(bench.worker, "store", "the database has caught up")
    assert bench.texts == ["the database is 60 s behind", "the database has caught up"]
    bench.journal.close()


def test_faults_of_our_own_count_by_cause(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert [bench.alerts.own("ERROR", "a failed", cause) for cause in ("x", "x", "y")] == [1, 2, 1]
    assert [row["count"] for row in bench.alerts.open] == [2, 1]
    bench.journal.close()


def test_a_removed_journal_of_our_own_is_told_and_made_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    shutil.rmtree(tmp_path / "journal")
    shutil.rmtree(tmp_path / "state")
    bench.look(1.0)
    bench.look(1.0)
    assert [(row["key"], row["count"]) for row in bench.alerts.open] == [("deleted", 1)]
    assert bench.texts[0].startswith(f"somebody removed the journal {tmp_path}/journal/{SUPERVISOR} while the bot runs")
    bench.journal.close()
    assert {type(record).__name__ for record in records(tmp_path, SUPERVISOR)} == {"RunRecord", "AlertRecord"}
    assert (tmp_path / "state" / SUPERVISOR / "run.json").exists()


def test_what_the_writer_says_of_removed_files_is_an_incident_that_outlives_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    fleet = SimpleNamespace(of_kind=lambda kind: ())
    relay = CommitRelay(fleet, bench.journal, bench.alerts, StoreWatch(10.0))  # type: ignore[arg-type]
    for removed, lost in (("", 0), ("made again", 0), ("made again", 0), ("3 records are lost", 3), ("", 0)):
        relay.writer_reported(bench.worker, {"removed": removed, "lost": lost})
    bench.look(3600.0)
    assert [(row["key"], row["text"]) for row in bench.alerts.open] == [("lost_records", "3 records are lost")]
    assert bench.texts[:2] == ["made again", "3 records are lost"]
    bench.journal.close()
