"""Send queue: which request goes next."""

from __future__ import annotations

from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.exchange.bans import Ban
from gridbot.exchange.failures import ErrorKind
from gridbot.exchange.requests import RateLimit
from gridbot.execution import send_queue
from gridbot.execution.rate_budget import ORDERS_PER_S, PAUSE_S, WINDOW_S
from gridbot.execution.send_lane import RequestKind
from gridbot.execution.send_queue import (
    BATCH_MAX,
    Answered,
    CancelQueued,
    Closed,
    CreateQueued,
    Effect,
    Send,
    SendQueue,
    SlotBack,
    Time,
    Wait,
    creates_may_leave,
    step,
)
from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.orders.outcomes import result_of_place
from tests.case_table import case_table
from tests.execution.support import Owner, failure, order_of

OWNER = Owner([])
SLOTS = 4


def queued(queue: SendQueue, order: TrackedOrder, distance: int = 0) -> None:
    """Queue the request that the order's state asks for."""
    is_cancel = order.state is OrderState.PENDING_CANCEL
    event = CancelQueued(order, OWNER) if is_cancel else CreateQueued(order, OWNER, Decimal(distance))
    assert step(queue, event, 0.0) == []


def queue_of(*links: str, kind: RequestKind = RequestKind.PLACE, free: int = SLOTS) -> SendQueue:
    queue = SendQueue(free)
    for link in links:
        queued(queue, order_of(link, state=kind.wanted))
    return queue


def next_of(queue: SendQueue, now_s: float = 0.0) -> Effect | None:
    effects = step(queue, Time(), now_s)
    assert len(effects) <= 1
    return effects[0] if effects else None


def links_of(effect: Effect | None) -> list[str]:
    assert isinstance(effect, Send)
    return [order.link_id for order, _ in effect.entries]


def wait_of(effect: Effect | None) -> float:
    assert isinstance(effect, Wait)
    return effect.seconds


def waiting(queue: SendQueue) -> list[str]:
    return [order.link_id for lane in queue.lanes for order in lane.waiting]


def test_every_event_has_its_handler() -> None:
    assert send_queue._HANDLERS.keys() == set(get_args(send_queue.Event))


# ---------------------------------------------------------------------- what is chosen


def test_an_empty_queue_sends_nothing_and_waits_for_nothing() -> None:
    assert next_of(SendQueue(SLOTS)) is None


def test_one_order_takes_the_single_endpoint_and_several_the_batch() -> None:
    for kind, single, batch in (
        (RequestKind.PLACE, "order/create", "order/create-batch"),
        (RequestKind.CANCEL, "order/cancel", "order/cancel-batch"),
    ):
        effect = next_of(queue_of("a", kind=kind))
        assert isinstance(effect, Send)
        assert (effect.kind, effect.endpoint) == (kind, single)
        effect = next_of(queue_of("a", "b", kind=kind))
        assert isinstance(effect, Send)
        assert effect.endpoint == batch


def test_without_budget_it_says_how_long_to_wait_and_takes_nothing_out() -> None:
    queue = queue_of("a", "b")
    queue.budget.take("order/create-batch", ORDERS_PER_S, 0.0)
    assert wait_of(next_of(queue, 0.5)) == pytest.approx(WINDOW_S - 0.5, abs=1e-5)
    assert (waiting(queue), queue.free) == (["a", "b"], SLOTS)


def test_cancels_go_first_and_creates_while_those_wait() -> None:
    queue = SendQueue(SLOTS)
    queued(queue, order_of("p"))
    queued(queue, order_of("c", state=OrderState.PENDING_CANCEL))
    queue.budget.take("order/cancel", ORDERS_PER_S, 0.0)
    assert links_of(next_of(queue)) == ["p"]
    wait_s = wait_of(next_of(queue, 0.5))
    queued(queue, order_of("q"))
    assert links_of(next_of(queue, 0.5 + wait_s)) == ["c"]
    assert links_of(next_of(queue, 0.5 + wait_s)) == ["q"]


def test_of_two_lanes_that_wait_the_shorter_wait_counts() -> None:
    queue = queue_of("p")
    queued(queue, order_of("c", state=OrderState.PENDING_CANCEL))
    queue.budget.take("order/cancel", ORDERS_PER_S, 0.5)
    queue.budget.take("order/create", ORDERS_PER_S, 0.0)
    assert wait_of(next_of(queue, 1.0)) == pytest.approx(WINDOW_S - 1.0, abs=1e-5)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.sampled_from(OrderState)), max_size=30))
def test_orders_leave_closes_first_then_by_distance_then_by_age(wishes: list[tuple[bool, int, OrderState]]) -> None:
    """Of those that are still to be created when the first request leaves."""
    queue, now_s, left = SendQueue(99), 0.0, []
    orders = [order_of(str(number), reduce_only=close) for number, (close, _, _) in enumerate(wishes)]
    for order, (_, distance, _) in zip(orders, wishes, strict=True):
        queued(queue, order, distance)
    for order, (_, _, state) in zip(orders, wishes, strict=True):
        order.state = state
    while (effect := next_of(queue, now_s)) is not None:
        if isinstance(effect, Wait):
            now_s += effect.seconds
        else:
            assert isinstance(effect, Send)
            assert len(effect.entries) <= BATCH_MAX
            left += [int(link) for link in links_of(effect)]
    wanted = [number for number, (_, _, state) in enumerate(wishes) if state is OrderState.PENDING]
    assert left == sorted(wanted, key=lambda n: (not wishes[n][0], wishes[n][1], n))


@case_table("stale", range(7))
def test_what_is_left_after_one_is_dropped_still_leaves_the_nearest_first(stale: int) -> None:
    queue, orders = SendQueue(SLOTS), [order_of(link) for link in "abcdefg"]
    for order, distance in zip(orders, (0, 3, 1, 5, 4, 2, 6), strict=True):
        queued(queue, order, distance)
    orders[stale].state = OrderState.CANCELLED
    assert links_of(next_of(queue)) == [link for link in "acfbedg" if link != orders[stale].link_id]


# ---------------------------------------------------------------------- slots, answers, the end


def test_a_request_takes_a_slot_and_without_one_nothing_leaves_before_it_is_back() -> None:
    queue = queue_of("a", free=1)
    assert links_of(next_of(queue)) == ["a"]
    queued(queue, order_of("b"))
    assert (queue.free, next_of(queue)) == (0, None)
    assert step(queue, SlotBack(), 0.0) == []
    assert links_of(next_of(queue)) == ["b"]


@pytest.mark.parametrize(
    ("kind", "single_s", "batch_s"),
    [
        (ErrorKind.RATE_LIMIT, PAUSE_S, 0.0),
        (ErrorKind.IP_BAN, 600.0, 600.0),
        (ErrorKind.BALANCE, 0.0, 0.0),
    ],
)
def test_what_an_answer_says_of_our_speed_holds_requests_back(kind: ErrorKind, single_s: float, batch_s: float) -> None:
    queue = SendQueue(SLOTS)
    results = [result_of_place(failure(ErrorKind.PARAM)), result_of_place(failure(kind))]
    assert step(queue, Answered("order/create", None, results), 1.0) == []
    assert queue.budget.wait_s("order/create", 1.0) == single_s
    assert queue.budget.wait_s("order/create-batch", 1.0) == batch_s


def test_the_quota_that_an_answer_states_counts_from_then_on() -> None:
    queue = queue_of(*"abc")
    step(queue, Answered("order/create-batch", RateLimit(limit=2, remaining=0, reset_ms=0), []), 0.0)
    assert links_of(next_of(queue)) == ["a", "b"]


def test_when_closed_nothing_waits_and_slots_still_come_back() -> None:
    queue = queue_of("a", "b", free=1)
    next_of(queue)
    queued(queue, order_of("c", state=OrderState.PENDING_CANCEL))
    queued(queue, order_of("d"))
    assert step(queue, Closed(), 0.0) == []
    step(queue, SlotBack(), 0.0)
    assert (waiting(queue), queue.free, next_of(queue)) == ([], 1, None)


# ---------------------------------------------------------------------- orders that need no request any more


def test_stale_orders_are_forgotten_wherever_they_stand() -> None:
    queue, orders = SendQueue(SLOTS), [order_of(link) for link in "abcd"]
    for order in orders:
        queued(queue, order)
    orders[0].state = orders[2].state = OrderState.CANCELLED
    assert links_of(next_of(queue)) == ["b", "d"]
    assert waiting(queue) == []


def test_a_lane_of_stale_orders_is_empty() -> None:
    queue, order = SendQueue(SLOTS), order_of("a", state=OrderState.PENDING_CANCEL)
    queued(queue, order)
    order.state = OrderState.FILLED
    assert next_of(queue) is None
    assert (waiting(queue), queue.free) == ([], SLOTS)


def test_an_order_that_waits_already_waits_once() -> None:
    """A cancel that its order no longer needed, and was asked for again before its turn, left twice in one batch."""
    queue, order = SendQueue(SLOTS), order_of("a", state=OrderState.PENDING_CANCEL)
    queued(queue, order)
    order.state = OrderState.OPEN
    order.state = OrderState.PENDING_CANCEL
    queued(queue, order)
    assert links_of(next_of(queue)) == ["a"]
    queued(queue, order)
    assert links_of(next_of(queue)) == ["a"], "a new wish, after the first request"


def test_an_order_that_was_dropped_or_cleared_can_wait_again() -> None:
    queue, order = SendQueue(SLOTS), order_of("a")
    queued(queue, order)
    order.state = OrderState.UNRESOLVED
    assert next_of(queue) is None
    order.state = OrderState.PENDING
    queued(queue, order)
    step(queue, Closed(), 0.0)
    queued(queue, order)
    assert links_of(next_of(queue)) == ["a"]


def test_creates_may_leave_while_there_is_a_slot_and_their_endpoint_has_room() -> None:
    queue = queue_of(*(f"a{number}" for number in range(ORDERS_PER_S + 2)), free=3)
    assert creates_may_leave(queue, 0.0, by_http=True)
    assert isinstance(next_of(queue), Send)
    assert not creates_may_leave(queue, 0.0, by_http=True), "two wait, and batches have had their part"
    assert isinstance(next_of(queue), Wait)
    queue.creates.take(1)
    assert creates_may_leave(queue, 0.0, by_http=True), "a single one may"
    queue.budget.banned(Ban(100.0, failure(ErrorKind.IP_BAN)))
    assert [creates_may_leave(queue, 0.0, by_http=by_http) for by_http in (True, False)] == [False, True]
    queue.free = 0
    assert not creates_may_leave(queue, 0.0, by_http=False)
