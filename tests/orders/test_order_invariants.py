"""Each invariant says so when it is broken, and only then."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from gridbot.core import Direction, OrderStatus
from gridbot.orders import life_effects
from gridbot.orders import order_invariants as invariants
from gridbot.orders.order import OrderState
from gridbot.orders.retry import RetryItem
from tests.case_table import case_table
from tests.orders.helpers import make_order
from tests.orders.life_bench import SITUATIONS, LifeBench

D = Decimal


def item(key: str, *, is_cancel: bool = False, due_s: float = 101.0) -> RetryItem:
    return RetryItem(key, is_cancel, 0, due_s, "busy")


@case_table("situation", SITUATIONS)
def test_every_situation_of_a_life_is_in_order(situation: str) -> None:
    bench = LifeBench().reach(situation)
    order = bench.order
    waiting = [
        item(order.key, is_cancel=is_cancel, due_s=tries.due_s)
        for is_cancel, tries in ((False, order.create_tries), (True, order.cancel_tries))
        if tries.due_s is not None
    ]
    assert invariants.violations(bench.book, [*waiting, item("of another strategy")]) == []


def _second_at_the_level(bench: LifeBench) -> None:
    bench.book.add(make_order(2))


def _off_tick(bench: LifeBench) -> None:
    bench.order.price += D("0.04")
    bench.book.index.touch(bench.order)


def _level_lost(bench: LifeBench) -> None:
    bench.book.index.levels.clear()


def _name_lost(bench: LifeBench) -> None:
    bench.order.order_id = "other"


def _settled_and_live(bench: LifeBench) -> None:
    bench.order.state = OrderState.CANCELLED


def _finished_and_unsettled(bench: LifeBench) -> None:
    bench.book.index.retire(bench.order)


def _unseen_change(bench: LifeBench) -> None:
    assert bench.book.limit_orders.long
    bench.order.withdrawn = "unknown to the view"
    bench.order.state = OrderState.PENDING_CANCEL


def _unseen_fill(bench: LifeBench) -> None:
    bench.book.opening_notional()
    bench.order.state, bench.order.cum_exec_qty = OrderState.PARTIALLY_FILLED, D("0.001")


def _unseen_fill_of_a_close(bench: LifeBench) -> None:
    bench.order.reduce_only = True
    bench.book.index.touch(bench.order)
    bench.book.resting_close_qty(Direction.LONG)
    bench.order.state, bench.order.cum_exec_qty = OrderState.PARTIALLY_FILLED, D("0.001")


def _executed_without_a_word(bench: LifeBench) -> None:
    bench.book.index.touch(bench.order)
    bench.order.cum_exec_qty = D("0.001")


def _executed_too_much(bench: LifeBench) -> None:
    bench.book.index.touch(bench.order)
    bench.order.state, bench.order.cum_exec_qty = OrderState.PENDING_CANCEL, D("0.011")


def _unwanted_and_resting(bench: LifeBench) -> None:
    bench.book.withdraw(bench.order, "outside_grid")


def _id_of_another(bench: LifeBench) -> None:
    other = make_order(2, ticks=1001)
    bench.book.add(other)
    other.order_id = bench.order.order_id


@case_table(
    ("breaks", "sentence"),
    [
        (_second_at_the_level, "2 orders at long 1000"),
        (_off_tick, "KEY is at 100.04 and counts at 100.0"),
        (_level_lost, "levels taken are {(<Direction.LONG: 'long'>, 1000): 1}, the index has {}"),
        (_name_lost, "KEY is not found as other"),
        (_settled_and_live, "KEY is settled and live"),
        (_finished_and_unsettled, "KEY is finished and not settled"),
        (_unseen_change, "the engine sees ['KEY'], expected []"),
        (_unseen_fill, "long: opens add up to 0.9000, the book says 1.0000"),
        (_unseen_fill_of_a_close, "long: closes add up to 0.009, the book says 0.010"),
        (_executed_without_a_word, "KEY is open with 0.001 of 0.010 executed"),
        (_executed_too_much, "KEY is pending_cancel with 0.011 of 0.010 executed"),
        (_unwanted_and_resting, "KEY is withdrawn and open"),
        (_id_of_another, "x-KEY names 2 orders"),
    ],
)
def test_what_is_broken_is_said(breaks: Callable[[LifeBench], None], sentence: str) -> None:
    bench = LifeBench().reach("open")
    breaks(bench)
    assert sentence.replace("KEY", bench.order.key) in invariants.violations(bench.book)


@case_table(
    ("state", "executed", "fits"),
    [
        ("open", "0", True),
        ("open", "0.001", False),
        ("partially_filled", "0.001", True),
        ("partially_filled", "0", False),
        ("partially_filled", "0.010", False),
        ("filled", "0.010", True),
        ("filled", "0.009", False),
        ("rejected", "0", True),
        ("rejected", "0.001", False),
        ("cancelled", "0.001", True),
        ("cancelled", "-0.001", False),
        ("unresolved", "0.010", True),
    ],
)
def test_which_quantities_fit_a_state(state: str, executed: str, *, fits: bool) -> None:
    bench = LifeBench().reach("open")
    bench.order.state, bench.order.cum_exec_qty = OrderState(state), D(executed)
    assert (invariants.state_follows_executions(bench.book) == []) is fits


def test_the_count_of_orders_is_that_of_those_that_may_execute(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = LifeBench().reach("open")
    monkeypatch.setattr(type(bench.book), "__len__", lambda self: 7)
    assert invariants.sums_are_right(bench.book) == ["the book says that 7 orders may execute"]


def test_two_orders_with_one_link_id() -> None:
    bench = LifeBench().reach("open")
    twin = make_order(1, ticks=1001)
    bench.book.index.live["twin"] = twin
    twin.link_id = bench.order.link_id
    assert f"{twin.link_id} names 2 orders" in invariants.no_id_twice(bench.book)


@case_table(
    ("situation", "is_cancel", "sentence"),
    [
        ("cancelled", True, "KEY is cancelled (), and its cancel waits for another try"),
        ("unresolved, withdrawn", False, "KEY is unresolved (outside_grid), and its create waits for another try"),
        ("waits", False, "KEY: its create is due at 99.0, the order says 101.0"),
        ("cancel waits", True, "KEY: its cancel is due at 99.0, the order says 101.0"),
    ],
)
def test_what_waits_and_must_not(situation: str, sentence: str, *, is_cancel: bool) -> None:
    bench = LifeBench().reach(situation)
    waiting = item(bench.order.key, is_cancel=is_cancel, due_s=99.0)
    assert invariants.nothing_final_waits(bench.book, [waiting]) == [sentence.replace("KEY", bench.order.key)]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invariants, "FINISHED_KEPT", 0)
    monkeypatch.setattr(invariants, "STRANGERS_KEPT", 0)
    bench = LifeBench().reach("cancelled")
    bench.book.strangers["x"] = bench.row(OrderStatus.NEW)
    assert invariants.bounded(bench.book) == [
        "1 finished orders, expected at most 0",
        "1 reported strangers, expected at most 0",
        "1 exchange ids, expected at most 0",
    ]


def test_executed_sums_only_grow() -> None:
    bench = LifeBench().reach("partially filled")
    before = invariants.executed_of(bench.book)
    assert before == {bench.order.key: (D("0.004"), D("0.004"))}
    assert invariants.sums_never_shrink({}, before) == []
    assert invariants.sums_never_shrink(before, before) == []
    for now in ((D("0.003"), D("0.004")), (D("0.004"), D("0.003"))):
        said = invariants.sums_never_shrink(before, {bench.order.key: now})
        assert said == [f"{bench.order.key} had {before[bench.order.key]} executed, and now {now}"]


@pytest.mark.parametrize(("situation", "said"), [("queued", 0), ("unresolved, withdrawn", 1), ("cancelled", 1)])
def test_what_must_not_be_sent(situation: str, said: int) -> None:
    bench = LifeBench().reach(situation)
    effects: list[life_effects.Effect] = [
        life_effects.SendCreate(bench.order, D(0)),
        life_effects.SendCancel(bench.order),
    ]
    assert len(invariants.never_sent_after_withdrawal(effects)) == said
