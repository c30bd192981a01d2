"""Turns admitted orders into requests: cancels first, then closes, then opens, within the account's rate budget.

`execution/send_queue.py` decides what leaves and when; what happens goes there as an event. Here requests are sent, and
answers passed on. No order is changed: that its request leaves is an event of its owner (`orders/life.py`).

Every order is journalled before its request leaves (`before_send` writes what was recorded so far). The answer goes
to the order's owner as an `OrderResult`; `orders/outcomes.py` has the tables of what the owner does about a failure.

What breaks on our side, and whom it costs what (`on_fault` hears of each):

    what raises                          the order, or orders, concerned      the others
    an owner, asked again after a wait   leaves, unless the halt drops it     leave
    an owner, before its order leaves    does not leave; unresolved           leave
    the journal                          do not leave; unresolved             -
    sending, or an unusable answer       unresolved                           -
    an owner, on the answer              its strategy knows nothing of it     get their answers

The slot of the request comes back in each case.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractContextManager
from decimal import Decimal

from gridbot import background
from gridbot.budget.address_budget import AddressBudget
from gridbot.budget.request_permits import Purpose
from gridbot.exchange.bans import Ban
from gridbot.exchange.requests import ORDERS_AT_ONCE
from gridbot.execution.gateway_calls import GatewayCalls, OnFault
from gridbot.execution.latency_trace import LatencyTrace
from gridbot.execution.request_counts import RequestCounts
from gridbot.execution.send_lane import PLACE, Entry, OrderOwner, RequestKind
from gridbot.execution.send_queue import (
    BATCH_MAX,
    Answered,
    Banned,
    CancelQueued,
    Closed,
    CreateQueued,
    NoRoom,
    Send,
    SendQueue,
    SlotBack,
    Time,
    creates_may_leave,
    step,
)
from gridbot.orders.order import TrackedOrder
from gridbot.orders.outcomes import OrderResult
from gridbot.ports import Clock, OrderGateway, Timer

__all__ = ["Executor"]

DRAIN_POLL_S = 0.01
TIMER_MIN_S = 0.001
ZERO = Decimal(0)
CLOSED, SLOT_BACK = Closed(), SlotBack()
TIMES = {least: Time(least) for least in (*Purpose, None)}
ANY_TIME = TIMES[Purpose.OPEN]
BY_SOCKET, BLIND = Time(by_http=False), Time(by_http=False, sees_all=False)
MORE_URGENT = (Purpose.CLOSE, Purpose.CANCEL)


class _Batch(AbstractContextManager[None]):
    """Calls `end` at its end, with whether it was broken off by an exception."""

    __slots__ = ("_end", "is_open")

    def __init__(self, end: Callable[[bool], None]) -> None:
        self._end = end
        self.is_open = False

    def __enter__(self) -> None:
        self.is_open = True

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.is_open = False
        self._end(kind is not None)


class Executor:
    """One per account. Queue with `place` and `cancel`, then call `pump`, which sends what the budget allows.

    What nobody pumps leaves in the next turn of the loop, with all else that was queued in this one: a cancel that news
    of the exchange made necessary waits for no clock. A batch (`with executor.batch:`) is pumped at its end, without
    a timer for what it queues.

    `max_in_flight` requests may be unanswered at a time. `address` is what all accounts of our address share; when it
    has no room, what waits leaves as soon as it has. `sees_all` is what `tell_sight` gave it: during a ban of our
    address orders go on over the trade socket, those that open only while no news of the account can have been missed.
    """

    def __init__(
        self,
        gateway: OrderGateway,
        clock: Clock,
        *,
        before_send: Callable[[], object],
        on_fault: OnFault,
        max_in_flight: int = ORDERS_AT_ONCE,
        address: AddressBudget | None = None,
    ) -> None:
        self.trace = LatencyTrace(clock.monotonic_ns)
        self.counts = RequestCounts()
        self.queue = SendQueue(max_in_flight)
        """What waits, slots and budget; only `step` changes it."""
        self.creates_sent = 0
        """Orders whose create request has left."""
        self._gateway = gateway
        self._calls = GatewayCalls(gateway, on_fault)
        self._clock = clock
        self._before_send = before_send
        self._on_fault = on_fault
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._address = address
        self._waits_for_room = False
        if address is not None:
            address.tell_room(self.pump)
        self._sees_all: Callable[[], bool] = lambda: True
        self._timer: Timer | None = None
        self._asks_next_turn = False
        self._closed = False
        self._left_behind = False
        """Creates wait that an earlier pump could not send."""
        self.batch = _Batch(self._end_batch)
        """Orders that are queued together, on the hot path; not to be nested."""
        self._frame_ns = 0
        """When the frame came whose decision ends now; 0 at any other time."""

    @property
    def asks_again(self) -> bool:
        """Whether a timer will send what waits, as soon as it may."""
        return self._timer is not None

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is under way."""
        return not (self._tasks or any(self.queue.lanes))

    @property
    def under_way(self) -> int:
        """Requests that have left and are not answered."""
        return len(self._tasks)

    @property
    def by_http(self) -> bool:
        """Whether the next request would leave by HTTP, not over the trade socket."""
        return self._gateway.by_http

    @property
    def ban(self) -> Ban | None:
        """The last ban of our address; it may be over."""
        return self.queue.budget.ban

    def tell_sight(self, sees_all: Callable[[], bool]) -> None:
        """Have a function asked, during a ban, whether the private stream has told all that has happened."""
        self._sees_all = sees_all

    # ------------------------------------------------------------------ the queue

    def place(self, order: TrackedOrder, owner: OrderOwner, distance: Decimal = ZERO) -> None:
        """Queue an order to be created; of several opens, or closes, the smaller `distance` goes first."""
        step(self.queue, CreateQueued(order, owner, distance), self._clock.monotonic_s())
        if not self.batch.is_open:
            self._ask_next_turn()

    def cancel(self, order: TrackedOrder, owner: OrderOwner) -> None:
        """Queue an order to be cancelled."""
        step(self.queue, CancelQueued(order, owner), self._clock.monotonic_s())
        self._ask_next_turn()

    def pump(self) -> None:
        """Send what may be sent now; runs again by itself when the budget allows more."""
        if self._timer is not None:
            self._stop_timer()
        queue, now_s = self.queue, self._clock.monotonic_s()
        while queue.creates.heap or queue.cancels.heap:
            if self._left_behind and creates_may_leave(self.queue, now_s, by_http=self._gateway.by_http):
                self._ask_whose_turn_it_is()
            effects = step(self.queue, self._time(now_s), now_s)
            if not effects:
                break
            [effect] = effects
            if not isinstance(effect, Send):
                self._stop_timer()
                if effect.seconds is not None:
                    self._timer = self._clock.call_later(max(effect.seconds, TIMER_MIN_S), self.pump)
                self._wait_for_room(effect.waiting if isinstance(effect, NoRoom) else {})
                self._left_behind = bool(self.queue.creates.heap)
                return
            try:
                self._launch(effect)
            except BaseException:
                step(self.queue, SLOT_BACK, now_s)  # no task has begun that would give it back
                raise
        self._wait_for_room({})
        self._left_behind = bool(self.queue.creates.heap)

    def banned(self, ban: Ban) -> None:
        """Our address is banned, as a query or another account was told: nothing leaves by HTTP before its end."""
        step(self.queue, Banned(ban), self._clock.monotonic_s())
        self.pump()

    async def drain(self, timeout_s: float) -> bool:
        """Send what waits and wait for the answers; False when that takes longer than `timeout_s`."""
        deadline_s = self._clock.monotonic_s() + timeout_s
        while not self.idle and self._clock.monotonic_s() < deadline_s:
            self.pump()
            await self._clock.sleep(DRAIN_POLL_S)
        return self.idle

    def close(self) -> None:
        """Drop what waits. The answers to requests under way are dropped."""
        self._closed = True
        self._stop_timer()
        step(self.queue, CLOSED, self._clock.monotonic_s())
        self._wait_for_room({})
        for task in self._tasks:
            task.cancel()

    # ------------------------------------------------------------------ inside

    def _time(self, now_s: float) -> Time:
        if self._gateway.by_http:
            address = self._address
            if address is None or address.may_leave(Purpose.OPEN):
                return ANY_TIME  # the usual case
            return TIMES[next((purpose for purpose in MORE_URGENT if address.may_leave(purpose)), None)]
        ban = self.ban
        return BLIND if ban is not None and ban.is_on(now_s) and not self._sees_all() else BY_SOCKET

    def _ask_whose_turn_it_is(self) -> None:
        """Whoever waited for budget, permits or the end of a ban may have missed its price: its owner withdraws it.

        Only of those that would leave now: at a start hundreds wait, and each is asked when its turn comes.
        """
        asked: set[str] = set()
        while next_ones := [entry for entry in self.queue.creates.first(BATCH_MAX) if entry[0].key not in asked]:
            for order, owner in next_ones:
                asked.add(order.key)
                try:
                    owner.waited(order)
                except Exception as error:  # noqa: BLE001 - reported
                    self._on_fault(f"{order.symbol}: looking again at an order that waited", error, order.symbol)

    def _wait_for_room(self, waiting: dict[Purpose, int]) -> None:
        if self._address is not None and (waiting or self._waits_for_room):
            self._waits_for_room = bool(waiting)
            self._address.orders_wait(waiting)

    def _end_batch(self, broken: bool) -> None:
        """What a broken batch has queued leaves in the next turn, unless its fault has it dropped before."""
        if broken:
            self._ask_next_turn()
            return
        queue = self.queue
        if queue.creates.heap or queue.cancels.heap or self._timer is not None or self._waits_for_room:
            self._frame_ns = self.trace.frame_ns
            try:
                self.pump()
            finally:
                self._frame_ns = 0

    def _ask_next_turn(self) -> None:
        if not (self.batch.is_open or self._asks_next_turn or self._closed):
            self._stop_timer()  # it waits for the budget of what was queued before
            self._asks_next_turn = True
            self._timer = self._clock.call_later(0.0, self.pump)

    def _stop_timer(self) -> None:
        self._asks_next_turn = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _launch(self, send: Send) -> None:
        """Journal the orders, start their request, and take in its answer later.

        When this returns, a task is under way that gives the slot back.
        """
        entries, broken = self._record(send) if send.kind is PLACE else (send.entries, [])
        answer: Awaitable[list[OrderResult]] | None = None
        self.creates_sent += len(entries) if send.kind is PLACE else 0
        try:
            self._before_send()
            if self.trace.on:
                self.trace.journalled(entries)
            answer = self._execute(send, entries) if entries else None
        except Exception as error:  # noqa: BLE001 - reported
            self._on_fault("sending a request for orders", error)
            broken += [(entry, self._calls.broken(send.kind, error)) for entry in entries]
        if send.kind is PLACE:
            self._tell_sent(entries)
        moments = self._frame_ns, self._clock.monotonic_ns()
        task = background.awaited(self._take_in(send, entries, answer, broken, moments), name="a request for orders")
        self._tasks[task] = None
        task.add_done_callback(self._landed)

    def _record(self, send: Send) -> tuple[list[Entry], list[tuple[Entry, OrderResult]]]:
        """Have the owners record the orders that leave now. Returns these, and those that could not be recorded.

        The result of such a one is *unresolved*: an earlier try of the same order may be on the exchange. What is not
        wanted any more, since a fault has halted its strategy meanwhile, is in neither.
        """
        leaving: list[Entry] = []
        broken: list[tuple[Entry, OrderResult]] = []
        sent_ms = self._clock.wall_ms()
        for entry in send.entries:
            order, owner = entry
            if order.state is not send.kind.wanted:
                continue
            try:
                owner.sending(order, sent_ms)
                leaving.append(entry)
            except Exception as error:  # noqa: BLE001 - reported
                self._on_fault(f"{order.symbol}: recording an order before it leaves", error, order.symbol)
                broken.append((entry, self._calls.broken(send.kind, error)))
        return leaving, broken

    def _tell_sent(self, entries: Iterable[Entry]) -> None:
        for order, owner in entries:
            try:
                owner.sent(order)
            except Exception as error:  # noqa: BLE001 - reported
                self._on_fault(f"{order.symbol}: what follows a request", error, order.symbol)

    def _execute(self, send: Send, entries: list[Entry]) -> Awaitable[list[OrderResult]]:
        """Start the request now, not in a task: it leaves a turn of the loop earlier, and in order."""
        if send.endpoint == send.kind.batch:
            return self._calls.execute_batch(send.kind, [order for order, _ in entries])
        [(order, _)] = entries
        place = send.kind is PLACE
        return self._calls.execute_place(order) if place else self._calls.execute_cancel(order)

    async def _take_in(
        self,
        send: Send,
        entries: list[Entry],
        answer: Awaitable[list[OrderResult]] | None,
        broken: list[tuple[Entry, OrderResult]],
        moments: tuple[int, int],
    ) -> None:
        """Pass each order's result to its owner: what broke now, the rest once the request is answered.

        `moments`: when the frame came that made it leave at once, or 0, and when it had left; ns.
        """
        if broken:
            self._tell(send.kind, broken)
        if answer is not None:
            self.counts.left(*moments)
            results = await answer
            answered_ns = self._clock.monotonic_ns()
            self._learn(send.endpoint, results)
            self._tell(send.kind, zip(entries, results, strict=True))
            kind = "create" if send.kind is PLACE else "cancel"
            self.counts.answered(kind, moments, answered_ns, [each.error for each in results if not each.reason])

    def _tell(self, kind: RequestKind, results: Iterable[tuple[Entry, OrderResult]]) -> None:
        for (order, owner), result in results:
            try:
                (owner.placed if kind is PLACE else owner.cancelled)(order, result)
            except Exception as error:  # noqa: BLE001 - reported
                self._on_fault(f"{order.symbol}: taking in an answer about an order", error, order.symbol)

    def _learn(self, endpoint: str, results: list[OrderResult]) -> None:
        now_s = self._clock.monotonic_s()
        try:
            step(self.queue, Answered(endpoint, self._gateway.limits.get(endpoint), results), now_s)
        except Exception as error:  # noqa: BLE001 - reported; the orders still want their answers
            self._on_fault("the quota stated in an answer", error)
            step(self.queue, Answered(endpoint, None, results), now_s)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        step(self.queue, SLOT_BACK, self._clock.monotonic_s())
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._on_fault("a request for orders", error)
        self.pump()
