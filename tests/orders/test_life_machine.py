"""Random lives of a few orders between `step` and the exchange of `life_model.py`.

After every step all invariants of
`gridbot/orders/order_invariants.py` hold, no withdrawn order reaches the exchange, and nothing is believed that did not
happen. In the end everything is delivered and a complete listing compared: then the book is the exchange, and no level
has two orders.

`pytest tests/orders/test_life_machine.py --hypothesis-show-statistics` prints how often each event and each kind of
trouble occurred. `GRIDBOT_EXAMPLES=2000` runs longer.
"""

from __future__ import annotations

from decimal import Decimal

from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gridbot.core import Direction, OrderStatus, OrderUpdateEvent, Side
from gridbot.orders import life_events
from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.orders.order_invariants import executed_of, sums_never_shrink, violations
from gridbot.orders.proposal import proposal_of
from tests.examples import examples
from tests.orders.helpers import INSTRUMENT, make_order
from tests.orders.life_model import REFUSALS, OurSide

EXAMPLES = examples(40)
ZERO = Decimal(0)
CREATES = st.sampled_from(["ack", "ack", "ack", "lost", "moved", "lost reply", "late", "denied", *REFUSALS])
LEVELS = st.tuples(st.integers(990, 992), st.sampled_from(Side), st.sampled_from(Direction))

CHAPTERS = {
    "given up": ["create ack", "answer", "trade", "hear", "give up"],
    "the key fails": ["create busy", "answer", "cooldown", "place", "create key", "answer"],
    "halted": ["create halt", "answer"],
    "tried again": ["create busy", "answer", "time"],
    "moved by the exchange": ["create moved", "answer", "hear"],
    "restarted": ["create ack", "restart"],
    "cancel without effect": ["create ack", "answer", "hear", "withdraw", "cancel undone", "answer", "compare"],
    "cancel waits": ["create ack", "answer", "hear", "withdraw", "cancel busy", "answer"],
    "moved while the clock is back": ["create ack", "answer", "hear", "clock", "reprice", "hear"],
    "trades while the clock is back": ["create ack", "answer", "hear", "clock", "part", "hear"],
    "filled before its end is heard": ["create ack", "answer", "hear", "trade", "execution"],
}
"""What takes so many steps that chance alone hardly ever leads there. Each tells of an order at a level of its own."""
FIRST_OF_CHAPTERS = 995


class Life(OurSide, RuleBasedStateMachine):
    """A rule for each thing that can happen. `count` notes what occurred."""

    count = staticmethod(event)

    def __init__(self) -> None:
        RuleBasedStateMachine.__init__(self)
        OurSide.__init__(self)

    def pick(self, data: st.DataObject, some: list[TrackedOrder]) -> TrackedOrder:
        return data.draw(st.sampled_from(some))

    # ------------------------------------------------------------------ our side

    @initialize(
        levels=st.lists(LEVELS, min_size=1, max_size=4),
        fates=st.lists(CREATES, max_size=4),
        is_answered=st.booleans(),
        cooldown=st.booleans(),
        chapters=st.lists(st.sampled_from(sorted(CHAPTERS)), min_size=1, max_size=4, unique=True),
    )
    def start(
        self,
        levels: list[tuple[int, Side, Direction]],
        fates: list[str],
        chapters: list[str],
        *,
        is_answered: bool,
        cooldown: bool,
    ) -> None:
        """Orders to begin with: hypothesis leaves out rules at random, so half of all runs would place none."""
        self.cooldown = cooldown
        for ticks, side, direction in levels:
            self.place(ticks, side, direction)
        for how in fates[: len(self.to_create)]:
            self.create(self.to_create.pop(0), how)
        while is_answered and self.answers:
            self.take(self.answers.pop(0))
        for chapter in chapters:
            self.tell(chapter)

    def tell(self, chapter: str) -> None:
        """Live one of the `CHAPTERS`."""
        self.count(f"chapter {chapter}")
        for act in ["place", *CHAPTERS[chapter]]:
            self.act(act)

    def act(self, act: str) -> None:
        """A step of a chapter: about the newest order."""
        what, _, how = act.partition(" ")
        if what == "place":
            self.place(FIRST_OF_CHAPTERS + 2 * self.made, Side.BUY, Direction.LONG)
            return
        order = self.mine[-1]
        match what:
            case "create" | "cancel":
                queue = self.to_create if what == "create" else self.to_cancel
                assert queue.pop() is order
                (self.create if what == "create" else self.cancel)(order, how)
            case "answer":
                self.take(self.answers.pop())
            case "hear":
                self.news(self.exchange.frames.pop())
            case "trade":
                self.exchange.trade(order.link_id, order.qty)
            case "part":
                self.exchange.trade(order.link_id, Decimal("0.003"))
            case "clock":
                self.exchange.clock -= 20
            case "reprice":
                self.exchange.change(order.link_id, price=INSTRUMENT.price(order.ticks + 1))
            case "execution":
                self.execution(self.exchange.executions[-1])
            case "withdraw":
                self.take(life_events.Withdrawn(order.key, "test"))
            case "compare":
                self.compare()
            case "time":
                self.time_passes(20.0)
            case "cooldown":
                self.cooldown = True
            case "restart":
                self.start_anew()
            case "give":
                self.take(life_events.GivenUp(order))

    @rule(ticks=st.integers(990, 992), side=st.sampled_from(Side), direction=st.sampled_from(Direction))
    def place(self, ticks: int, side: Side, direction: Direction) -> None:
        if self.book.has_live(direction, ticks):
            return
        self.made += 1
        order = make_order(self.made, ticks=ticks, side=side, direction=direction)
        order.on_wire = False
        self.mine.append(order)
        self.take(life_events.Submitted(order, proposal_of(order)))

    @precondition(lambda self: self.mine)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        order = self.pick(data, self.mine)
        if order.create_tries.due_s is not None:
            self.count("withdrawn while waiting")
        self.take(life_events.Withdrawn(order.key, "test"))

    @rule(how=st.integers(0, 9))
    def stop(self, how: int) -> None:
        if how == 0:
            self.take(life_events.Stopped("stop"))

    @rule(refusal=st.sampled_from(["", "", "paused"]), cooldown=st.booleans())
    def gate_changes(self, refusal: str, *, cooldown: bool) -> None:
        self.refusal, self.cooldown = refusal, cooldown

    @rule(seconds=st.sampled_from([1.0, 4.0, 20.0]))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds
        for item in self.retry.due(self.now_s):
            self.take(life_events.RetryDue(item))

    # ------------------------------------------------------------------ requests

    @precondition(lambda self: self.to_create)
    @rule(data=st.data(), how=CREATES)
    def send_create(self, data: st.DataObject, how: str) -> None:
        order = self.pick(data, self.to_create)
        self.to_create.remove(order)
        if order.state is OrderState.PENDING:  # else it is stale, as the executor's lane sees it
            self.create(order, how)

    @precondition(lambda self: self.to_cancel)
    @rule(data=st.data(), how=st.sampled_from(["ack", "ack", "lost", "lost reply", "undone", "busy", "key"]))
    def send_cancel(self, data: st.DataObject, how: str) -> None:
        order = self.pick(data, self.to_cancel)
        self.to_cancel.remove(order)
        if order.state is OrderState.PENDING_CANCEL:
            self.cancel(order, how)

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        event = data.draw(st.sampled_from(range(len(self.answers))))
        self.take(self.answers.pop(event))

    # ------------------------------------------------------------------ the exchange

    @precondition(lambda self: self.floating)
    @rule()
    def late_arrival(self) -> None:
        self.exchange.create(self.floating.pop())

    @precondition(lambda self: self.exchange.resting())
    @rule(
        data=st.data(),
        what=st.sampled_from(["trade", "trade", "trade", "end", "post only", "reprice", "clamp", "say again"]),
        part=st.sampled_from([Decimal("0.003"), Decimal("0.007"), Decimal("0.010")]),
        ticks=st.integers(990, 992),
    )
    def market(self, data: st.DataObject, what: str, part: Decimal, ticks: int) -> None:
        link = data.draw(st.sampled_from(sorted(self.exchange.resting())))
        self.count(f"exchange: {what}")
        row = self.exchange.orders[link].row
        match what:
            case "trade":
                self.exchange.trade(link, part)
            case "end":
                self.exchange.change(link, status=OrderStatus.CANCELLED)
            case "post only":
                reason = "EC_PostOnlyWillTakeLiquidity"
                self.exchange.change(link, status=OrderStatus.CANCELLED, reject_reason=reason)
            case "reprice":
                self.exchange.change(link, price=INSTRUMENT.price(ticks))
            case "clamp":
                if row.cum_exec_qty < Decimal("0.008") < row.qty:
                    self.exchange.change(link, qty=Decimal("0.008"))
            case _:
                self.exchange.frames.append(row)

    @rule(by=st.sampled_from([1, 3, 20]), how=st.integers(0, 3))
    def clock_is_set_back(self, by: int, how: int) -> None:
        if how == 0:
            self.exchange.clock -= by

    @precondition(lambda self: any(not real.rests for real in self.exchange.orders.values()))
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        over = sorted(link for link, real in self.exchange.orders.items() if not real.rests)
        self.exchange.orders[data.draw(st.sampled_from(over))].is_known = False

    # ------------------------------------------------------------------ what we hear

    @precondition(lambda self: self.exchange.frames)
    @rule(data=st.data(), how=st.sampled_from(["once", "once", "again", "lost"]))
    def hear(self, data: st.DataObject, how: str) -> None:
        row = data.draw(st.sampled_from(self.exchange.frames))
        if how != "again":
            self.exchange.frames.remove(row)
        if how != "lost":
            self.news(row)

    @precondition(lambda self: self.exchange.executions)
    @rule(data=st.data())
    def hear_execution(self, data: st.DataObject) -> None:
        self.execution(data.draw(st.sampled_from(self.exchange.executions)))

    @precondition(lambda self: self.mine)
    @rule(data=st.data(), is_blind=st.booleans())
    def look_up(self, data: st.DataObject, *, is_blind: bool) -> None:
        """As the reconciler does it; a blind one finds nothing although there is something."""
        some = self.asked or [order for order in self.mine if order.on_wire]
        if some:
            self.ask(self.pick(data, some), is_blind=is_blind)

    @rule(how=st.integers(0, 3))
    def reconcile(self, how: int) -> None:
        if how == 0:
            self.compare()

    @precondition(lambda self: self.book.unsettled())
    @rule(how=st.integers(0, 5))
    def give_up(self, how: int) -> None:
        if how == 0:
            self.take(life_events.GivenUp(self.book.unsettled()[0]))

    @rule(ours=st.booleans())
    def stranger(self, *, ours: bool) -> None:
        other = make_order(999, ticks=2000)
        row = OrderUpdateEvent(
            other.symbol, "theirs", "", other.side, other.direction, other.price, other.qty, OrderStatus.NEW
        )
        self.take(life_events.StrangerSeen(row, ours, "s1"))

    @precondition(lambda self: not self.to_create and not self.answers)
    @rule(how=st.integers(0, 9))
    def restart(self, how: int) -> None:
        if how == 0:
            self.start_anew()

    # ------------------------------------------------------------------ what must hold

    @invariant()
    def all_is_well(self) -> None:
        assert violations(self.book, self.retry.items()) == []

    @invariant()
    def executions_are_never_unsaid(self) -> None:
        after = executed_of(self.book)
        assert sums_never_shrink(self.executed, after) == []
        self.executed = after

    @invariant()
    def nothing_is_believed_that_did_not_happen(self) -> None:
        for order in self.mine:
            real = self.exchange.orders.get(order.link_id)
            assert order.cum_exec_qty <= (ZERO if real is None else real.row.cum_exec_qty)

    def teardown(self) -> None:
        """Everything is delivered and compared, twice as often as any try can take."""
        self.refusal, self.cooldown = "", False
        for _ in range(12):
            for order in self.floating:
                self.exchange.create(order)
            self.floating.clear()
            self.deliver()
            self.now_s += 5.0
            for item in self.retry.due(self.now_s):
                self.take(life_events.RetryDue(item))
            self.compare()
            for order in list(self.asked):
                self.ask(order)
            assert violations(self.book, self.retry.items()) == []
        self.deliver()
        self.same_as_the_exchange()


Life.TestCase.settings = settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None)
TestLife = Life.TestCase
