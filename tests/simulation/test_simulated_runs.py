"""Seeds of two minutes: a worker's lives, an exchange and a network that misbehave, and what must hold all the same.

GRIDBOT_SEEDS=1000 runs more, `bin/test --long` 600. `bin/bench simulate --seed N --shrink` explains one
(docs/simulator.md).
"""

from __future__ import annotations

import decimal
import itertools
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from gridbot.simulation.campaign import run_seed
from gridbot.simulation.forbidden import Forbidden, forbid
from gridbot.simulation.reverts import REVERTS, reverted
from gridbot.simulation.run import run_plan
from gridbot.simulation.run_faults import Fault, FaultKind, Plan, draw_plan
from gridbot.simulation.trace import Trace
from gridbot.simulation.virtual_loop import VirtualLoop
from gridbot.simulation.virtual_time import SimulatedClock
from tests.case_table import case_table
from tests.examples import examples

ROOT = Path(__file__).parents[2]
PART = 4

# Invariants that the program of today breaks, each with a seed that shows it and the kind of issue 11 behind it. What
# seeds find of these is a warning of the suite; a fix takes its line out.
KNOWN: dict[str, tuple[int, str]] = {}
IS_LONG = int(os.environ.get("GRIDBOT_EXAMPLES", "40")) > 40  # as `bin/test --long` sets it
SEARCHED = 40
"""Seeds that are tried, from one that once found something on: any change of the program gives it another run."""
FIRST = {fix.finds: name for name, fix in reversed(REVERTS.items()) if not fix.is_slow}
"""The first fix of each invariant."""
SOUGHT = [name for name in REVERTS if IS_LONG or name in FIRST.values()]
"""Fixes that are taken out: all of them by `bin/test --long`, else one of each invariant."""
TELLING = dict.fromkeys(fix.seed for fix in map(REVERTS.get, SOUGHT) if fix and not fix.dense and fix.minutes == 2.0)
"""Seeds that find a fix taken out: run with all fixes in, they find nothing, so it was the fix that they found."""


def seeds() -> list[int]:
    """By `bin/test` the telling ones, by `bin/test --long` many."""
    if IS_LONG or "GRIDBOT_SEEDS" in os.environ:
        return [*range(1, 1 + int(os.environ.get("GRIDBOT_SEEDS", examples(60))))]
    return [*TELLING][: examples(len(TELLING))]


SEEDS = seeds()


@pytest.mark.parametrize("first", range(0, len(SEEDS), PART))
def test_seeds_of_two_minutes(first: int) -> None:
    broken = []
    for seed in SEEDS[first : first + PART]:
        for finding in run_seed(seed, 2.0).findings:
            if finding.invariant in KNOWN:
                warnings.warn(f"seed {seed}: {finding}; {KNOWN[finding.invariant][1]}", stacklevel=1)
            else:
                broken.append(f"seed {seed}: {finding}")
    assert broken == []


def test_what_is_known_to_break_still_breaks() -> None:
    holds = [
        f"{invariant}: {kind}" for invariant, (first, kind) in KNOWN.items() if found_by({invariant}, first) is None
    ]
    assert holds == [], "it holds now, so its line in KNOWN has to go"


def found_by(
    invariants: set[str], first: int, minutes: float = 2.0, without: tuple[str, ...] = (), *, dense: bool = False
) -> int | None:
    """The first seed from `first` on that breaks one of these. What Python raised breaks none: it proves no fix."""
    for seed in range(first, first + SEARCHED):
        findings = run_seed(seed, minutes, dense, without, invariants).findings
        assert [str(finding) for finding in findings if finding.invariant == "no-proof"] == []
        if invariants & {finding.invariant for finding in findings if not finding.is_error}:
            return seed
    return None


PROGRAM = """
import sys
from gridbot.simulation.run import run_plan
from gridbot.simulation.run_faults import draw_plan
for seed in map(int, sys.argv[1:]):
    result = run_plan(draw_plan(seed, 60.0))
    sys.stdout.buffer.write(result.journal + b"\\nseed %d: %d steps\\n" % (seed, result.steps))
"""


def test_a_seed_gives_the_same_journal_to_the_byte_in_any_process() -> None:
    """Two processes: another one, and this one, whose hashes are others."""
    own = os.environ.get("PYTHONHASHSEED", "")
    environment = {**os.environ, "PYTHONHASHSEED": "2" if own == "1" else "1", "PYTHONPATH": str(ROOT)}
    seeds = (2, 24) if IS_LONG else (24,)
    command = [sys.executable, "-c", PROGRAM, *map(str, seeds)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True, timeout=120)
    there, here = done.stdout.splitlines(), b""
    for seed in seeds:
        result = run_plan(draw_plan(seed, 60.0))
        here += result.journal + b"\nseed %d: %d steps\n" % (seed, result.steps)
    assert sum(line.startswith(b"seed ") for line in there) == len(seeds)
    assert len(there) > 100 * len(seeds)
    assert first_difference(there, here.splitlines()) is None


def test_how_this_process_rounds_is_no_part_of_a_run() -> None:
    """A library that sets the rounding of the whole process (ccxt does) changed runs that came after it."""
    expected = run_plan(draw_plan(2, 30.0)).journal
    with decimal.localcontext() as context:
        context.rounding, context.prec = decimal.ROUND_UP, 9
        assert run_plan(draw_plan(2, 30.0)).journal == expected
        assert context.prec == 9


def first_difference(one: list[bytes], other: list[bytes]) -> tuple[int, bytes, bytes] | None:
    """Number and text of the first record that two journals do not share."""
    pairs = enumerate(itertools.zip_longest(one, other, fillvalue=b"(nothing)"))
    return next(((number, *pair) for number, pair in pairs if pair[0] != pair[1]), None)


def test_the_first_difference_is_shown() -> None:
    assert first_difference([b"a", b"b"], [b"a", b"b"]) is None
    assert first_difference([b"a", b"b", b"c"], [b"a", b"x", b"y"]) == (1, b"b", b"x")
    assert first_difference([b"a"], [b"a", b"b"]) == (1, b"(nothing)", b"b")


def test_the_machine_s_clock_is_out_of_reach() -> None:
    clock = SimulatedClock(VirtualLoop())  # type: ignore[abstract]
    with forbid(clock) as used, pytest.raises(Forbidden):
        time.time()
    assert "time.time by" in used[0]
    assert time.time() > 0


def test_a_quiet_run_trades_and_ends_clean() -> None:
    trace = Trace()
    result = run_plan(Plan(5, 60.0, False, ()), trace=trace)
    assert result.findings == []
    assert result.counts["fills"] > 0
    assert result.counts["orders"] >= result.counts["fills"]
    assert any("[fill]" in line for line in trace.lines)


def test_a_death_is_followed_by_a_life_that_adopts_the_orders() -> None:
    death = Fault(1, FaultKind.DEATH, 20.0, 0.0, {"steps": 5, "away_s": 3.0, "torn": 0})
    trace = Trace()
    result = run_plan(Plan(5, 60.0, False, (death,)), trace=trace)
    assert result.findings == []
    assert (result.counts["lives"], result.counts["deaths"]) == (2, 1)
    assert any("orders adopted" in line and " 0 orders adopted" not in line for line in trace.lines)


def test_a_ledger_lost_before_its_first_execution_still_has_what_was_filled_meanwhile() -> None:
    """Counting began anew with the start, and the fills of the time in between were never recorded."""
    death: dict[str, str | float | int] = {"steps": 6, "away_s": 69.0, "torn": 0, "spoils": "ledger", "how": "garbled"}
    result = run_plan(Plan(3024, 40.0, True, (Fault(1, FaultKind.DEATH, 25.1, 0.0, death),)))
    assert result.findings == []
    assert result.counts["fills"] > 0


@pytest.mark.parametrize("times", ["5", "0.1"])
@pytest.mark.parametrize("seed", [5, 6])
def test_a_change_of_the_tick_size_over_a_restart_leaves_one_ladder(seed: int, times: str) -> None:
    """Old orders were "not ours", and a second ladder came beside them (issue 11, kind 3)."""
    faults = (
        Fault(1, FaultKind.DEATH, 19.0, 0.0, {"steps": 1, "away_s": 5.0, "torn": 0}),
        Fault(2, FaultKind.TICK_CHANGE, 20.0, 0.0, {"pick": 0.0, "times": times}),
        *(Fault(n, FaultKind.HAND_AMEND, 21.0, 0.0, {"pick": 0.1 * n, "ticks": n - 6}) for n in range(3, 6)),
    )
    trace = Trace()
    result = run_plan(Plan(seed, 60.0, False, faults), trace=trace)
    assert result.findings == []
    assert result.counts["fault tick_change"] == 1
    assert result.counts["fault hand_amend"] > 0
    [start] = [line for line in trace.lines if "reconciled (start)" in line and " 0 orders adopted" not in line]
    assert start.endswith(" 0 foreign")
    reasons = (b"its price is no level under today" in result.journal, b'"outside_grid"' in result.journal)
    assert any(reasons)


@case_table("name", REVERTS)
def test_each_fix_can_be_taken_out_of_the_program_as_it_is(name: str) -> None:
    with reverted([name]):
        pass


@pytest.mark.parametrize("name", SOUGHT)
def test_seeds_find_a_fix_that_is_taken_out(name: str) -> None:
    fix = REVERTS[name]
    seed = found_by(set(fix.finds), fix.seed, fix.minutes, (name,), dense=fix.dense)
    assert seed is not None, f"{SEARCHED} seeds find nothing without {name}"
    if fix.dense or fix.minutes != 2.0 or seed not in SEEDS:  # else `test_seeds_of_two_minutes` has run it
        assert run_seed(seed, fix.minutes, fix.dense).findings == []
