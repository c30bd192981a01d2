"""From the paper exchange writing a ticker frame that makes the engine act to its receiving the create-order request.

The exchange runs in a process of its own with a market that the driver moves; a writer process stores the records.
Two bare loops and two workers, each in its own process with an account and a symbol of its own, take turns in blocks,
so that the noise of the machine meets them alike:

    pybit      pybit's WebSocket callback calls pybit's HTTP.place_order, both as published
    tuned      the same with gridbot's adjusted pybit classes: what any strategy costs at least
    worker     a whole gridbot worker with a grid of 4 levels
    worker-50  the same with 50 orders resting

One measured ticker causes exactly one order. For a worker the exchange withdraws the order nearest to the price, on the
side where the price is so near that the level is not eligible; when the worker has seen that, the price goes to the
other end of the gap, the level is eligible again, and the engine replaces its order. `time.monotonic_ns` is one clock
for all processes of a machine, so stamps of both sides can be subtracted; they are joined by orderLinkId.

    python benchmarks/latency.py [--orders 2000] [--warmup 200] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from rich.console import Console

from benchmarks.parts.latency_crew import measure
from benchmarks.parts.latency_report import ratios, report, summary
from benchmarks.parts.latency_subjects import SUBJECTS, BenchmarkError


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--orders", type=int, default=2000, help="measured orders of each subject (default 2000)")
    parser.add_argument("--warmup", type=int, default=200, help="orders before them that do not count (default 200)")
    parser.add_argument("--only", nargs="+", choices=[s.name for s in SUBJECTS], help="only these subjects")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if options.orders < 1 or options.warmup < 0:
        parser.error("expected at least one order and no negative warm-up")
    subjects = [subject for subject in SUBJECTS if not options.only or subject.name in options.only]
    load_before, started_s = os.getloadavg(), time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="gridbot-latency-") as data_dir:
            traces = measure(options.orders + options.warmup, subjects, Path(data_dir))
    except BenchmarkError as error:
        print(f"latency: {error}", file=sys.stderr)
        return 1
    results = {name: summary(taken[options.warmup :]) for name, taken in traces.items()}
    document: dict[str, Any] = {
        "benchmark": "latency",
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "load_before": load_before,
        "load_after": os.getloadavg(),
        "took_s": round(time.monotonic() - started_s, 1),
        "results": results,
        "ratios": ratios(results),
    }
    if options.json:
        print(json.dumps(document, indent=2))
        return 0
    console = Console(width=None if sys.stdout.isatty() else 140)
    for table in report(results):
        console.print(table)
    for pair, ratio in document["ratios"].items():
        console.print(f"{pair}: p50 x{ratio['p50']:.2f}, p99 x{ratio['p99']:.2f}")
    load = f"load {load_before[0]:.2f} before, {os.getloadavg()[0]:.2f} after"
    console.print(f"{os.cpu_count()} cpus, {load}, Python {document['python']}, {document['took_s']} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
