"""Turns admitted orders into requests: cancels first, then closes, then opens, on the account's rate budget.

Every order is journalled before its request leaves (`before_send` writes all that was recorded so far). The answer goes
to the order's owner as an `OrderResult`; what the owner does about a failure stands in `orders/outcomes.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal

from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.exchange.requests import CancelRef, OrderAck, OrderRequest
from gridbot.execution.latency_trace import LatencyTrace
from gridbot.execution.rate_budget import RateBudget
from gridbot.execution.send_queue import Lane, OrderOwner, RequestKind, Send, next_step
from gridbot.orders.order import TrackedOrder
from gridbot.orders.outcomes import OrderResult, result_of_cancel, result_of_place
from gridbot.ports import Clock, OrderGateway, Timer

__all__ = ["Executor", "OrderOwner"]

log = logging.getLogger(__name__)

DRAIN_POLL_S = 0.01
TIMER_MIN_S = 0.001
ZERO = Decimal(0)

_Answers = list[OrderAck | ExchangeError]


class Executor:
    """One per account. Queue with `place` and `cancel`, then call `pump`, which sends what the budget allows.

    `max_in_flight` requests may be unanswered at a time.
    """

    def __init__(
        self, gateway: OrderGateway, clock: Clock, *, before_send: Callable[[], object], max_in_flight: int = 4
    ) -> None:
        self.trace = LatencyTrace(clock.monotonic_ns)
        self.budget = RateBudget(endpoint for kind in RequestKind for endpoint in kind.endpoints)
        self._gateway = gateway
        self._clock = clock
        self._before_send = before_send
        self._free = max_in_flight
        self._cancels = Lane(RequestKind.CANCEL)
        self._places = Lane(RequestKind.PLACE)
        self._lanes = (self._cancels, self._places)
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: Timer | None = None

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is under way."""
        return not (self._tasks or self._cancels.heap or self._places.heap)

    @property
    def ip_banned_until_s(self) -> float | None:
        """Monotonic time at which the last ban of our address ends; it may be over."""
        return self.budget.ip_banned_until_s

    # ------------------------------------------------------------------ the queue

    def place(self, order: TrackedOrder, owner: OrderOwner, distance: Decimal = ZERO) -> None:
        """Queue an order to be created; of several opens, or closes, the one with the smaller `distance` goes first."""
        self._places.push(order, owner, rank=0 if order.reduce_only else 1, distance=distance)

    def cancel(self, order: TrackedOrder, owner: OrderOwner) -> None:
        """Queue an order to be cancelled."""
        self._cancels.push(order, owner)

    def pump(self) -> None:
        """Send what may be sent now; run again by itself when the budget allows more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now_s = self._clock.monotonic_s()
        wait_s: float | None = None
        for lane in self._lanes:
            while self._free > 0 and lane.heap:
                step = next_step(lane, self.budget, now_s)
                if isinstance(step, Send):
                    self._launch(step)
                    continue
                if step is not None:
                    wait_s = step.seconds if wait_s is None else min(wait_s, step.seconds)
                break
        if wait_s is not None:
            self._timer = self._clock.call_later(max(wait_s, TIMER_MIN_S), self.pump)

    async def drain(self, timeout_s: float) -> bool:
        """Send what waits and wait for the answers; False when that took longer than `timeout_s`."""
        deadline_s = self._clock.monotonic_s() + timeout_s
        while not self.idle and self._clock.monotonic_s() < deadline_s:
            self.pump()
            await self._clock.sleep(DRAIN_POLL_S)
        return self.idle

    def close(self) -> None:
        """Drop what waits. Requests under way go on in their threads; their answers are dropped."""
        if self._timer is not None:
            self._timer.cancel()
        self._cancels.clear()
        self._places.clear()
        for task in self._tasks:
            task.cancel()

    # ------------------------------------------------------------------ requests

    def execute_place(self, order: TrackedOrder) -> Awaitable[OrderResult]:
        """Create one order, past queue and budget. The request has left when this returns."""
        return _result(self._gateway.place_order(_request(order)), result_of_place)

    def execute_cancel(self, order: TrackedOrder) -> Awaitable[OrderResult]:
        """Cancel one order, past queue and budget. The request has left when this returns."""
        answer = self._gateway.cancel_order(order.symbol, order_id=order.order_id, order_link_id=order.link_id)
        return _result(answer, result_of_cancel)

    def execute_batch(self, kind: RequestKind, orders: Sequence[TrackedOrder]) -> Awaitable[list[OrderResult]]:
        """Create, or cancel, up to ten orders in one request (cancels: one per symbol), past queue and budget.

        The requests have left when this returns; the results are in the order of `orders`.
        """
        if kind is RequestKind.PLACE:
            answers = self._gateway.place_orders([_request(order) for order in orders])
            return _results([(orders, answers)], orders, result_of_place)
        begun: list[tuple[Sequence[TrackedOrder], Awaitable[_Answers]]] = []
        for symbol in dict.fromkeys(order.symbol for order in orders):
            mine = [order for order in orders if order.symbol == symbol]
            refs = [CancelRef(order_id=order.order_id, order_link_id=order.link_id) for order in mine]
            try:
                answer = self._gateway.cancel_orders(symbol, refs)
            except Exception as error:  # noqa: BLE001 - the requests for other symbols have left and want their answers
                answer = _failed(_error_of(error))
            begun.append((mine, answer))
        return _results(begun, orders, result_of_cancel)

    # ------------------------------------------------------------------ inside

    def _launch(self, send: Send) -> None:
        """Journal the orders, start their request, and take in its answer later.

        If something breaks here, we do not know what has left: that is the answer each order gets, and so it is looked
        up. No slot is taken before the task exists that gives it back.
        """
        answer: Awaitable[OrderResult | list[OrderResult]]
        try:
            self._journal(send)
            answer = self._execute(send)
        except Exception as error:  # noqa: BLE001 - `_error_of` logs a fault of ours
            result_of = result_of_place if send.kind is RequestKind.PLACE else result_of_cancel
            answer = _known([result_of(_error_of(error))] * len(send.entries))
        task = asyncio.get_running_loop().create_task(self._take_in(send, answer))
        self._free -= 1
        self._tasks.add(task)
        task.add_done_callback(self._landed)

    def _journal(self, send: Send) -> None:
        """Write everything about the orders of a request before it leaves."""
        if send.kind is RequestKind.PLACE:
            sent_ms = self._clock.wall_ms()
            for order, owner in send.entries:
                order.on_wire = True
                order.attempt += 1
                order.sent_ms = sent_ms
                owner.sending(order)
        self._before_send()
        if self.trace.on:
            self.trace.journalled(order.link_id for order, _ in send.entries)

    def _execute(self, send: Send) -> Awaitable[OrderResult | list[OrderResult]]:
        """The request has left when this returns: a turn of the loop earlier than from within a task, and in order."""
        if send.endpoint == send.kind.batch:
            return self.execute_batch(send.kind, [order for order, _ in send.entries])
        [(order, _)] = send.entries
        return self.execute_place(order) if send.kind is RequestKind.PLACE else self.execute_cancel(order)

    async def _take_in(self, send: Send, answer: Awaitable[OrderResult | list[OrderResult]]) -> None:
        """Wait for the answer to a request and give each order's part of it to its owner."""
        given = await answer
        results = given if isinstance(given, list) else [given]
        self.budget.learn(send.endpoint, self._gateway.limits.get(send.endpoint))
        now_s = self._clock.monotonic_s()
        for (order, owner), result in zip(send.entries, results, strict=True):
            if result.error is not None:
                self.budget.failed(send.endpoint, result.error, now_s)
            try:
                (owner.placed if send.kind is RequestKind.PLACE else owner.cancelled)(order, result)
            except Exception:
                # The other orders of the batch need their answers; this one is found by the next reconciliation.
                log.exception("%s: the answer about %s could not be handled", order.symbol, order.key)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._free += 1
        if not task.cancelled():
            task.result()
            self.pump()


def _error_of(error: Exception) -> ExchangeError:
    """The answer to a request that failed. A fault of ours says nothing about the order, which may have left."""
    if isinstance(error, ExchangeError):
        return error
    log.error("a request broke on our side; its orders are looked up", exc_info=error)
    return make_error(f"the request broke on our side ({type(error).__name__})", ErrorKind.AMBIGUOUS)


async def _known(results: list[OrderResult]) -> list[OrderResult]:
    return results


async def _failed(error: ExchangeError) -> _Answers:
    raise error


async def _result(
    answer: Awaitable[OrderAck], result_of: Callable[[OrderAck | ExchangeError], OrderResult]
) -> OrderResult:
    try:
        return result_of(await answer)
    except Exception as error:  # noqa: BLE001 - `_error_of` logs a fault of ours
        return result_of(_error_of(error))


async def _results(
    begun: Sequence[tuple[Sequence[TrackedOrder], Awaitable[_Answers]]],
    orders: Sequence[TrackedOrder],
    result_of: Callable[[OrderAck | ExchangeError], OrderResult],
) -> list[OrderResult]:
    """Results of some batches in the order of `orders`; when a whole call failed, its error for each of its orders."""
    results: dict[str, OrderResult] = {}
    for mine, waiting in begun:
        try:
            answers = await waiting
        except Exception as error:  # noqa: BLE001 - `_error_of` logs a fault of ours
            answers = [_error_of(error)] * len(mine)
        results.update((order.key, result_of(answer)) for order, answer in zip(mine, answers, strict=True))
    return [results[order.key] for order in orders]


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
