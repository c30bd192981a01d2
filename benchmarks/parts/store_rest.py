"""What the writer costs while the demo runs, and how long it is until its records are seen.

First nobody asks anything, for the CPU of the writer. Then a reader asks ten times a second for the number of each
account's last record that is in the file (`ingest_offsets`); the delay of a record is the time of the first answer that
holds its number, less its own (`local_ts`). So it has all: the worker's queue, the beat, the flush, the reader's turn.
"""

from __future__ import annotations

import bisect
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson
import psutil

from benchmarks.parts.own_supervisor import ROOT, OwnSupervisor, Status
from benchmarks.parts.store_history import Figure, Figures
from benchmarks.parts.store_setup import quantile
from gridbot.records.columns import RECORD_TYPES
from gridbot.store.reading import connect
from gridbot.store.sql_columns import OFFSETS

QUICK_KINDS: Final = ("executions", "orders", "position_events")
ASK_S: Final = 0.1
START_S: Final = 120.0
SETTLE_S: Final = 20.0
"""A start makes the file and reads what there is: that is not rest."""


@dataclass(slots=True)
class Seen:
    """By account the numbers that were seen, rising, and when (µs): an answer each."""

    numbers: dict[str, list[int]] = field(default_factory=dict)
    times: dict[str, list[int]] = field(default_factory=dict)

    def look(self, data_dir: Path) -> None:
        with connect(data_dir, timeout_s=30) as con:
            rows = con.execute(f"SELECT account, seq FROM {OFFSETS}").fetchall()
        now_us = time.time_ns() // 1000
        for account, seq in rows:
            numbers = self.numbers.setdefault(account, [])
            if not numbers or numbers[-1] < seq:
                numbers.append(seq)
                self.times.setdefault(account, []).append(now_us)

    def delays(self, data_dir: Path, kinds: tuple[str, ...]) -> list[float]:
        """Milliseconds, of all records of these kinds after the first answer and up to the last."""
        found = []
        with connect(data_dir, timeout_s=30) as con:
            for kind in kinds:
                for account, seq, at_us in con.execute(
                    f"SELECT account, seq, epoch_us(local_ts) FROM {kind}"
                ).fetchall():
                    numbers = self.numbers.get(account, [])
                    index = bisect.bisect_left(numbers, seq)
                    if 0 < index < len(numbers):
                        found.append((self.times[account][index] - at_us) / 1000)
        return found


def at_rest(root: Path, seconds: float) -> Figures:
    """The demo for so long, after its start: CPU of the writer, rows, delays."""
    root.mkdir(parents=True)
    shutil.copy(ROOT / "conf" / "demo.yaml", root / "demo.yaml")
    own = OwnSupervisor(root / "data", root / "demo.yaml", root / "console.txt")
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
        Figure("CPU of the writer, of a core", used / took * 100, "%", "the catalogue of DuckDB, read and written"),
    ]
    seen, started = Seen(), time.monotonic()
    while time.monotonic() < started + seconds:
        seen.look(own.data_dir)
        time.sleep(ASK_S)
    others = tuple(kind for kind in RECORD_TYPES if kind not in QUICK_KINDS)
    for name, kinds in (("executions, orders, positions", QUICK_KINDS), ("other kinds", others)):
        delays = seen.delays(own.data_dir, kinds)
        figures += [
            Figure(
                f"{name}: until a reader sees them, p50", quantile(delays, 0.5), "ms", f"of {len(delays):,} records"
            ),
            Figure("p99", quantile(delays, 0.99), "ms", "the beat of 0.85 s, the flush, the reader's look each 0.1 s"),
            Figure("max", max(delays), "ms"),
        ]
    return figures


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
