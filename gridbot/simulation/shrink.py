"""From a failing plan to the smallest one that still breaks the same invariant."""

from __future__ import annotations

from collections.abc import Callable

from gridbot.simulation.run_faults import Plan

__all__ = ["shrink"]

SHORTEST_S = 5.0


def shrink(plan: Plan, fails: Callable[[Plan], bool], *, most_runs: int = 200) -> Plan:
    """Leave out faults and time while `fails` says that the plan still fails. `plan` must fail."""
    runs = 0

    def still(candidate: Plan) -> bool:
        nonlocal runs
        runs += 1
        return runs <= most_runs and fails(candidate)

    plan = _shorter(plan, still)
    plan = _fewer(plan, still)
    return _shorter(plan, still)


def _shorter(plan: Plan, still: Callable[[Plan], bool]) -> Plan:
    """The first length, of ever finer ones, that still fails."""
    for share in (0.25, 0.5, 0.75, 0.9):
        length_s = round(plan.length_s * share, 1)
        if length_s >= SHORTEST_S and still(candidate := plan.shortened(length_s)):
            return _shorter(candidate, still)
    return plan


def _fewer(plan: Plan, still: Callable[[Plan], bool]) -> Plan:
    """Halves of the faults left out, then quarters, down to single ones."""
    size = max(1, len(plan.faults) // 2)
    while plan.faults:
        start = 0
        while start < len(plan.faults):
            numbers = {fault.number for fault in plan.faults[start : start + size]}
            candidate = plan.without(numbers)
            if still(candidate):
                plan = candidate
            else:
                start += size
        if size == 1:
            return plan
        size = max(1, size // 2)
    return plan
