"""When a leg that our executions do not explain is believed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from gridbot.core import Direction, ExecutionEvent, PositionEvent, Side
from gridbot.core.execution_ledger import Ledger
from gridbot.core.leg_history import Holding
from gridbot.orders import reconcile_legs as legs
from gridbot.orders.book import OrderBook
from gridbot.orders.reconcile_state import (
    Held,
    Now,
    Part,
    ReconcileState,
    View,
    Who,
)
from gridbot.orders.reconcile_turn import Turn
from gridbot.orders.reconcile_words import (
    Adjust,
    AskExecutions,
    AskPositions,
    TakePosition,
)
from tests.orders.helpers import INSTRUMENT, OWNER

D = Decimal
SYMBOL = INSTRUMENT.symbol
TICKET = 7
LONG = PositionEvent(SYMBOL, Direction.LONG, D(2), D(90), exchange_ts=1)
FLAT = PositionEvent(SYMBOL, Direction.SHORT, D(0))
FILL = ExecutionEvent(SYMBOL, "e1", "x", "l", Side.BUY, D(100), D(1), exchange_ts=1)


@pytest.fixture
def turn() -> Turn:
    """The legs are being read."""
    view = View({SYMBOL: Held(OWNER, INSTRUMENT, OrderBook(INSTRUMENT))}, Ledger(), frozenset())
    turn = Turn(ReconcileState(), view, Now(1.0, 1_000_000))
    legs.begin(turn, SYMBOL, TICKET)
    return turn


def who(turn: Turn) -> Who:
    return Who(Part.LEGS, str(TICKET), turn.state.legs[TICKET].number)


def test_legs_that_add_up_are_taken(turn: Turn) -> None:
    assert turn.effects == [AskPositions(who(turn), SYMBOL)]
    assert legs.on_positions(turn, who(turn), [FLAT]) == TICKET
    assert turn.effects[1:] == [TakePosition(FLAT)]
    assert turn.state.legs == {}


def test_a_row_of_before_the_first_execution_is_believed_when_there_is_none(turn: Turn) -> None:
    assert legs.on_positions(turn, who(turn), [LONG, FLAT]) is None
    assert legs.on_executions(turn, who(turn), []) == TICKET
    believed = Adjust(LONG, Holding(), "it was held before the first execution")
    assert turn.effects[2:] == [TakePosition(LONG), believed, TakePosition(FLAT)]


def test_the_newest_executions_are_paged_first_and_only_what_they_do_not_explain_has_all_paged(turn: Turn) -> None:
    """A busy account's start paged two minutes of executions three times."""
    turn.change(complete_to_ms=100_000)
    assert legs.on_positions(turn, who(turn), [LONG, FLAT]) is None
    assert turn.effects[1:] == [AskExecutions(who(turn), 98_000)]
    assert not legs.pages_all(turn, who(turn)), "the answer proves nothing about what was before"
    assert legs.on_executions(turn, who(turn), [FILL]) is None
    assert turn.effects[2:] == [AskPositions(who(turn), SYMBOL, (LONG, FLAT))], "compared again once it is counted"
    assert legs.on_positions(turn, who(turn), [LONG, FLAT]) is None
    assert turn.effects[3:] == [AskPositions(who(turn), SYMBOL)], "that explains nothing: a newer row may be explained"
    assert legs.on_positions(turn, who(turn), [LONG, FLAT]) is None
    assert legs.on_executions(turn, who(turn), []) is None
    assert turn.effects[4:] == [AskExecutions(replace_number(who(turn), -1), 98_000), AskExecutions(who(turn), 40_000)]
    assert legs.pages_all(turn, who(turn))
    assert legs.on_executions(turn, who(turn), []) == TICKET
    assert not legs.pages_all(turn, Who(Part.LEGS, str(TICKET), 99))


def test_a_row_that_what_was_paged_explains_is_taken_though_more_was_traded_since(turn: Turn) -> None:
    """In a lively market a start read the legs of a symbol up to six times: each row was ahead of what was counted."""
    row = PositionEvent(SYMBOL, Direction.LONG, D(1), D(100), exchange_ts=1, seq=1)
    assert legs.on_positions(turn, who(turn), [row, FLAT]) is None
    paged = [replace(FILL, exec_id=f"e{n}", exchange_ts=n, seq=n) for n in (1, 2)]
    assert legs.on_executions(turn, who(turn), paged) is None
    for execution in paged:
        turn.view.ledger.apply("s1", execution)
    assert legs.on_positions(turn, who(turn), [row, FLAT]) == TICKET
    assert turn.effects[-2:] == [TakePosition(row), TakePosition(FLAT)]
    assert turn.state.doubts == {}


def test_rows_that_another_paging_has_explained_meanwhile_are_taken_without_a_longer_one(turn: Turn) -> None:
    """All legs are read at once: the first answer has the executions of all, and nothing of the others' is new."""
    turn.change(complete_to_ms=100_000)
    row = PositionEvent(SYMBOL, Direction.LONG, D(1), D(100), exchange_ts=1, seq=1)
    assert legs.on_positions(turn, who(turn), [row, FLAT]) is None
    turn.view.ledger.apply("s1", replace(FILL, seq=1))
    assert legs.on_executions(turn, who(turn), []) == TICKET
    assert turn.effects[-2:] == [TakePosition(row), TakePosition(FLAT)]
    assert turn.state.doubts == {}


def test_the_last_look_and_one_within_a_gap_page_everything(turn: Turn) -> None:
    turn.change(complete_to_ms=100_000)
    for look in range(legs.POSITION_LOOKS):
        assert legs.on_positions(turn, who(turn), [LONG, FLAT]) is None
        assert legs.pages_all(turn, who(turn)) is (look == legs.POSITION_LOOKS - 1)
        assert legs.on_executions(turn, who(turn), [FILL]) is None
        if look < legs.POSITION_LOOKS - 1:
            assert legs.on_positions(turn, who(turn), [LONG, FLAT]) is None, "compared again"
    assert legs.on_positions(turn, who(turn), [LONG, FLAT]) == TICKET
    turn.change(gap_from_ms=90_000)
    legs.begin(turn, SYMBOL, TICKET)
    assert legs.on_positions(turn, who(turn), [LONG, FLAT]) is None
    assert turn.effects[-1] == AskExecutions(who(turn), 30_000)


def replace_number(asked: Who, by: int) -> Who:
    return asked._replace(number=asked.number + by)


def read_again(turn: Turn, row: PositionEvent) -> None:
    """Read the legs; the executions are paged, and there is no new one."""
    legs.begin(turn, SYMBOL, TICKET)
    assert legs.on_positions(turn, who(turn), [row]) is None
    assert legs.on_executions(turn, who(turn), []) == TICKET


def test_what_does_not_add_up_is_believed_when_it_is_the_same_after_paging_twice(turn: Turn) -> None:
    turn.view.ledger.apply("s1", FILL)
    assert legs.on_positions(turn, who(turn), [LONG, FLAT]) is None
    assert turn.effects[1:] == [AskExecutions(who(turn), 0)]
    assert legs.on_positions(turn, who(turn), [FLAT]) is None, "the rows wait for executions now"
    assert legs.on_executions(turn, who(turn), []) == TICKET
    assert turn.effects[2:] == [TakePosition(LONG), TakePosition(FLAT)], "for the risk rules; the ledger waits"
    begun_s = turn.now.mono_s
    turn.now = Now(begun_s + legs.SETTLED_S - 0.1, 0)
    read_again(turn, LONG)
    assert not any(isinstance(effect, Adjust) for effect in turn.effects)
    turn.now = Now(begun_s + legs.SETTLED_S, 0)
    read_again(turn, LONG)
    reason = "no execution that the exchange lists explains it"
    assert turn.effects[-1] == Adjust(LONG, Holding(D(1), D(100)), reason)
    assert turn.state.doubts == {}


def test_a_difference_that_changes_is_a_new_doubt_and_one_that_ends_is_none(turn: Turn) -> None:
    turn.view.ledger.apply("s1", FILL)
    read_again(turn, LONG)
    turn.now = Now(60.0, turn.now.wall_ms)
    read_again(turn, replace(LONG, size=D(3)))
    assert turn.state.doubts[SYMBOL, Direction.LONG].since_s == 60.0
    turn.view.ledger.apply("s1", replace(FILL, exec_id="e2", exchange_ts=2))
    legs.begin(turn, SYMBOL, TICKET)
    assert legs.on_positions(turn, who(turn), [replace(LONG, entry_price=D(100), exchange_ts=2)]) == TICKET
    assert turn.state.doubts == {}
    assert not any(isinstance(effect, Adjust) for effect in turn.effects)


def test_an_old_row_is_compared_with_what_was_held_then(turn: Turn) -> None:
    """Issue 11: 0.03 by the stream, then a slow answer of REST that still says 0.01."""
    for n, qty in ((1, "0.01"), (2, "0.02")):
        fill = replace(FILL, exec_id=f"e{n}", qty=D(qty), exchange_ts=n, seq=n)
        turn.view.ledger.apply("s1", fill)
    old = PositionEvent(SYMBOL, Direction.LONG, D("0.01"), D(100), exchange_ts=1, seq=1)
    assert legs.on_positions(turn, who(turn), [old]) == TICKET
    assert turn.state.doubts == {}


def test_a_row_older_than_what_is_folded_is_no_difference(turn: Turn) -> None:
    """A leg traded in one-way mode has its row of before in hedge mode again; its close had 1.396 taken back."""
    turn.view.ledger.apply("s1", replace(FILL, exchange_ts=20, seq=20))
    turn.view.ledger.legs.fold(21)
    old = PositionEvent(SYMBOL, Direction.LONG, D(0), exchange_ts=10, seq=10)
    assert legs.on_positions(turn, who(turn), [old]) == TICKET
    assert turn.effects[1:] == [TakePosition(old)]
    legs.begin(turn, SYMBOL, TICKET)
    assert legs.on_positions(turn, who(turn), [replace(old, exchange_ts=20, seq=20)]) is None


def test_another_entry_is_a_difference_too(turn: Turn) -> None:
    turn.view.ledger.apply("s1", FILL)
    same = PositionEvent(SYMBOL, Direction.LONG, D(1), D("100.00005"), exchange_ts=1)
    assert legs.on_positions(turn, who(turn), [same]) == TICKET, "the exchange prints a few digits"
    legs.begin(turn, SYMBOL, TICKET)
    assert legs.on_positions(turn, who(turn), [replace(same, entry_price=None)]) == TICKET, "it says nothing"
    legs.begin(turn, SYMBOL, TICKET)
    assert legs.on_positions(turn, who(turn), [replace(same, entry_price=D(101))]) is None


def test_new_executions_lead_to_another_look_five_times_at_most(turn: Turn) -> None:
    turn.view.ledger.apply("s1", FILL)
    for look in range(legs.POSITION_LOOKS):
        assert legs.on_executions(turn, who(turn), [FILL]) is None, "no rows wait yet"
        assert legs.on_positions(turn, who(turn), [LONG]) is None
        assert legs.on_executions(turn, who(turn), [FILL]) is None
        if look < legs.POSITION_LOOKS - 1:
            assert legs.on_positions(turn, who(turn), [LONG]) is None, "compared again"
    assert legs.on_positions(turn, who(turn), [LONG]) == TICKET
    asked = [effect for effect in turn.effects if isinstance(effect, AskPositions)]
    assert sum(not effect.rows for effect in asked) == legs.POSITION_LOOKS
    assert sum(bool(effect.rows) for effect in asked) == legs.POSITION_LOOKS


def test_answers_to_other_questions_do_not_count(turn: Turn) -> None:
    stale = Who(Part.LEGS, str(TICKET), 99)
    assert legs.on_positions(turn, stale, [FLAT]) is None
    assert legs.on_executions(turn, stale, []) is None
    legs.drop(turn, TICKET)
    assert legs.on_positions(turn, Who(Part.LEGS, str(TICKET), 1), [FLAT]) is None
