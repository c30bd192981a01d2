"""What the writer costs while the demo runs, and how long it is until its records are seen.

Nobody asks anything meanwhile. The delay of a record is the time when the file with its number is free for readers
again (`fleet_probe` notes each flush), less its own time (`local_ts`): the worker's queue, the beat and the flush.
"""

from __future__ import annotations

import bisect
import shutil
import time
from pathlib import Path
from typing import Final

import orjson
import psutil

from benchmarks.parts.own_supervisor import ROOT, OwnSupervisor, Status
from benchmarks.parts.store_history import Figure, Figures
from benchmarks.parts.store_setup import quantile
from gridbot.records.columns import RECORD_TYPES
from gridbot.store.reading import connect

QUICK_KINDS: Final = ("executions", "orders", "position_events")
START_S: Final = 120.0
SETTLE_S: Final = 20.0
"""A start makes the file and reads what there is: that is not rest."""


def delays_ms(own: OwnSupervisor, kinds: tuple[str, ...], commits: dict[str, list[tuple[int, float]]]) -> list[float]:
    """Of all records of these kinds after the first commit and up to the last. `commits` by account, as they came."""
    found = []
    with connect(own.data_dir, timeout_s=30) as con:
        for kind in kinds:
            for account, seq, at_us in con.execute(f"SELECT account, seq, epoch_us(local_ts) FROM {kind}").fetchall():
                known = commits.get(account, [])
                index = bisect.bisect_left(known, (seq, 0.0))
                if 0 < index < len(known):
                    found.append(known[index][1] * 1000 - at_us / 1000)
    return found


def at_rest(root: Path, seconds: float) -> Figures:
    """The demo for so long, after its start: CPU of the writer, rows, delays."""
    root.mkdir(parents=True)
    shutil.copy(ROOT / "conf" / "demo.yaml", root / "demo.yaml")
    own = OwnSupervisor(root / "data", root / "demo.yaml", root / "console.txt")
    own.probe = root / "probe"
    own.probe.mkdir()
    own.launch()
    try:
        pid = _writer(own)["process"]["pid"]
        time.sleep(SETTLE_S)
        return _measured(own, psutil.Process(pid), seconds)
    finally:
        own.run("stop", within_s=60.0)


def _measured(own: OwnSupervisor, process: psutil.Process, seconds: float) -> Figures:
    before, used, started = _writer(own), _used(process), time.monotonic()
    time.sleep(seconds)
    took, used, after = time.monotonic() - started, _used(process) - used, _writer(own)
    figures = [
        Figure("the demo: records", (after["rows"] - before["rows"]) / took, "1/s"),
        Figure("flushes", (after["flushes"] - before["flushes"]) / took, "1/s"),
        Figure("CPU of the writer, of a core", used / took * 100, "%", "the catalogue of DuckDB, written"),
    ]
    commits = _commits(own, time.time() - took)
    others = tuple(kind for kind in RECORD_TYPES if kind not in QUICK_KINDS)
    for name, kinds in (("executions, orders, positions", QUICK_KINDS), ("other kinds", others)):
        delays = delays_ms(own, kinds, commits)
        figures += [
            Figure(f"{name}: p50 of the way into the file", quantile(delays, 0.5), "ms", f"of {len(delays):,} records"),
            Figure(
                f"{name}: p99 of the way into the file", quantile(delays, 0.99), "ms", "the beat of 0.85 s, a flush"
            ),
            Figure(f"{name}: longest", max(delays), "ms", "each two minutes a flush moves what has landed"),
        ]
    return figures


def _commits(own: OwnSupervisor, since: float) -> dict[str, list[tuple[int, float]]]:
    """Number and time (s) of each commit of an account."""
    found: dict[str, list[tuple[int, float]]] = {}
    assert own.probe is not None
    for path in sorted(own.probe.glob("commits-*")):
        for commit in map(orjson.loads, path.read_text().splitlines()):
            if commit["at"] >= since:
                for account, seq in commit["numbers"].items():
                    found.setdefault(account, []).append((seq, commit["at"]))
    return found


def _used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _writer(own: OwnSupervisor) -> Status:
    """What `status` says of the writer, once the demo runs."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        answer = own.run("status", "--json", within_s=60.0)
        status = orjson.loads(answer.stdout) if answer.stdout.startswith("{") else {}
        if status.get("supervisor", {}).get("state") == "running" and status["writer"]["rows"]:
            return dict(status["writer"])
        time.sleep(0.5)
    raise SystemExit(f"expected the demo to run within {START_S:.0f} s; look at {own.console}")
