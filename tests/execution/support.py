"""A clock that stands still until it is moved, an exchange that answers as told, and an owner that notes everything."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from gridbot.budget.address_budget import AddressBudget
from gridbot.budget.request_permits import Purpose
from gridbot.core import Direction, Side
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.exchange.requests import CancelRef, OrderAck, OrderRequest, RateLimit
from gridbot.execution.executor import Executor
from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.orders.outcomes import OrderOutcome, OrderResult

START_S = 1000.0
START_MS = 1_700_000_000_000

Answer = OrderAck | ExchangeError


@dataclass(slots=True)
class ManualTimer:
    due_s: float
    callback: Callable[[], None]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True


class ManualClock:
    """Sleeping moves it; timers run when it passes them."""

    def __init__(self) -> None:
        self.now_s = START_S
        self._timers: list[ManualTimer] = []

    @property
    def timers(self) -> list[float]:
        """Seconds until each timer that is set."""
        return sorted(timer.due_s - self.now_s for timer in self._timers if not timer.is_cancelled)

    def monotonic_s(self) -> float:
        return self.now_s

    def monotonic_ns(self) -> int:
        return int(self.now_s * 1e9)

    def wall_ms(self) -> int:
        return START_MS + round((self.now_s - START_S) * 1000)

    def wall_us(self) -> int:
        return self.wall_ms() * 1000

    async def sleep(self, seconds: float) -> None:
        await self.advance(seconds)

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> ManualTimer:
        timer = ManualTimer(self.now_s + delay_s, callback)
        self._timers.append(timer)
        return timer

    async def advance(self, seconds: float) -> None:
        """Move on, and run each timer at its time."""
        end_s = self.now_s + seconds
        while due := [timer for timer in self._timers if timer.due_s <= end_s]:
            timer = min(due, key=lambda timer: timer.due_s)
            self._timers.remove(timer)
            if not timer.is_cancelled:
                self.now_s = max(self.now_s, timer.due_s)
                timer.callback()
                await settle()
        self.now_s = end_s
        await settle()


async def settle() -> None:
    """Let every task run until it waits for something else."""
    for _ in range(10):
        await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the exchange gets it."""

    endpoint: str
    links: list[str]
    at_s: float


@dataclass
class FakeGateway:
    """Acknowledges everything, except what `answers` (by link id) or `failures` (whole calls, in turn) say otherwise.

    While `is_silent` nothing is answered.
    """

    clock: ManualClock
    by_http: bool = True
    log: list[object] = field(default_factory=list)
    answers: dict[str, ExchangeError] = field(default_factory=dict)
    failures: list[ExchangeError | None] = field(default_factory=list)
    limits: dict[str, RateLimit] = field(default_factory=dict)
    is_silent: bool = False
    address: AddressBudget | None = None
    """Counts each request, as `Calls` does."""

    @property
    def requests(self) -> list[Request]:
        return [entry for entry in self.log if isinstance(entry, Request)]

    @property
    def sent(self) -> list[tuple[str, list[str]]]:
        """Endpoint and orders of every request."""
        return [(request.endpoint, request.links) for request in self.requests]

    def place_order(self, order: OrderRequest) -> Awaitable[OrderAck]:
        self._note("order/create", [order.order_link_id])
        return self._single(order.order_link_id)

    def place_orders(self, orders: Sequence[OrderRequest]) -> Awaitable[list[Answer]]:
        return self._batch("order/create-batch", [order.order_link_id for order in orders])

    def cancel_order(self, symbol: str, *, order_id: str = "", order_link_id: str = "") -> Awaitable[OrderAck]:
        self._note("order/cancel", [order_link_id])
        return self._single(order_link_id)

    def cancel_orders(self, symbol: str, refs: Sequence[CancelRef]) -> Awaitable[list[Answer]]:
        return self._batch("order/cancel-batch", [ref.order_link_id for ref in refs])

    async def _single(self, link: str) -> OrderAck:
        await self._wait()
        answer = self._answer(link)
        if isinstance(answer, ExchangeError):
            raise answer
        return answer

    def _batch(self, endpoint: str, links: list[str]) -> Awaitable[list[Answer]]:
        self._note(endpoint, links)
        return self._several(links)

    async def _several(self, links: list[str]) -> list[Answer]:
        await self._wait()
        return [self._answer(link) for link in links]

    async def _wait(self) -> None:
        while self.is_silent:
            await asyncio.sleep(0)
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure

    def _answer(self, link: str) -> Answer:
        return self.answers.get(link) or OrderAck(f"id of {link}", link)

    def _note(self, endpoint: str, links: list[str]) -> None:
        self.log.append(Request(endpoint, links, self.clock.now_s))
        if self.address is not None and self.by_http:
            self.address.sent(Purpose.OPEN)


class Owner:
    """Notes what it is told, and when each order left; `breaks_on` are link ids whose answers it cannot handle.

    `waited_for` are those it was asked about after a wait; of these it does not want those in `passed` any more.
    """

    def __init__(self, log: list[object]) -> None:
        self.log = log
        self.results: dict[str, OrderResult] = {}
        self.sent_ms: dict[str, int] = {}
        self.breaks_on: set[str] = set()
        self.waited_for: list[str] = []
        self.passed: set[str] = set()

    def waited(self, order: TrackedOrder) -> None:
        self.waited_for.append(order.link_id)
        if order.link_id in self.breaks_on:
            raise ValueError("the owner is broken")
        if order.link_id in self.passed:
            order.state = OrderState.CANCELLED

    def sending(self, order: TrackedOrder, sent_ms: int) -> None:
        self.sent_ms[order.link_id] = sent_ms
        self.log.append(f"sending {order.link_id}")

    def sent(self, order: TrackedOrder) -> None:
        self.log.append(f"sent {order.link_id}")

    def placed(self, order: TrackedOrder, result: OrderResult) -> None:
        self._take(f"placed {order.link_id}", order, result)

    def cancelled(self, order: TrackedOrder, result: OrderResult) -> None:
        self._take(f"cancelled {order.link_id}", order, result)

    def _take(self, text: str, order: TrackedOrder, result: OrderResult) -> None:
        self.log.append(text)
        if order.link_id in self.breaks_on:
            raise ValueError("the owner is broken")
        self.results[order.link_id] = result


class Bench:
    """An executor between the owner and the exchange above; everything is noted in one `log`, in its order."""

    def __init__(self, *, max_in_flight: int = 4, shared: bool = False) -> None:
        self.clock = ManualClock()
        self.said: list[dict[str, Any]] = []
        """To a supervisor, by an executor whose address is `shared`."""
        self.address = AddressBudget(self.clock, self.said.append) if shared else None
        self.gateway = FakeGateway(self.clock, address=self.address)
        self.log = self.gateway.log
        self.owner = Owner(self.log)
        self.faults: list[tuple[str, BaseException, str]] = []
        self.executor = Executor(
            self.gateway,
            self.clock,
            before_send=lambda: self.log.append("journalled"),
            on_fault=lambda part, error, symbol="": self.faults.append((part, error, symbol)),
            max_in_flight=max_in_flight,
            address=self.address,
        )

    def place(self, *links: str, close: bool = False, distance: int = 0, symbol: str = "BTCUSDT") -> list[TrackedOrder]:
        """Queue orders to be created."""
        orders = [order_of(link, reduce_only=close, symbol=symbol) for link in links]
        for order in orders:
            self.executor.place(order, self.owner, Decimal(distance))
        return orders

    def cancel(self, *links: str, symbol: str = "BTCUSDT") -> list[TrackedOrder]:
        """Queue orders that rest to be cancelled."""
        orders = [order_of(link, state=OrderState.PENDING_CANCEL, symbol=symbol) for link in links]
        for order in orders:
            self.executor.cancel(order, self.owner)
        return orders

    async def pump(self) -> None:
        """Send, and take in what is answered at once."""
        self.executor.pump()
        await settle()


def order_of(
    link: str, *, state: OrderState = OrderState.PENDING, reduce_only: bool = False, symbol: str = "BTCUSDT"
) -> TrackedOrder:
    return TrackedOrder(
        strat_id="grid",
        symbol=symbol,
        side=Side.BUY,
        direction=Direction.LONG,
        ticks=1000,
        price=Decimal(100),
        qty=Decimal(1),
        reduce_only=reduce_only,
        link_id=link,
        state=state,
    )


def outcomes(bench: Bench) -> dict[str, OrderOutcome]:
    """The outcome of each order that was answered, by link id."""
    return {link: result.outcome for link, result in bench.owner.results.items()}


def names(prefix: str, count: int) -> list[str]:
    """`prefix` with two digits, in order."""
    return [f"{prefix}{number:02}" for number in range(count)]


def failure(kind: ErrorKind) -> ExchangeError:
    return make_error(f"the exchange said {kind}", kind)
