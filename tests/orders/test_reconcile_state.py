"""What the state of the reconciler can tell by itself."""

from __future__ import annotations

from gridbot.core.execution_ledger import Ledger
from gridbot.orders.reconcile_state import (
    Ending,
    Ends,
    LookingUp,
    Missing,
    ReconcileState,
    Report,
    View,
    Wish,
)
from tests.orders.reconcile_model import Told


def test_a_report_in_a_sentence() -> None:
    assert str(Report(1, 2, 3, 4)) == "1 missed executions, 2 orders adopted, 3 looked up, 4 foreign"


def test_the_next_question_is_the_earliest_that_is_due() -> None:
    asked = LookingUp("BTCUSDT", 1, 1.0)
    assert ReconcileState(looking={"a": asked}).next_due_s is None
    later, missing = LookingUp("BTCUSDT", 1, 1.0, due_s=9.0), Missing("BTCUSDT", 0.0, 1.0, due_s=7.0)
    assert ReconcileState(looking={"a": asked, "b": later}, missing={"c": missing}).next_due_s == 7.0


def test_an_end_is_asked_for_when_it_is_due_and_no_question_is_under_way() -> None:
    orders = {"a": Ending(0.0, 1.0, due_s=6.0), "b": Ending(0.0, 1.0, due_s=8.0)}
    assert ReconcileState(ends=Ends()).next_due_s is None
    assert ReconcileState(ends=Ends(orders)).next_due_s == 6.0
    assert ReconcileState(ends=Ends(orders, free_s=7.0)).next_due_s == 7.0
    assert ReconcileState(ends=Ends(orders, number=4)).next_due_s is None


def test_a_gap_is_open_until_its_executions_were_paged() -> None:
    assert not ReconcileState(wish=Wish("periodic", (1,))).has_gap
    assert ReconcileState(wish=Wish("the private stream reconnected", (1,), 5)).has_gap
    assert ReconcileState(gap_from_ms=5).has_gap


def test_whose_an_order_is_may_be_asked_of_more_records_than_those_that_are_open() -> None:
    """An adopted order that has ended is still ours: a fill of it may come late."""
    opened, known = {"a": Told("a")}, {"a": Told("a"), "ended": Told("ended")}
    assert View({}, Ledger(), frozenset(), opened).by_record is opened
    assert View({}, Ledger(), frozenset(), opened, known=known).by_record is known
