"""What becomes of an order that was asked for by its id: found, gone, or never arrived."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.core import OrderStatus
from gridbot.orders import life_effects, life_events
from gridbot.orders.order import OrderState, Transition
from gridbot.orders.retry import MAX_TRIES, Tries
from tests.orders.life_bench import NO_SUCH_ORDER, LifeBench, names

D = Decimal


def test_a_withdrawal_of_an_unresolved_order_is_carried_out_when_it_is_found() -> None:
    bench = LifeBench().reach("unresolved, withdrawn")
    effects = bench.take(bench.heard(OrderStatus.NEW))
    assert names(effects) == "[unresolved>open] cancel[open]"
    assert effects[1] == life_effects.NoteCancel(bench.order, life_effects.Wish.SENT, "outside_grid")
    assert bench.take(life_events.LookedUp(bench.order, life_events.LookUp.STILL_OPEN)) == [], (
        "its cancel has only just been sent"
    )


def test_an_unresolved_order_that_was_withdrawn_and_never_arrived_is_not_sent_again() -> None:
    bench = LifeBench().reach("unresolved, withdrawn")
    [over] = bench.take(life_events.LookedUp(bench.order, life_events.LookUp.NEVER_ARRIVED))
    assert isinstance(over, Transition)
    assert (over.after, over.reason) == (OrderState.CANCELLED, "outside_grid; it never reached the exchange")


def test_an_order_that_never_arrives_is_rejected_after_its_tries() -> None:
    bench = LifeBench().reach("unresolved")
    bench.order.create_tries = Tries(MAX_TRIES, bench.now_s, None)
    [over] = bench.take(life_events.LookedUp(bench.order, life_events.LookUp.NEVER_ARRIVED))
    assert over == Transition(bench.order, OrderState.UNRESOLVED, OrderState.REJECTED, "never reached the exchange")


def test_a_cancel_that_had_no_effect_is_sent_again_a_few_times() -> None:
    """The exchange accepted it, and still lists the order: nobody asked again, and the level was lost."""
    bench = LifeBench().reach("cancel answered")
    order = bench.order
    for _ in range(MAX_TRIES):
        assert names(bench.take(life_events.LookedUp(order, life_events.LookUp.STILL_OPEN))) == "NoteCancel SendCancel"
        assert bench.take(life_events.Revived(bench.row(OrderStatus.NEW))) == [], "while one is under way"
        bench.take(bench.cancelled(bench.ack))
    [back] = bench.take(life_events.Revived(bench.row(OrderStatus.NEW)))
    assert back == Transition(order, OrderState.PENDING_CANCEL, OrderState.OPEN, "still open")


def test_a_cancel_that_waits_for_another_try_is_not_sent_earlier() -> None:
    bench = LifeBench().reach("cancel waits")
    assert bench.take(life_events.LookedUp(bench.order, life_events.LookUp.STILL_OPEN)) == []


@pytest.mark.parametrize(("part", "after"), [("0.004", OrderState.CANCELLED), ("0.010", OrderState.FILLED)])
def test_an_order_that_the_exchange_does_not_know_any_more_is_over(part: str, after: OrderState) -> None:
    """incident L14: it leaves the books, as filled or as cancelled, and is not cancelled again at each tick."""
    bench = LifeBench().reach("cancel sent")
    order = bench.order
    order.cum_exec_qty = order.exec_qty = D(part)
    bench.take(bench.cancelled(NO_SUCH_ORDER))
    [over] = bench.take(life_events.LookedUp(order, life_events.LookUp.GONE))
    reason = "not known to the exchange any more"
    assert over == Transition(order, OrderState.UNRESOLVED, after, reason)
