"""What a run checks at every step of the product's rooms is found when it is broken."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest

from gridbot.core.exchange_sequence import is_before
from gridbot.flatten import flatten_step
from gridbot.orders.book import OrderBook
from gridbot.orders.reconcile_turn import Turn
from gridbot.risk import gate
from gridbot.risk.gate_state import Verdict
from gridbot.simulation.run import run_plan
from gridbot.simulation.run_faults import Fault, FaultKind, Plan
from gridbot.worker import strategy_positions
from gridbot.worker.strategy_positions import StrategyPositions

PAUSE = Fault(1, FaultKind.PAUSE, 10.0, 0.0, {"cancel": 1})


def found(*faults: Fault) -> set[str]:
    return {finding.invariant for finding in run_plan(Plan(5, 30.0, False, faults)).findings}


def test_a_quiet_run_with_a_pause_breaks_no_rule() -> None:
    assert found(PAUSE) == set()


def test_a_gate_that_admits_everything_is_found() -> None:
    def admit(state: Any, account: Any, view: Any, *_: Any) -> Verdict:
        return Verdict(None, view.strat_id, ())

    with patch.object(gate, "admit", admit):
        assert "gate-rules" in found(PAUSE)


def test_a_watermark_that_moves_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    ask = Turn.ask_executions

    def back(turn: Turn, who: Any) -> None:
        ask(turn, who)
        turn.change(complete_to_ms=turn.state.complete_to_ms - 1)

    monkeypatch.setattr(Turn, "ask_executions", back)
    assert "reconcile-rules" in found()


@pytest.mark.parametrize("breaks", [False, True])
def test_a_close_of_more_than_there_is_is_found(breaks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    gaps = [Fault(number, FaultKind.GAP, 5.0 * number, 0.0, {"move": 0.006}) for number in (1, 2)]
    if breaks:
        kept = vars(flatten_step)["pieces"]
        monkeypatch.setattr(flatten_step, "pieces", lambda *given: [(qty * 2, price) for qty, price in kept(*given)])
    flatten = Fault(3, FaultKind.FLATTEN, 14.0, 0.0, {"name": "flatten"})
    assert found(*gaps, flatten) == ({"flatten-rules"} if breaks else set())


def test_sums_of_a_book_that_are_wrong_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OrderBook, "resting_close_qty", lambda book, leg: Decimal(-1))
    assert "order-rules" in found()


def test_a_slot_that_is_lost_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridbot.simulation.step_checks.MAX_IN_FLIGHT", 5)
    assert "queue-rules" in found()


def test_a_leg_that_goes_back_to_an_older_row_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    update, rows = StrategyPositions.update, list[Any]()

    def repeated(legs: StrategyPositions, position: Any, source: str) -> None:
        update(legs, position, source)
        rows.append(position)
        older = [row for row in rows if row.direction is position.direction and is_before(row, position)]
        if older:
            update(legs, older[-1], "rest")

    monkeypatch.setattr(StrategyPositions, "update", repeated)
    assert found() == set(), "older rows are ignored"
    rows.clear()
    monkeypatch.setattr(strategy_positions, "is_outdated", lambda one, other: False)
    assert found() == {"leg-is-newest"}
