"""When a leg that our executions do not explain is believed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from gridbot.core import Direction, ExecutionEvent, PositionEvent, Side
from gridbot.core.execution_ledger import Ledger
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
    Align,
    AskExecutions,
    AskPositions,
    TakePosition,
)
from tests.orders.helpers import INSTRUMENT, OWNER

D = Decimal
SYMBOL = INSTRUMENT.symbol
TICKET = 7
LONG = PositionEvent(SYMBOL, Direction.LONG, D(2), D(90))
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


def test_what_does_not_add_up_is_paged_before_the_ledger_follows_the_exchange(turn: Turn) -> None:
    assert legs.on_positions(turn, who(turn), [LONG, FLAT]) is None
    assert turn.effects[1:] == [AskExecutions(who(turn), 0)]
    assert legs.on_positions(turn, who(turn), [FLAT]) is None, "the rows wait for executions now"
    assert legs.on_executions(turn, who(turn), []) == TICKET
    aligned = Align(SYMBOL, Direction.LONG, D(0), D(2), D(90))
    assert turn.effects[2:] == [TakePosition(LONG), aligned, TakePosition(FLAT)]


def test_an_entry_that_is_unknown_is_taken_as_well(turn: Turn) -> None:
    turn.view.ledger.set_leg("s1", Direction.LONG, D(2), None)
    assert legs.on_positions(turn, who(turn), [LONG]) is None


def test_new_executions_lead_to_another_look_five_times_at_most(turn: Turn) -> None:
    for _ in range(legs.POSITION_LOOKS):
        assert legs.on_executions(turn, who(turn), [FILL]) is None, "no rows wait yet"
        assert legs.on_positions(turn, who(turn), [LONG]) is None
        assert legs.on_executions(turn, who(turn), [FILL]) is None
    assert legs.on_positions(turn, who(turn), [LONG]) == TICKET
    assert sum(isinstance(effect, AskPositions) for effect in turn.effects) == 1 + legs.POSITION_LOOKS


@pytest.mark.parametrize(("age_ms", "believed"), [(legs.SETTLED_MS, False), (legs.SETTLED_MS + 1, True)])
def test_a_listing_may_be_ahead_while_executions_of_the_symbol_arrive(turn: Turn, age_ms: int, believed: bool) -> None:
    turn.change(last_s=0.5)
    turn.view.ledger.apply("s1", replace(FILL, exchange_ts=turn.now.wall_ms - age_ms))
    assert (legs.on_positions(turn, who(turn), [LONG]) is None) is believed


def test_answers_to_other_questions_do_not_count(turn: Turn) -> None:
    stale = Who(Part.LEGS, str(TICKET), 99)
    assert legs.on_positions(turn, stale, [FLAT]) is None
    assert legs.on_executions(turn, stale, []) is None
    legs.drop(turn, TICKET)
    assert legs.on_positions(turn, Who(Part.LEGS, str(TICKET), 1), [FLAT]) is None
