"""Stamps to figures and tables, for `benchmarks/latency.py`."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from rich.table import Table

from benchmarks.parts.latency_subjects import CREATED, PARTS, WRITTEN, Trace


def summary(traces: Sequence[Trace]) -> dict[str, Any]:
    """Microseconds: the whole way, each stage, the parts of the stages; `share` is of the median of the whole way."""
    total = [trace[CREATED] - trace[WRITTEN] for trace in traces]
    parts: dict[str, list[int]] = {}
    stages: dict[str, list[int]] = {}
    for trace in traces:
        sums: dict[str, int] = {}
        before = trace[WRITTEN]
        for mark, (stage, _) in PARTS.items():
            if mark in trace:
                parts.setdefault(str(mark), []).append(trace[mark] - before)
                sums[stage] = sums.get(stage, 0) + trace[mark] - before
                before = trace[mark]
        for stage, took in sums.items():
            stages.setdefault(stage, []).append(took)
    whole = statistics.median(total)
    return {
        "orders": len(traces),
        "total_us": _figures(total),
        "stages_us": {name: _figures(took, whole) for name, took in stages.items()},
        "parts_us": {name: _figures(took, whole) for name, took in parts.items()},
    }


def _figures(values: Sequence[int], whole: float | None = None) -> dict[str, float]:
    ranked = sorted(values)
    p50, p99 = statistics.median(ranked), ranked[min(len(ranked) - 1, len(ranked) * 99 // 100)]
    figures = {"p50": round(p50 / 1000, 1), "p99": round(p99 / 1000, 1), "min": round(ranked[0] / 1000, 1)}
    return figures if whole is None else figures | {"share": round(p50 / whole, 3)}


def report(results: dict[str, dict[str, Any]]) -> Iterator[Table]:
    """What people read."""
    names = list(results)
    table = Table(title="ticker frame written -> create request received, µs: p50 / p99 (share of p50)")
    table.add_column("stage")
    for name in names:
        table.add_column(f"{name} ({results[name]['orders']})", justify="right")
    for stage in dict.fromkeys(stage for stage, _ in PARTS.values()):
        table.add_row(stage, *(_cell(results[name]["stages_us"].get(stage)) for name in names))
        for mark, (owner, label) in PARTS.items():
            if owner == stage:
                cells = (_cell(results[name]["parts_us"].get(str(mark))) for name in names)
                table.add_row(f"  {label}", *cells, style="dim")
    table.add_section()
    table.add_row("whole way", *(_cell(results[name]["total_us"]) for name in names), style="bold")
    yield table


def _cell(figures: dict[str, float] | None) -> str:
    if figures is None:
        return "-"
    share = f" ({figures['share']:4.0%})" if "share" in figures else ""
    return f"{figures['p50']:.0f} / {figures['p99']:.0f}{share}"


def ratios(results: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Each worker against each bare loop of the same run."""
    return {
        f"{worker}/{bare}": {
            key: round(results[worker]["total_us"][key] / results[bare]["total_us"][key], 3) for key in ("p50", "p99")
        }
        for worker in results
        for bare in results
        if worker.startswith("worker") and not bare.startswith("worker")
    }
