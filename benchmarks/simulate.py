"""The simulator: seeds of a worker's life against the paper exchange, under virtual time (docs/simulator.md).

bin/bench simulate --seeds 1000 --minutes 10 --jobs 2
nohup nice bin/bench simulate --seeds 10000 --minutes 10 > seeds.txt &      over night; its last line says how to go on
bin/bench simulate --seed 17 --shrink
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import signal
import sys
import time
import warnings
from collections.abc import Sequence

from gridbot.simulation.campaign import Summary, run_seeds
from gridbot.simulation.reverts import REVERTS, reverted
from gridbot.simulation.run import run_plan
from gridbot.simulation.run_faults import FaultKind, Plan, draw_plan
from gridbot.simulation.shrink import shrink
from gridbot.simulation.trace import Trace

ENDS = (signal.SIGINT, signal.SIGTERM)
LONGEST_MINUTES = 60.0 * 24 * 7
TOLD_EACH = 100
"""Seeds between two lines that say how to go on after an end before the last one."""


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bin/bench simulate", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=_count, default=60, help="how many seeds (default 60)")
    parser.add_argument("--first", type=int, default=1, help="the first of them (default 1)")
    parser.add_argument("--minutes", type=_minutes, default=2.0, help="virtual minutes of trouble per seed (default 2)")
    parser.add_argument("--dense", action="store_true", help="more faults, wilder prices, two strategies")
    parser.add_argument(
        "--jobs", type=_count, default=len(os.sched_getaffinity(0)), help="processes (default: all cores)"
    )
    parser.add_argument("--seed", type=int, help="run this one seed and print its plan and trace")
    parser.add_argument("--shrink", action="store_true", help="with --seed: find the smallest plan that still fails")
    parser.add_argument("--without", action="append", default=[], choices=sorted(REVERTS), help="take this fix out")
    options = parser.parse_args(given)
    if options.shrink and options.seed is None:
        parser.error("--shrink makes the plan of one seed smaller: expected --seed as well")
    return options


def _count(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {text!r}")
    return int(text)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if not 0 < minutes <= LONGEST_MINUTES:
        raise argparse.ArgumentTypeError(f"expected minutes above 0 and up to {LONGEST_MINUTES:g}, got {text!r}")
    return minutes


def main(given: Sequence[str]) -> int:
    """0 when nothing was found, 1 when something was, 2 for wrong arguments, 130 when one seed was ended early."""
    options = arguments(given)
    warnings.filterwarnings("ignore", message="coroutine .* was never awaited")  # the dead wait for no answer
    if options.seed is None:
        return campaign(options)
    try:
        return one_seed(options)
    except KeyboardInterrupt:
        print("ended early: nothing is known of this seed", file=sys.stderr)
        return 130


def campaign(options: argparse.Namespace) -> int:
    """Run the seeds and print sums and failures."""
    seeds = range(options.first, options.first + options.seeds)
    summary, started_s = Summary(), time.perf_counter()
    without = tuple(options.without)
    coming = run_seeds(seeds, options.minutes, dense=options.dense, without=without, jobs=options.jobs)
    rest = Rest(seeds)
    for ends in ENDS:
        signal.signal(ends, _end)
    with contextlib.suppress(KeyboardInterrupt), contextlib.closing(coming):
        for outcome in coming:
            summary.add(outcome)
            rest.without(outcome.seed)
            if outcome.findings:
                print(
                    f"seed {outcome.seed}: {len(outcome.findings)} found; the first: {outcome.findings[0]}", flush=True
                )
            if summary.seeds % TOLD_EACH == 0 and rest.left:
                print(f"{summary.seeds} seeds are done; {rest}", flush=True)
    took_s = time.perf_counter() - started_s
    print(
        f"\n{summary.seeds} seeds, {summary.simulated_s:.0f} s simulated in {took_s:.1f} s; "
        f"{summary.speed:.0f} x real time per core"
    )
    if rest.left:
        print(f"it was ended early; {rest}")
    counts = dict.fromkeys((f"fault {kind}" for kind in FaultKind), 0) | summary.counts
    for name, count in sorted(counts.items()):
        print(f"  {name:24} {count:9}")
    print(
        f"{len(summary.failed)} seeds found something"
        + (": " + ", ".join(map(str, sorted(summary.failed))) if summary.failed else "")
    )
    return 1 if summary.failed else 0


def _end(signum: int, frame: object) -> None:
    """The first signal ends the campaign; `timeout` sends two, and the second must not end what is put away then."""
    for ends in ENDS:
        signal.signal(ends, signal.SIG_IGN)
    raise KeyboardInterrupt


class Rest:
    """What is left of a campaign. The seeds come in any order, so it goes on at the first that is not done."""

    def __init__(self, seeds: range) -> None:
        self._seeds = seeds
        self._ahead: set[int] = set()

    @property
    def left(self) -> int:
        """How many seeds there are from that one on."""
        return len(self._seeds)

    def without(self, seed: int) -> None:
        """This one is done."""
        self._ahead.add(seed)
        while self._seeds and self._seeds[0] in self._ahead:
            self._ahead.discard(self._seeds[0])
            self._seeds = self._seeds[1:]

    def __str__(self) -> str:
        return f"to go on: --first {self._seeds[0]} --seeds {self.left}" if self.left else "nothing is left"


def one_seed(options: argparse.Namespace) -> int:
    """Run one seed with its trace; or the smallest plan that fails like it."""
    plan = draw_plan(options.seed, options.minutes * 60, dense=options.dense)
    with reverted(options.without) as faults:
        if options.shrink:
            plan = smallest(plan)
        trace = Trace()
        result = run_plan(plan, trace=trace)
    for line in trace.lines:
        print(line)
    print(f"\nseed {plan.seed}, {plan.length_s:.1f} s, {len(plan.faults)} faults")
    for fault in plan.faults:
        print(f"  {fault}")
    for finding in result.findings:
        print(f"found: {finding}")
    for text in faults:
        print(f"no proof: {text}")
    return 1 if result.findings else 0


def smallest(plan: Plan) -> Plan:
    """The smallest plan that breaks the invariant which this one breaks first."""
    found = run_plan(plan).findings
    if not found:
        print(f"seed {plan.seed} finds nothing, so there is nothing to shrink", file=sys.stderr)
        return plan
    wanted = found[0].invariant
    return shrink(plan, lambda candidate: any(finding.invariant == wanted for finding in run_plan(candidate).findings))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
