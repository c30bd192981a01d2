"""Which orders wait to be sent, and which request is next. Pure, apart from the queues themselves.

::

    next_step(lanes, budget, now_s, free) ──► Send   this request, now; ask again
                                          ──► Wait   nothing before so many seconds; ask again then
                                          ──► None   nothing waits, or the next answer asks again

    every slot is taken                        None
    cancels wait and their budget has room     Send cancels of one symbol: that of the oldest
    creates wait and their budget has room     Send creates: closes, then opens; the nearest first
    something waits                            Wait for the first budget that has room again
    nothing waits                              None

There are two lanes, one of cancels and one of creates, the more urgent first (incident L39). Each has two endpoints
with a quota of their own: single requests, which are faster, and batches. So creates may go while cancels wait for
theirs. An order waits once, however often it is queued, and one that no longer needs its request is dropped.
`gridbot/execution/queue_invariants.py` says what holds of everything that was sent.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from decimal import Decimal
from enum import Enum
from typing import NamedTuple, Protocol

from gridbot.execution.rate_budget import RateBudget
from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.orders.outcomes import OrderResult

__all__ = ["BATCH_MAX", "Entry", "Lane", "OrderOwner", "RequestKind", "Send", "Wait", "next_step"]

BATCH_MAX = 10
"""Orders in one batch request."""

ZERO = Decimal(0)


class OrderOwner(Protocol):
    """Where an order belongs (its strategy's order manager)."""

    def sending(self, order: TrackedOrder) -> None:
        """The create request of the order is about to leave; what this records is journalled before it does."""

    def placed(self, order: TrackedOrder, result: OrderResult) -> None:
        """The create request was answered."""

    def cancelled(self, order: TrackedOrder, result: OrderResult) -> None:
        """The cancel request was answered."""


Entry = tuple[TrackedOrder, OrderOwner]


class RequestKind(Enum):
    """Create or cancel, with the endpoints for one order and for several, and the state of an order that needs it."""

    PLACE = ("order/create", "order/create-batch", OrderState.PENDING)
    CANCEL = ("order/cancel", "order/cancel-batch", OrderState.PENDING_CANCEL)

    def __init__(self, single: str, batch: str, wanted: OrderState) -> None:
        self.single = single
        self.batch = batch
        self.wanted = wanted

    @property
    def endpoints(self) -> tuple[str, str]:
        """Both endpoints."""
        return self.single, self.batch


class Send(NamedTuple):
    """Send these orders in one request to `endpoint`; the budget has been charged for them."""

    kind: RequestKind
    endpoint: str
    entries: list[Entry]


class Wait(NamedTuple):
    """The budget allows nothing before so many seconds."""

    seconds: float


class Lane:
    """Orders that wait for requests of one kind, the most urgent first."""

    def __init__(self, kind: RequestKind) -> None:
        self.kind = kind
        self.heap: list[tuple[int, Decimal, int, TrackedOrder, OrderOwner]] = []
        self._keys: set[str] = set()
        self._count = itertools.count()

    def __len__(self) -> int:
        return len(self.heap)

    def push(self, order: TrackedOrder, owner: OrderOwner, *, rank: int = 0, distance: Decimal = ZERO) -> None:
        """Queue an order: lower ranks go first, then smaller distances, then the one that came first.

        An order that waits already keeps its place.
        """
        if order.key in self._keys:
            return
        self._keys.add(order.key)
        heapq.heappush(self.heap, (rank, distance, next(self._count), order, owner))

    def drop_stale(self) -> None:
        """Remove orders that no longer need a request: withdrawn before their turn, or over in the meantime."""
        wanted = self.kind.wanted
        fresh = [entry for entry in self.heap if entry[3].state is wanted]
        if len(fresh) < len(self.heap):
            heapq.heapify(fresh)
            self.heap = fresh
            self._keys = {entry[3].key for entry in fresh}

    def together(self) -> int:
        """How many of those that wait may leave in one request: for creates all, for cancels those of one symbol."""
        symbol = self._symbol()
        return len(self.heap) if symbol is None else sum(entry[3].symbol == symbol for entry in self.heap)

    def take(self, count: int) -> list[Entry]:
        """Take out the `count` most urgent orders that may leave together."""
        symbol = self._symbol()
        taken: list[tuple[int, Decimal, int, TrackedOrder, OrderOwner]] = []
        left: list[tuple[int, Decimal, int, TrackedOrder, OrderOwner]] = []
        while len(taken) < count:
            entry = heapq.heappop(self.heap)
            (taken if symbol is None or symbol == entry[3].symbol else left).append(entry)
        for entry in left:
            heapq.heappush(self.heap, entry)
        for entry in taken:
            self._keys.discard(entry[3].key)
        return [entry[3:] for entry in taken]

    def _symbol(self) -> str | None:
        """The symbol of the next request; None when a request may have several."""
        return self.heap[0][3].symbol if self.kind is RequestKind.CANCEL else None

    def clear(self) -> None:
        """Remove all."""
        self.heap.clear()
        self._keys.clear()


def next_step(lanes: Sequence[Lane], budget: RateBudget, now_s: float, *, free: int) -> Send | Wait | None:
    """The next request, taken out of its lane and charged to the budget.

    `lanes` has the more urgent one first, `now_s` is monotonic, `free` counts the requests that may still be under way.
    """
    if free <= 0:
        return None
    wait: Wait | None = None
    for lane in lanes:
        if not lane.heap:
            continue
        step = _next_of(lane, budget, now_s)
        if isinstance(step, Send):
            return step
        if step is not None:
            wait = step if wait is None else min(wait, step)
    return wait


def _next_of(lane: Lane, budget: RateBudget, now_s: float) -> Send | Wait | None:
    lane.drop_stale()
    if not lane.heap:
        return None
    waiting = lane.together()
    endpoint = lane.kind.batch if waiting > 1 else lane.kind.single
    granted = budget.take(endpoint, min(BATCH_MAX, waiting), now_s)
    if granted == 0:
        return Wait(budget.wait_s(endpoint, now_s))
    return Send(lane.kind, endpoint, lane.take(granted))
