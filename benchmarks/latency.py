"""From the paper exchange writing a ticker frame that makes the engine act to its receiving the create-order request.

bin/bench latency                                  every lane that this installation has, two thousand orders each
bin/bench latency --only floor pybit worker-fast   some of them
bin/bench latency --pause 10                       with ten milliseconds before each price, as a market has them
bin/bench latency --flame rest.svg                 and a picture of where a worker's time goes (py-spy, else cProfile)

The exchange runs in a process of its own with a market that the driver moves; a writer process stores the records.
Each lane is a process with an account and a symbol of its own. They take turns in blocks of fifty orders, so that the
noise of the machine meets them alike: bare loops (what the libraries cost without a strategy) and whole workers, as
the plain installation and as `gridbot[fast]`; `--list` names them. A lane whose packages are not there is left out,
and said so.

One measured ticker causes exactly one order. For a worker the exchange withdraws the order nearest to the price, on the
side where the price is so near that the level is not eligible; when the worker has seen that, the price goes to the
other end of the gap, the level is eligible again, and the engine replaces its order. `time.monotonic_ns` is one clock
for all processes of a machine, so stamps of both sides can be subtracted; they are joined by orderLinkId.

At the end each worker gets tickers that change nothing, one at a time: the CPU time of its process for one of them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from rich.console import Console

from benchmarks.parts.latency_crew import CONTEXT, measure
from benchmarks.parts.latency_flame import Flame
from benchmarks.parts.latency_report import ratios, report, summary, targets
from benchmarks.parts.latency_subjects import SUBJECTS, BenchmarkError, Subject


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bin/bench latency", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [subject.name for subject in SUBJECTS]
    parser.add_argument("--orders", type=int, default=2000, help="measured orders of each lane (default 2000)")
    parser.add_argument("--warmup", type=int, default=200, help="orders before them that do not count (default 200)")
    parser.add_argument("--quiet", type=int, default=2000, help="tickers for the CPU of a quiet one (default 2000)")
    parser.add_argument("--pause", type=float, default=0.0, metavar="MS", help="before each price (default 0)")
    parser.add_argument("--only", nargs="+", choices=names, metavar="LANE", help=f"of {', '.join(names)}")
    parser.add_argument("--flame", type=Path, metavar="FILE", help="afterwards, a run of one worker that is watched")
    parser.add_argument("--list", action="store_true", help="name the lanes, and what they would need")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(given)
    if options.orders < 1 or options.warmup < 0 or options.quiet < 0 or options.pause < 0:
        parser.error("expected at least one order, and no negative number")
    return options


def main() -> int:
    options = arguments()
    if options.list:
        for subject in SUBJECTS:
            print(f"{subject.name:15}{subject.about}{_without(subject)}")
        return 0
    subjects = [subject for subject in SUBJECTS if not options.only or subject.name in options.only]
    skipped = {subject.name: subject.missing() for subject in subjects if subject.missing()}
    subjects = [subject for subject in subjects if subject.name not in skipped]
    try:
        document = run(options, subjects) | {"skipped": skipped}
        words = "" if options.flame is None else watched(options, subjects)
    except BenchmarkError as error:
        print(f"latency: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(document, indent=2))
        return 0
    console = Console(width=None if sys.stdout.isatty() else 140)
    for table in report(document):
        console.print(table)
    for name, missing in skipped.items():
        console.print(f"{name} was left out: there is no {missing}")
    before, after = document["load"]
    load = f"load {before:.2f} before, {after:.2f} after"
    console.print(f"{os.cpu_count()} cpus, {load}, Python {document['python']}, {document['took_s']} s")
    if words:
        console.print(words)
    return 0


def run(options: argparse.Namespace, subjects: Sequence[Subject]) -> dict[str, Any]:
    """All of it; the figures by name."""
    if not subjects:
        raise BenchmarkError("expected a lane that can be measured here, got none (--list says what they need)")
    load, started_s = os.getloadavg()[0], time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gridbot-latency-") as data_dir:
        data, orders = Path(data_dir), options.orders + options.warmup
        measured = measure(orders, options.quiet, subjects, data, pause_s=options.pause / 1000)
    results = {name: summary(taken[options.warmup :]) for name, taken in measured.traces.items()}
    return {
        "benchmark": "latency",
        "pause_ms": options.pause,
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "load": [load, os.getloadavg()[0]],
        "took_s": round(time.monotonic() - started_s, 1),
        "results": results,
        "quiet_us": measured.quiet_us,
        "ratios": ratios(results),
        "targets": targets(results, measured.quiet_us),
    }


def watched(options: argparse.Namespace, subjects: Sequence[Subject]) -> str:
    """The best worker there is, once more and alone, as watching costs time; what became of the picture."""
    workers = [subject for subject in subjects if subject.is_worker]
    if not workers:
        raise BenchmarkError("expected a worker among the lanes for --flame, got none")
    chosen = next((subject for subject in workers if subject.name == "worker-fast"), workers[0])
    flame = Flame(options.flame)
    with tempfile.TemporaryDirectory(prefix="gridbot-latency-") as data_dir:
        data, orders = Path(data_dir), options.orders + options.warmup
        measure(orders, 0, [chosen], data, flame, pause_s=options.pause / 1000)
    return flame.words()


def _without(subject: Subject) -> str:
    missing = subject.missing()
    return f" (left out here: there is no {missing})" if missing else ""


if __name__ == "__main__":
    CONTEXT.set_forkserver_preload([measure.__module__])  # here: whoever imports this has a fork server of its own
    sys.exit(main())
