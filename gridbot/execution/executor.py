"""Turns admitted orders into requests: cancels first, then closes, then opens, within the account's rate budget.

Every order is journalled before its request leaves (`before_send` writes all that was recorded so far). The answer goes
to the order's owner as an `OrderResult`; `orders/outcomes.py` has the tables of what the owner does about a failure.

What breaks on our side, and whom it costs what (`on_fault` hears of each):

    what raises                          the order, or orders, concerned      the others
    an owner, before its order leaves    does not leave; unresolved           leave
    the journal                          do not leave; unresolved             -
    sending, or an unusable answer       unresolved                           -
    an owner, on the answer              its strategy knows nothing of it     get their answers

The slot of the request comes back in each case.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from decimal import Decimal

from gridbot import background
from gridbot.execution.gateway_calls import GatewayCalls, OnFault
from gridbot.execution.latency_trace import LatencyTrace
from gridbot.execution.rate_budget import RateBudget
from gridbot.execution.send_queue import Entry, Lane, OrderOwner, RequestKind, Send, next_step
from gridbot.orders.order import TrackedOrder
from gridbot.orders.outcomes import OrderResult
from gridbot.ports import Clock, OrderGateway, Timer

__all__ = ["Executor", "OrderOwner"]

DRAIN_POLL_S = 0.01
TIMER_MIN_S = 0.001
ZERO = Decimal(0)


class Executor:
    """One per account. Queue with `place` and `cancel`, then call `pump`, which sends what the budget allows.

    `max_in_flight` requests may be unanswered at a time.
    """

    def __init__(
        self,
        gateway: OrderGateway,
        clock: Clock,
        *,
        before_send: Callable[[], object],
        on_fault: OnFault,
        max_in_flight: int = 4,
    ) -> None:
        self.trace = LatencyTrace(clock.monotonic_ns)
        self.budget = RateBudget(endpoint for kind in RequestKind for endpoint in kind.endpoints)
        self._gateway = gateway
        self._calls = GatewayCalls(gateway, on_fault)
        self._clock = clock
        self._before_send = before_send
        self._on_fault = on_fault
        self.free = max_in_flight
        """Requests that may still be under way beside those that are."""
        self.lanes = (Lane(RequestKind.CANCEL), Lane(RequestKind.PLACE))
        """What waits, the more urgent lane first."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: Timer | None = None

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is under way."""
        return not (self._tasks or any(self.lanes))

    @property
    def under_way(self) -> int:
        """Requests that have left and are not answered."""
        return len(self._tasks)

    @property
    def ip_banned_until_s(self) -> float | None:
        """Monotonic time at which the last ban of our address ends; it may be in the past."""
        return self.budget.ip_banned_until_s

    # ------------------------------------------------------------------ the queue

    def place(self, order: TrackedOrder, owner: OrderOwner, distance: Decimal = ZERO) -> None:
        """Queue an order to be created; of several opens, or closes, the smaller `distance` goes first."""
        self.lanes[1].push(order, owner, rank=0 if order.reduce_only else 1, distance=distance)

    def cancel(self, order: TrackedOrder, owner: OrderOwner) -> None:
        """Queue an order to be cancelled."""
        self.lanes[0].push(order, owner)

    def pump(self) -> None:
        """Send what may be sent now; runs again by itself when the budget allows more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now_s = self._clock.monotonic_s()
        while isinstance(step := next_step(self.lanes, self.budget, now_s, free=self.free), Send):
            self._launch(step)
        if step is not None:
            self._timer = self._clock.call_later(max(step.seconds, TIMER_MIN_S), self.pump)

    async def drain(self, timeout_s: float) -> bool:
        """Send what waits and wait for the answers; False when that takes longer than `timeout_s`."""
        deadline_s = self._clock.monotonic_s() + timeout_s
        while not self.idle and self._clock.monotonic_s() < deadline_s:
            self.pump()
            await self._clock.sleep(DRAIN_POLL_S)
        return self.idle

    def close(self) -> None:
        """Drop what waits. Requests under way finish in their threads; their answers are dropped."""
        if self._timer is not None:
            self._timer.cancel()
        for lane in self.lanes:
            lane.clear()
        for task in self._tasks:
            task.cancel()

    # ------------------------------------------------------------------ inside

    def _launch(self, send: Send) -> None:
        """Journal the orders, start their request, and take in its answer later.

        No slot is taken before the task exists that gives it back.
        """
        broken = self._record(send) if send.kind is RequestKind.PLACE else []
        if broken:
            send = send._replace(entries=[entry for entry in send.entries if entry not in [one for one, _ in broken]])
        answer: Awaitable[list[OrderResult]] | None = None
        try:
            self._before_send()
            if self.trace.on:
                self.trace.journalled(order.link_id for order, _ in send.entries)
            answer = self._execute(send) if send.entries else None
        except Exception as error:  # noqa: BLE001 - reported
            self._on_fault("sending a request for orders", error)
            broken += [(entry, self._calls.broken(send.kind, error)) for entry in send.entries]
        task = background.awaited(self._take_in(send, answer, broken), name="a request for orders")
        self.free -= 1
        self._tasks.add(task)
        task.add_done_callback(self._landed)

    def _record(self, send: Send) -> list[tuple[Entry, OrderResult]]:
        """Have the owners record the orders that leave now. Returns those that could not be, with their result.

        That is *unresolved*: an earlier try of the same order may be on the exchange.
        """
        broken: list[tuple[Entry, OrderResult]] = []
        sent_ms = self._clock.wall_ms()
        for entry in send.entries:
            order, owner = entry
            order.on_wire = True
            order.attempt += 1
            order.sent_ms = sent_ms
            try:
                owner.sending(order)
            except Exception as error:  # noqa: BLE001 - reported
                self._on_fault(f"{order.symbol}: recording an order before it leaves", error, order.symbol)
                broken.append((entry, self._calls.broken(send.kind, error)))
        return broken

    def _execute(self, send: Send) -> Awaitable[list[OrderResult]]:
        """Start the request now, not in a task: it leaves a turn of the loop earlier, and in order."""
        if send.endpoint == send.kind.batch:
            return self._calls.execute_batch(send.kind, [order for order, _ in send.entries])
        [(order, _)] = send.entries
        place = send.kind is RequestKind.PLACE
        return self._calls.execute_place(order) if place else self._calls.execute_cancel(order)

    async def _take_in(
        self, send: Send, answer: Awaitable[list[OrderResult]] | None, broken: list[tuple[Entry, OrderResult]]
    ) -> None:
        """Pass each order's result to its owner: what broke now, the rest once the request is answered."""
        self._tell(send, broken)
        if answer is not None:
            results = list(zip(send.entries, await answer, strict=True))
            self._learn(send.endpoint)
            self._tell(send, results)

    def _tell(self, send: Send, results: Iterable[tuple[Entry, OrderResult]]) -> None:
        now_s = self._clock.monotonic_s()
        for (order, owner), result in results:
            if result.error is not None:
                self.budget.failed(send.endpoint, result.error, now_s)
            try:
                (owner.placed if send.kind is RequestKind.PLACE else owner.cancelled)(order, result)
            except Exception as error:  # noqa: BLE001 - reported
                self._on_fault(f"{order.symbol}: taking in an answer about an order", error, order.symbol)

    def _learn(self, endpoint: str) -> None:
        try:
            self.budget.learn(endpoint, self._gateway.limits.get(endpoint))
        except Exception as error:  # noqa: BLE001 - reported; the orders still want their answers
            self._on_fault("the quota stated in an answer", error)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self.free += 1
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._on_fault("a request for orders", error)
        self.pump()
