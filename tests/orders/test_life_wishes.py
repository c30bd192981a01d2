"""Our own side of an order's life: submitted, withdrawn, sent, tried again, given up."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gridbot.core import OrderStatus
from gridbot.exchange.remedies import key_pause, remedy_for
from gridbot.orders import life_effects, life_events
from gridbot.orders import life_wishes as wishes
from gridbot.orders.order import OrderState, Transition
from gridbot.orders.proposal import proposal_of
from gridbot.orders.retry import NO_TRIES, RetryItem, Tries
from tests.case_table import case_table
from tests.orders.helpers import make_order
from tests.orders.life_bench import BAD_KEY, NOW_S, REFUSED, LifeBench, expected, outcomes

# Event -> effects -> situations. A transition is `[before>after]`; `*` stands for all other situations.
TABLE: dict[str, dict[str, str]] = {
    "withdrawn": {
        "NoteCancel [pending>cancelled]": "queued",
        "cancel[pending]": "in flight | acknowledged",
        "NoteCancel [pending>cancelled] ForgetRetry": "waits",
        "NoteCancel": "unresolved",
        "NoteCancel [unresolved>cancelled] ForgetRetry": "unresolved, waits",
        "": "*",
        "cancel[open]": "open",
        "cancel[partially_filled]": "partially filled",
    },
    "stopped": {
        "[pending>cancelled]": "queued",
        "": "*",
        "[pending>cancelled] ForgetRetry": "waits",
        "[unresolved>cancelled] ForgetRetry": "unresolved, waits",
    },
    "create due": {
        "": "*",
        "AskGate": "waits | unresolved, waits",
        "ForgetRetry": "filled | filled, unsettled | cancelled | held to be cancelled | held to be rejected",
    },
    "cancel due": {
        "": "*",
        "SendCancel": "cancel waits",
        "ForgetRetry": "filled | filled, unsettled | cancelled | held to be cancelled | held to be rejected",
    },
    "gate admits": {
        "SendCreate": "queued | waits",
        "": "*",
        "[unresolved>pending] SendCreate": "unresolved, waits",
    },
    "gate refuses": {
        "[pending>rejected]": "queued | waits",
        "": "*",
        "AskExchange": "unresolved, waits",
    },
    "given up": {
        "": "*",
    },
    "key fails": {
        "TellOperator": "*",
        "[pending>rejected] ForgetRetry TellOperator": "waits",
        "[unresolved>rejected] ForgetRetry TellOperator": "unresolved, waits",
        "ForgetRetry [pending_cancel>open] TellOperator": "cancel waits",
    },
    "level broken": {
        "Reconcile": "*",
    },
    "halted": {
        "TellOperator": "*",
    },
}


@case_table("event", TABLE)
def test_what_our_own_side_leads_to(event: str) -> None:
    assert outcomes(event) == expected(TABLE[event])


def test_a_new_order_is_recorded_and_queued_by_its_distance() -> None:
    bench = LifeBench()
    order, proposal = bench.order, proposal_of(bench.order)
    effects = wishes.submitted(bench.book, life_events.Submitted(order, proposal), NOW_S)
    assert effects == [life_effects.NotePlace(order, proposal), life_effects.SendCreate(order, Decimal(0))]
    assert list(bench.book) == [order]


def test_what_is_being_sent_may_be_on_the_exchange() -> None:
    bench = LifeBench().reach("queued")
    order = bench.order
    assert wishes.sending(bench.book, life_events.Sending(order, 1234), NOW_S) == [
        Transition(order, OrderState.PENDING, OrderState.PENDING, is_sending=True)
    ]
    assert (order.on_wire, order.in_flight, order.attempt, order.sent_ms) == (True, True, 1, 1234)
    wishes.sending(bench.book, life_events.Sending(order, 5678), NOW_S)
    assert (order.attempt, order.sent_ms) == (2, 5678), "another try"


@case_table(
    ("situation", "wish", "after"),
    [
        ("queued", "dropped", OrderState.CANCELLED),
        ("waits", "dropped", OrderState.CANCELLED),
        ("unresolved", "waiting", OrderState.UNRESOLVED),
        ("in flight", "sent", OrderState.PENDING_CANCEL),
        ("open", "sent", OrderState.PENDING_CANCEL),
    ],
)
def test_a_withdrawal_is_recorded_once_as_what_it_was(situation: str, wish: str, after: OrderState) -> None:
    """Issue 11: one wish about an unresolved order was recorded as "sent" at every tick, 260 times in a second."""
    bench = LifeBench().reach(situation)
    order = bench.order
    event = life_events.Withdrawn(order.key, "outside_grid")
    notes = [effect for _ in range(9) for effect in bench.take(event) if isinstance(effect, life_effects.NoteCancel)]
    assert notes == [life_effects.NoteCancel(order, life_effects.Wish(wish), "outside_grid")]
    assert (order.state, order.withdrawn) == (after, "outside_grid")
    assert bench.book.limit_orders.long == [], "the engine has decided about it"


@pytest.mark.parametrize("situation", ["waits", "unresolved, waits"])
def test_a_withdrawn_order_that_waits_for_another_try_is_never_sent(situation: str) -> None:
    """Issue 11: place, "too many", cancel; the retry sent it after all."""
    bench = LifeBench().reach(situation)
    due = bench.due(is_cancel=False)
    bench.take(life_events.Withdrawn(bench.order.key, "outside_grid"))
    assert bench.order.state is OrderState.CANCELLED
    assert bench.order.create_tries == NO_TRIES
    assert bench.take(due) == [life_effects.ForgetRetry(bench.order.key)]
    assert bench.take(life_events.GateAnswered(bench.order, "")) == []


def test_a_withdrawal_begins_with_fresh_tries() -> None:
    bench = LifeBench().reach("open")
    bench.order.cancel_tries = Tries(3, 1.0, None)
    bench.take(life_events.Withdrawn(bench.order.key, "outside_grid"))
    assert bench.order.cancel_tries == NO_TRIES


def test_a_stop_drops_only_what_the_exchange_does_not_have() -> None:
    bench = LifeBench().reach("open")
    queued, waiting, over = (make_order(n, ticks=1000 + n) for n in (2, 3, 4))
    for order in (queued, waiting, over):
        order.on_wire = False
        bench.book.add(order)
    over.state, over.cum_exec_qty = OrderState.FILLED, Decimal(1)
    effects = bench.take(life_events.Stopped("stop"))
    assert effects == [Transition(o, OrderState.PENDING, OrderState.CANCELLED, "stop") for o in (queued, waiting)]
    assert (queued.withdrawn, bench.order.state) == ("stop", OrderState.OPEN)


def test_a_due_try_is_counted_and_asks_the_gate() -> None:
    bench = LifeBench().reach("waits")
    assert bench.take(bench.due(is_cancel=False)) == [life_effects.AskGate(bench.order)]
    assert bench.order.create_tries == Tries(1, NOW_S, None)
    bench.take(life_events.GateAnswered(bench.order, "paused"))
    assert bench.order.create_tries == NO_TRIES


def test_a_due_cancel_is_counted_and_sent() -> None:
    bench = LifeBench().reach("cancel waits")
    bench.order.cancelling = False
    assert bench.take(bench.due(is_cancel=True)) == [life_effects.SendCancel(bench.order)]
    assert (bench.order.cancel_tries, bench.order.cancelling) == (Tries(1, NOW_S, None), True)


def test_a_cancel_of_what_became_unresolved_meanwhile_is_not_sent() -> None:
    """The create was lost while the cancel waited: whether there is anything to cancel, the look-up will say."""
    bench = LifeBench().reach("sent, cancel sent")
    bench.order.cancel_tries = Tries(0, NOW_S, NOW_S)
    bench.book.lose_reply(bench.order.key, "lost")
    assert bench.take(bench.due(is_cancel=True)) == []
    assert bench.order.cancel_tries.made == 1


def test_an_order_that_the_book_does_not_know_is_nobodys_business() -> None:
    bench = LifeBench()
    assert bench.take(life_events.Withdrawn("unknown", "test")) == []
    item = RetryItem("unknown", is_cancel=False, tries=0, due_s=NOW_S, last_error="")
    assert bench.take(life_events.RetryDue(item)) == [life_effects.ForgetRetry("unknown")]


def test_a_refused_look_up_of_the_gate_leaves_the_order_to_be_looked_up() -> None:
    bench = LifeBench().reach("unresolved, waits")
    bench.take(life_events.GateAnswered(bench.order, "paused"))
    assert bench.order.on_wire, "a complete listing without it asks for it again"


def test_repeated_refusals_of_requests_lead_to_a_comparison() -> None:
    bench = LifeBench()
    order = bench.order
    assert bench.take(life_events.LevelBroken(order, answered=True)) == [
        life_effects.Reconcile("long Buy @ 100.0 was refused repeatedly")
    ]
    assert bench.take(life_events.LevelBroken(order, answered=False)) == []


def test_a_failing_key_ends_what_waits() -> None:
    """incident L42. What waited stayed pending for ever once the queue had been emptied."""
    bench = LifeBench().reach("waits")
    leaving, lost = LifeBench(make_order(2, ticks=1001), bench.book), LifeBench(make_order(3, ticks=1002), bench.book)
    leaving.reach("cancel waits")
    lost.reach("sent, cancel sent")
    lost.order.cancel_tries = Tries(0, NOW_S, NOW_S + 1)
    bench.book.lose_reply(lost.order.key, "lost")
    effects = bench.take(life_events.KeyFailing(BAD_KEY))
    assert effects == [
        Transition(bench.order, OrderState.PENDING, OrderState.REJECTED, "not retried: authentication fails"),
        life_effects.ForgetRetry(bench.order.key),
        life_effects.ForgetRetry(leaving.order.key),
        Transition(leaving.order, OrderState.PENDING_CANCEL, OrderState.OPEN, "cancel: authentication fails"),
        life_effects.TellOperator("error", "auth", key_pause(BAD_KEY)),
    ]
    assert lost.order.state is OrderState.UNRESOLVED, "its look-up decides"


def test_a_halt_is_told_with_its_symbol_and_strategy() -> None:
    bench = LifeBench()
    [alert] = bench.take(life_events.StrategyHalted(bench.order, REFUSED))
    text = f"{bench.order.strat_id} is halted: {REFUSED}; {remedy_for(REFUSED)}"
    assert alert == life_effects.TellOperator("error", "halt.BTCUSDT", text, "s1")


def test_executions_that_never_come_are_given_up() -> None:
    bench = LifeBench().reach("filled, unsettled")
    order = bench.order
    assert bench.take(life_events.GivenUp(order)) == []
    assert list(bench.book) == []
    assert bench.take(life_events.GivenUp(order)) == []
    assert bench.take(bench.heard(OrderStatus.FILLED, "0.010")) == []


def test_an_admitted_retry_goes_before_the_levels_that_were_just_decided() -> None:
    bench = LifeBench().reach("unresolved, waits")
    order = bench.order
    assert bench.take(life_events.GateAnswered(order, "")) == [
        Transition(order, OrderState.UNRESOLVED, OrderState.PENDING, "retry"),
        life_effects.SendCreate(order, Decimal(0)),
    ]


def test_a_refused_retry_says_why() -> None:
    bench = LifeBench().reach("waits")
    order = bench.order
    assert bench.take(life_events.GateAnswered(order, "paused")) == [
        Transition(order, OrderState.PENDING, OrderState.REJECTED, "not retried: paused")
    ]
    lost = LifeBench().reach("unresolved, waits")
    assert lost.take(life_events.GateAnswered(lost.order, "paused")) == [life_effects.AskExchange(lost.order)]
