"""The benchmarks run and say what they promise; how fast anything was is not judged here."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from benchmarks.parts.earlier_version import Left
from benchmarks.parts.fleet_figures import loop_lags, orders_of_accounts, recoveries, trading_after
from benchmarks.parts.upgrade_checks import records_lost, rows_lost
from benchmarks.store import arguments
from gridbot.core.events import ExecutionEvent
from gridbot.records.record_types import HealthRecord, ReconcileRecord
from gridbot.store.database import Database
from gridbot.store.reading import database_path
from tests.core.ledger_events import execution
from tests.store.session import START_MS, Session, write_all
from tests.store.test_migrations import old_database

ROOT = Path(__file__).parents[1]
STAGES = {"frame -> event", "decide", "gate and journal", "request"}


@pytest.mark.parametrize("script", sorted(path.name for path in (ROOT / "benchmarks").glob("*.py")))
def test_a_script_with_parts_finds_them_where_nothing_is_installed(script: str) -> None:
    """Python looks beside a script, and `benchmarks` itself is one folder up."""
    text = (ROOT / "benchmarks" / script).read_text(encoding="utf-8")
    before, imports, _ = text.partition("\nfrom benchmarks.parts")
    assert not imports or "sys.path.insert(0, str(Path(__file__).resolve().parents[1]))" in before


def test_latency_measures_each_stage_of_each_order() -> None:
    command = [sys.executable, "benchmarks/latency.py", "--orders", "6", "--warmup", "2", "--quiet", "20", "--json"]
    done = subprocess.run(
        [*command, "--only", "classes", "worker"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["results"].keys() == {"classes", "worker"}
    worker, bare = document["results"]["worker"], document["results"]["classes"]
    assert worker["orders"] == bare["orders"] == 6
    assert worker["stages_us"].keys() == STAGES
    assert bare["stages_us"].keys() == {"frame -> event", "request"}
    assert set(worker["parts_us"]) == {"received", "event", "decided", "admitted", "journalled", "created"}
    for figures in (worker["total_us"], *worker["stages_us"].values()):
        assert 0 < figures["min"] <= figures["p50"] <= figures["p99"]
    assert document["ratios"].keys() == {"worker/classes"}


def test_the_path_has_each_part_of_an_order_and_each_row() -> None:
    command = [sys.executable, "benchmarks/path.py", "--rounds", "5", "--levels", "4", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["us"]["4"]
    assert figures.keys() > {"decide", "size, gate, record", "journal", "price -> request", "answer"}
    assert figures.keys() > {"price that changes nothing", "position row", "wallet row", "execution and order row"}
    assert all(0 < each["p10"] <= each["p50"] <= each["p99"] for each in figures.values())


def test_latency_refuses_to_measure_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/latency.py", "--orders", "0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "expected at least one order" in done.stderr


def test_the_store_is_measured_whole_unless_told_otherwise() -> None:
    assert [arguments(given).part for given in ([], ["--quick"], ["--part", "1000"])] == [1, 10, 1000]


def test_the_store_s_figures_are_all_there() -> None:
    """A thousandth of the real thing: whether it runs, not how fast."""
    command = [sys.executable, "benchmarks/store.py", "--part", "1000", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    parts: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        parts |= json.loads(line)
    assert parts.keys() == {"throughput", "delay", "lag", "flush", "recovery", "queries"}
    for figures in parts.values():
        assert all(figure["value"] >= 0 and figure["unit"] for figure in figures)
    what = " ".join(figure["what"] for figures in parts.values() for figure in figures)
    for wanted in ("worker to committed", "sqlite3", "p99", "writer stopped", "PnL by strategy and day", "grid profit"):
        assert wanted in what


def test_an_upgrade_needs_the_history() -> None:
    command = [sys.executable, "benchmarks/upgrade.py", "--from", "a1c99c4", "0badc0de"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "expected a checkout with its history, got none that has" in done.stderr
    assert "0badc0de" in done.stderr


def test_what_an_upgrade_loses_is_found(tmp_path: Path) -> None:
    before, after = old_database(tmp_path / "before").parent, tmp_path / "after"
    shutil.copytree(before, after)
    Database(database_path(after)).prepare()
    assert rows_lost(before, after) == []
    with duckdb.connect(str(database_path(after))) as con:
        con.execute("DELETE FROM executions WHERE seq = 7")
        con.execute("INSERT INTO executions SELECT * FROM executions WHERE seq = 8")
        con.execute("INSERT INTO ingest_gaps VALUES ('alice', 34, 40, 'removed', now()::TIMESTAMP)")
    assert rows_lost(before, after) == [
        "executions: 1 rows are lost, such as ('alice', 7)",
        "ingest_gaps: ('alice', 34, 40, 'removed')",
    ]
    left = Left({"alice": [recorded(number) for number in (7, 8, 9)]}, {"alice": []}, {})
    assert records_lost(left, after) == [
        "alice: execution e-8 is recorded 2 times",
        "alice: execution e-7 is recorded as None",
    ]


def recorded(number: int) -> ExecutionEvent:
    """One of `old_database`."""
    return replace(execution(number, price=str(100 + number), qty="0.5", fee="0.01"), exec_id=f"e-{number}")


def test_the_figures_of_a_fleet_are_those_of_its_records(tmp_path: Path) -> None:
    session, killed = Session(tmp_path, "a"), START_MS / 1000 + 2.25
    start: dict[str, Any] = {"ok": True, "took_ms": 1}
    sample: dict[str, Any] = {"health": "healthy", "freshness": "active", "rss": 1, "reconnects": 0, "open_orders": 0}
    for lag_ms in (7, 9):
        session.add(HealthRecord(state="trading", loop_lag_us=lag_ms * 1000, unstored=0, queue_dropped=0, **sample))
    session.add(ReconcileRecord(reason="periodic", **start))
    session.add(ReconcileRecord(reason="start", **start))
    session.order("link-1", "open")
    session.recorder.flush()
    write_all(tmp_path)
    assert loop_lags(tmp_path, killed) == {"p50": 9.0, "p99": 9.0, "max": 9.0}
    assert recoveries(tmp_path, [("a", killed), ("a", killed + 10), ("b", killed)]) == [1.75]
    assert trading_after(tmp_path, killed) == {"p50": 2.75, "p99": 2.75, "max": 2.75}
    assert orders_of_accounts(tmp_path, killed + 10) == {"least": 1, "most": 1, "all": 1}
