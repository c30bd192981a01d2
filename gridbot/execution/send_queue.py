"""Which orders wait to be sent, and which request leaves next, as a step. Pure.

::

    CreateQueued, CancelQueued ──► its lane ──┐
                                              ├──Time──► Send, with a slot and a part of the budget; ask again
    SlotBack ─────────────────► slots free ───┤          Wait, nothing before so many seconds; ask again then
    Answered ─────────────────► budget ───────┘          nothing
    Closed ───────────────────► empty lanes

    event           what it changes                              effects, at most one
    CreateQueued    the order waits to be created                -
    CancelQueued    the order waits to be cancelled              -
    Answered        quota, pause (10006) and ban (403)           -
    SlotBack        one more request may leave                   -
    Closed          nothing waits any more                       -
    Time            what leaves is taken out, charged to the     see below
                    budget, and has a slot

    at Time, the first that is true                              effect
    every slot is taken                                          -, a slot comes back
    cancels wait and their budget has room                       Send cancels of one symbol: that of the oldest
    creates wait and their budget has room                       Send creates: closes, then opens; the nearest first
    something waits                                              Wait for the first budget that has room again
    nothing waits                                                -

There are two lanes, one of cancels and one of creates, the more urgent first (incident L39). Each has two endpoints
with a quota of their own: single requests, which are faster, and batches. So creates may go while cancels wait for
theirs. One request is chosen at a time, so that what happens while it leaves counts for the next.
`gridbot/execution/queue_invariants.py` says what holds of everything that was sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from gridbot.exchange.requests import RateLimit
from gridbot.execution.rate_budget import RateBudget
from gridbot.execution.send_lane import Entry, Lane, OrderOwner, RequestKind
from gridbot.orders.order import TrackedOrder
from gridbot.orders.outcomes import OrderResult

__all__ = [
    "BATCH_MAX",
    "Answered",
    "CancelQueued",
    "Closed",
    "CreateQueued",
    "Effect",
    "Event",
    "Send",
    "SendQueue",
    "SlotBack",
    "Time",
    "Wait",
    "step",
]

BATCH_MAX = 10
"""Orders in one batch request."""


class SendQueue:
    """The state: what waits, how many more requests may be under way (`free`), and the budget.

    Changed by `step` alone, in place; others read it.
    """

    def __init__(self, free: int) -> None:
        self.free = free
        self.cancels = Lane(RequestKind.CANCEL)
        self.creates = Lane(RequestKind.PLACE)
        self.lanes = (self.cancels, self.creates)
        """The more urgent lane first."""
        self.budget = RateBudget(endpoint for kind in RequestKind for endpoint in kind.endpoints)


# ---------------------------------------------------------------------- events


class CreateQueued(NamedTuple):
    """The order is to be created; of several opens, or closes, the smaller `distance` goes first."""

    order: TrackedOrder
    owner: OrderOwner
    distance: Decimal


class CancelQueued(NamedTuple):
    """The order is to be cancelled."""

    order: TrackedOrder
    owner: OrderOwner


class Answered(NamedTuple):
    """A request to `endpoint` was answered, with one result per order. `quota` is the one that the answer states."""

    endpoint: str
    quota: RateLimit | None
    results: list[OrderResult]


@dataclass(frozen=True, slots=True)
class SlotBack:
    """A request is over, whatever became of it."""


@dataclass(frozen=True, slots=True)
class Closed:
    """Drop what waits."""


@dataclass(frozen=True, slots=True)
class Time:
    """It is now: what may leave?"""


Event = CreateQueued | CancelQueued | Answered | SlotBack | Closed | Time


# ---------------------------------------------------------------------- effects


class Send(NamedTuple):
    """Send these orders in one request to `endpoint`, then ask again. It has a slot, which `SlotBack` gives back."""

    kind: RequestKind
    endpoint: str
    entries: list[Entry]


class Wait(NamedTuple):
    """Ask again in so many seconds: the budget allows nothing before."""

    seconds: float


Effect = Send | Wait


# ---------------------------------------------------------------------- the step


def step(queue: SendQueue, event: Event, now_s: float) -> list[Effect]:
    """Apply an event and return what has to be done. `now_s` is in seconds on the monotonic clock.

    The queue is the state; it is changed in place, here and nowhere else (a copy would cost more than the decision).
    """
    return _HANDLERS[type(event)](queue, event, now_s)


def _create_queued(queue: SendQueue, event: CreateQueued, now_s: float) -> list[Effect]:
    queue.creates.push(event.order, event.owner, rank=0 if event.order.reduce_only else 1, distance=event.distance)
    return []


def _cancel_queued(queue: SendQueue, event: CancelQueued, now_s: float) -> list[Effect]:
    queue.cancels.push(event.order, event.owner)
    return []


def _answered(queue: SendQueue, event: Answered, now_s: float) -> list[Effect]:
    queue.budget.learn(event.endpoint, event.quota)
    for result in event.results:
        if result.error is not None:
            queue.budget.failed(event.endpoint, result.error, now_s)
    return []


def _slot_back(queue: SendQueue, event: SlotBack, now_s: float) -> list[Effect]:
    queue.free += 1
    return []


def _closed(queue: SendQueue, event: Closed, now_s: float) -> list[Effect]:
    for lane in queue.lanes:
        lane.clear()
    return []


def _time(queue: SendQueue, event: Time, now_s: float) -> list[Effect]:
    if queue.free <= 0:
        return []
    wait: Wait | None = None
    for lane in queue.lanes:
        effect = _next_of(lane, queue.budget, now_s) if lane.heap else None
        if isinstance(effect, Send):
            queue.free -= 1
            return [effect]
        if effect is not None:
            wait = effect if wait is None else min(wait, effect)
    return [] if wait is None else [wait]


def _next_of(lane: Lane, budget: RateBudget, now_s: float) -> Effect | None:
    lane.drop_stale()
    if not lane.heap:
        return None
    waiting = lane.together()
    endpoint = lane.kind.batch if waiting > 1 else lane.kind.single
    granted = budget.take(endpoint, min(BATCH_MAX, waiting), now_s)
    if granted == 0:
        return Wait(budget.wait_s(endpoint, now_s))
    return Send(lane.kind, endpoint, lane.take(granted))


# `Any`: each handler takes the event that it is listed under.
_HANDLERS: dict[type[Event], Callable[[SendQueue, Any, float], list[Effect]]] = {
    CreateQueued: _create_queued,
    CancelQueued: _cancel_queued,
    Answered: _answered,
    SlotBack: _slot_back,
    Closed: _closed,
    Time: _time,
}
