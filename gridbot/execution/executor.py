"""Turns admitted orders into calls: cancels first, then closes, then opens, on the account's rate budget.

An order is *journalled before it is sent* (`before_send` appends everything recorded so far). What comes back goes to
the order's owner as it is, an acknowledgement or an `ExchangeError`; what to do about it is `orders/outcome.py`.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Protocol

from gridbot.exchange.failures import ErrorKind, ExchangeError
from gridbot.exchange.requests import CancelRef, OrderAck, OrderRequest, RateLimit
from gridbot.execution.latency_trace import LatencyTrace
from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.rolling_limit import RollingLimit

__all__ = ["Executor", "OrderGateway", "OrderOwner"]

BATCH = 10
ORDERS_PER_S = 10
IP_BAN_S = 600.0
ZERO = Decimal(0)

_Answers = list[OrderAck | ExchangeError]


class OrderGateway(Protocol):
    """The part of `BybitRest` that orders need."""

    @property
    def limits(self) -> dict[str, RateLimit]: ...

    def place_order(self, order: OrderRequest) -> Awaitable[OrderAck]: ...
    async def place_orders(self, orders: Sequence[OrderRequest]) -> list[OrderAck | ExchangeError]: ...
    def cancel_order(self, symbol: str, *, order_id: str = "", order_link_id: str = "") -> Awaitable[OrderAck]: ...
    async def cancel_orders(self, symbol: str, refs: Sequence[CancelRef]) -> list[OrderAck | ExchangeError]: ...


class OrderOwner(Protocol):
    """Whoever an order belongs to (a strategy runner): told before it leaves and when the answer is there."""

    def sending(self, order: TrackedOrder) -> None: ...
    def placed(self, order: TrackedOrder, result: OrderAck | ExchangeError) -> None: ...
    def cancelled(self, order: TrackedOrder, result: OrderAck | ExchangeError) -> None: ...


class _Lane:
    """Orders of one kind that wait for their turn, and the budgets of the two endpoints that take them."""

    def __init__(self, single: str, batch: str) -> None:
        self.single, self.batch = single, batch
        self.heap: list[tuple[int, Decimal, int, TrackedOrder, OrderOwner]] = []
        self.buckets = {single: RollingLimit(ORDERS_PER_S), batch: RollingLimit(ORDERS_PER_S)}


class Executor:
    """One per account. Call `pump` after a batch of `place`/`cancel`; it sends what the budget allows."""

    def __init__(
        self,
        wire: OrderGateway,
        *,
        before_send: Callable[[], object],
        clock_s: Callable[[], float] = time.monotonic,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        max_in_flight: int = 4,
        trace: LatencyTrace | None = None,
    ) -> None:
        self.trace = trace or LatencyTrace()
        self._wire = wire
        self._before_send = before_send
        self._clock_s, self._clock_ms = clock_s, clock_ms
        self._free = max_in_flight
        self._cancels = _Lane("order/cancel", "order/cancel-batch")
        self._places = _Lane("order/create", "order/create-batch")
        self._count = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.ip_banned_until_s: float | None = None

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is under way."""
        return not (self._tasks or self._cancels.heap or self._places.heap)

    def place(self, order: TrackedOrder, owner: OrderOwner, distance: Decimal = ZERO) -> None:
        rank = 0 if order.reduce_only else 1
        heapq.heappush(self._places.heap, (rank, distance, next(self._count), order, owner))

    def cancel(self, order: TrackedOrder, owner: OrderOwner) -> None:
        heapq.heappush(self._cancels.heap, (0, ZERO, next(self._count), order, owner))

    def pump(self) -> None:
        """Send what may be sent now; come back by itself when the budget allows more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wait_s: float | None = None
        for lane in (self._cancels, self._places):
            lane_wait = self._pump_lane(lane)
            if lane_wait is not None:
                wait_s = lane_wait if wait_s is None else min(wait_s, lane_wait)
        if wait_s is not None:
            self._timer = asyncio.get_running_loop().call_later(max(wait_s, 0.001), self.pump)

    async def drain(self, timeout_s: float) -> bool:
        """Wait until nothing is under way; False when that took too long."""
        deadline = self._clock_s() + timeout_s
        while not self.idle and self._clock_s() < deadline:
            self.pump()
            await asyncio.sleep(0.01)
        return self.idle

    def close(self) -> None:
        """Drop what waits; requests under way are left to finish in their threads."""
        if self._timer is not None:
            self._timer.cancel()
        self._cancels.heap.clear()
        self._places.heap.clear()
        for task in self._tasks:
            task.cancel()

    # ------------------------------------------------------------------ inside

    def _pump_lane(self, lane: _Lane) -> float | None:
        """Send from one lane; seconds to wait when the budget stopped it, None when it is empty or the pool is full."""
        now_s = self._clock_s()
        if self.ip_banned_until_s is not None and now_s < self.ip_banned_until_s:
            return self.ip_banned_until_s - now_s if lane.heap else None
        while lane.heap and self._free > 0:
            self._drop_stale(lane)
            if not lane.heap:
                return None
            endpoint = lane.batch if len(lane.heap) > 1 else lane.single
            bucket = lane.buckets[endpoint]
            granted = bucket.take(min(BATCH, len(lane.heap)), now_s)
            if granted == 0:
                return bucket.wait_s(now_s)
            entries = [heapq.heappop(lane.heap) for _ in range(granted)]
            self._launch(lane, endpoint, [(order, owner) for *_, order, owner in entries])
        return None

    def _drop_stale(self, lane: _Lane) -> None:
        """Skip orders that nobody wants sent any more: dropped before their turn, or over in the meantime."""
        while lane.heap:
            order = lane.heap[0][3]
            if lane is self._places and order.state is OrderState.PENDING:
                return
            if lane is self._cancels and order.state is OrderState.PENDING_CANCEL:
                return
            heapq.heappop(lane.heap)

    def _launch(self, lane: _Lane, endpoint: str, entries: list[tuple[TrackedOrder, OrderOwner]]) -> None:
        wanted = OrderState.PENDING if lane is self._places else OrderState.PENDING_CANCEL
        entries = [(order, owner) for order, owner in entries if order.state is wanted]
        if not entries:
            return
        if lane is self._places:
            for order, owner in entries:
                order.on_wire = True
                order.attempt += 1
                order.sent_ms = self._clock_ms()
                owner.sending(order)
        self._before_send()
        self.trace.journalled(order.link_id for order, _ in entries)
        self._free -= 1
        answer = self._send([order for order, _ in entries], is_place=lane is self._places)
        task = asyncio.get_running_loop().create_task(self._take_in(lane, endpoint, entries, answer))
        self._tasks.add(task)
        task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._free += 1
        if not task.cancelled():
            task.result()
            self.pump()

    def _send(self, orders: list[TrackedOrder], *, is_place: bool) -> Awaitable[OrderAck | _Answers]:
        """A single request is on its way when this returns: a turn of the loop earlier than from within a task."""
        if is_place:
            requests = [_request(order) for order in orders]
            return self._wire.place_order(requests[0]) if len(requests) == 1 else self._wire.place_orders(requests)
        if len(orders) > 1:
            return self._cancel_by_symbol(orders)
        [order] = orders
        return self._wire.cancel_order(order.symbol, order_id=order.order_id, order_link_id=order.link_id)

    async def _take_in(
        self,
        lane: _Lane,
        endpoint: str,
        entries: list[tuple[TrackedOrder, OrderOwner]],
        answer: Awaitable[OrderAck | _Answers],
    ) -> None:
        """Wait for the answer to a request and hand each order's part of it to its owner."""
        results: _Answers
        try:
            given = await answer
            results = given if isinstance(given, list) else [given]
        except ExchangeError as error:
            results = [error] * len(entries)
        limit = self._wire.limits.get(endpoint)
        if limit is not None and limit.limit:
            lane.buckets[endpoint].correct(limit.limit)
        for (order, owner), result in zip(entries, results, strict=True):
            if isinstance(result, ExchangeError):
                self._hold_back(lane.buckets[endpoint], result)
            (owner.placed if lane is self._places else owner.cancelled)(order, result)

    async def _cancel_by_symbol(self, orders: list[TrackedOrder]) -> _Answers:
        """One batch per symbol; answers in the order of `orders`."""
        answers: dict[str, OrderAck | ExchangeError] = {}
        for symbol in dict.fromkeys(order.symbol for order in orders):
            mine = [order for order in orders if order.symbol == symbol]
            refs = [CancelRef(order_id=order.order_id, order_link_id=order.link_id) for order in mine]
            try:
                results = await self._wire.cancel_orders(symbol, refs)
            except ExchangeError as error:
                results = [error] * len(mine)
            answers.update((order.key, result) for order, result in zip(mine, results, strict=True))
        return [answers[order.key] for order in orders]

    def _hold_back(self, bucket: RollingLimit, error: ExchangeError) -> None:
        now_s = self._clock_s()
        if error.kind is ErrorKind.RATE_LIMIT:
            bucket.block(now_s + 1.0)
        elif error.kind is ErrorKind.IP_BAN:
            self.ip_banned_until_s = now_s + IP_BAN_S


def _request(order: TrackedOrder) -> OrderRequest:
    return OrderRequest(
        symbol=order.symbol,
        side=order.side,
        direction=order.direction,
        qty=order.qty,
        price=order.price,
        order_link_id=order.link_id,
        reduce_only=order.reduce_only,
        post_only=order.post_only,
    )
