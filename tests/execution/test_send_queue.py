"""Send queue: which request goes next."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from gridbot.execution.rate_budget import ORDERS_PER_S, WINDOW_S, RateBudget
from gridbot.execution.send_queue import BATCH_MAX, Lane, RequestKind, Send, Wait, next_step
from gridbot.orders.order import OrderState
from tests.execution.support import Owner, order_of

OWNER = Owner([])


def lane_of(*links: str, kind: RequestKind = RequestKind.PLACE) -> Lane:
    lane = Lane(kind)
    for link in links:
        lane.push(order_of(link, state=kind.wanted), OWNER)
    return lane


def budget() -> RateBudget:
    return RateBudget(endpoint for kind in RequestKind for endpoint in kind.endpoints)


def step_of(lane: Lane, spent: RateBudget, now_s: float) -> Send | Wait | None:
    return next_step([lane], spent, now_s, free=1)


def links_of(step: Send | Wait | None) -> list[str]:
    assert isinstance(step, Send)
    return [order.link_id for order, _ in step.entries]


def test_an_empty_lane_has_no_next_step() -> None:
    assert step_of(lane_of(), budget(), 0.0) is None


def test_one_order_takes_the_single_endpoint_and_several_the_batch() -> None:
    for kind, single, batch in (
        (RequestKind.PLACE, "order/create", "order/create-batch"),
        (RequestKind.CANCEL, "order/cancel", "order/cancel-batch"),
    ):
        step = step_of(lane_of("a", kind=kind), budget(), 0.0)
        assert isinstance(step, Send)
        assert (step.kind, step.endpoint) == (kind, single)
        step = step_of(lane_of("a", "b", kind=kind), budget(), 0.0)
        assert isinstance(step, Send)
        assert step.endpoint == batch


def test_without_budget_it_says_how_long_to_wait_and_takes_nothing_out() -> None:
    lane, spent = lane_of("a", "b"), budget()
    spent.take("order/create-batch", ORDERS_PER_S, 0.0)
    step = step_of(lane, spent, 0.5)
    assert isinstance(step, Wait)
    assert abs(step.seconds - (WINDOW_S - 0.5)) < 1e-5
    assert len(lane) == 2


def test_stale_orders_are_forgotten_wherever_they_stand() -> None:
    lane = Lane(RequestKind.PLACE)
    orders = [order_of(link) for link in "abcd"]
    for order in orders:
        lane.push(order, OWNER)
    orders[0].state = orders[2].state = OrderState.CANCELLED
    assert links_of(step_of(lane, budget(), 0.0)) == ["b", "d"]
    assert len(lane) == 0


def test_a_lane_of_stale_orders_is_empty() -> None:
    lane = Lane(RequestKind.CANCEL)
    lane.push(order_of("a", state=OrderState.FILLED), OWNER)
    assert step_of(lane, budget(), 0.0) is None
    assert len(lane) == 0


def test_clear_forgets_all() -> None:
    lane = lane_of("a", "b")
    lane.clear()
    assert len(lane) == 0


def test_an_order_that_waits_already_waits_once() -> None:
    """A cancel that its order no longer needed, and was asked for again before its turn, left twice in one batch."""
    lane, order = Lane(RequestKind.CANCEL), order_of("a", state=OrderState.PENDING_CANCEL)
    lane.push(order, OWNER)
    order.state = OrderState.OPEN
    order.state = OrderState.PENDING_CANCEL
    lane.push(order, OWNER)
    assert links_of(step_of(lane, budget(), 0.0)) == ["a"]
    lane.push(order, OWNER)
    assert links_of(step_of(lane, budget(), 0.0)) == ["a"], "a new wish, after the first request"


def test_an_order_that_was_dropped_or_cleared_can_wait_again() -> None:
    lane, order, spent = Lane(RequestKind.PLACE), order_of("a"), budget()
    lane.push(order, OWNER)
    order.state = OrderState.UNRESOLVED
    assert step_of(lane, spent, 0.0) is None
    order.state = OrderState.PENDING
    lane.push(order, OWNER)
    lane.clear()
    lane.push(order, OWNER)
    assert links_of(step_of(lane, spent, 0.0)) == ["a"]


def test_without_a_free_slot_nothing_is_next() -> None:
    assert next_step([lane_of("a")], budget(), 0.0, free=0) is None


def test_the_more_urgent_lane_goes_first_and_the_other_while_it_waits() -> None:
    cancels, creates, spent = lane_of("c", kind=RequestKind.CANCEL), lane_of("p"), budget()
    lanes = [cancels, creates]
    spent.take("order/cancel", ORDERS_PER_S, 0.0)
    assert links_of(next_step(lanes, spent, 0.0, free=2)) == ["p"]
    step = next_step(lanes, spent, 0.5, free=1)
    assert isinstance(step, Wait)
    assert links_of(next_step(lanes, spent, 0.5 + step.seconds, free=1)) == ["c"]


def test_of_two_lanes_that_wait_the_shorter_wait_counts() -> None:
    spent = budget()
    spent.take("order/cancel", ORDERS_PER_S, 0.5)
    spent.take("order/create", ORDERS_PER_S, 0.0)
    step = next_step([lane_of("c", kind=RequestKind.CANCEL), lane_of("p")], spent, 1.0, free=1)
    assert isinstance(step, Wait)
    assert abs(step.seconds - (WINDOW_S - 1.0)) < 1e-5


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3)), max_size=30))
def test_orders_leave_by_rank_then_distance_then_age(wishes: list[tuple[int, int]]) -> None:
    lane, now_s, left = Lane(RequestKind.PLACE), 0.0, []
    for number, (rank, distance) in enumerate(wishes):
        lane.push(order_of(str(number)), OWNER, rank=rank, distance=Decimal(distance))
    spent = budget()
    while (step := step_of(lane, spent, now_s)) is not None:
        if isinstance(step, Wait):
            now_s += step.seconds
        else:
            assert len(step.entries) <= BATCH_MAX
            left += [int(order.link_id) for order, _ in step.entries]
    assert left == sorted(range(len(wishes)), key=lambda number: (*wishes[number], number))
