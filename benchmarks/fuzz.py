"""What others send: inputs against every door of the program, and what became of them.

    python benchmarks/fuzz.py [--inputs N] [--seed N] [--door NAME] [--json]

Doors are the parsers of the exchange's rows, frames and answers, the paper exchange's requests, heads and commands, the
control socket, journals, the configuration, market data of the past, logs of other programs, numbers, and the log lines
that are made of others' words. Each input is made from the seed, its door and its number, so a find can be made again.
Exit code 1 when there is one: something was raised, an outcome that nobody expects, more than a second of CPU.
`tests/fuzz` runs the same for a few seconds.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.fuzz.campaign import MOST_FINDS, Result, inputs_of, run_door  # noqa: E402
from tests.fuzz.doors import DOORS  # noqa: E402

PIECE = 20_000
"""Inputs of one door that a process tries at a time."""


def main() -> int:
    """0 when nothing unexpected came of any input."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--door", choices=[door.name for door in DOORS], help="only this one")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    chosen = [door for door in DOORS if options.door in (None, door.name)]
    results = _run(inputs_of(options.inputs, chosen), options.seed, options.processes)
    print(json.dumps({name: _plain(found) for name, found in results.items()}) if options.json else _table(results))
    return 1 if any(found.finds for found in results.values()) else 0


def _run(counts: dict[str, int], seed: int, processes: int) -> dict[str, Result]:
    results = {name: Result(name) for name in counts}
    pieces = [
        (name, at, min(PIECE, count - at), seed) for name, count in counts.items() for at in range(0, count, PIECE)
    ]
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        for piece in pool.map(_piece, pieces):
            whole = results[piece.door]
            whole.inputs += piece.inputs
            whole.cpu_s += piece.cpu_s
            whole.outcomes += piece.outcomes
            whole.finds += piece.finds
    return results


def _piece(what: tuple[str, int, int, int]) -> Result:
    name, first, count, seed = what
    return run_door(next(door for door in DOORS if door.name == name), count, seed, first=first)


def _plain(found: Result) -> dict[str, object]:
    finds = [{"number": each.number, "what": each.what, "value": each.value} for each in found.finds[:MOST_FINDS]]
    return {"inputs": found.inputs, "cpu_s": round(found.cpu_s, 1), "outcomes": dict(found.outcomes), "finds": finds}


def _table(results: dict[str, Result]) -> str:
    lines = [f"{'door':<16} {'inputs':>10} {'CPU s':>7}  outcomes"]
    total: Counter[str] = Counter()
    for name, found in results.items():
        outcomes = ", ".join(f"{word} {count:,}" for word, count in found.outcomes.most_common())
        lines.append(f"{name:<16} {found.inputs:>10,} {found.cpu_s:>7.0f}  {outcomes}")
        total["inputs"] += found.inputs
        total["finds"] += len(found.finds)
    lines.append(f"{total['inputs']:,} inputs, {total['finds']} unexpected")
    for found in results.values():
        for each in found.finds[:MOST_FINDS]:
            lines += ["", f"{each.door}, input {each.number}: {each.value}", each.what.rstrip()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
