"""The walk over a worker's collections sees what grows."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from gridbot.core import TickerEvent
from gridbot.core.execution_ledger import Ledger
from gridbot.orders.retry import RetryQueue
from gridbot.simulation.bounds import AT_REST, sizes, too_large
from gridbot.simulation.run import run_plan
from gridbot.simulation.run_faults import Plan
from gridbot.worker.strategy_runner import StrategyRunner


def test_every_collection_that_is_reached_is_counted_once_and_libraries_are_left_alone() -> None:
    ledger = Ledger()
    for number in range(7):
        ledger.counted.add(str(number), 1)
    found = sizes({"ledger": ledger, "again": ledger, "call": ledger.is_new, "other": deque([[1, 2, 3]])})
    assert found["CountedIds._times"] == 7
    assert not [name for name in found if name.startswith("deque")]

    queue = RetryQueue()
    later: Any = lambda: queue  # noqa: E731 - what a closure holds is reached
    assert any(name.startswith("RetryQueue.") for name in sizes((later,)))


def test_what_has_no_name_is_small_and_what_has_one_has_its_limit() -> None:
    assert too_large({"A.b": AT_REST, "CountedIds._times": 2_300}) == []
    assert too_large({"A.b": AT_REST + 1}) == [f"A.b has {AT_REST + 1} entries, expected at most {AT_REST}"]
    assert len(too_large({"CountedIds._times": 2_301})) == 1


def test_the_limits_of_the_product_hold_in_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in (
        ("gridbot.core.counted_ids.IDS_KEPT", 20),
        ("gridbot.core.execution_ledger.OVERLAP_MS", 20_000),
        ("gridbot.core.account_legs.STEPS_MOST", 200),
        ("gridbot.orders.order_index.FINISHED_KEPT", 20),
    ):
        monkeypatch.setattr(name, most)
    result = run_plan(Plan(8, 300.0, True, ()))
    assert result.counts["fills"] > 100
    assert [finding for finding in result.findings if finding.invariant == "bounded"] == []


def test_a_collection_that_only_grows_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridbot.simulation.bounds.AT_REST", 130)
    real = StrategyRunner.on_ticker

    def on_ticker(runner: StrategyRunner, ticker: TickerEvent) -> None:
        runner.__dict__.setdefault("leaks", []).append(ticker)
        real(runner, ticker)

    monkeypatch.setattr(StrategyRunner, "on_ticker", on_ticker)
    result = run_plan(Plan(7, 200.0, False, ()))
    found = {finding.text.split()[0] for finding in result.findings if finding.invariant == "bounded"}
    assert "StrategyRunner.leaks" in found
