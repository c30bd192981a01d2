"""Plans, made small, of seeds that found something once: each must stay clean."""

from __future__ import annotations

from gridbot.simulation.run import run_plan
from gridbot.simulation.run_faults import Fault, FaultKind, Plan


def test_nobody_judges_an_order_that_is_about_to_be_asked_for() -> None:
    """No price comes, so the gate refuses to send again what never arrived, and a look-up a second later decides: a
    book was judged in that second (seed 261)."""
    down: dict[str, str | float | int] = {"how": "silent"}
    faults = (
        Fault(7, FaultKind.STREAMS_DOWN, 51.08, 18.6, {"channel": "public"}),
        Fault(9, FaultKind.GAP, 72.0, 0.0, {"move": 0.015}),
        Fault(10, FaultKind.REST_DOWN, 76.75, 10.7, down),
        Fault(11, FaultKind.REST_DOWN, 83.86, 33.4, down),
        Fault(12, FaultKind.STREAMS_DOWN, 83.86, 33.1, {"channel": ""}),
    )
    assert run_plan(Plan(261, 120.0, False, faults)).findings == []
