"""The status model: four axes, each from its own source, and what sums them up."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from supervisor.children.policy_types import ChildState, ProcessState
from supervisor.status.model import ChildFacts, SupervisorFacts, build_status

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


def child(name="worker-a", process=ProcessState.RUNNING, health=REPORT, account="a", **state):
    alive = process in (ProcessState.RUNNING, ProcessState.STARTING, ProcessState.STOPPING)
    full = ChildState(process=process, since=NOW - 60, alive=alive, last_report=NOW - 0.5, **state)
    configured = [{"strat_id": "s1", "symbol": "BTCUSDT", "mode": "live"}] if account else []
    return ChildFacts(name, full, 7 if alive else None, health, "", account, configured)


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
    assert row["strategies"][0]["fills"] == 3
    assert status["writer"]["waiting"] == {"a": 20}


@pytest.mark.parametrize("process", [state for state in ProcessState if state is not ProcessState.RUNNING])
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
    assert status["reasons"] == [f"a is {health}: private stream silent"]


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
