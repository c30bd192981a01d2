"""Which orders wait to be sent, and which request goes next. Pure, apart from the queues it takes orders out of.

    next_step(lane, budget, now_s)  ──►  Send   this request, now
                                         Wait   nothing before so many seconds
                                         None   the lane is empty

There are two lanes, one of cancels and one of creates; the executor serves the cancels first (incident L39). Within the
lane of creates, closes go before opens and near levels before far ones. Each lane has two endpoints with a quota of
their own: single requests, which are faster, and batches.
"""

from __future__ import annotations

import heapq
import itertools
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
    """Whoever an order belongs to (its strategy's order manager)."""

    def sending(self, order: TrackedOrder) -> None:
        """The create request of the order is about to leave; what this records is journalled before it does."""

    def placed(self, order: TrackedOrder, result: OrderResult) -> None:
        """The create request was answered."""

    def cancelled(self, order: TrackedOrder, result: OrderResult) -> None:
        """The cancel request was answered."""


Entry = tuple[TrackedOrder, OrderOwner]


class RequestKind(Enum):
    """What is asked for: the endpoints for one order and for several, and the state an order must be in for it."""

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
        self._count = itertools.count()

    def __len__(self) -> int:
        return len(self.heap)

    def push(self, order: TrackedOrder, owner: OrderOwner, *, rank: int = 0, distance: Decimal = ZERO) -> None:
        """Queue an order: lower ranks go first, then smaller distances, then the one that came first."""
        heapq.heappush(self.heap, (rank, distance, next(self._count), order, owner))

    def drop_stale(self) -> None:
        """Forget orders that need no request any more: withdrawn before their turn, or over in the meantime."""
        wanted = self.kind.wanted
        fresh = [entry for entry in self.heap if entry[3].state is wanted]
        if len(fresh) < len(self.heap):
            heapq.heapify(fresh)
            self.heap = fresh

    def take(self, count: int) -> list[Entry]:
        """Take out the `count` most urgent orders."""
        return [heapq.heappop(self.heap)[3:] for _ in range(count)]

    def clear(self) -> None:
        """Forget all."""
        self.heap.clear()


def next_step(lane: Lane, budget: RateBudget, now_s: float) -> Send | Wait | None:
    """The next request of a lane, taken out of it and charged to the budget. `now_s` is monotonic."""
    if not lane:
        return None
    lane.drop_stale()
    waiting = len(lane)
    if not waiting:
        return None
    endpoint = lane.kind.batch if waiting > 1 else lane.kind.single
    granted = budget.take(endpoint, min(BATCH_MAX, waiting), now_s)
    if granted == 0:
        return Wait(budget.wait_s(endpoint, now_s))
    return Send(lane.kind, endpoint, lane.take(granted))
