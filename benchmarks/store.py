"""The record path's published figures, each measured against what it replaces.

    python benchmarks/store.py            all of it (some ten minutes, about 6 GB of disk)
    python benchmarks/store.py --quick    a tenth of everything

* throughput: a worker process journals executions as fast as it can, and offers them to the queue every 50 ms as a
  worker does, until a writer process has committed all; baseline: the same rows inserted one by one, each committed, by
  sqlite3 with WAL, same run
* rest: the demo; CPU of the writer, and how long its records take into the file
* delay: from appending a record to a reader seeing it by SQL, at 200 records a second
* lag: the loop of a recording worker while the writer runs, and while it is stopped (SIGSTOP)
* flush: processor time of one transaction with and without the rollups, beside a million older executions
* recovery: a fresh database from the journals, and its size
* queries: over a history of fills, orders and position rows; cold (not in the page cache), first and warm in a
  connection, and beside the rollups the same answer from all rows
* questions, only when asked for: grid trades, levels, fills and `ledger check` over ten million fills, or `--fills`
  (two minutes of CPU, 2 GB of disk)

With --year instead: a year of fifty accounts in a thousandth of the demo's rate, or `--part` times less, its half and
its quarter (`benchmarks/parts/store_year.py`).

Every figure depends on what else the machine does: compare those of one run.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

import orjson

from benchmarks.parts.store_costs import flush_cost, recovery
from benchmarks.parts.store_delays import delay, loop_lag
from benchmarks.parts.store_history import Figures, queries
from benchmarks.parts.store_questions import questions
from benchmarks.parts.store_rest import at_rest
from benchmarks.parts.store_setup import CONTEXT, PRELOADED
from benchmarks.parts.store_throughput import throughput
from benchmarks.parts.store_year import year

QUESTIONS = "questions"
LEAST = 10
"""Smaller parts have no `rest`: less than a few seconds of a demo tell nothing."""


WANTED = {
    "CPU of the writer, of a core": ("at most", 2.0),
    "executions, orders, positions: p99 of the way into the file": ("at most", 1000.0),
    "other kinds: p99 of the way into the file": ("at most", 5000.0),
    "worker to committed": ("at least", 250_000.0),
    "ratio to sqlite3": ("at least", 30.0),
    "journal, per million executions": ("at most", 150.0),
    "database, per million executions": ("at most", 45.0),
    "grid profit by level: warm": ("at most", 150.0),
    "grid_trades: how many, and their sums: warm": ("at most", 150.0),
    "grid_trades: the newest 20: warm": ("at most", 150.0),
    "grid_levels: all, and their sums: warm": ("at most", 150.0),
    "fills: an hour of an account: cold": ("at most", 50.0),
    "ledger check": ("at most", 2.0),
}
"""What figures are to be, in their own units, on a quiet machine and at `--part 1`; docs/store-speed.md 1 has them."""


def show(figures: Figures) -> None:
    for figure in figures:
        value = f"{figure.value:,.0f}" if figure.value >= 100 else f"{figure.value:.3g}"
        bound, most = WANTED.get(figure.what, ("", 0.0))
        wanted = f"(wanted: {bound} {most:,.6g}) " if bound else ""
        print(f"{figure.what:<60} {value:>10} {figure.unit:<12} {wanted}{figure.limit}".rstrip(), flush=True)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_const", const=10, default=1, dest="part", help="a tenth of everything")
    parser.add_argument("--part", type=int, default=1, help="or another part: 1000 is a thousandth, no figure at all")
    parser.add_argument("--year", action="store_true", help="a year of fifty accounts, and nothing else")
    parser.add_argument(
        "--only", choices=["rest", "throughput", "delay", "lag", "flush", "recovery", "queries", QUESTIONS]
    )
    parser.add_argument("--fills", type=int, help=f"fills of `{QUESTIONS}`, which runs only when it is asked for")
    parser.add_argument("--json", action="store_true", help="one JSON object for each part instead of the table")
    return parser.parse_args(given)


def main() -> None:
    options = arguments()
    part = options.part
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        steps: dict[str, Callable[[], Figures]] = {
            "rest": lambda: at_rest(root / "rest", 120 / min(part, 10)),
            "throughput": lambda: throughput(root / "throughput", 2_000_000 // part),
            "delay": lambda: delay(root / "delay", 200, 60 / part),
            "lag": lambda: loop_lag(root / "lag", 1000, 20 / part),
            "flush": lambda: flush_cost(root / "flush", 1_000_000 // part, max(1, 30 // part)),
            "recovery": lambda: recovery(root / "recovery", 1_000_000 // part),
            "queries": lambda: queries(root / "queries", 10_000_000 // part),
        }
        if options.only == QUESTIONS:
            steps = {QUESTIONS: lambda: questions(root / QUESTIONS, options.fills or 10_000_000 // part)}
        if options.year:
            steps = {"year": lambda: year(root / "year", 1000 * part)}
        for name, step in steps.items():
            if options.only == name or (options.only is None and (name != "rest" or part <= LEAST)):
                before = os.getloadavg()[0]
                figures = step()
                if options.json:
                    print(orjson.dumps({name: figures}).decode(), flush=True)
                    continue
                print(f"\n{name} (load {before:.1f} before, {os.getloadavg()[0]:.1f} after)")
                show(figures)


if __name__ == "__main__":
    CONTEXT.set_forkserver_preload(PRELOADED)  # here: whoever imports this has a fork server of its own
    main()
