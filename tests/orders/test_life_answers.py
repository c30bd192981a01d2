"""What the answers to requests lead to: accepted, lost, refused, busy, denied."""

from __future__ import annotations

import pytest

from gridbot.exchange.failures import ErrorKind, make_error
from gridbot.orders import life_effects, life_events
from gridbot.orders.life_answers import try_again
from gridbot.orders.order import OrderState, Transition
from gridbot.orders.outcomes import OrderResult
from gridbot.orders.retry import MAX_TRIES, NO_TRIES, RetryItem, Tries
from tests.case_table import case_table
from tests.orders.life_bench import (
    BAD_KEY,
    BUSY,
    LOST,
    NO_SUCH_ORDER,
    NOW_S,
    REFUSED,
    SENT_MS,
    LifeBench,
    expected,
    outcomes,
)

# Event -> effects -> situations. A transition is `[before>after]`; `*` stands for all other situations.
TABLE: dict[str, dict[str, str]] = {
    "create: accepted": {
        "CountAuthSuccess": "*",
        "CountAuthSuccess AskExchange": (
            "unresolved | unresolved, waits | unresolved, withdrawn | cancel lost | sent, cancel lost"
        ),
    },
    "create: busy": {
        "Log RetryAt": "queued | in flight | acknowledged | waits | unresolved | unresolved, waits",
        "Log [unresolved>cancelled]": "unresolved, withdrawn | sent, cancel lost",
        "Log": "*",
        "Log AskExchange": "cancel lost",
        "Log [pending_cancel>cancelled]": "sent, cancel sent",
    },
    "create: lost": {
        "Log [pending>unresolved] AskExchange": "queued | in flight | acknowledged | waits",
        "Log AskExchange": "unresolved | unresolved, waits | unresolved, withdrawn | cancel lost | sent, cancel lost",
        "Log": "*",
        "Log [pending_cancel>unresolved] AskExchange": "sent, cancel sent",
    },
    "create: refused": {
        "Log [pending>rejected] CountRefusal": "queued | in flight | acknowledged",
        "Log [pending>rejected] ForgetRetry CountRefusal": "waits",
        "Log [unresolved>rejected] CountRefusal": "unresolved",
        "Log [unresolved>rejected] ForgetRetry CountRefusal": "unresolved, waits",
        "Log [unresolved>cancelled] CountRefusal": "unresolved, withdrawn | sent, cancel lost",
        "Log CountRefusal": "*",
        "Log AskExchange CountRefusal": "cancel lost",
        "Log [pending_cancel>cancelled] CountRefusal": "sent, cancel sent",
    },
    "create: denied": {
        "[pending>rejected]": "queued | in flight | acknowledged",
        "[pending>rejected] ForgetRetry": "waits",
        "[unresolved>rejected]": "unresolved",
        "[unresolved>rejected] ForgetRetry": "unresolved, waits",
        "[unresolved>cancelled]": "unresolved, withdrawn | sent, cancel lost",
        "": "*",
        "[pending_cancel>cancelled]": "sent, cancel sent",
    },
    "cancel: accepted": {
        "CountAuthSuccess": "*",
    },
    "cancel: busy": {
        "": "*",
        "RetryAt": "cancel sent | cancel waits | cancel answered | sent, cancel sent",
    },
    "cancel: no such order": {
        "[pending>unresolved] AskExchange": "queued | in flight | acknowledged | waits",
        "AskExchange": "*",
        "[open>unresolved] AskExchange": "open",
        "[partially_filled>unresolved] AskExchange": "partially filled",
        "[pending_cancel>unresolved] AskExchange": "cancel sent | cancel waits | cancel answered | sent, cancel sent",
        "": "filled | filled, unsettled | cancelled | held to be cancelled | held to be rejected",
    },
    "cancel: bad key": {
        "CountAuthFailure": "*",
        "[pending_cancel>open] CountAuthFailure": "cancel sent | cancel answered",
        "[pending_cancel>unresolved] AskExchange CountAuthFailure": "sent, cancel sent",
        "ForgetRetry [pending_cancel>open] CountAuthFailure": "cancel waits",
    },
    "cancel: denied": {
        "": "*",
        "[pending_cancel>open]": "cancel sent | cancel answered",
        "[pending_cancel>unresolved] AskExchange": "sent, cancel sent",
        "ForgetRetry [pending_cancel>open]": "cancel waits",
    },
}


@case_table("event", TABLE)
def test_what_an_answer_leads_to(event: str) -> None:
    assert outcomes(event) == expected(TABLE[event])


def test_an_acknowledgement_names_the_order_and_proves_nothing() -> None:
    bench = LifeBench().reach("in flight")
    order = bench.order
    order.create_tries = Tries(1, 0.0, None)
    assert bench.take(bench.placed(bench.ack)) == [life_effects.CountAuthSuccess()]
    assert (order.state, order.in_flight, order.create_tries) == (OrderState.PENDING, False, NO_TRIES)
    assert bench.book.get(bench.ack.order_id) is order


def test_a_refused_create_is_over_and_says_why() -> None:
    bench = LifeBench().reach("in flight")
    order = bench.order
    said = f"[order] long Buy 0.010 @ 100.0 was not confirmed: {REFUSED} (reject)"
    assert bench.take(bench.placed(REFUSED)) == [
        life_effects.Log("warning", said),
        Transition(order, OrderState.PENDING, OrderState.REJECTED, str(REFUSED), 0, 10001),
        life_effects.CountRefusal(order, order.ticks, answered=True),
    ]
    assert not order.on_wire


def test_a_lost_create_is_looked_up() -> None:
    bench = LifeBench().reach("in flight")
    _, lost, ask = bench.take(bench.placed(LOST))
    assert lost == Transition(bench.order, OrderState.PENDING, OrderState.UNRESOLVED, str(LOST))
    assert ask == life_effects.AskExchange(bench.order)
    assert bench.order.on_wire, "the exchange may have it"


def test_an_order_whose_sending_broke_before_it_was_noted_counts_as_on_the_exchange() -> None:
    """A wish to withdraw it would end it without a request otherwise."""
    bench = LifeBench().reach("queued")
    bench.take(bench.placed(LOST))
    assert (bench.order.state, bench.order.on_wire) == (OrderState.UNRESOLVED, True)
    [note] = bench.take(life_events.Withdrawn(bench.order.key, "outside_grid"))
    assert note == life_effects.NoteCancel(bench.order, life_effects.Wish.WAITING, "outside_grid")


def test_a_busy_exchange_is_tried_again_1_2_and_4_seconds_later() -> None:
    """Under the same link id, until the tries are used up."""
    bench = LifeBench().reach("in flight")
    order = bench.order
    for made, wait_s in enumerate((1.0, 2.0, 4.0)):
        _, waits = bench.take(bench.placed(BUSY))
        due_s = bench.now_s + wait_s
        assert waits == life_effects.RetryAt(RetryItem(order.key, False, made, due_s, str(BUSY)))
        assert (order.create_tries.due_s, order.on_wire) == (due_s, False)
        bench.now_s = due_s
        assert bench.take(bench.due(is_cancel=False)) == [life_effects.AskGate(order)]
        [send] = bench.take(life_events.GateAnswered(order, ""))
        assert isinstance(send, life_effects.SendCreate)
        bench.take(life_events.Sending(order, SENT_MS))
    _, given_up = bench.take(bench.placed(BUSY))
    assert given_up == Transition(order, OrderState.PENDING, OrderState.REJECTED, str(BUSY))


def test_the_count_of_tries_is_the_orders_own() -> None:
    bench = LifeBench().reach("in flight")
    order = bench.order
    order.create_tries = Tries(MAX_TRIES, 0.0, None)
    assert try_again(order, "busy", NOW_S) == []
    assert order.create_tries == NO_TRIES


@pytest.mark.parametrize("answer", [BUSY, REFUSED])
def test_an_order_that_was_withdrawn_while_its_create_was_under_way_is_not_sent_again(answer: object) -> None:
    bench = LifeBench().reach("sent, cancel sent")
    order = bench.order
    bench.take(bench.placed(answer))  # type: ignore[arg-type]
    assert (order.state, order.create_tries) == (OrderState.CANCELLED, NO_TRIES)
    assert bench.take(bench.cancelled(NO_SUCH_ORDER)) == []


def test_the_end_of_a_withdrawn_order_tells_both_reasons() -> None:
    bench = LifeBench().reach("sent, cancel sent")
    _, over = bench.take(bench.placed(BUSY))
    assert isinstance(over, Transition)
    assert over.reason == f"outside_grid; it was not created: {BUSY}"


def test_what_the_exchange_has_said_of_the_order_outweighs_an_answer() -> None:
    """The stream was faster, or an earlier try had arrived after all: the order rests, whatever this answer says."""
    for answer in (BUSY, LOST, REFUSED):
        bench = LifeBench().reach("open")
        bench.take(bench.placed(answer))
        assert bench.order.state is OrderState.OPEN
        assert bench.order.on_wire


@case_table(
    ("error", "effects"),
    [
        (make_error("zero", ErrorKind.RESYNC, ret_code=110017), "CountRefusal DoubtLeg ReadPositions"),
        (make_error("differs", ErrorKind.RESYNC, ret_code=110025), "CountRefusal ReadPositions"),
        (make_error("no balance", ErrorKind.BALANCE), "CountRefusal ReadWallet"),
        (BAD_KEY, "CountAuthFailure"),
        (make_error("restricted", ErrorKind.HALT), "HaltStrategy"),
        (make_error("not live", ErrorKind.SYMBOL, ret_code=110074), "RestrictSymbol"),
    ],
)
def test_what_else_a_refused_create_means(error: object, effects: str) -> None:
    bench = LifeBench().reach("in flight")
    done = bench.take(bench.placed(error))[2:]  # type: ignore[arg-type]
    assert " ".join(type(effect).__name__ for effect in done) == effects
    for effect in done:
        if isinstance(effect, life_effects.HaltStrategy | life_effects.CountAuthFailure):
            assert effect.error is error
        if isinstance(effect, life_effects.ReadPositions):
            assert effect.symbol == "BTCUSDT"


def test_a_busy_exchange_is_asked_again_to_cancel_until_the_tries_are_used_up() -> None:
    bench = LifeBench().reach("cancel sent")
    order = bench.order
    for made, wait_s in enumerate((1.0, 2.0, 4.0)):
        [waits] = bench.take(bench.cancelled(BUSY))
        assert waits == life_effects.RetryAt(RetryItem(order.key, True, made, bench.now_s + wait_s, str(BUSY)))
        assert not order.cancelling
        bench.now_s += wait_s
        assert bench.take(bench.due(is_cancel=True)) == [life_effects.SendCancel(order)]
    [back] = bench.take(bench.cancelled(BUSY))
    assert back == Transition(order, OrderState.PENDING_CANCEL, OrderState.OPEN, f"cancel: {BUSY}")
    assert (order.withdrawn, order.cancel_tries) == ("", NO_TRIES), "whoever wants may ask again"


def test_an_acknowledged_create_does_not_forget_that_its_cancel_waits() -> None:
    """Both were one entry to the queue: the acknowledgement dropped the cancel, and the order stayed for ever."""
    bench = LifeBench().reach("sent, cancel sent")
    bench.take(bench.cancelled(BUSY))
    effects = bench.take(bench.placed(bench.ack))
    assert effects == [life_effects.CountAuthSuccess()]
    assert bench.take(bench.due(is_cancel=True)) == [life_effects.SendCancel(bench.order)]


def test_a_cancel_of_an_unknown_order_is_looked_up_and_the_order_stays_withdrawn() -> None:
    bench = LifeBench().reach("cancel sent")
    order = bench.order
    lost, ask = bench.take(bench.cancelled(NO_SUCH_ORDER))
    text = f"cancel: {NO_SUCH_ORDER}"
    assert lost == Transition(order, OrderState.PENDING_CANCEL, OrderState.UNRESOLVED, text, 0, 110001)
    assert (ask, order.withdrawn) == (life_effects.AskExchange(order), "outside_grid")


@pytest.mark.parametrize(("situation", "after"), [("open", OrderState.OPEN), ("partially filled", "partially_filled")])
def test_a_cancel_that_is_refused_for_good_gives_the_order_back(situation: str, after: str) -> None:
    bench = LifeBench().reach(situation)
    order = bench.order
    bench.take(life_events.Withdrawn(order.key, "outside_grid"))
    back, counted = bench.take(bench.cancelled(BAD_KEY))
    text = f"cancel: {BAD_KEY}"
    assert back == Transition(order, OrderState.PENDING_CANCEL, OrderState(after), text, 0, 10003)
    assert counted == life_effects.CountAuthFailure(BAD_KEY)
    assert [shown.key for shown in bench.book.limit_orders.long] == [order.key]


def test_a_denied_cancel_says_so() -> None:
    bench = LifeBench().reach("cancel sent")
    [back] = bench.take(life_events.CancelAnswered(bench.order, OrderResult.denied("not now")))
    assert isinstance(back, Transition)
    assert back.reason == "cancel: not now"


def test_orders_that_wait_for_the_rate_limit_say_the_same() -> None:
    lines = []
    for kind in (ErrorKind.RATE_LIMIT, ErrorKind.RETRY):
        bench = LifeBench().reach("in flight")
        error = make_error("Too many visits!", kind)
        [line] = [each for each in bench.take(bench.placed(error)) if isinstance(each, life_effects.Log)]
        assert line.text.endswith(f"{error} (retry)")
        lines.append(line)
    assert [line.kind for line in lines] == [str(make_error("Too many visits!", ErrorKind.RATE_LIMIT)), ""]
    bench = LifeBench().reach("in flight")
    [line] = [each for each in bench.take(bench.placed(REFUSED)) if isinstance(each, life_effects.Log)]
    assert line.kind == "", "a refusal is told of each order"
