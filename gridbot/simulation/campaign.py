"""Many seeds, in several processes: counts, speed, and the seeds that found something."""

from __future__ import annotations

import concurrent.futures
import functools
import gc
import itertools
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Collection, Generator, Iterable
from dataclasses import dataclass, field

from gridbot.process_guard import exit_with_parent
from gridbot.simulation.reverts import reverted
from gridbot.simulation.run import run_plan
from gridbot.simulation.run_checks import Finding
from gridbot.simulation.run_faults import draw_plan
from gridbot.simulation.stage import Result

__all__ = ["Outcome", "Summary", "run_seed", "run_seeds"]

ROUND_PER_JOB = 200
"""Seeds that a process runs before a new one takes its place. Not by `max_tasks_per_child`: with it Python from 3.11 on
may start no process after the last has ended, and the campaign never ends (gh-115634)."""


@dataclass
class Outcome:
    """What is left of a seed's run: small, since it crosses processes."""

    seed: int
    simulated_s: float
    took_s: float
    """CPU seconds."""
    counts: Counter[str]
    findings: list[Finding]


@dataclass
class Summary:
    """Sums of a campaign."""

    seeds: int = 0
    simulated_s: float = 0.0
    took_s: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    failed: dict[int, list[Finding]] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """Count a seed."""
        self.seeds += 1
        self.simulated_s += outcome.simulated_s
        self.took_s += outcome.took_s
        self.counts.update(outcome.counts)
        if outcome.findings:
            self.failed[outcome.seed] = outcome.findings

    @property
    def speed(self) -> float:
        """Simulated seconds per second of one core."""
        return self.simulated_s / self.took_s if self.took_s else 0.0


def run_seed(
    seed: int, minutes: float, dense: bool = False, without: tuple[str, ...] = (), until: Collection[str] = ()
) -> Outcome:
    """One seed; `without` names fixes that are taken out, `until` what is looked for (`Run`)."""
    _freeze()
    plan = draw_plan(seed, minutes * 60, dense=dense)
    started_s = time.process_time()
    result = Result(plan)
    with reverted(without) as faults:
        try:
            result = run_plan(plan, until=until)
        except Exception as error:  # noqa: BLE001 - a campaign goes on, and names the seed
            text = f"the run itself ended by {type(error).__name__}: {error}"
            result.findings.append(Finding("bounded", text, is_error=True))
    result.findings += [Finding("no-proof", text, is_error=True) for text in faults]
    took_s = time.process_time() - started_s
    return Outcome(seed, result.simulated_s, took_s, result.counts, result.findings)


@functools.cache
def _freeze() -> None:
    """Keep what is loaded out of the garbage collector's way: each death ends with a collection."""
    gc.collect()
    gc.freeze()


def _end_with(pid: int) -> None:
    """In a process of the pool: a campaign that is killed leaves none behind. One that is ended ends it after its run,
    also when the signal went to all its processes, as Ctrl-C does."""
    exit_with_parent(pid, exit_code=1)
    for ends in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ends, signal.SIG_IGN)


def run_seeds(
    seeds: Iterable[int], minutes: float, *, dense: bool = False, without: tuple[str, ...] = (), jobs: int = 1
) -> Generator[Outcome, None, None]:
    """Outcomes as they come; with one job in the order of the seeds, in this process."""
    if jobs <= 1:
        for seed in seeds:
            yield run_seed(seed, minutes, dense, without)
        return
    # A copy of a process that has imported everything; of one with threads it might have locks that nobody opens.
    copies = sys.platform == "linux" and threading.active_count() == 1
    context = multiprocessing.get_context("fork" if copies else "spawn")
    left = iter(seeds)
    while some := list(itertools.islice(left, ROUND_PER_JOB * jobs)):
        pool = concurrent.futures.ProcessPoolExecutor(jobs, context, _end_with, (os.getpid(),))
        try:
            waiting = [pool.submit(run_seed, seed, minutes, dense, without) for seed in some]
            for done in concurrent.futures.as_completed(waiting):
                yield done.result()
        finally:
            pool.shutdown(cancel_futures=True)  # not by `with`: its own call takes back that the rest is cancelled
