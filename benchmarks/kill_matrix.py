"""The kill matrix: each process, what can happen to it, and each command of the operator, on a real fleet.

bin/bench kill_matrix                             the cells in which each pair of values occurs
bin/bench kill_matrix --all                       all of them; hours
bin/bench kill_matrix --cell worker,SIGSTOP       those with these values
bin/bench kill_matrix --list --all                print them with what is expected, and run nothing

A cell is a process (supervisor, worker, writer, paper, forks, rescue), what happens to it (SIGKILL, SIGSTOP, SIGTERM;
start, loop: an exception when it starts the next time, or in its loop; hang: a system call that does not return), a
command, and when it happens: before, during or after the command. Judged by the lists of the exchange, asked by plain
pybit, and by `status`: the end state as docs/operations.md promises it, the same after another life of the worker,
nothing doubled, and a neighbour that trades all along. Exit code 1 when a cell ends in another way.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from benchmarks.parts.fleet import FleetError
from benchmarks.parts.matrix_cells import Cell, all_cells, expected, matching, pairwise
from benchmarks.parts.matrix_run import Outcome, run_cells


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bin/bench kill_matrix", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--all", action="store_true", help="the whole matrix")
    parser.add_argument("--cell", default="", metavar="WORDS", help="values with commas between; others are any")
    parser.add_argument("--from", dest="first", type=int, default=0, metavar="N", help="begin with the N-th batch")
    parser.add_argument("--accounts", type=int, default=6, help="cells that share a batch, at most (default 6)")
    parser.add_argument("--keep", type=Path, help="an empty directory for the fleet, which stays; else it is removed")
    parser.add_argument("--list", action="store_true", help="print the cells, and run nothing")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    return parser.parse_args(given)


def main() -> int:
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the fleet is stopped on the way
    try:
        cells = matching([word for word in options.cell.split(",") if word])
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if not options.all and not options.cell:
        cells = pairwise(all_cells())
    if options.list:
        for cell in cells:
            print(f"{cell!s:40} {expected(cell).answer:8} {expected(cell).why}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        home: Path = options.keep or Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        return show(home, cells, options)


def show(home: Path, cells: Sequence[Cell], options: argparse.Namespace) -> int:
    began_s, load = time.monotonic(), os.getloadavg()[0]
    wrong: list[Outcome] = []
    ran = 0
    failed = ""
    try:
        for outcome in run_cells(home, cells, options.accounts, options.first):
            ran += 1
            if outcome.wrong:
                wrong.append(outcome)
            if not options.json:
                print(f"{time.monotonic() - began_s:6.0f} s  {outcome}", flush=True)
    except FleetError as error:
        failed = str(error)
        print(f"failed: {error}", file=sys.stderr)
    result: dict[str, Any] = {
        "cells": ran,
        "wrong": [str(outcome) for outcome in wrong],
        "failed": failed,
        "took_s": round(time.monotonic() - began_s, 1),
        "load": [round(load, 1), round(os.getloadavg()[0], 1)],
    }
    print(json.dumps(result) if options.json else f"{ran} cells in {result['took_s']} s; wrong: {len(wrong)}")
    return 1 if wrong or failed else 0


if __name__ == "__main__":
    sys.exit(main())
