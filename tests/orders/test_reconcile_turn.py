"""One step at work: numbers, paging, and which executions are applied."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from gridbot.core import ExecutionEvent, Side
from gridbot.core.execution_ledger import OVERLAP_MS, Ledger
from gridbot.exchange.listing import Unreadable
from gridbot.orders.book import OrderBook
from gridbot.orders.reconcile_state import (
    Held,
    Now,
    Part,
    ReconcileState,
    View,
    Who,
)
from gridbot.orders.reconcile_turn import LONGEST_WAIT_S, MOMENT_MS, UNPAGED_MS, Turn, earlier, longer
from gridbot.orders.reconcile_words import (
    Advance,
    Alert,
    ApplyExecution,
    AskExecutions,
    Halt,
)
from gridbot.orders.set_back import SetBack
from tests.orders.helpers import INSTRUMENT, OWNER, make_order

D = Decimal


def execution(exec_id: str, ts: int, seq: int = 0) -> ExecutionEvent:
    return ExecutionEvent("BTCUSDT", exec_id, "x", "l", Side.BUY, D(100), D(1), exchange_ts=ts, seq=seq)


@pytest.fixture
def turn() -> Turn:
    view = View({"BTCUSDT": Held(OWNER, INSTRUMENT, OrderBook(INSTRUMENT))}, Ledger(), frozenset())
    return Turn(ReconcileState(complete_to_ms=100_000), view, Now(1.0, 1))


def test_what_is_new_is_applied_once_and_in_order_and_moves_the_watermark(turn: Turn) -> None:
    turn.view.ledger.apply("s1", execution("e2", 120_000))
    rows = [execution("e3", 130_000), execution("e2", 120_000), execution("e1", 110_000), execution("e3", 130_000)]
    fresh = turn.apply(rows, since_watermark=True)
    assert [row.exec_id for row in fresh] == ["e1", "e3"]
    assert turn.effects == [ApplyExecution(fresh[0]), ApplyExecution(fresh[1]), Advance(130_000)]
    assert turn.state.complete_to_ms == 130_000


def test_what_cannot_be_read_halts_its_strategy_and_another_symbol_is_told_of_once(turn: Turn) -> None:
    ours, theirs = Unreadable("BTCUSDT", "row 3: odd", 5), Unreadable("NEWUSDT", "row 0: odd", 5)
    assert turn.set_aside([ours, theirs, theirs]) == {"BTCUSDT", "NEWUSDT"}
    halt, alert = turn.effects
    assert halt == Halt("BTCUSDT", "the exchange says what we cannot read: row 3: odd")
    assert isinstance(alert, Alert)
    assert (alert.level, alert.key, alert.strategy) == ("warning", "unreadable.NEWUSDT", "")
    turn.effects.clear()
    assert turn.set_aside([theirs, ours]) == {"BTCUSDT", "NEWUSDT"}
    assert turn.effects == [halt], "a strategy is halted again, it may have been resumed"


def test_rows_without_an_id_are_never_taken_for_repeats(turn: Turn) -> None:
    assert len(turn.apply([execution("", 1), execution("", 2)], since_watermark=True)) == 2


@pytest.mark.parametrize(
    ("rows", "since_watermark"), [([], True), ([execution("e", 99_000)], True), ([execution("e", 200_000)], False)]
)
def test_the_watermark_stays_when_nothing_newer_was_paged(
    turn: Turn, rows: list[ExecutionEvent], since_watermark: bool
) -> None:
    turn.apply(rows, since_watermark=since_watermark)
    assert turn.state.complete_to_ms == 100_000
    assert not any(isinstance(effect, Advance) for effect in turn.effects)


def test_paging_begins_an_overlap_before_the_watermark(turn: Turn) -> None:
    who = Who(Part.PASS)
    turn.ask_executions(who)
    turn.change(complete_to_ms=5)
    turn.ask_executions(who)
    assert turn.effects == [AskExecutions(who, 100_000 - OVERLAP_MS), AskExecutions(who, 0)]


def test_paging_begins_before_a_gap_that_is_older_than_the_watermark(turn: Turn) -> None:
    who = Who(Part.PASS)
    for gap_ms in (90_000, 110_000):
        turn.change(gap_from_ms=gap_ms)
        turn.ask_executions(who)
    assert turn.effects == [AskExecutions(who, 90_000 - OVERLAP_MS), AskExecutions(who, 100_000 - OVERLAP_MS)]


def test_of_two_times_the_earlier_counts_if_there_is_one() -> None:
    assert [earlier(1, 2), earlier(2, 1), earlier(None, 3), earlier(3, None), earlier(None, None)] == [1, 1, 3, 3, None]


def test_orders_are_found_in_the_book_of_their_symbol(turn: Turn) -> None:
    order = make_order()
    turn.view.strategies["BTCUSDT"].book.add(order)
    assert turn.order("BTCUSDT", order.key) is order
    assert turn.order("ETHUSDT", order.key) is None


def test_numbers_never_repeat_and_waits_double_up_to_a_limit(turn: Turn) -> None:
    assert [turn.number(), turn.number(), turn.state.numbers] == [1, 2, 2]
    assert (longer(1.0), longer(20.0)) == (2.0, LONGEST_WAIT_S)


def test_a_start_pages_the_last_moment_before_the_newest_counted_execution_and_owes_the_rest(turn: Turn) -> None:
    who = Who(Part.PASS, "", 7)
    assert turn.ask_last_moment(who, 130_000)
    assert turn.effects == [AskExecutions(who, 130_000 - MOMENT_MS)]
    assert (turn.state.moment, turn.state.paged_ms, turn.state.owes_rest) == (7, 130_000, True)
    assert turn.has_watermark
    turn.ask_newest_executions(who)
    turn.change(complete_to_ms=140_000)
    turn.ask_newest_executions(who)
    assert turn.effects[1:] == [AskExecutions(who, 128_000), AskExecutions(who, 138_000)], "a leg goes on from there"


@pytest.mark.parametrize(
    ("counted_ms", "gap_ms"),
    [(100_000, None), (130_000, 129_000), (100_001 + UNPAGED_MS, None)],
    ids=["counted is nothing newer", "after a gap", "the earlier life compared nothing for minutes"],
)
def test_a_start_pages_everything_where_the_last_moment_spares_nothing_or_is_not_enough(
    turn: Turn, counted_ms: int, gap_ms: int | None
) -> None:
    turn.change(gap_from_ms=gap_ms)
    before = turn.state
    assert not turn.ask_last_moment(Who(Part.PASS), counted_ms)
    assert (turn.state, turn.effects) == (before, [])


def test_while_the_exchanges_clock_is_behind_the_watermark_nothing_goes_by_it(turn: Turn) -> None:
    who = Who(Part.PASS)
    turn.now = Now(1.0, 40_000, 40_000)
    turn.change(set_back=SetBack(read_s=0.5))
    assert not turn.has_watermark
    turn.change(complete_to_ms=10_000)
    assert not turn.ask_last_moment(who, 100_000), "of the executions that are counted the newest is in its future"
    turn.change(complete_to_ms=100_000)
    turn.ask_executions(who)
    assert turn.effects == [AskExecutions(who, 0)]


def test_executions_are_applied_by_their_numbers_where_the_clock_was_set_back(turn: Turn) -> None:
    rows = [execution(name, ts, seq) for name, ts, seq in (("e1", 120_000, 7), ("e2", 115_000, 8), ("e3", 121_000, 9))]
    other = replace(execution("e0", 116_000, 900), symbol="ETHUSDT")
    fresh = turn.apply([*rows, other], since_watermark=True)
    assert [row.exec_id for row in fresh if row.symbol == "BTCUSDT"] == ["e1", "e2", "e3"]
    assert turn.state.complete_to_ms == 121_000
