"""The file of `bin/bench all`: what is run for it, how its answers are read, and which figures `compare` looks at."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from typing import Any, NamedTuple

__all__ = ["FIGURES", "SIZES", "Change", "changes", "load_of", "read_answer", "value_at"]

SIZES: dict[str, tuple[str, ...]] = {
    "latency": ("--json", "--orders", "1000", "--warmup", "100"),
    "fleet": ("--json", "--accounts", "10", "--minutes", "2", "--kills", "5"),
    "fleet_scale": (
        "--json",
        "--accounts",
        "500",
        "--hosts",
        "10",
        "--seconds",
        "10",
        "--trading",
        "6",
        "--minutes",
        "0.5",
    ),
    "web": ("--json", "--accounts", "10", "--seconds", "20", "--pairs", "1"),
    "engine": ("--json", "--naive-events", "100"),
    "path": ("--json", "--rounds", "1000"),
    "backtest": ("--json", "--ticks", "300000", "--every", "5000", "--symbols", "2", "--days", "1"),
    "comparison": ("--json", "--rows", "100000"),
    "market_data": ("--json", "--trades", "300000", "--ticks", "3000000"),
    "store": ("--json", "--quick"),
    "paper": ("--quick",),
    "quiet_ticker": ("--tickers", "1000", "--rounds", "3"),
    "round_trips": ("--json", "--blocks", "10"),
    "streams": ("--messages", "5000", "--rounds", "3"),
    "floods": ("--json", "--seconds", "5"),
    "memory": ("--json", "--minutes", "5"),
    "deaths": ("--json", "--accounts", "10", "--minutes", "2"),
    "flatten": ("--json", "--accounts", "10", "--dead", "2"),
    "kill_matrix": ("--json", "--cell", "worker,SIGSTOP,flatten"),
    "simulate": ("--seeds", "20"),
    "fuzz": ("--json", "--inputs", "200000"),
    "upgrade": ("--json", "--seconds", "20"),
}
"""Each benchmark, and with what it is run: some twenty minutes in all."""

FIGURES: dict[str, tuple[str, ...]] = {
    "frame to order, pybit: p50, µs": ("latency", "results", "pybit", "total_us", "p50"),
    "frame to order, floor: p50, µs": ("latency", "results", "floor", "total_us", "p50"),
    "frame to order, worker: p50, µs": ("latency", "results", "worker", "total_us", "p50"),
    "frame to order, worker: p99, µs": ("latency", "results", "worker", "total_us", "p99"),
    "frame to order, worker-50: p50, µs": ("latency", "results", "worker-50", "total_us", "p50"),
    "frame to order, worker-fast: p50, µs": ("latency", "results", "worker-fast", "total_us", "p50"),
    "frame to order, worker-fast: p99, µs": ("latency", "results", "worker-fast", "total_us", "p99"),
    "frame to order, worker-ws: p50, µs": ("latency", "results", "worker-ws", "total_us", "p50"),
    "frame to order, worker-tls: p50, µs": ("latency", "results", "worker-tls", "total_us", "p50"),
    "worker / pybit, p50": ("latency", "ratios", "worker/pybit", "p50"),
    "worker-fast / pybit, p50": ("latency", "ratios", "worker-fast/pybit", "p50"),
    "worker-fast / floor, p50": ("latency", "ratios", "worker-fast/floor", "p50"),
    "quiet ticker, worker: CPU, µs": ("latency", "quiet_us", "worker"),
    "quiet ticker, worker-fast: CPU, µs": ("latency", "quiet_us", "worker-fast"),
    "fleet: PSS of a worker, MB": ("fleet", "busy", "pss_mb", "worker", "p50"),
    "fleet: all trading after, s": ("fleet", "busy", "trading_s", "max"),
    "fleet: recovery, quiet: p50, s": ("fleet", "quiet", "recovery_s", "p50"),
    "fleet: recovery, busy: p50, s": ("fleet", "busy", "recovery_s", "p50"),
    "fleet: price to decision, p50, ms": ("fleet", "busy", "decision_ms", "p50"),
    "fleet: loop lag, p99, ms": ("fleet", "busy", "loop_lag_ms", "p99"),
    "fleet: CPU of a busy worker, %": ("fleet", "busy", "cpu_percent", "worker"),
    "leases: renewal of a host's, p99, ms": ("fleet_scale", "leases", "renewal_ms", "p99"),
    "leases: CPU of the database, %": ("fleet_scale", "leases", "database", "cpu_percent"),
    "hosts: accounts of a dead one compared, p50, s": ("fleet_scale", "hosts", "takeover", "compared_s", "p50"),
    "hosts: lag of the records, p99, s": ("fleet_scale", "hosts", "lag_s", "p99"),
    "page: CPU with ten open, %": ("web", "page", "cpu_percent"),
    "page: memory, PSS, MB": ("web", "page", "pss_mb"),
    "page: first paint, ms": ("web", "page", "first_paint_ms"),
    "engine: decision, 100 orders, µs": ("engine", "full_decision_us", "median"),
    "path: price to request, 4 orders, µs": ("path", "us", "4", "price -> request", "p50"),
    "path: price to request, 50 orders, µs": ("path", "us", "50", "price -> request", "p50"),
    "store: worker to committed, records/s": ("store", "throughput", "worker to committed", "value"),
    "paper: create-order, CPU, µs": ("paper", "create-order in process, four private topics", "cpu_us_per_order"),
    "round trip, plain: wall, µs": ("round_trips", "lanes", "plain HttpPool", "wall_p50"),
    "round trip, TLS: wall, µs": ("round_trips", "lanes", "TLS HttpPool", "wall_p50"),
    "memory: a worker of the demo, MB": ("memory", "processes", "worker-alice", "mb", "2"),
}
"""What people compare, by name: the path of a figure among the results of the file."""


class Change(NamedTuple):
    """A figure of two files; None where a file has none."""

    name: str
    old: float | None
    new: float | None

    @property
    def percent(self) -> float | None:
        if self.old is None or self.new is None or not self.old:
            return None
        return 100 * (self.new / self.old - 1)


def read_answer(text: str) -> Any:
    """What a benchmark has printed: its JSON; lines of JSON as one value, by what they are about; else the lines."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        return {"lines": text.splitlines()}
    merged: dict[str, Any] = {}
    for number, row in enumerate(rows):
        if isinstance(row, dict) and "benchmark" in row:
            merged[str(row["benchmark"])] = {name: value for name, value in row.items() if name != "benchmark"}
        elif isinstance(row, dict) and not merged.keys() & row.keys():
            merged |= {name: _by_name(value) for name, value in row.items()}
        else:
            merged[str(number)] = row
    return merged


def _by_name(value: Any) -> Any:
    """A list of figures by what they are; those of the same name after the first one stay behind it, numbered."""
    if not isinstance(value, list) or not all(isinstance(row, dict) and "what" in row for row in value):
        return value
    named: dict[str, Any] = {}
    for row in value:
        name, number = row["what"], 1
        while name in named:
            number += 1
            name = f"{row['what']} ({number})"
        named[name] = row
    return named


def value_at(document: dict[str, Any], path: tuple[str, ...]) -> float | None:
    """The number at a path below a file's results; None where there is none."""
    first, *rest = path
    value: Any = document.get("results", {}).get(first, {}).get("result")
    for key in rest:
        if isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            value = value.get(key) if isinstance(value, dict) else None
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def changes(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    """Each known figure that at least one of the files has."""
    for name, path in FIGURES.items():
        change = Change(name, value_at(old, path), value_at(new, path))
        if change.old is not None or change.new is not None:
            yield change


def load_of(document: dict[str, Any]) -> float:
    """The load of the machine in the middle of a file's runs; 0 without any."""
    loads = [load for row in document.get("results", {}).values() for load in row.get("load", ())]
    return float(statistics.median(loads)) if loads else 0.0
