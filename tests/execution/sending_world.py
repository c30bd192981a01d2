"""A real executor between an exchange that answers when told, and an owner of all orders; every request is judged.

For `test_send_queue_machine`. The rules are in `execution/queue_invariants.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any

from hypothesis import event

from gridbot.exchange.failures import ErrorKind, ExchangeError
from gridbot.exchange.requests import CancelRef, OrderAck, OrderRequest, RateLimit
from gridbot.execution import queue_invariants as invariants
from gridbot.execution.executor import Executor
from gridbot.execution.queue_invariants import Wire
from gridbot.execution.send_lane import RequestKind
from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.orders.outcomes import OrderResult
from tests.execution.support import ManualClock, failure, order_of, settle

MAX_IN_FLIGHT = 3


class Exchange:
    """Every request stays unanswered until the machine answers it; `breaks` is how many of the next calls raise."""

    def __init__(self, on_request: Callable[[str, list[str]], None]) -> None:
        self.limits: dict[str, RateLimit] = {}
        self.by_http = True
        self.open: list[tuple[str, list[str], asyncio.Future[Any]]] = []
        self.breaks = 0
        self._on_request = on_request

    def place_order(self, order: OrderRequest) -> Awaitable[OrderAck]:
        return self._take("order/create", [order.order_link_id])

    def place_orders(self, orders: Sequence[OrderRequest]) -> Awaitable[list[OrderAck | ExchangeError]]:
        return self._take("order/create-batch", [order.order_link_id for order in orders])

    def cancel_order(self, symbol: str, *, order_id: str = "", order_link_id: str = "") -> Awaitable[OrderAck]:
        return self._take("order/cancel", [order_link_id])

    def cancel_orders(self, symbol: str, refs: Sequence[CancelRef]) -> Awaitable[list[OrderAck | ExchangeError]]:
        return self._take("order/cancel-batch", [ref.order_link_id for ref in refs])

    def _take(self, endpoint: str, links: list[str]) -> asyncio.Future[Any]:
        if self.breaks:
            self.breaks -= 1
            event("breaks: transport")
            raise RuntimeError("the transport is broken")
        self._on_request(endpoint, links)
        future = asyncio.get_running_loop().create_future()
        self.open.append((endpoint, links, future))
        return future


class SendingWorld:
    """`orders` are all there ever were, `wishes` those whose request has not left, `unanswered` counts requests.

    `wrong` is what broke a rule, in words; `owner_breaks` and `journal_breaks` are how many of the next calls raise.
    """

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.clock = ManualClock()
        self.exchange = Exchange(self._left)
        self.executor = Executor(
            self.exchange,
            self.clock,
            before_send=self._journal,
            on_fault=lambda part, error, symbol="": None,
            max_in_flight=MAX_IN_FLIGHT,
        )
        self.orders: dict[str, TrackedOrder] = {}
        self.urgency: dict[str, invariants.Urgency] = {}
        self.wishes: dict[RequestKind, set[str]] = {kind: set() for kind in RequestKind}
        self.wires: list[Wire] = []
        self.wrong: list[str] = []
        self.unanswered: dict[str, int] = {}
        self.owner_breaks = {"sending": 0, "sent": 0, "answer": 0, "waited": 0}
        self.passed: set[str] = set()
        """Orders whose price is passed: they are withdrawn when they may leave after a wait."""
        self.journal_breaks = 0
        self.sees_all = True
        self.executor.tell_sight(lambda: self.sees_all)

    # ------------------------------------------------------------------ what is wanted

    def place(self, count: int, symbol: str, *, close: bool, distance: int) -> None:
        """Queue new orders."""
        for _ in range(count):
            link = f"o{len(self.orders)}"
            self.orders[link] = order_of(link, reduce_only=close, symbol=symbol)
            self.urgency[link] = (0 if close else 1, Decimal(distance))
            self._queue(self.orders[link])

    def place_again(self, order: TrackedOrder) -> None:
        """Queue an order anew, which may wait already: then it keeps its place."""
        if order.link_id not in self.wishes[RequestKind.PLACE]:
            self.urgency[order.link_id] = (self.urgency[order.link_id][0], Decimal(0))
        self._queue(order)

    def cancel(self, order: TrackedOrder) -> None:
        """Withdraw an order that rests."""
        order.state = OrderState.PENDING_CANCEL
        self.wishes[RequestKind.CANCEL].add(order.link_id)
        self.executor.cancel(order, self)

    def drop(self, kind: RequestKind, link: str) -> None:
        """An order that waits needs no request any more: it is withdrawn, or its cancel is not wanted."""
        self.orders[link].state = OrderState.CANCELLED if kind is RequestKind.PLACE else OrderState.OPEN
        self.wishes[kind].discard(link)

    def within(self, state: OrderState) -> list[TrackedOrder]:
        """The orders in this state."""
        return [order for order in self.orders.values() if order.state is state]

    def _queue(self, order: TrackedOrder) -> None:
        self.wishes[RequestKind.PLACE].add(order.link_id)
        self.executor.place(order, self, self.urgency[order.link_id][1])

    # ------------------------------------------------------------------ what happens

    def pump(self) -> None:
        """Send what may be sent, and let everything run until it waits."""
        self.run(self.executor.pump)

    def answer(self, number: int, kinds: Sequence[ErrorKind | None]) -> None:
        """Answer one request: its orders fail with `kinds`, in turn; None and what is beyond them is acknowledged."""
        endpoint, links, future = self.exchange.open.pop(number)
        for kind in kinds[: len(links)]:
            event(f"answer {kind or 'ack'}")
        answers = [
            OrderAck(f"id of {link}", link) if kind is None else failure(kind)
            for link, kind in zip(links, [*kinds, *[None] * len(links)], strict=False)
        ]

        def give() -> None:
            if endpoint.endswith("batch"):
                future.set_result(answers)
            elif isinstance(answers[0], ExchangeError):
                future.set_exception(answers[0])
            else:
                future.set_result(answers[0])

        self.run(give)

    def close(self) -> None:
        """Close the executor: nothing waits, no answer is taken in."""
        self.run(self.executor.close)
        self.exchange.open.clear()
        self.unanswered.clear()
        for links in self.wishes.values():
            links.clear()

    def finish(self) -> None:
        """From now on nothing breaks, and every request is answered, until nothing is left to send."""
        self.exchange.breaks = self.journal_breaks = 0
        self.owner_breaks = dict.fromkeys(self.owner_breaks, 0)
        self.pump()
        for _ in range(300):
            if self.executor.idle:
                break
            for number in range(len(self.exchange.open) - 1, -1, -1):
                self.answer(number, [None])
            self.run(lambda: self.clock.advance(3))

    # ------------------------------------------------------------------ what is observed

    def _left(self, endpoint: str, links: list[str]) -> None:
        kind = next(kind for kind in RequestKind if endpoint in kind.endpoints)
        cancels, lane = self.waiting(RequestKind.CANCEL), self.waiting(kind)
        budget, now_s = self.executor.queue.budget, self.clock.now_s
        cancels = [link for link in cancels if self.orders[link].symbol == self.orders[cancels[0]].symbol]
        cancel_endpoint = "order/cancel-batch" if len(cancels) > 1 else "order/cancel"
        wire = Wire(
            at_s=now_s,
            kind=kind,
            endpoint=endpoint,
            links=tuple(links),
            urgencies=tuple(self.urgency[link] for link in links),
            behind=tuple(self.urgency[link] for link in lane) if kind is RequestKind.PLACE else (),
            quota=budget._limits[endpoint].rate,
            cancels_could_go=bool(cancels) and self._room(cancel_endpoint),
            banned_until_s=budget.ban.until_s if budget.ban is not None else None,
            by_http=self.exchange.by_http,
            sees_all=self.sees_all,
        )
        self.wires = [w for w in self.wires if now_s - w.at_s < 5] + [wire]
        event(f"request {endpoint}")
        self.wrong += invariants.broken_rules(self.wires)
        self.wrong += filter(None, [invariants.one_request_per_wish(wire, self.wishes[kind])])
        if self.executor.under_way >= MAX_IN_FLIGHT:
            self.wrong.append(f"{links} left without a free slot")
        self.wishes[kind] -= set(links)
        for link in links:
            self.unanswered[link] = self.unanswered.get(link, 0) + 1

    def _room(self, endpoint: str) -> bool:
        budget, by_http = self.executor.queue.budget, self.exchange.by_http
        return budget.wait_s(endpoint, self.clock.now_s, by_http=by_http) <= 0

    def waiting(self, kind: RequestKind) -> list[str]:
        """The orders of a lane that still need their request, the most urgent first."""
        [lane] = [lane for lane in self.executor.queue.lanes if lane.kind is kind]
        return [order.link_id for order in lane.waiting if order.state is kind.wanted]

    def run(self, do: Callable[[], Awaitable[object] | object]) -> None:
        async def run() -> None:
            answer = do()
            if answer is not None:
                await answer  # type: ignore[misc]
            await settle()

        self.loop.run_until_complete(run())

    # ------------------------------------------------------------------ the owner of all orders

    def _journal(self) -> None:
        if self.journal_breaks:
            self.journal_breaks -= 1
            event("breaks: journal")
            raise OSError("no journal")

    def _breaks(self, where: str) -> None:
        if self.owner_breaks[where]:
            self.owner_breaks[where] -= 1
            event(f"breaks: owner, {where}")
            raise ValueError("the owner is broken")

    def waited(self, order: TrackedOrder) -> None:
        self._breaks("waited")
        if order.link_id in self.passed and order.state is OrderState.PENDING:
            event("passed while it waited")
            self.drop(RequestKind.PLACE, order.link_id)

    def sending(self, order: TrackedOrder, sent_ms: int) -> None:
        self._breaks("sending")

    def sent(self, order: TrackedOrder) -> None:
        self._breaks("sent")

    def placed(self, order: TrackedOrder, result: OrderResult) -> None:
        self._answered(order, RequestKind.PLACE)
        if order.state is OrderState.PENDING:
            kept = result.error is not None and result.error.kind in (ErrorKind.RETRY, ErrorKind.RATE_LIMIT)
            order.state = OrderState.OPEN if result.ack else OrderState.PENDING if kept else OrderState.UNRESOLVED
        self._breaks("answer")

    def cancelled(self, order: TrackedOrder, result: OrderResult) -> None:
        self._answered(order, RequestKind.CANCEL)
        if order.state is OrderState.PENDING_CANCEL:
            order.state = OrderState.CANCELLED if result.ack else OrderState.OPEN
        self._breaks("answer")

    def _answered(self, order: TrackedOrder, kind: RequestKind) -> None:
        self.unanswered[order.link_id] = self.unanswered.get(order.link_id, 0) - 1
        if self.unanswered[order.link_id] < 0:  # it never left: something of ours broke first
            self.unanswered[order.link_id] = 0
            self.wishes[kind].discard(order.link_id)
