"""The executor's choice under everything that can happen, in any order: hypothesis looks for a request that should not
have left, a slot that is lost, or an order that waits for nothing. The rules are in `execution/queue_invariants.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import pytest
from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gridbot.exchange.failures import ErrorKind, ExchangeError
from gridbot.exchange.requests import CancelRef, OrderAck, OrderRequest, RateLimit
from gridbot.execution import queue_invariants as invariants
from gridbot.execution.executor import Executor
from gridbot.execution.queue_invariants import Wire
from gridbot.execution.rate_budget import PAUSE_S
from gridbot.execution.send_queue import RequestKind
from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.orders.outcomes import OrderResult
from tests.examples import examples
from tests.execution.support import ManualClock, failure, order_of, settle

T = TypeVar("T")
EXAMPLES = examples(40)
MAX_IN_FLIGHT = 3
SYMBOLS = ("BTCUSDT", "ETHUSDT")
ANSWERS = st.sampled_from(
    [
        None,
        None,
        None,
        ErrorKind.BALANCE,
        ErrorKind.AMBIGUOUS,
        ErrorKind.RETRY,
        ErrorKind.RATE_LIMIT,
        ErrorKind.NOT_FOUND,
    ]
)


class Exchange:
    """Every request stays unanswered until the machine answers it; `breaks` is how many of the next calls raise."""

    def __init__(self, on_request: Callable[[str, list[str]], None]) -> None:
        self.limits: dict[str, RateLimit] = {}
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


class Sending(RuleBasedStateMachine):
    """A real executor; the machine is strategies, exchange and time."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = ManualClock()
        self.exchange = Exchange(self._left)
        self.executor = Executor(
            self.exchange,
            self.clock,
            before_send=self._journal,
            on_fault=lambda part, error, symbol="": self.faults.append(part),
            max_in_flight=MAX_IN_FLIGHT,
        )
        self.faults: list[str] = []
        self.orders: dict[str, TrackedOrder] = {}
        self.urgency: dict[str, invariants.Urgency] = {}
        self.wishes: dict[RequestKind, set[str]] = {kind: set() for kind in RequestKind}
        self.wires: list[Wire] = []
        self.wrong: list[str] = []
        self.unanswered: dict[str, int] = {}
        self.owner_breaks = {"sending": 0, "answer": 0}
        self.journal_breaks = 0

    def teardown(self) -> None:
        """Whatever happened, in the end everything is sent and answered, and every slot is back."""
        self.exchange.breaks = self.journal_breaks = 0
        self.owner_breaks = {"sending": 0, "answer": 0}
        self._pump()
        for _ in range(300):
            if self.executor.idle:
                break
            for number in range(len(self.exchange.open) - 1, -1, -1):
                self._answer(number, [None])
            self._run(lambda: self.clock.advance(3))
        try:
            assert self.executor.idle, "orders wait for ever"
            assert self.executor.free == MAX_IN_FLIGHT
            assert not any(self.unanswered.values()), self.unanswered
            assert not any(self.wishes.values()), self.wishes
        finally:
            self.loop.close()

    # ------------------------------------------------------------------ what is observed

    def _left(self, endpoint: str, links: list[str]) -> None:
        kind = next(kind for kind in RequestKind if endpoint in kind.endpoints)
        cancels, lane = self._waiting(RequestKind.CANCEL), self._waiting(kind)
        budget, now_s = self.executor.budget, self.clock.now_s
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
            cancels_could_go=bool(cancels) and budget.wait_s(cancel_endpoint, now_s) <= 0,
            banned_until_s=budget.ip_banned_until_s,
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

    def _waiting(self, kind: RequestKind) -> list[str]:
        [lane] = [lane for lane in self.executor.lanes if lane.kind is kind]
        return [
            entry[3].link_id
            for entry in sorted(lane.heap, key=lambda entry: entry[:3])
            if entry[3].state is kind.wanted
        ]

    def _run(self, step: Callable[[], Awaitable[object] | object]) -> None:
        async def run() -> None:
            answer = step()
            if answer is not None:
                await answer  # type: ignore[misc]
            await settle()

        self.loop.run_until_complete(run())

    def _pump(self) -> None:
        self._run(self.executor.pump)

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

    def sending(self, order: TrackedOrder) -> None:
        self._breaks("sending")

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

    # ------------------------------------------------------------------ what can happen

    @initialize(
        count=st.integers(1, 14),
        symbol=st.sampled_from(SYMBOLS),
        kinds=st.lists(ANSWERS, max_size=10),
        rest=st.booleans(),
    )
    def start(self, count: int, symbol: str, kinds: list[ErrorKind | None], rest: bool) -> None:
        """Orders to begin with, which may rest: hypothesis leaves out rules at random."""
        self.place(count, close=False, distance=0, symbol=symbol, pump=True)
        while rest and self.exchange.open:
            self._answer(0, kinds)

    @rule(
        count=st.integers(1, 14),
        close=st.booleans(),
        distance=st.integers(0, 5),
        symbol=st.sampled_from(SYMBOLS),
        pump=st.booleans(),
    )
    def place(self, count: int, close: bool, distance: int, symbol: str, pump: bool) -> None:
        for _ in range(count):
            link = f"o{len(self.orders)}"
            order = self.orders[link] = order_of(link, reduce_only=close, symbol=symbol)
            self.urgency[link] = (0 if close else 1, Decimal(distance))
            self.wishes[RequestKind.PLACE].add(link)
            self.executor.place(order, self, Decimal(distance))
        if pump:
            self._pump()

    @rule(data=st.data(), pump=st.booleans())
    @precondition(lambda self: self._in(OrderState.OPEN))
    def cancel(self, data: st.DataObject, pump: bool) -> None:
        for order in data.draw(st.lists(st.sampled_from(self._in(OrderState.OPEN)), min_size=1, max_size=12)):
            if order.state is OrderState.OPEN:
                order.state = OrderState.PENDING_CANCEL
                self.wishes[RequestKind.CANCEL].add(order.link_id)
                self.executor.cancel(order, self)
        if pump:
            self._pump()

    @rule(data=st.data())
    @precondition(lambda self: any(self.wishes.values()))
    def withdraw_while_waiting(self, data: st.DataObject) -> None:
        """An order that never left is withdrawn; a cancel that waits is not needed any more."""
        for kind, state in ((RequestKind.PLACE, OrderState.CANCELLED), (RequestKind.CANCEL, OrderState.OPEN)):
            waiting = sorted(self.wishes[kind])
            for link in data.draw(st.lists(st.sampled_from(waiting), max_size=4)) if waiting else ():
                event(f"withdrawn while waiting: {kind.name}")
                self.orders[link].state = state
                self.wishes[kind].discard(link)

    @rule(data=st.data())
    @precondition(lambda self: self._in(OrderState.PENDING))
    def try_again(self, data: st.DataObject) -> None:
        """The retry queue queues an order anew, also one that waits already."""
        order = data.draw(st.sampled_from(self._in(OrderState.PENDING)))
        if not self.unanswered.get(order.link_id):
            event(f"queued again, waits already: {order.link_id in self.wishes[RequestKind.PLACE]}")
            if order.link_id not in self.wishes[RequestKind.PLACE]:
                self.urgency[order.link_id] = (self.urgency[order.link_id][0], Decimal(0))
            self.wishes[RequestKind.PLACE].add(order.link_id)
            self.executor.place(order, self)
            self._pump()

    @rule(data=st.data(), kinds=st.lists(ANSWERS, min_size=1, max_size=10))
    @precondition(lambda self: self.exchange.open)
    def answer(self, data: st.DataObject, kinds: list[ErrorKind | None]) -> None:
        self._answer(data.draw(st.integers(0, len(self.exchange.open) - 1)), kinds)

    def _answer(self, number: int, kinds: Sequence[ErrorKind | None]) -> None:
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

        self._run(give)

    @rule(
        data=st.data(),
        error=st.sampled_from([failure(ErrorKind.IP_BAN), failure(ErrorKind.RATE_LIMIT), KeyError("result")]),
    )
    @precondition(lambda self: self.exchange.open)
    def a_whole_request_fails(self, data: st.DataObject, error: Exception) -> None:
        event(f"whole request: {type(error).__name__} {getattr(error, 'kind', '')}")
        _, _, future = self.exchange.open.pop(data.draw(st.integers(0, len(self.exchange.open) - 1)))
        self._run(lambda: future.set_exception(error))

    @rule(data=st.data())
    @precondition(lambda self: any(endpoint.endswith("batch") for endpoint, _, _ in self.exchange.open))
    def a_batch_is_answered_short(self, data: st.DataObject) -> None:
        batches = [request for request in self.exchange.open if request[0].endswith("batch")]
        request = data.draw(st.sampled_from(batches))
        self.exchange.open.remove(request)
        event("batch answered short")
        self._run(lambda: request[2].set_result([]))

    @rule(endpoint=st.sampled_from([e for k in RequestKind for e in k.endpoints]), limit=st.integers(0, 25))
    def the_quota_changes(self, endpoint: str, limit: int) -> None:
        self.exchange.limits[endpoint] = RateLimit(limit=limit, remaining=0, reset_ms=0)

    @rule(what=st.sampled_from(["transport", "journal", "sending", "answer"]))
    def something_of_ours_will_break(self, what: str) -> None:
        if what == "transport":
            self.exchange.breaks += 1
        elif what == "journal":
            self.journal_breaks += 1
        else:
            self.owner_breaks[what] += 1

    @rule(seconds=st.sampled_from([0.0, 0.1, PAUSE_S, 1.049, 1.05, 1.06, 5.0, 600.0, 601.0]))
    def time_passes(self, seconds: float) -> None:
        self._run(lambda: self.clock.advance(seconds))

    @rule(seconds=st.sampled_from([0.5, 30.0, 700.0]))
    def the_machine_sleeps(self, seconds: float) -> None:
        """Time jumps, and all timers are late."""
        self.clock.now_s += seconds
        self._run(lambda: self.clock.advance(0))

    @rule()
    def pump(self) -> None:
        self._pump()

    def _in(self, state: OrderState) -> list[TrackedOrder]:
        return [order for order in self.orders.values() if order.state is state]

    # ------------------------------------------------------------------ what must hold

    @invariant()
    def nothing_wrong_was_sent(self) -> None:
        assert self.wrong == []

    @invariant()
    def slots_add_up(self) -> None:
        assert not invariants.slots_add_up(self.executor.free, self.executor.under_way, MAX_IN_FLIGHT)

    @invariant()
    def lanes_are_bounded(self) -> None:
        waiting = {lane.kind: [entry[3].link_id for entry in lane.heap] for lane in self.executor.lanes}
        assert not invariants.lanes_bounded(waiting)

    @invariant()
    def every_wish_waits(self) -> None:
        for kind, links in self.wishes.items():
            assert links <= set(self._waiting(kind))

    @rule()
    def nothing_is_forgotten(self) -> None:
        self._pump()
        waiting = sum(len(self._waiting(kind)) for kind in RequestKind)
        assert not invariants.nothing_forgotten(waiting, self.executor.under_way, len(self.clock.timers))


Sending.TestCase.settings = settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None)
TestSending = Sending.TestCase


def wire(**more: Any) -> Wire:
    values: dict[str, Any] = {
        "at_s": 1.0,
        "kind": RequestKind.PLACE,
        "endpoint": "order/create",
        "links": ("a",),
        "urgencies": ((1, Decimal(2)),),
        "behind": (),
        "quota": 10,
    }
    return Wire(**{**values, **more})


@pytest.mark.parametrize(
    ("wires", "word"),
    [
        ([wire(cancels_could_go=True)], "before a cancel"),
        ([wire(behind=((0, Decimal(9)),))], "left before"),
        ([wire(behind=((1, Decimal(1)),))], "left before"),
        ([wire(quota=1), wire(quota=1, at_s=1.9)], "2 orders to order/create"),
        ([wire(banned_until_s=2.0)], "during a ban"),
        ([wire(links=("a", "b"))], "in one request"),
        ([wire(endpoint="order/create-batch", links=("a", "a"))], "in one request"),
        ([wire(endpoint="order/create-batch", links=tuple("abcdefghijk"), quota=99)], "in one request"),
    ],
)
def test_each_rule_finds_its_offender(wires: list[Wire], word: str) -> None:
    [text] = invariants.broken_rules(wires)
    assert word in text


def test_what_is_allowed_is_no_offence() -> None:
    cancel = wire(kind=RequestKind.CANCEL, endpoint="order/cancel", cancels_could_go=True, banned_until_s=1.0)
    assert invariants.broken_rules([wire(at_s=-0.05, quota=1), cancel, wire(quota=1)]) == []
    assert not invariants.one_request_per_wish(cancel, {"a"})
    assert not invariants.slots_add_up(1, 2, 3)
    assert not invariants.nothing_forgotten(0, 0, 0)
    assert not invariants.nothing_forgotten(3, 0, 1)
    assert not invariants.nothing_forgotten(3, 1, 0)


def test_the_rules_of_the_whole_find_their_offenders() -> None:
    assert "without a wish" in invariants.one_request_per_wish(wire(), ())
    assert invariants.slots_add_up(0, 2, 3)
    assert invariants.slots_add_up(-1, 4, 3)
    assert "nothing asks again" in invariants.nothing_forgotten(1, 0, 0)
    assert invariants.nothing_forgotten(1, 0, 2)
    assert "twice" in invariants.lanes_bounded({RequestKind.PLACE: ["a", "a"]})
