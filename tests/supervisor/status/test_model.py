"""The status model: four axes, each from its own source, and what sums them up."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from supervisor.children.policy_types import ChildState, ProcessState
from supervisor.status.model import ChildFacts, SupervisorFacts, build_status
from tests.case_table import case_table

NOW = 1000.0
OWN = SupervisorFacts(1, "0.1.0", "running", 12.3456, "/d", "/c.yaml", "r", 5, "2026-01-01T00:00:00Z")
REPORT_STRATEGY = {"strat_id": "s1", "symbol": "BTCUSDT", "mode": "live", "state": "active", "fills": 3}
REPORT = {
    "type": "health",
    "pid": 7,
    "state": "trading",
    "health": "healthy",
    "freshness": "active",
    "reasons": [],
    "rss": 60_000_000,
    "journal_seq": 120,
    "equity": "1001.50",
    "environment": "paper",
    "strategies": [REPORT_STRATEGY],
}


def child(name="worker-a", process=ProcessState.RUNNING, health=REPORT, account="a", age=0.5, **state):
    alive = process in (ProcessState.RUNNING, ProcessState.STARTING, ProcessState.STOPPING)
    full = ChildState(process=process, since=NOW - 60, alive=alive, last_report=NOW - age, **state)
    configured = [{"strat_id": "s1", "symbol": "BTCUSDT", "mode": "live"}] if account else []
    return ChildFacts(name, full, 7 if alive else None, health, "", account, configured, groups=("night",))


def writer(**health):
    report = {"type": "health", "rss": 1, "committed": {"a": 100}, "lag_s": 0.1, "rows": 9, "held_by": None, **health}
    return child("writer", health=report, account="")


def build(*accounts, writer=None, paper=None):
    status = build_status(NOW, OWN, accounts, writer, paper, paper_url=None)
    assert json.loads(json.dumps(status)) == status
    return status


def test_all_well():
    status = build(child(), writer=writer())
    assert status["health"] == "healthy"
    assert status["reasons"] == []
    row = status["accounts"][0]
    assert row["process"]["state"] == "RUNNING"
    assert row["process"]["uptime_s"] == 60.0
    assert (row["health"], row["freshness"], row["equity"]) == ("healthy", "active", "1001.50")
    assert row["environment"] == "paper"
    assert row["groups"] == ["night"]
    assert row["strategies"][0]["fills"] == 3
    assert status["writer"]["waiting"] == {"a": 20}


@case_table("process", [state for state in ProcessState if state is not ProcessState.RUNNING])
def test_a_process_that_does_not_run_says_nothing_about_the_account(process):
    status = build(child(process=process, health={}, due=NOW + 4 if process is ProcessState.BACKOFF else None))
    row = status["accounts"][0]
    assert row["process"]["state"] == process.value
    assert row["health"] is None
    assert row["freshness"] == "offline"
    assert row["strategies"] == [{"strat_id": "s1", "symbol": "BTCUSDT", "mode": "live", "state": None}]
    assert status["health"] == "degraded"
    assert status["reasons"][0].startswith(f"worker-a is {process}")


@pytest.mark.parametrize("health", ["degraded", "auth_cooldown", "circuit_open"])
def test_account_health_is_passed_on_with_its_reasons(health):
    status = build(child(health={**REPORT, "health": health, "reasons": ["private stream silent"]}))
    assert status["accounts"][0]["process"]["state"] == "RUNNING"
    said = "latched" if health == "circuit_open" else health
    assert status["reasons"] == [f"a is {said}: private stream silent"]


def test_stale_data_is_not_account_health_but_degrades_the_whole():
    status = build(child(health={**REPORT, "freshness": "stale"}))
    assert status["accounts"][0]["health"] == "healthy"
    assert status["reasons"] == ["a: market data is stale"]


def test_a_running_worker_that_has_not_reported_yet():
    assert build(child(health={}))["reasons"] == ["a is not reporting"]


def test_a_writer_in_trouble():
    late = build(child(), writer=writer(lag_s=45.0, held_by="DBeaver (pid 9)"))
    assert late["reasons"] == ["the database is 45 s behind; the database is held by DBeaver (pid 9)"]
    broken = build(child(), writer=writer(error="disk full"))
    assert broken["reasons"] == ["the writer cannot write: disk full"]
    assert build(child(), writer=writer(lag_s=2.0, held_by="x"))["health"] == "healthy"


def test_strategies_that_only_the_worker_knows_are_shown_too():
    extra = {"strat_id": "s2", "symbol": "ETHUSDT", "mode": "shadow", "state": "halted"}
    status = build(child(health={**REPORT, "strategies": [REPORT_STRATEGY, extra]}))
    assert [row["strat_id"] for row in status["accounts"][0]["strategies"]] == ["s1", "s2"]


def test_the_paper_exchange():
    facts = child("paper", health={"type": "health", "rss": 3, "orders": 4, "trades": 5}, account="")
    paper = build(child(), paper=facts)["paper"]
    assert (paper["orders"], paper["trades"], paper["market"]) == (4, 5, None)


@pytest.mark.parametrize("key", ["deleted", "lost_records"])
def test_removed_files_are_a_reason_for_as_long_as_their_incident_is_open(key):
    row = {"key": key, "where": "writer", "level": "error", "text": "somebody removed it", "began_us": 0, "count": 1}
    status = build_status(NOW, replace(OWN, incidents=[row]), [child()], None, None, paper_url=None)
    assert status["health"] == "degraded"
    assert "somebody removed it" in status["reasons"]


def test_open_incidents_of_the_accounts_come_before_those_about_the_children():
    row = {"key": "halt.BTCUSDT", "where": "s1", "level": "error", "text": "halted", "began_us": 1_000_000, "count": 1}
    own = replace(OWN, incidents=[{**row, "key": "down", "where": "worker-b", "level": "critical", "count": 3}])
    well = child(health={**REPORT, "incidents": [row]})
    dead = child("worker-b", ProcessState.BACKOFF, {**REPORT, "incidents": [row]}, "b")
    status = build_status(NOW, own, [well, dead], None, None, paper_url=None)
    assert [(i["account"], i["strategy"], i["child"], i["level"], i["count"]) for i in status["incidents"]] == [
        ("a", "s1", "", "ERROR", 1),
        ("", "", "worker-b", "CRITICAL", 3),
    ]
    assert {i["since"] for i in status["incidents"]} == {"1970-01-01T00:00:01Z"}
    assert "incidents" not in status["accounts"][0]


@case_table("age", [0.0, 1.2, 1.7, 1.8, 9.0])
def test_ages_are_those_of_now_and_an_overdue_report_is_not_health(age):
    """A stopped process was healthy, active and 0.1 s fresh until its heartbeat was missed."""
    ages = {"last_tick_age_s": 0.1, "private_age_s": 3.0, "last_reconcile_age_s": None}
    status = build(child(health={**REPORT, **ages}, age=age))
    row = status["accounts"][0]
    assert row["last_tick_age_s"] == pytest.approx(0.1 + age)
    assert row["private_age_s"] == pytest.approx(3.0 + age)
    assert row["last_reconcile_age_s"] is None
    overdue = age > 1.75
    assert (row["health"], row["freshness"]) == (("degraded", "stale") if overdue else ("healthy", "active"))
    assert status["health"] == ("degraded" if overdue else "healthy")
    assert [f"no report for {age:.0f} s" in reason for reason in row["reasons"]] == [True] * overdue


def test_an_overdue_report_does_not_hide_what_is_worse():
    frozen = child(health={**REPORT, "health": "circuit_open", "freshness": "offline", "reasons": ["loss"]}, age=3.0)
    row = build(frozen)["accounts"][0]
    assert (row["health"], row["freshness"]) == ("circuit_open", "offline")
    assert row["reasons"][1:] == ["loss"]


@pytest.mark.parametrize("process", [ProcessState.STARTING, ProcessState.STOPPING])
def test_who_starts_or_stops_need_not_report_in_time(process):
    row = build(child(process=process, age=9.0))["accounts"][0]
    assert row["reasons"] == [f"the process is {process}"]
    assert (row["health"], row["freshness"]) == ("degraded", "active"), "it was healthy while it stopped"


def test_what_is_worse_than_a_stop_is_still_said():
    latched = {**REPORT, "health": "circuit_open", "reasons": ["loss"]}
    row = build(child(process=ProcessState.STOPPING, health=latched))["accounts"][0]
    assert (row["health"], row["reasons"]) == ("circuit_open", ["loss"])


def test_a_frozen_writer_and_a_frozen_exchange_are_named():
    exchange = child("paper", health={"type": "health"}, account="", age=4.0)
    facts = child("writer", health={"lag_s": 0.2, "held_by": "x", "held_s": 1.0}, account="", age=3.0)
    status = build(child(), writer=facts, paper=exchange)
    assert [reason.partition(":")[0] for reason in status["reasons"]] == ["writer", "paper"]
    assert "no report for 3 s" in status["reasons"][0]
    assert "no report for 4 s" in status["reasons"][1]
    assert (status["writer"]["lag_s"], status["writer"]["held_s"]) == (3.2, 4.0)
    free = build(child(), writer=child("writer", health={"lag_s": 0.2, "held_s": 0.0}, account="", age=3.0))
    assert free["writer"]["held_s"] == 0.0
    assert build(child(), writer=writer(lag_s=40.0, held_by=None))["writer"]["lag_s"] == 40.0
