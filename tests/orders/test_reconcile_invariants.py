"""Each invariant finds what breaks it. That the reconciler keeps them is shown by test_reconcile_machine.py."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from gridbot.core import Direction, ExecutionEvent, OrderStatus, Side
from gridbot.core.execution_ledger import OVERLAP_MS, Ledger
from gridbot.orders import reconcile_invariants as invariants
from gridbot.orders import reconcile_state as states
from gridbot.orders import reconcile_words as words
from gridbot.orders.book import OrderBook
from gridbot.orders.ids import wire_id
from gridbot.orders.reconcile_look_ups import SETTLE_AFTER_S, known_of
from gridbot.orders.reconcile_state import (
    LookingUp,
    Missing,
    Now,
    Part,
    ReconcileState,
    Who,
)
from gridbot.orders.reconcile_words import (
    Finding,
    LookedUp,
)
from tests.orders.helpers import INSTRUMENT, OWNER, make_order, update
from tests.orders.reconcile_model import Told

D = Decimal
SYMBOL = INSTRUMENT.symbol
NOW = Now(10.0, 1)
QUIET = ReconcileState()


@pytest.fixture
def view() -> states.View:
    book = OrderBook(INSTRUMENT)
    book.add(make_order())
    return states.View({SYMBOL: states.Held(OWNER, INSTRUMENT, book)}, Ledger(), frozenset())


def execution(exec_id: str, ts: int) -> ExecutionEvent:
    return ExecutionEvent(SYMBOL, exec_id, "x", "l", Side.BUY, D(100), D(1), exchange_ts=ts)


def test_a_quiet_step_breaks_nothing(view: states.View) -> None:
    assert invariants.of_step(QUIET, [], QUIET, view, NOW) == []


def test_executions_count_once_and_in_order(view: states.View) -> None:
    view.ledger.apply("s1", execution("e0", 1))
    effects = [words.ApplyExecution(execution(e, ts)) for e, ts in (("e0", 1), ("e2", 9), ("e1", 5), ("e1", 5))]
    assert invariants.applied_once_in_order(effects, view.ledger) == [
        "e0 is applied and was counted before",
        "an execution is applied twice: ['e0', 'e2', 'e1', 'e1']",
        "e1 is applied after e2, and was made before it",
    ]
    assert invariants.applied_once_in_order(effects[2:3], view.ledger) == []


def test_nothing_foreign(view: states.View) -> None:
    ours = update(make_order(), OrderStatus.NEW)
    foreign = replace(ours, order_link_id="", order_id="m1")
    elsewhere = replace(foreign, symbol="ETHUSDT")
    key = make_order().key
    good: list[words.Effect] = [
        words.Adopt(ours),
        words.Revive(ours),
        LookedUp(SYMBOL, key, Finding.GONE),
        words.Settle(SYMBOL, key),
        words.Advance(1),
    ]
    assert invariants.nothing_foreign_is_touched(good, view) == []
    bad: list[words.Effect] = [
        *(effect(row) for effect in (words.Adopt, words.Revive) for row in (foreign, elsewhere)),
        LookedUp(SYMBOL, "m1", Finding.GONE),
        words.Settle("ETHUSDT", "m1"),
    ]
    assert len(invariants.nothing_foreign_is_touched(bad, view)) == len(bad)


def test_only_what_our_records_alone_hold_for_open_ends_unseen(view: states.View) -> None:
    key = make_order().key
    told = replace(view, recorded={key: Told(key), "a": Told("a"), "b": Told("b", symbol="ETHUSDT")})
    ends = [words.EndUnseen(name, None) for name in ("a", "b", key, "c")]
    assert invariants.nothing_foreign_is_touched(ends, told) == [
        f"{key} has ended unseen, and is in a book",
        "c has ended unseen, and is not in our records",
    ]


def test_only_an_order_of_ours_that_nobody_follows_is_recorded_as_resting(view: states.View) -> None:
    ours = replace(update(make_order(), OrderStatus.NEW), order_link_id=wire_id(OWNER, Side.BUY, Direction.LONG, 1, 1))
    elsewhere = replace(ours, symbol="ETHUSDT")
    rows = [elsewhere, ours, replace(elsewhere, order_link_id="by-hand")]
    told = replace(view, account_tag=OWNER.head[:6])
    found = invariants.nothing_foreign_is_touched([words.RestsUnfollowed(row) for row in rows], told)
    assert len(found) == 2


def test_an_end_needs_an_answer(view: states.View) -> None:
    [order] = view.strategies[SYMBOL].book
    gone, still = LookedUp(SYMBOL, order.key, Finding.GONE), LookedUp(SYMBOL, order.key, Finding.STILL_OPEN)
    asked = LookingUp(SYMBOL, 1, 1.0, known=known_of(order))
    check = invariants.asked_before_given_up
    assert check(QUIET, [still], view) == []
    assert check(ReconcileState(looking={order.key: asked}), [gone], view) == []
    assert check(QUIET, [gone], view) == [f"{order.key} is gone and was not asked for"]
    waiting = ReconcileState(looking={order.key: replace(asked, due_s=1.0)})
    assert check(waiting, [gone], view) == [f"{order.key} is gone and was not asked for"]
    news = ReconcileState(looking={order.key: replace(asked, known=())})
    assert check(news, [gone], view) == [f"{order.key} is gone although it was heard of since the question"]


def test_executions_are_given_up_late_and_after_an_answer(view: states.View) -> None:
    [order] = view.strategies[SYMBOL].book
    settle, alert = words.Settle(SYMBOL, order.key), words.Alert("error", f"unsettled.{order.key}", "text")
    check = invariants.asked_before_given_up
    early = Missing(SYMBOL, 0.0, 1.0, asked_s=SETTLE_AFTER_S)
    late = replace(early, asked_s=SETTLE_AFTER_S + 1)
    assert check(ReconcileState(missing={order.key: late}), [alert, settle], view) == []
    assert check(ReconcileState(missing={order.key: early}), [settle], view) == []
    too_early = [f"{order.key} is given up too early"]
    assert check(ReconcileState(missing={order.key: early}), [alert, settle], view) == too_early
    not_asked = [f"{order.key} is given up and its executions were not asked for"]
    assert check(QUIET, [settle], view) == not_asked
    assert check(ReconcileState(missing={order.key: replace(late, due_s=1.0)}), [settle], view) == not_asked


def test_the_watermark() -> None:
    low, high = ReconcileState(complete_to_ms=1), ReconcileState(complete_to_ms=2)
    assert invariants.watermark_never_moves_back(low, high) == []
    assert invariants.watermark_never_moves_back(high, low) == ["the watermark moved back from 2 to 1"]
    ledger = Ledger()
    ledger.apply("s1", execution("e1", 1))
    made = [execution("e1", 1), execution("e2", 2), execution("e3", 3)]
    state = ReconcileState(complete_to_ms=OVERLAP_MS + 3)
    assert invariants.is_covered(state, made, ledger) == ["e2 at 2 is not counted, and paging begins at 3"]


def test_what_is_kept_is_bounded(view: states.View) -> None:
    [order] = view.strategies[SYMBOL].book
    due, later = LookingUp(SYMBOL, 1, 1.0, due_s=10.0), LookingUp(SYMBOL, 1, 1.0, due_s=11.0)
    elsewhere = Missing("ETHUSDT", 0.0, 1.0)
    assert invariants.bounded(ReconcileState(looking={order.key: later}), view, NOW) == []
    wrong = ReconcileState(
        looking={order.key: due, "gone": later}, missing={"eth": elsewhere}, wish=states.Wish("why", (1,))
    )
    assert invariants.bounded(wrong, view, NOW) == [
        f"{order.key} is looked up and was due at 10.0",
        "gone is looked up and is in no book",
        "eth is missing executions and is in no book",
        "a pass is wished for and none runs",
    ]
    ends = states.Ends({"a": states.Ending(0.0, 1.0, due_s=10.0)})
    assert invariants.bounded(ReconcileState(ends=ends), view, NOW) == ["an end was to be asked for at 10.0"]


def test_whatever_was_started_goes_on() -> None:
    run = states.Pass(1, states.Wish("why", (1,)), 0.0)
    state = ReconcileState(
        run=run,
        looking={"a": LookingUp(SYMBOL, 2, 1.0), "b": LookingUp(SYMBOL, 0, 1.0, due_s=1.0)},
        missing={"c": Missing(SYMBOL, 0.0, 1.0, number=3), "d": Missing(SYMBOL, 0.0, 1.0, due_s=1.0)},
        legs={0: states.Legs(SYMBOL, 5, 4)},
    )
    asked = {Who(Part.PASS, "", 1), Who(Part.ORDER, "a", 2), Who(Part.MISSING, "c", 3), Who(Part.LEGS, "0", 4)}
    assert invariants.everything_goes_on(QUIET, ()) == []
    assert invariants.everything_goes_on(state, asked) == []
    assert len(invariants.everything_goes_on(state, ())) == len(asked)
    orders = replace(state, run=replace(run, phase=states.Phase.ORDERS, waiting=frozenset({"a", "b"})))
    assert invariants.everything_goes_on(orders, asked) == ["the pass waits for b, which is not asked for"]
    ends = replace(QUIET, ends=states.Ends({"d": states.Ending(0.0, 1.0, 0.0)}, number=7))
    assert invariants.everything_goes_on(ends, {Who(Part.END, "d", 7)}) == []
    assert invariants.everything_goes_on(ends, asked) == ["ends wait for an answer to no question (7)"]
    reading = replace(state, run=replace(run, phase=states.Phase.FIGURES, legs=frozenset({0})))
    assert invariants.everything_goes_on(reading, asked) == []
    assert invariants.everything_goes_on(reading, asked - {Who(Part.PASS, "", 1)}) != [], "it waits for the wallet"
    stuck = replace(reading, legs={})
    assert invariants.everything_goes_on(stuck, asked) == ["the pass waits for legs that nobody reads"]
    over = replace(reading, run=replace(run, phase=states.Phase.FIGURES, has_wallet=True))
    assert invariants.everything_goes_on(over, asked) == ["the pass has all figures and does not end"]


def test_book_and_listing_are_equal(view: states.View) -> None:
    book = view.strategies[SYMBOL].book
    [order] = book
    extra, lost = make_order(2, ticks=1001), make_order(3, ticks=1002)
    book.add(extra)
    for known in (order, extra):
        book.apply_update(update(known, OrderStatus.NEW))
    row = update(order, OrderStatus.NEW)
    foreign = [replace(row, order_link_id="by hand"), replace(row, symbol="ETHUSDT")]
    assert invariants.equals_listing(view, [row, update(extra, OrderStatus.NEW), *foreign]) == []
    book.lose_reply(extra.key, "timed out")
    rows = [update(order, OrderStatus.PARTIALLY_FILLED, "0.004"), update(lost, OrderStatus.NEW)]
    assert invariants.equals_listing(view, rows) == [
        f"{lost.key} rests and is in no book",
        f"{extra.key} is in the book and does not rest",
        f"{order.key} has 0 executed, the exchange says 0.004",
        f"{extra.key} is still unclear",
    ]


def test_whoever_asks_for_a_pass_is_answered_by_a_later_one() -> None:
    run = states.Pass(1, states.Wish("why", (1, 2)), 5.0)
    answers: list[words.Effect] = [words.Finished((1, 2)), words.Failed((3,), OSError())]
    asked_s = {1: 5.0, 2: 5.1, 3: 9.0}
    assert invariants.answered_by_a_later_pass(replace(QUIET, run=run), answers, asked_s) == [
        "a pass asked for at 5.1 is answered by that of 5.0"
    ]
    assert invariants.answered_by_a_later_pass(QUIET, [words.Finished((9,))], asked_s) == []
