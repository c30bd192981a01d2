"""Orders that wait for requests of one kind, the most urgent first. Pure; `gridbot/execution/send_queue.py` owns them.

An order waits once, however often it is queued, and one that no longer needs its request is dropped.
"""

from __future__ import annotations

import heapq
import itertools
from decimal import Decimal
from enum import Enum
from typing import Protocol

from gridbot.budget.request_permits import Purpose
from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.orders.outcomes import OrderResult

__all__ = ["CANCEL", "PLACE", "Entry", "Lane", "OrderOwner", "RequestKind"]

ZERO = Decimal(0)


class OrderOwner(Protocol):
    """Where an order belongs (its strategy's order manager)."""

    def waited(self, order: TrackedOrder) -> None:
        """The create request of the order could not leave at once, and may leave now: is it still wanted?"""

    def sending(self, order: TrackedOrder, sent_ms: int) -> None:
        """The create request of the order leaves at `sent_ms`; what this records is journalled before it does."""

    def sent(self, order: TrackedOrder) -> None:
        """The create request of the order has left, or has failed to: what need not be done before."""

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


PLACE, CANCEL = RequestKind.PLACE, RequestKind.CANCEL


class Lane:
    """One lane. `len` counts what waits, stale orders included."""

    def __init__(self, kind: RequestKind) -> None:
        self.kind = kind
        self.heap: list[tuple[int, Decimal, int, TrackedOrder, OrderOwner]] = []
        """What waits, as a heap; `waiting` has the orders in their order."""
        self._keys: set[str] = set()
        self._count = itertools.count()

    def __len__(self) -> int:
        return len(self.heap)

    @property
    def wanted(self) -> int:
        """How many still need their request."""
        return [entry[3].state for entry in self.heap].count(self.kind.wanted)

    @property
    def waiting(self) -> list[TrackedOrder]:
        """The orders, the most urgent first."""
        return [entry[3] for entry in sorted(self.heap, key=lambda entry: entry[:3])]

    def first(self, count: int) -> list[Entry]:
        """The `count` most urgent that still need their request."""
        self.drop_stale()
        return [entry[3:] for entry in heapq.nsmallest(count, self.heap)]

    def push(self, order: TrackedOrder, owner: OrderOwner, *, rank: int = 0, distance: Decimal = ZERO) -> None:
        """Queue an order: lower ranks go first, then smaller distances, then the one that came first.

        An order that waits already keeps its place.
        """
        key = order.link_id or order.order_id  # its `key`
        if key not in self._keys:
            self._keys.add(key)
            heapq.heappush(self.heap, (rank, distance, next(self._count), order, owner))

    def drop_stale(self) -> None:
        """Remove orders that no longer need a request: withdrawn before their turn, or over in the meantime."""
        wanted = self.kind.wanted
        for entry in self.heap:
            if entry[3].state is not wanted:
                break
        else:
            return
        self.heap = [entry for entry in self.heap if entry[3].state is wanted]
        heapq.heapify(self.heap)
        self._keys = {entry[3].key for entry in self.heap}

    def together(self) -> int:
        """How many of those that wait may leave in one request: for creates all, for cancels those of one symbol."""
        if len(self.heap) == 1:
            return 1  # the usual case
        symbol = self._symbol()
        return len(self.heap) if symbol is None else sum(entry[3].symbol == symbol for entry in self.heap)

    def together_without_opens(self) -> int:
        """The same of cancels and closes alone; the closes are the most urgent creates, so `take` takes them first."""
        if self.kind is CANCEL:
            return self.together()
        return sum(entry[3].reduce_only for entry in self.heap)

    @property
    def purpose(self) -> Purpose:
        """What the next request is for: that of its most urgent order."""
        if self.kind is RequestKind.CANCEL:
            return Purpose.CANCEL
        return Purpose.CLOSE if self.heap[0][3].reduce_only else Purpose.OPEN

    def take(self, count: int) -> list[Entry]:
        """Take out the `count` most urgent orders that may leave together."""
        if len(self.heap) == 1 and count:
            entry = self.heap.pop()
            self._keys.clear()
            return [entry[3:]]  # the usual case
        symbol = self._symbol()
        taken: list[Entry] = []
        left: list[tuple[int, Decimal, int, TrackedOrder, OrderOwner]] = []
        while len(taken) < count:
            entry = heapq.heappop(self.heap)
            if symbol is None or symbol == entry[3].symbol:
                taken.append(entry[3:])
                self._keys.discard(entry[3].key)
            else:
                left.append(entry)
        for entry in left:
            heapq.heappush(self.heap, entry)
        return taken

    def clear(self) -> None:
        """Remove all."""
        self.heap.clear()
        self._keys.clear()

    def _symbol(self) -> str | None:
        """The symbol of the next request; None when a request may have several."""
        return self.heap[0][3].symbol if self.kind is CANCEL else None
