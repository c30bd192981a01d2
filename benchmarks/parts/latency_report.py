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
    p10 = ranked[len(ranked) // 10]
    figures = {
        "p10": round(p10 / 1000, 1),
        "p50": round(p50 / 1000, 1),
        "p99": round(p99 / 1000, 1),
        "min": round(ranked[0] / 1000, 1),
    }
    return figures if whole is None else figures | {"share": round(p50 / whole, 3)}


TARGETS = (
    ("p50 / bare pybit", "worker-fast", "pybit", "p50", 0.33),
    ("p99 / bare pybit", "worker-fast", "pybit", "p99", 0.5),
    ("p50 / raw floor", "worker-fast", "floor", "p50", 2.2),
    ("p50 / raw floor, plain install", "worker", "floor", "p50", 2.6),
    ("50 resting orders / 4, p50", "worker-50", "worker", "p50", 1.15),
)
"""(what, lane, beside, percentile, at most)."""
QUIET_TARGET_US = 12.0


def targets(results: dict[str, dict[str, Any]], quiet_us: dict[str, float | None]) -> list[dict[str, Any]]:
    """What is wanted and what this run got; None for lanes that were not measured.

    `at_p10` is the same of the tenth percentiles, which other processes of the machine hardly move.
    """
    rows: list[dict[str, Any]] = []
    for what, lane, beside, key, wanted in TARGETS:
        got = p10 = None
        if lane in results and beside in results:
            ours, other = results[lane]["total_us"], results[beside]["total_us"]
            got = round(ours[key] / other[key], 3)
            p10 = round(ours["p10"] / other["p10"], 3) if key == "p50" else None
        rows.append({"what": what, "lane": f"{lane} / {beside}", "wanted": wanted, "got": got, "at_p10": p10})
    for lane in ("worker", "worker-fast"):
        what = "CPU of a quiet ticker, \u00b5s"
        rows.append({"what": what, "lane": lane, "wanted": QUIET_TARGET_US, "got": quiet_us.get(lane), "at_p10": None})
    return rows


def report(document: dict[str, Any]) -> Iterator[Table]:
    """What people read."""
    results, quiet_us = document["results"], document["quiet_us"]
    stages = list(dict.fromkeys(stage for stage, _ in PARTS.values()))
    table = Table(title="ticker frame written -> create request received, µs: p50 / p99")
    for name in ("lane", *stages, "whole way", "quiet, CPU"):
        table.add_column(name, justify="left" if name == "lane" else "right")
    for name, result in results.items():
        cells = [_cell(result["stages_us"].get(stage)) for stage in stages]
        quiet = "-" if quiet_us.get(name) is None else f"{quiet_us[name]:.1f}"
        table.add_row(name, *cells, f"[bold]{_cell(result['total_us'])}[/bold]", quiet)
    yield table
    parts = Table(title="the parts of a worker's stages, p50 in µs (share of the whole way)")
    for name in ("lane", *(label for _, label in PARTS.values())):
        parts.add_column(name, justify="left" if name == "lane" else "right")
    for name, result in results.items():
        parts.add_row(name, *(_share(result["parts_us"].get(str(mark))) for mark in PARTS))
    yield parts
    wanted = Table(title="wanted (at most), and what this run got")
    for name in ("what", "lane", "wanted", "got", "at p10"):
        wanted.add_column(name, justify="left" if name in ("what", "lane") else "right")
    for row in document["targets"]:
        got = ("-" if row[key] is None else f"{row[key]:g}" for key in ("got", "at_p10"))
        wanted.add_row(row["what"], row["lane"], f"{row['wanted']:g}", *got)
    yield wanted


def _cell(figures: dict[str, float] | None) -> str:
    return "-" if figures is None else f"{figures['p50']:.0f} / {figures['p99']:.0f}"


def _share(figures: dict[str, float] | None) -> str:
    return "-" if figures is None else f"{figures['p50']:.0f} ({figures['share']:.0%})"


def ratios(results: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Each worker against each bare loop of the same run."""
    return {
        f"{worker}/{bare}": {
            key: round(results[worker]["total_us"][key] / results[bare]["total_us"][key], 3)
            for key in ("p10", "p50", "p99")
        }
        for worker in results
        for bare in results
        if worker.startswith("worker") and not bare.startswith("worker")
    }
