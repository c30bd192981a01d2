"""Plans are values: the same seed, the same plan; faults and time can be left out. Shrinking uses both."""

from __future__ import annotations

import re
from pathlib import Path

from gridbot.simulation import run_checks
from gridbot.simulation.reverts import REVERTS
from gridbot.simulation.run_faults import FaultKind, Plan, draw_plan
from gridbot.simulation.shrink import shrink

PAGE = Path(__file__).parents[2] / "docs" / "simulator.md"


def test_the_same_seed_gives_the_same_plan_and_another_another() -> None:
    assert draw_plan(7, 120) == draw_plan(7, 120)
    assert draw_plan(7, 120) != draw_plan(8, 120)
    assert len(draw_plan(7, 600, dense=True).faults) > len(draw_plan(7, 600).faults)


def test_every_kind_is_drawn_and_none_lasts_longer_than_the_run() -> None:
    plans = [draw_plan(seed, 600) for seed in range(60)]
    assert {fault.kind for plan in plans for fault in plan.faults} == set(FaultKind)
    for plan in plans:
        assert all(fault.at_s >= 0 and fault.at_s + fault.for_s <= plan.length_s + 0.01 for fault in plan.faults)


def test_outages_last_up_to_twenty_minutes_also_in_runs_of_ten() -> None:
    """None lasted longer than what was left of its run: no seed of the campaigns had one of more than ten minutes."""
    plans = [draw_plan(seed, 600) for seed in range(1, 401)]
    long = [plan for plan in plans if plan.length_s > 600]
    assert 8 <= len(long) <= 40
    for plan in long:
        rest = max(fault.for_s for fault in plan.faults if fault.kind is FaultKind.REST_DOWN)
        streams = max(fault.for_s for fault in plan.faults if fault.kind is FaultKind.STREAMS_DOWN)
        assert 600 <= rest <= 1200
        assert abs(rest - streams) <= 20.01
    assert max(fault.for_s for plan in long for fault in plan.faults) > 1140
    assert all(plan.length_s == 120 for plan in (draw_plan(seed, 120) for seed in range(1, 401)))


def test_the_page_about_the_simulator_names_every_kind_and_every_invariant() -> None:
    page = PAGE.read_text(encoding="utf-8")
    faults, invariants = page.split("\n## ")[3], page.split("\n## ")[5]
    named = [name for row in re.findall(r"^\| (`[^|]+) \|", faults, re.M) for name in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted(FaultKind)
    assert run_checks.__doc__ is not None
    ours = re.findall(r"^([a-z]+(?:-[a-z]+)*) {2,}", run_checks.__doc__, re.M)
    assert {
        name for row in re.findall(r"^\| (`[^|]+) \|", invariants, re.M) for name in re.findall(r"`([\w-]+)`", row)
    } == {
        *ours,
        *("order-rules", "reconcile-rules", "gate-rules", "queue-rules", "leg-is-newest"),
    }


def test_the_page_names_the_seed_from_which_each_fix_is_searched() -> None:
    """Eleven were those of an earlier program."""
    fixes = PAGE.read_text(encoding="utf-8").split("\n## ")[6]
    rows = re.findall(r"^\|[^|]+\|[^|]+\|[^|]+\| (`[a-z][^|]+) \| ([^|]+) \|", fixes, re.M)
    told = [
        pair for names, seeds in rows for pair in zip(re.findall(r"`([\w-]+)`", names), seeds.split(", "), strict=True)
    ]
    long = {name for name, fix in REVERTS.items() if fix.minutes == 10}
    assert told == [(name, f"{REVERTS[name].seed}{' (ten minutes)' if name in long else ''}") for name, _ in told]
    assert len(told) > 30


def test_faults_and_time_are_left_out() -> None:
    plan = draw_plan(3, 600)
    kept = plan.without({1, 2})
    assert [fault.number for fault in kept.faults] == [fault.number for fault in plan.faults if fault.number > 2]
    short = plan.shortened(60)
    assert all(fault.at_s + fault.for_s <= 60.01 for fault in short.faults)
    assert len(short.faults) < len(plan.faults)


def test_shrinking_finds_the_two_faults_that_matter() -> None:
    plan = draw_plan(3, 600)
    wanted = {plan.faults[2].number, plan.faults[5].number}
    runs = []

    def fails(candidate: Plan) -> bool:
        runs.append(candidate)
        return wanted <= {fault.number for fault in candidate.faults}

    smallest = shrink(plan, fails)
    assert {fault.number for fault in smallest.faults} == wanted
    assert smallest.length_s < plan.length_s
    assert fails(smallest)
    assert len(runs) < 100
