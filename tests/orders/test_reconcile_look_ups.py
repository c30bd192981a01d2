"""What the answer about one order means, and when it means nothing."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from gridbot.core import ExecutionEvent, OrderStatus, Side
from gridbot.core.execution_ledger import Ledger
from gridbot.orders import reconcile_look_ups as look_ups
from gridbot.orders.book import OrderBook
from gridbot.orders.order import TrackedOrder
from gridbot.orders.reconcile_look_ups import SETTLE_AFTER_S
from gridbot.orders.reconcile_state import (
    Held,
    Now,
    Part,
    ReconcileState,
    View,
    Who,
)
from gridbot.orders.reconcile_turn import FIRST_WAIT_S, LONGEST_WAIT_S, Turn
from gridbot.orders.reconcile_words import (
    Alert,
    ApplyRow,
    AskExecutions,
    AskExecutionsOf,
    AskOrder,
    Finding,
    LookedUp,
    Revive,
    Settle,
)
from tests.orders.helpers import INSTRUMENT, OWNER, begin_cancel, hold_for_gone, hold_for_rejected, make_order, update

D = Decimal
SYMBOL = INSTRUMENT.symbol


class Desk:
    """One order that is open, and look-ups of it."""

    def __init__(self, *, retrying: bool = False) -> None:
        self.book = OrderBook(INSTRUMENT)
        self.order = make_order()
        self.book.add(self.order)
        keys = frozenset({self.order.key}) if retrying else frozenset[str]()
        view = View({SYMBOL: Held(OWNER, INSTRUMENT, self.book)}, Ledger(), keys)
        self.turn = Turn(ReconcileState(), view, Now(10.0, 1))

    @property
    def key(self) -> str:
        return self.order.key

    def open(self) -> None:
        self.book.apply_update(update(self.order, OrderStatus.NEW))

    def at(self, mono_s: float) -> None:
        """Time passes."""
        self.turn.now = Now(mono_s, 1)
        look_ups.ask_due(self.turn)

    def ask(self, *, contradicted: bool = False) -> Who:
        """Asked; what was asked."""
        assert look_ups.ask_now(self.turn, self.order, contradicted=contradicted)
        return self.asked

    @property
    def asked(self) -> Who:
        return Who(Part.ORDER, self.key, self.turn.state.looking[self.key].number)

    @property
    def due_s(self) -> float | None:
        return self.turn.state.looking[self.key].due_s

    def take(self) -> list[object]:
        effects, self.turn.effects = self.turn.effects, []
        return list(effects)


def test_what_is_wanted_is_asked_for_after_a_second_once() -> None:
    desk = Desk()
    look_ups.want(desk.turn, SYMBOL, desk.key)
    look_ups.want(desk.turn, SYMBOL, desk.key)
    desk.at(10.0 + FIRST_WAIT_S - 0.1)
    assert desk.take() == []
    desk.at(10.0 + FIRST_WAIT_S)
    assert desk.take() == [AskOrder(desk.asked, SYMBOL, desk.order.link_id, "")]
    look_ups.want(desk.turn, SYMBOL, desk.key)
    assert look_ups.ask_now(desk.turn, desk.order), "the question under way will do"
    desk.at(1000.0)
    assert desk.take() == []


def test_a_question_without_an_answer_is_asked_again_with_longer_waits() -> None:
    desk = Desk()
    who = desk.ask()
    for wait_s in (2.0, 4.0, 8.0, 16.0, LONGEST_WAIT_S, LONGEST_WAIT_S):
        now_s = desk.turn.now.mono_s
        look_ups.on_failure(desk.turn, desk.asked)
        assert desk.due_s == now_s + wait_s
        desk.at(now_s + wait_s)
    assert not look_ups.on_order(desk.turn, who, None), "the answer to an old question"
    look_ups.on_failure(desk.turn, who)
    assert desk.due_s is None


def test_what_is_due_may_be_asked_at_once() -> None:
    desk = Desk()
    look_ups.want(desk.turn, SYMBOL, desk.key)
    desk.ask()
    assert desk.due_s is None


def test_an_order_that_waits_for_another_try_is_not_asked_for() -> None:
    desk = Desk(retrying=True)
    assert not look_ups.ask_now(desk.turn, desk.order)
    look_ups.want(desk.turn, SYMBOL, desk.key)
    desk.at(60.0)
    assert desk.turn.state.looking == {}
    assert desk.take() == []


def test_an_order_that_is_over_or_unknown_is_not_asked_for() -> None:
    desk = Desk()
    look_ups.want(desk.turn, SYMBOL, "no such key")
    look_ups.want(desk.turn, SYMBOL, desk.key)
    hold_for_rejected(desk.book, desk.key, "refused")
    desk.at(60.0)
    assert desk.turn.state.looking == {}
    assert desk.take() == []


# ---------------------------------------------------------------------- answers


def test_a_row_is_applied() -> None:
    desk = Desk()
    row = update(desk.order, OrderStatus.NEW)
    who = desk.ask()
    desk.take()
    assert look_ups.on_order(desk.turn, who, row)
    assert desk.take() == [ApplyRow(row)]
    assert desk.turn.state.looking == {}


@pytest.mark.parametrize("is_heard", [False, True])
def test_an_answer_that_is_older_by_its_time_alone_is_believed_when_nothing_came_since(*, is_heard: bool) -> None:
    desk = Desk()
    desk.book.apply_update(update(desk.order, OrderStatus.NEW, ts=9000))
    who = desk.ask()
    row = update(desk.order, OrderStatus.NEW, ts=1000, price=D(101))
    if is_heard:
        desk.book.apply_update(update(desk.order, OrderStatus.NEW, ts=9001))
    assert look_ups.on_order(desk.turn, who, row)
    assert desk.turn.effects[-1] == (ApplyRow(row) if is_heard else Revive(row))


def test_an_answer_may_be_older_than_what_made_its_order_doubtful_meanwhile() -> None:
    """An amendment that is earlier by its time is heard while a question is under way: it is asked for again."""
    desk = Desk()
    desk.book.apply_update(update(desk.order, OrderStatus.NEW, ts=9000))
    who = desk.ask()
    look_ups.want(desk.turn, SYMBOL, desk.key)
    row = update(desk.order, OrderStatus.NEW, ts=1000, price=D(101))
    assert look_ups.on_order(desk.turn, who, row)
    assert desk.turn.effects[-1] == ApplyRow(row)
    assert desk.due_s == 10.0 + FIRST_WAIT_S
    desk.at(10.0 + FIRST_WAIT_S)
    assert look_ups.on_order(desk.turn, desk.asked, row)
    assert desk.turn.effects[-1] == Revive(row)
    assert not desk.turn.state.looking


def test_an_answer_that_is_older_by_its_time_alone_is_believed_though_executions_are_missing() -> None:
    """Else it would stay in doubt, and be asked for each second, until the list has them."""
    desk = Desk()
    desk.book.apply_update(update(desk.order, OrderStatus.PARTIALLY_FILLED, "0.001", ts=9000))
    who = desk.ask()
    row = update(desk.order, OrderStatus.PARTIALLY_FILLED, "0.001", ts=1000, price=D(101))
    assert not look_ups.on_order(desk.turn, who, row)
    assert look_ups.on_executions(desk.turn, desk.asked)
    assert desk.turn.effects[-1] == Revive(row)


def test_a_row_that_is_ahead_of_the_executions_waits_for_them() -> None:
    desk = Desk()
    row = update(desk.order, OrderStatus.FILLED, "0.010")
    desk.ask()
    desk.take()
    assert not look_ups.on_order(desk.turn, desk.asked, row)
    assert desk.take() == [AskExecutions(desk.asked, 0)]
    assert not look_ups.on_executions(desk.turn, Who(Part.ORDER, desk.key, 99))
    assert look_ups.on_executions(desk.turn, desk.asked)
    assert desk.take() == [ApplyRow(row)]


def test_an_order_that_we_cancel_and_that_rests_is_told_so() -> None:
    desk = Desk()
    desk.open()
    begin_cancel(desk.book, desk.key, "unwanted")
    row = update(desk.order, OrderStatus.NEW)
    who = desk.ask()
    desk.take()
    look_ups.on_order(desk.turn, who, row)
    assert desk.take() == [ApplyRow(row), LookedUp(SYMBOL, desk.key, Finding.STILL_OPEN)]


def test_an_order_that_nobody_ever_acknowledged_never_arrived() -> None:
    desk = Desk()
    who = desk.ask()
    desk.take()
    assert look_ups.on_order(desk.turn, who, None)
    assert desk.take() == [LookedUp(SYMBOL, desk.key, Finding.NEVER_ARRIVED)]


@pytest.mark.parametrize("is_cancel", [False, True])
def test_an_order_that_was_there_is_gone_when_its_executions_are_in(is_cancel: bool) -> None:
    desk = Desk()
    if is_cancel:
        begin_cancel(desk.book, desk.key, "unwanted")
    else:
        desk.book.acknowledge(desk.key, "x1")
    who = desk.ask()
    desk.take()
    assert not look_ups.on_order(desk.turn, who, None)
    assert desk.take() == [AskExecutions(desk.asked, 0)]
    assert look_ups.on_executions(desk.turn, desk.asked)
    assert desk.take() == [LookedUp(SYMBOL, desk.key, Finding.GONE)]


def test_no_such_order_means_nothing_when_it_was_heard_of_since() -> None:
    desk = Desk()
    who = desk.ask()
    desk.open()
    desk.take()
    assert look_ups.on_order(desk.turn, who, None), "the pass need not wait for the next try"
    assert desk.due_s == 12.0
    desk.at(12.0)
    assert not look_ups.on_order(desk.turn, desk.asked, None)
    desk.book.apply_update(update(desk.order, OrderStatus.NEW, ts=9))
    desk.take()
    assert look_ups.on_executions(desk.turn, desk.asked)
    assert desk.due_s is not None
    assert desk.take() == []


def test_the_answer_about_an_order_that_ended_meanwhile_is_dropped() -> None:
    desk = Desk()
    who = desk.ask()
    hold_for_rejected(desk.book, desk.key, "refused")
    desk.take()
    assert look_ups.on_order(desk.turn, who, update(desk.order, OrderStatus.NEW))
    assert desk.take() == []
    assert desk.turn.state.looking == {}


def test_a_symbol_that_is_not_traded_any_more_ends_its_look_ups() -> None:
    desk = Desk()
    desk.open()
    look_ups.on_order(desk.turn, desk.ask(), None)
    desk.turn.view = replace(desk.turn.view, strategies={})
    desk.take()
    assert look_ups.on_executions(desk.turn, desk.asked)
    assert (desk.take(), desk.turn.state.looking) == ([], {})


@pytest.mark.parametrize("case", ["rests", "is over", "unknown"])
def test_a_contradicted_end_is_believed_when_the_order_itself_rests(case: str) -> None:
    desk = Desk()
    desk.open()
    hold_for_gone(desk.book, desk.key, "a stale answer")
    rests, over = update(desk.order, OrderStatus.NEW), update(desk.order, OrderStatus.CANCELLED, ts=2)
    row = {"rests": rests, "is over": over, "unknown": None}[case]
    who = desk.ask(contradicted=True)
    desk.take()
    assert look_ups.on_order(desk.turn, who, row)
    assert desk.take() == {"rests": [Revive(rests)], "is over": [ApplyRow(over)], "unknown": []}[case]
    assert desk.turn.state.looking == {}


# ---------------------------------------------------------------------- missing executions


def finished() -> Desk:
    desk = Desk()
    desk.book.apply_update(update(desk.order, OrderStatus.FILLED, "0.010"))
    desk.at(10.0)
    return desk


def part(order: TrackedOrder, exec_id: str, qty: str) -> ExecutionEvent:
    return ExecutionEvent(SYMBOL, exec_id, "x1", order.link_id, Side.BUY, D(100), D(qty), exchange_ts=5)


def missing(desk: Desk) -> Who:
    return Who(Part.MISSING, desk.key, desk.turn.state.missing[desk.key].number)


def test_the_executions_of_a_finished_order_are_asked_for_by_its_id() -> None:
    desk = finished()
    assert desk.take() == []
    desk.at(11.0)
    assert desk.take() == [AskExecutionsOf(missing(desk), SYMBOL, desk.order.link_id, f"x-{desk.order.link_id}")]
    desk.at(60.0)
    assert desk.take() == [], "a question is under way"
    look_ups.on_missing_failure(desk.turn, missing(desk))
    desk.at(62.0)
    assert len(desk.take()) == 1
    desk.book.settle(desk.key)
    desk.at(63.0)
    assert desk.turn.state.missing == {}
    look_ups.on_missing_failure(desk.turn, Who(Part.MISSING, desk.key, 1))
    look_ups.on_missing_executions(desk.turn, Who(Part.MISSING, desk.key, 1), [])
    assert desk.take() == []


def test_an_order_whose_list_adds_up_is_settled() -> None:
    desk = finished()
    desk.at(11.0)
    desk.take()
    rows = [part(desk.order, "e1", "0.004"), part(desk.order, "e2", "0.006")]
    look_ups.on_missing_executions(desk.turn, missing(desk), rows)
    assert desk.take() == [Settle(SYMBOL, desk.key)]


def test_an_order_whose_list_never_adds_up_is_settled_after_a_minute_with_the_figures() -> None:
    desk = finished()
    rows = [part(desk.order, "e1", "0.004"), part(desk.order, "e1", "0.004")]
    desk.at(11.0)
    look_ups.on_missing_executions(desk.turn, missing(desk), rows)
    desk.at(10.0 + SETTLE_AFTER_S + 1)
    desk.take()
    look_ups.on_missing_executions(desk.turn, missing(desk), rows)
    [alert, settle] = desk.take()
    assert isinstance(alert, Alert)
    assert "executed 0.010 by the order's own account, but the executions list has 0.004" in alert.text
    assert settle == Settle(SYMBOL, desk.key)
    assert desk.turn.state.missing == {}


def test_executions_of_an_order_that_is_not_ours_any_more_wait_in_vain() -> None:
    desk = finished()
    desk.at(11.0)
    who = missing(desk)
    desk.turn.view = replace(desk.turn.view, strategies={})
    desk.take()
    look_ups.on_missing_executions(desk.turn, who, [])
    assert desk.take() == []
    desk.at(20.0)
    assert desk.turn.state.missing == {}
