"""Which orders wait to be sent, and which request leaves next, as a step. Pure.

::

    CreateQueued, CancelQueued ──► its lane ──┐
                                              ├──Time──► Send, with a slot and a part of the budget; ask again
    SlotBack ─────────────────► slots free ───┤          Wait, nothing before so many seconds; ask again then
    Answered, Banned ─────────► budget ───────┤          NoRoom, until other accounts leave room
                                              └          nothing
    Closed ───────────────────► empty lanes

    event           what it changes                              effects, at most one
    CreateQueued    the order waits to be created                -
    CancelQueued    the order waits to be cancelled              -
    Answered        quota, pause (10006) and ban (403)           -
    Banned          the ban that another account was told of     -
    SlotBack        one more request may leave                   -
    Closed          nothing waits any more                       -
    Time            what leaves is taken out, charged to the     see below
                    budget, and has a slot

    at Time, the first that is true                              effect
    every slot is taken                                          -, a slot comes back
    cancels wait and their budget has room                       Send cancels of one symbol: that of the oldest
    creates wait and their budget has room                       Send creates: closes, then opens; the nearest first
    one of these may not leave, for the address is shared        NoRoom, with what waits for it
    something waits                                              Wait for the first budget that has room again
    nothing waits                                                -

During a ban of our address nothing leaves by HTTP. Over the trade socket all goes on, as that does not count; but while
we may have missed news of the account, which only HTTP can make good, nothing that opens leaves.

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

from gridbot.budget.request_permits import Purpose
from gridbot.exchange.bans import Ban
from gridbot.exchange.requests import RateLimit
from gridbot.execution.rate_budget import RateBudget
from gridbot.execution.send_lane import Entry, Lane, OrderOwner, RequestKind
from gridbot.orders.order import TrackedOrder
from gridbot.orders.outcomes import OrderResult

__all__ = [
    "BATCH_MAX",
    "Answered",
    "Banned",
    "CancelQueued",
    "Closed",
    "CreateQueued",
    "Effect",
    "Event",
    "NoRoom",
    "Send",
    "SendQueue",
    "SlotBack",
    "Time",
    "Wait",
    "creates_may_leave",
    "step",
]

BATCH_MAX = 10
"""Orders in one batch request."""
_LEAST = Purpose.OPEN
"""No request for an order is less urgent."""


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

    @property
    def waits(self) -> bool:
        """Whether anything waits to be sent."""
        return bool(self.creates.heap or self.cancels.heap)


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
class Banned:
    """Another account was told that our address is banned."""

    ban: Ban


@dataclass(frozen=True, slots=True)
class SlotBack:
    """A request is over, whatever became of it."""


@dataclass(frozen=True, slots=True)
class Closed:
    """Drop what waits."""


@dataclass(frozen=True, slots=True)
class Time:
    """It is now: what may leave, by the way that is open?

    For what is less urgent than `least` the address has no room (by HTTP). `sees_all`: no news of the account can have
    been missed.
    """

    least: Purpose | None = Purpose.OPEN
    by_http: bool = True
    sees_all: bool = True


Event = CreateQueued | CancelQueued | Answered | Banned | SlotBack | Closed | Time


# ---------------------------------------------------------------------- effects


class Send(NamedTuple):
    """Send these orders in one request to `endpoint`, then ask again. It has a slot, which `SlotBack` gives back."""

    kind: RequestKind
    endpoint: str
    entries: list[Entry]


class Wait(NamedTuple):
    """Ask again in so many seconds: the budget allows nothing before."""

    seconds: float


class NoRoom(NamedTuple):
    """The budget of the account has room, that of the address has none: so many requests wait for it, by purpose.

    `seconds` is when to ask again in any case (`Wait`).
    """

    waiting: dict[Purpose, int]
    seconds: float | None


Effect = Send | Wait | NoRoom


# ---------------------------------------------------------------------- the step


def step(queue: SendQueue, event: Event, now_s: float) -> list[Effect]:
    """Apply an event and return what has to be done. `now_s` is in seconds on the monotonic clock.

    The queue is the state; it is changed in place, here and nowhere else (a copy would cost more than the decision).
    """
    return _HANDLERS[type(event)](queue, event, now_s)


def creates_may_leave(queue: SendQueue, now_s: float, *, by_http: bool) -> bool:
    """Whether slots and budget of the account have room for the next creates; nothing is changed."""
    endpoint = _endpoint(queue.creates.kind, len(queue.creates))
    return queue.free > 0 and queue.budget.wait_s(endpoint, now_s, by_http=by_http) <= 0


def _endpoint(kind: RequestKind, waiting: int) -> str:
    """Which one takes so many orders that may leave together."""
    return kind.batch if waiting > 1 else kind.single


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


def _banned(queue: SendQueue, event: Banned, now_s: float) -> list[Effect]:
    queue.budget.banned(event.ban)
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
    no_room: dict[Purpose, int] = {}
    for lane in queue.lanes:
        effect = _next_of(lane, queue.budget, event, now_s) if lane.heap else None
        if isinstance(effect, Send):
            queue.free -= 1
            return [effect]
        if isinstance(effect, Purpose):
            no_room[effect] = min(queue.free, -(-lane.together() // BATCH_MAX))
        elif effect is not None:
            wait = effect if wait is None else min(wait, effect)
    if no_room:
        return [NoRoom(no_room, None if wait is None else wait.seconds)]
    return [] if wait is None else [wait]


def _next_of(lane: Lane, budget: RateBudget, time: Time, now_s: float) -> Send | Wait | Purpose | None:
    """A purpose: that of its next request, which may not leave though the account's budget has room."""
    heap, kind = lane.heap, lane.kind
    least, by_http, sees_all = time.least, time.by_http, time.sees_all
    if len(heap) == 1 and heap[0][3].state is kind.wanted:
        waiting = 1  # the usual case
    else:
        lane.drop_stale()
        if not lane.heap:
            return None
        waiting = lane.together()
    if not (by_http or sees_all) and (banned_s := budget.ban_left_s(now_s)) > 0:
        waiting = lane.together_without_opens()
        if not waiting:
            return Wait(banned_s)
    endpoint = kind.batch if waiting > 1 else kind.single
    if by_http and least is not _LEAST and (least is None or lane.purpose > least):
        wait_s = budget.wait_s(endpoint, now_s, by_http=by_http)
        return Wait(wait_s) if wait_s > 0 else lane.purpose
    count = budget.take(endpoint, min(BATCH_MAX, waiting), now_s, by_http=by_http)
    return Send(kind, endpoint, lane.take(count)) if count else Wait(budget.wait_s(endpoint, now_s, by_http=by_http))


# `Any`: each handler takes the event that it is listed under.
_HANDLERS: dict[type[Event], Callable[[SendQueue, Any, float], list[Effect]]] = {
    CreateQueued: _create_queued,
    CancelQueued: _cancel_queued,
    Answered: _answered,
    Banned: _banned,
    SlotBack: _slot_back,
    Closed: _closed,
    Time: _time,
}
