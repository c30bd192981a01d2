"""The supervisor's own records: what it told, what it was told, and how its lives ended."""

from __future__ import annotations

import json
import os
import signal
from decimal import Decimal
from typing import Any

import pytest

from gridbot.doors.pseudo_account import SUPERVISOR
from gridbot.records.journal_reader import JournalReader, journal_directory
from gridbot.records.record_types import AlertRecord, CommandRecord, HealthRecord, RunRecord
from supervisor.children.child_spec import ChildKind, ChildSpec
from supervisor.control.control_client import Unanswered
from supervisor.control.operator_name import user_at_host
from supervisor.process.child_alerts import Alerts
from supervisor.store.store_watch import StoreWatch
from supervisor.store.supervisor_journal import SupervisorJournal
from tests.store.kit import rows
from tests.store.session import write_all
from tests.supervisor.conftest import unheard_child, wait_for


def child(name, kind):
    return unheard_child(ChildSpec(name, kind, "nowhere:nothing"))


def kept(data_dir, kind=object):
    reader = JournalReader(journal_directory(data_dir, SUPERVISOR))
    return [record for _, record in reader.read_from(1) if isinstance(record, kind)]


def test_alerts_and_commands_of_a_fleet_are_kept_and_reach_the_database(rig):
    supervisor = rig.start(rig.writer(), rig.worker("a"), rig.worker("b", "exits", args=[4]))
    with rig.client() as client:
        client.worker("a", "pause", {"strategy": "alert"})  # "look here", which that worker keeps nowhere itself
        client.worker("a", "pause")  # delivered: a real worker keeps it in its own journal
        with pytest.raises(Unanswered):
            client.worker("b", "resume")
        client.request("restart", child="a")
        wait_for(lambda: kept(rig.data_dir, CommandRecord)[1:], "the restart")
        client.stop(mode="cancel")
        assert client.wait_closed(30)
    assert supervisor.wait(10) == 0
    alerts = {(alert.key, alert.level, alert.text) for alert in kept(rig.data_dir, AlertRecord)}
    assert ("worker-a", "WARNING", "look here") in alerts
    assert any(key == "worker-b" and level == "CRITICAL" for key, level, _ in alerts)
    commands = kept(rig.data_dir, CommandRecord)
    assert [(c.name, c.ok) for c in commands] == [("resume", False), ("restart", True), ("stop", True)]
    assert "is FATAL" in commands[0].result
    assert json.loads(commands[2].args)["mode"] == "cancel"
    assert {command.who for command in commands} == {user_at_host(os.getuid())}
    assert [run.event for run in kept(rig.data_dir, RunRecord)] == ["start", "end"]
    write_all(rig.data_dir)
    stored = rows(rig.data_dir, "SELECT account, count(*) FROM alerts GROUP BY ALL")
    assert stored == [(SUPERVISOR, len(kept(rig.data_dir, AlertRecord)))]
    asked = rows(rig.data_dir, "SELECT name, target, ok, who FROM operator_commands ORDER BY seq")
    who = user_at_host(os.getuid())
    assert asked == [("resume", "b", False, who), ("restart", "a", True, who), ("stop", "", True, who)]


def test_a_killed_supervisor_is_closed_as_crashed_by_the_next(rig):
    first = rig.start(rig.writer())
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    second = rig.start(rig.writer())
    with rig.client() as client:
        client.stop()
        assert client.wait_closed(30)
    assert second.wait(10) == 0
    runs = kept(rig.data_dir, RunRecord)
    assert [run.event for run in runs] == ["start", "crashed", "start", "end"]
    assert runs[1].about_run_id == runs[0].about_run_id
    assert runs[1].last_heartbeat is not None


def test_a_signal_is_a_command(rig):
    supervisor = rig.start(rig.writer())
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(30) == 0
    [command] = kept(rig.data_dir, CommandRecord)
    assert (command.name, json.loads(command.args)) == ("stop", {"signal": "SIGTERM"})


def alerts_of(journal):
    return Alerts(journal, lambda: 1.0, lambda: 1_000_000)


def test_a_journal_that_cannot_be_opened_stops_nobody(tmp_path, caplog):
    (tmp_path / "journal").write_text("a file where a directory should be")
    journal = SupervisorJournal(tmp_path, "r")
    alerts = alerts_of(journal)
    journal.open({})
    alerts.add(child("writer", ChildKind.WRITER), "WARNING", "look here")
    journal.command("stop", {}, {"ok": True})
    journal.close()
    assert "keeps no records of its own" in caplog.text
    assert [(alert["child"], alert["text"]) for alert in alerts.newest] == [("writer", "look here")]


def test_a_journal_that_could_not_be_opened_is_tried_again_and_told_meanwhile(tmp_path, monkeypatch):
    """A start on a full disk kept no records for as long as it ran, and no alert said so."""
    monkeypatch.setattr("supervisor.store.supervisor_journal.AGAIN_S", 0.0)
    blocked = tmp_path / "state"
    blocked.write_text("stands in for a full disk: the journal can be opened, run.json cannot be made")
    journal = SupervisorJournal(tmp_path, "r")
    alerts = alerts_of(journal)
    journal.open({})
    for _ in range(3):
        alerts.look({})
    assert [(row["where"], row["level"], row["count"]) for row in alerts.open] == [("supervisor", "error", 1)]
    assert "no records of its own are kept" in alerts.open[0]["text"]
    blocked.unlink()
    alerts.look({})
    assert alerts.open == []
    journal.close()
    assert [run.event for run in kept(tmp_path, RunRecord)] == ["start", "end"]
    assert [alert.phase for alert in kept(tmp_path, AlertRecord)] == ["ended"]


def test_how_the_fleet_is_is_kept_now_and_then(tmp_path):
    account = {"freshness": "stale", "reconnects": 2, "queue_dropped": None, "strategies": [{"open_orders": 7}, {}]}
    model: dict[str, Any] = {
        "health": "degraded",
        "reasons": ["a", "b"],
        "supervisor": {"state": "running", "rss": 45_000_000},
    }
    model["accounts"] = [account, {**account, "freshness": "active", "strategies": []}]
    journal = SupervisorJournal(tmp_path, "r")
    journal.open({})
    for now_s in (0.0, 0.2, 9.9, 10.1, 15.0, 20.2):
        journal.sample(now_s, 0.003, 10.0, lambda: model)
    journal.close()
    samples = kept(tmp_path, HealthRecord)
    assert len(samples) == 3
    assert (samples[0].health, samples[0].freshness, samples[0].reasons) == ("degraded", "stale", "a; b")
    assert (samples[0].open_orders, samples[0].reconnects, samples[0].loop_lag_us) == (7, 4, 3000)
    silent = SupervisorJournal(tmp_path / "other", "r")
    silent.open({})
    silent.sample(0.0, 0.0, 0.0, lambda: model)
    silent.close()
    assert kept(tmp_path / "other", HealthRecord) == []


def test_what_a_child_has_kept_is_not_kept_twice(tmp_path):
    journal = SupervisorJournal(tmp_path, "r")
    journal.open({})
    worker = child("worker-a", ChildKind.WORKER)
    alerts = alerts_of(journal)
    row = {"key": "halt", "where": "btc", "cause": "", "level": "warning", "began_us": 1, "count": 1, "phase": "begun"}
    alerts.pass_on(worker, "WARNING", "kept there", row)
    alerts.add(worker, "WARNING", "kept here")
    journal.close()
    assert [alert.text for alert in kept(tmp_path, AlertRecord)] == ["kept here"]


def report(lag_s, **more):
    return {"lag_s": lag_s, "held_by": None, "held_s": 0.0, "error": None, **more}


def test_one_alert_each_time_the_database_is_late_and_one_when_it_is_not_any_more():
    watch = StoreWatch(60.0)

    def told(message):
        alert = watch.observe(message)
        assert alert is not None
        return alert

    assert [watch.observe(report(lag)) for lag in (0.0, 30.0, 59.9)] == [None, None, None]
    level, text = told(report(61.2, held_by="python3 notebook.py (pid 4711)", held_s=61.5))
    assert level == "WARNING"
    assert text.startswith("the database is 61 s behind: python3 notebook.py (pid 4711) has had it open for 62 s")
    assert watch.observe(report(300.0)) is None, "told once"
    assert watch.observe(report(30.0)) is None, "catching up"
    assert watch.observe(report(0.0, held_by="python3 (pid 1)")) is None, "still held"
    assert watch.observe(report(0.4)) == ("INFO", "the database has caught up")
    assert watch.observe(report(0.4)) is None


def test_a_database_that_cannot_be_written_is_told_at_once_but_not_for_a_single_failure():
    watch = StoreWatch(60.0)
    full = report(0.5, error="No space left on device")
    assert [watch.observe(message) for message in (full, report(0.5), full)] == [None, None, None]
    told = watch.observe(full)
    assert told is not None
    assert told[0] == "ERROR"
    assert "cannot be written: No space left on device; trading goes on" in told[1]
    assert watch.observe(full) is None, "told once"
    assert watch.observe(report(90.0, error="No space left on device")) is None
    assert watch.observe(report(0.4)) == ("INFO", "the database has caught up")


def test_the_account_of_the_supervisor_cannot_be_configured():
    from pydantic import ValidationError

    from gridbot.config.account_models import AccountConfig

    AccountConfig.model_validate({"name": "supervisor", "environment": "paper", "balance": Decimal(1)})
    with pytest.raises(ValidationError, match="the first a letter or digit"):
        AccountConfig.model_validate({"name": SUPERVISOR, "environment": "paper"})
