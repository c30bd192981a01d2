"""Moves that several events have in common: the end, a cancel, another cancel, the order given back."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.orders import life_effects, life_events
from gridbot.orders.life_moves import (
    OFF_TICK,
    TAKEN,
    cancel_again,
    cancel_now,
    end,
    keep_one_per_level,
    known_to_rest,
    recorded,
    want_again,
)
from gridbot.orders.order import OrderState, Transition
from gridbot.orders.retry import MAX_TRIES, NO_TRIES, RetryItem, Tries
from tests.case_table import case_table
from tests.orders.helpers import make_order
from tests.orders.life_bench import BUSY, NOW_S, LifeBench, names


@pytest.mark.parametrize("waiting", ["create_tries", "cancel_tries"])
def test_the_end_of_an_order_ends_what_waits(waiting: str) -> None:
    bench = LifeBench().reach("open")
    order = bench.order
    setattr(order, waiting, Tries(1, NOW_S, NOW_S + 1))
    effects = end(bench.book, order, OrderState.CANCELLED, "why", 110001)
    assert effects == [
        Transition(order, OrderState.OPEN, OrderState.CANCELLED, "why", 0, 110001),
        life_effects.ForgetRetry(order.key),
    ]
    assert (order.create_tries, order.cancel_tries) == (NO_TRIES, NO_TRIES)
    assert end(bench.book, order, OrderState.CANCELLED, "again") == []


def test_a_change_that_is_no_end_leaves_what_waits() -> None:
    bench = LifeBench().reach("cancel waits")
    change = Transition(bench.order, OrderState.PENDING_CANCEL, OrderState.UNRESOLVED)
    assert recorded(bench.order, change) == [change]
    assert bench.order.cancel_tries.due_s is not None
    assert recorded(bench.order, None) == []


def test_a_cancel_is_recorded_before_it_is_sent() -> None:
    bench = LifeBench().reach("open")
    order = bench.order
    assert cancel_now(bench.book, order, "outside_grid") == [
        life_effects.NoteCancel(order, life_effects.Wish.SENT, "outside_grid"),
        Transition(order, OrderState.OPEN, OrderState.PENDING_CANCEL, "outside_grid"),
        life_effects.SendCancel(order),
    ]
    assert (order.withdrawn, order.cancelling) == ("outside_grid", True)


def test_another_cancel_counts_as_a_try_until_all_are_used_up() -> None:
    bench = LifeBench().reach("cancel answered")
    order = bench.order
    for made in range(1, MAX_TRIES + 1):
        order.cancelling = False
        assert names(cancel_again(bench.book, order, NOW_S)) == "NoteCancel SendCancel"
        assert (order.cancel_tries.made, order.cancelling) == (made, True)
    assert names(cancel_again(bench.book, order, NOW_S)) == "[pending_cancel>open]"
    assert (order.withdrawn, order.cancel_tries) == ("", NO_TRIES)


def test_an_order_whose_withdrawal_failed_is_wanted_again_unless_its_level_has_another() -> None:
    bench = LifeBench().reach("cancel answered")
    order, other = bench.order, make_order(2)
    bench.book.add(other)
    due_s = NOW_S + 4
    assert want_again(bench.book, order, "invalid key", NOW_S) == [
        life_effects.RetryAt(RetryItem(order.key, True, 0, due_s, "invalid key"))
    ]
    assert (order.state, order.cancel_tries) == (OrderState.PENDING_CANCEL, Tries(0, NOW_S, due_s))
    bench.book.move(other, OrderState.CANCELLED, "")
    forget, back = want_again(bench.book, order, "invalid key", NOW_S, 10003)
    assert forget == life_effects.ForgetRetry(order.key)
    assert back == Transition(order, OrderState.PENDING_CANCEL, OrderState.OPEN, "invalid key", 0, 10003)


def test_an_order_at_no_level_whose_withdrawal_failed_is_cancelled_again_later() -> None:
    bench = LifeBench().reach("cancel answered")
    bench.order.price += Decimal("0.04")
    assert names(want_again(bench.book, bench.order, "invalid key", NOW_S)) == "RetryAt"
    assert bench.order.withdrawn


def test_an_order_at_no_level_that_is_found_to_rest_after_all_tries_is_still_cancelled() -> None:
    """Seed 1021: no answer to any cancel, each look-up found it open, and the last retry of its cancel did nothing."""
    bench = LifeBench().reach("open")
    order = bench.order
    order.price += Decimal("0.04")
    bench.book.withdraw(order, "outside_grid")
    order.cancel_tries = Tries(MAX_TRIES, NOW_S)
    assert names(cancel_again(bench.book, order, NOW_S)) == "[open>pending_cancel] RetryAt"
    assert (order.withdrawn, order.cancelling) == ("outside_grid", False)
    assert names(bench.take(bench.due(is_cancel=True))) == "SendCancel"


@case_table(
    ("situation", "rests"),
    [("open", True), ("partially filled", True), ("cancel sent", False), ("acknowledged", False), ("filled", False)],
)
def test_what_is_known_to_rest(situation: str, *, rests: bool) -> None:
    assert known_to_rest(LifeBench().reach(situation).order) is rests


def test_what_must_not_rest_is_cancelled() -> None:
    bench = LifeBench().reach("acknowledged")
    order = bench.order
    assert keep_one_per_level(bench.book, order, NOW_S) == [], "it is not known to rest"
    bench.book.move(order, OrderState.OPEN, "")
    assert keep_one_per_level(bench.book, order, NOW_S) == []
    bench.book.add(make_order(2))
    assert names(keep_one_per_level(bench.book, order, NOW_S)) == "cancel[open]"
    assert order.withdrawn == TAKEN


def test_what_is_at_no_level_is_cancelled() -> None:
    bench = LifeBench().reach("open")
    bench.order.price += Decimal("0.04")
    assert names(keep_one_per_level(bench.book, bench.order, NOW_S)) == "cancel[open]"
    assert bench.order.withdrawn == OFF_TICK


def test_a_withdrawn_order_that_rests_is_cancelled_for_the_reason_of_its_withdrawal() -> None:
    bench = LifeBench().reach("open")
    bench.book.withdraw(bench.order, "paused")
    [note, *_] = keep_one_per_level(bench.book, bench.order, NOW_S)
    assert note == life_effects.NoteCancel(bench.order, life_effects.Wish.SENT, "paused")
    assert bench.order.cancel_tries.made == 1


@pytest.mark.parametrize("made", [0, MAX_TRIES])
def test_the_answer_to_a_second_cancel_ends_what_the_first_waits_for(made: int) -> None:
    """Found by a seed: "too many" for one, no answer to the other, and the order was found to rest."""
    bench = LifeBench().reach("cancel waits")
    bench.order.cancel_tries = Tries(made, NOW_S, NOW_S + 1)
    assert cancel_again(bench.book, bench.order, NOW_S)[0] == life_effects.ForgetRetry(bench.order.key)
    assert bench.order.cancel_tries.due_s is None


def test_an_order_that_nobody_knows_of_is_not_open_because_its_cancel_was_refused() -> None:
    """Found by a seed: its create was answered "too many" after that, and the retry could not send an open order."""
    bench = LifeBench().reach("sent, cancel sent")
    order = bench.order
    lost, ask = want_again(bench.book, order, "invalid key", NOW_S, 10003)
    assert lost == Transition(order, OrderState.PENDING_CANCEL, OrderState.UNRESOLVED, "invalid key", 0, 10003)
    assert (ask, order.withdrawn) == (life_effects.AskExchange(order), "")
    bench.take(bench.placed(BUSY))
    bench.take(bench.due(is_cancel=False))
    assert names(bench.take(life_events.GateAnswered(order, ""))) == "[unresolved>pending] SendCreate"
