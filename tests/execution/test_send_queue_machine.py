"""The executor's choice under everything that can happen, in any order: hypothesis looks for a request that should not
have left, a slot that is lost, or an order that waits for nothing. The rules are in `execution/queue_invariants.py`.
"""

from __future__ import annotations

from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gridbot.exchange.failures import ErrorKind
from gridbot.exchange.requests import RateLimit
from gridbot.execution import queue_invariants as invariants
from gridbot.execution.rate_budget import PAUSE_S
from gridbot.execution.send_lane import RequestKind
from gridbot.orders.order import OrderState
from tests.examples import examples
from tests.execution.sending_world import MAX_IN_FLIGHT, SendingWorld
from tests.execution.support import failure

EXAMPLES = examples(40)
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


class Sending(RuleBasedStateMachine):
    """The machine is strategies, exchange and time."""

    def __init__(self) -> None:
        super().__init__()
        self.world = SendingWorld()
        self.is_closed = False

    def teardown(self) -> None:
        """Whatever happened, in the end everything is sent and answered, and every slot is back."""
        world = self.world
        world.finish()
        try:
            assert world.executor.idle, "orders wait for ever"
            assert world.executor.queue.free == MAX_IN_FLIGHT
            assert not any(world.unanswered.values()), world.unanswered
            assert not any(world.wishes.values()), world.wishes
        finally:
            world.loop.close()

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
        while rest and self.world.exchange.open:
            self.world.answer(0, kinds)

    @rule(
        count=st.integers(1, 14),
        close=st.booleans(),
        distance=st.integers(0, 5),
        symbol=st.sampled_from(SYMBOLS),
        pump=st.booleans(),
    )
    def place(self, count: int, close: bool, distance: int, symbol: str, pump: bool) -> None:
        self.world.place(count, symbol, close=close, distance=distance)
        if pump:
            self.world.pump()

    @rule(data=st.data(), pump=st.booleans())
    @precondition(lambda self: self.world.within(OrderState.OPEN))
    def cancel(self, data: st.DataObject, pump: bool) -> None:
        resting = st.sampled_from(self.world.within(OrderState.OPEN))
        for order in data.draw(st.lists(resting, min_size=1, max_size=12)):
            if order.state is OrderState.OPEN:
                self.world.cancel(order)
        if pump:
            self.world.pump()

    @rule(data=st.data())
    @precondition(lambda self: any(self.world.wishes.values()))
    def withdraw_while_waiting(self, data: st.DataObject) -> None:
        for kind, links in self.world.wishes.items():
            waiting = sorted(links)
            for link in data.draw(st.lists(st.sampled_from(waiting), max_size=4)) if waiting else ():
                event(f"withdrawn while waiting: {kind.name}")
                self.world.drop(kind, link)

    @rule(data=st.data())
    @precondition(lambda self: self.world.wishes[RequestKind.PLACE])
    def the_price_passes_what_waits(self, data: st.DataObject) -> None:
        waiting = sorted(self.world.wishes[RequestKind.PLACE])
        self.world.passed.update(data.draw(st.lists(st.sampled_from(waiting), max_size=4)))

    @rule(data=st.data())
    @precondition(lambda self: self.world.within(OrderState.PENDING))
    def try_again(self, data: st.DataObject) -> None:
        """The retry queue queues an order anew, also one that waits already."""
        order = data.draw(st.sampled_from(self.world.within(OrderState.PENDING)))
        if not self.world.unanswered.get(order.link_id):
            event(f"queued again, waits already: {order.link_id in self.world.wishes[RequestKind.PLACE]}")
            self.world.place_again(order)
            self.world.pump()

    @rule(data=st.data(), kinds=st.lists(ANSWERS, min_size=1, max_size=10))
    @precondition(lambda self: self.world.exchange.open)
    def answer(self, data: st.DataObject, kinds: list[ErrorKind | None]) -> None:
        self.world.answer(data.draw(st.integers(0, len(self.world.exchange.open) - 1)), kinds)

    @rule(
        data=st.data(),
        error=st.sampled_from([failure(ErrorKind.IP_BAN), failure(ErrorKind.RATE_LIMIT), KeyError("result")]),
    )
    @precondition(lambda self: self.world.exchange.open)
    def a_whole_request_fails(self, data: st.DataObject, error: Exception) -> None:
        event(f"whole request: {type(error).__name__} {getattr(error, 'kind', '')}")
        _, _, future = self.world.exchange.open.pop(data.draw(st.integers(0, len(self.world.exchange.open) - 1)))
        self.world.run(lambda: future.set_exception(error))

    @rule(data=st.data())
    @precondition(lambda self: any(endpoint.endswith("batch") for endpoint, _, _ in self.world.exchange.open))
    def a_batch_is_answered_short(self, data: st.DataObject) -> None:
        batches = [request for request in self.world.exchange.open if request[0].endswith("batch")]
        request = data.draw(st.sampled_from(batches))
        self.world.exchange.open.remove(request)
        event("batch answered short")
        self.world.run(lambda: request[2].set_result([]))

    @rule(endpoint=st.sampled_from([e for k in RequestKind for e in k.endpoints]), limit=st.integers(0, 25))
    def the_quota_changes(self, endpoint: str, limit: int) -> None:
        self.world.exchange.limits[endpoint] = RateLimit(limit=limit, remaining=0, reset_ms=0)

    @rule(what=st.sampled_from(["transport", "journal", "sending", "sent", "answer", "waited"]))
    def something_of_ours_will_break(self, what: str) -> None:
        if what == "transport":
            self.world.exchange.breaks += 1
        elif what == "journal":
            self.world.journal_breaks += 1
        else:
            self.world.owner_breaks[what] += 1

    @rule(by_http=st.booleans(), sees_all=st.booleans())
    def the_way_and_what_it_sees_change(self, by_http: bool, sees_all: bool) -> None:
        self.world.exchange.by_http, self.world.sees_all = by_http, sees_all

    @rule(seconds=st.sampled_from([0.0, 0.1, PAUSE_S, 1.049, 1.05, 1.06, 5.0, 600.0, 601.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.run(lambda: self.world.clock.advance(seconds))

    @rule(seconds=st.sampled_from([0.5, 30.0, 700.0]))
    def the_machine_sleeps(self, seconds: float) -> None:
        """Time jumps, and all timers are late."""
        self.world.clock.now_s += seconds
        self.world.run(lambda: self.world.clock.advance(0))

    @rule()
    def pump(self) -> None:
        self.world.pump()

    @rule()
    @precondition(lambda self: self.world.executor.under_way == MAX_IN_FLIGHT)
    def close(self) -> None:
        event("closed")
        self.is_closed = True
        self.world.close()
        assert self.world.executor.idle

    # ------------------------------------------------------------------ what must hold

    @invariant()
    def nothing_wrong_was_sent(self) -> None:
        assert self.world.wrong == []

    @invariant()
    def slots_add_up(self) -> None:
        executor = self.world.executor
        assert not invariants.slots_add_up(executor.queue.free, executor.under_way, MAX_IN_FLIGHT)

    @invariant()
    def lanes_are_bounded(self) -> None:
        lanes = self.world.executor.queue.lanes
        assert not invariants.lanes_bounded({lane.kind: [order.link_id for order in lane.waiting] for lane in lanes})

    @invariant()
    def every_wish_waits(self) -> None:
        for kind, links in self.world.wishes.items():
            assert links <= set(self.world.waiting(kind))

    @invariant()
    def nothing_is_forgotten(self) -> None:
        if self.is_closed:
            return
        waiting = sum(len(self.world.waiting(kind)) for kind in RequestKind)
        timers = len(self.world.clock.timers)
        assert not invariants.nothing_forgotten(waiting, self.world.executor.under_way, timers)


Sending.TestCase.settings = settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None)
TestSending = Sending.TestCase
