"""Random lives of a few orders between `step` and a small exchange that loses, delays, repeats and reorders everything.

The model is what truly happened; the book hears of it late, twice, or not at all. After every step all invariants of
`gridbot/orders/order_invariants.py` hold, no withdrawn order reaches the exchange, and nothing is believed that did not
happen. In the end everything is delivered and a complete listing compared: then the book is the exchange, and no level
has two orders.

`pytest tests/orders/test_life_machine.py --hypothesis-show-statistics` prints how often each event and each kind of
trouble occurred. `GRIDBOT_EXAMPLES=2000` runs longer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gridbot.core import Direction, ExecutionEvent, OrderStatus, OrderUpdateEvent, Side
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.exchange.requests import OrderAck
from gridbot.orders import life_effects, life_events
from gridbot.orders.book import OrderBook
from gridbot.orders.life import step
from gridbot.orders.order import OrderState, TrackedOrder, Transition
from gridbot.orders.order_invariants import executed_of, never_sent_after_withdrawal, sums_never_shrink, violations
from gridbot.orders.outcomes import OrderResult, result_of_cancel, result_of_place
from gridbot.orders.proposal import proposal_of
from gridbot.orders.reconcile import adopted
from gridbot.orders.retry import RetryQueue
from tests.examples import examples
from tests.orders.helpers import INSTRUMENT, make_order

EXAMPLES = examples(40)
ZERO = Decimal(0)
LOST = make_error("no answer in time", ErrorKind.AMBIGUOUS)
REFUSALS = {
    "busy": make_error("too many visits", ErrorKind.RATE_LIMIT),
    "parameter": make_error("bad price", ErrorKind.PARAM),
    "balance": make_error("no balance", ErrorKind.BALANCE),
    "position": make_error("position is zero", ErrorKind.RESYNC, ret_code=110017),
    "key": make_error("invalid key", ErrorKind.AUTH),
    "halt": make_error("restricted", ErrorKind.HALT),
}
CREATES = st.sampled_from(["ack", "ack", "ack", "lost", "lost reply", "late", "denied", *REFUSALS])
LEVELS = st.tuples(st.integers(990, 992), st.sampled_from(Side), st.sampled_from(Direction))


@dataclass
class Real:
    """An order as the exchange has it."""

    row: OrderUpdateEvent
    is_known: bool = True
    """False once the exchange has forgotten it: it is over, and look-ups find nothing."""

    @property
    def rests(self) -> bool:
        return self.row.status.is_open


class Exchange:
    """What truly happened, and the frames about it that nobody has read yet."""

    def __init__(self) -> None:
        self.orders: dict[str, Real] = {}
        self.clock = 0
        self.frames: list[OrderUpdateEvent] = []
        self.executions: list[ExecutionEvent] = []
        self.count = 0

    def create(self, order: TrackedOrder) -> OrderAck | ExchangeError:
        if order.link_id in self.orders:
            return make_error("duplicate", ErrorKind.DUPLICATE)
        self.count += 1
        row = OrderUpdateEvent(
            symbol=order.symbol,
            order_id=f"x{self.count}",
            order_link_id=order.link_id,
            side=order.side,
            direction=order.direction,
            price=order.price,
            qty=order.qty,
            status=OrderStatus.NEW,
        )
        self.orders[order.link_id] = Real(row)
        self.change(order.link_id)
        return OrderAck(row.order_id, order.link_id)

    def change(self, link: str, **changes: object) -> None:
        self.clock += 1
        real = self.orders[link]
        real.row = replace(real.row, exchange_ts=self.clock, **changes)  # type: ignore[arg-type]
        self.frames.append(real.row)

    def cancel(self, link: str) -> OrderAck | ExchangeError:
        real = self.orders.get(link)
        if real is None or not real.rests:
            return make_error("order not exists or too late to cancel", ErrorKind.NOT_FOUND, ret_code=110001)
        self.change(link, status=OrderStatus.CANCELLED, cancel_type="CancelByUser")
        return OrderAck(real.row.order_id, link)

    def trade(self, link: str, part: Decimal) -> None:
        row = self.orders[link].row
        qty = min(part, row.qty - row.cum_exec_qty)
        done = row.cum_exec_qty + qty
        full = done == row.qty
        self.change(link, cum_exec_qty=done, status=OrderStatus.FILLED if full else OrderStatus.PARTIALLY_FILLED)
        self.executions.append(
            ExecutionEvent(
                row.symbol,
                f"e{self.clock}",
                row.order_id,
                link,
                row.side,
                row.price,
                qty,
                leaves_qty=row.qty - done,
                order_qty=row.qty,
                exchange_ts=self.clock,
            )
        )

    def resting(self) -> dict[str, OrderUpdateEvent]:
        return {link: real.row for link, real in self.orders.items() if real.rests}


class Life(RuleBasedStateMachine):
    """The shell around `step` is played by the machine itself. `count` notes what occurred."""

    count = staticmethod(event)

    def __init__(self) -> None:
        super().__init__()
        self.book = OrderBook(INSTRUMENT)
        self.exchange = Exchange()
        self.retry = RetryQueue()
        self.now_s = 100.0
        self.mine: list[TrackedOrder] = []
        self.made = 0
        self.to_create: list[TrackedOrder] = []
        self.to_cancel: list[TrackedOrder] = []
        self.answers: list[life_events.Placed | life_events.CancelAnswered] = []
        self.floating: list[TrackedOrder] = []
        """Creates whose reply was lost, and that reach the exchange later."""
        self.asked: list[TrackedOrder] = []
        self.refusal = ""
        self.cooldown = False
        self.executed = executed_of(self.book)

    # ------------------------------------------------------------------ the shell

    def take(self, event: life_events.Event) -> None:
        self.count(f"event {type(event).__name__}")
        before = list(self.book)
        states = {order.key: order.state for order in before}
        effects = step(self.book, event, self.now_s)
        assert never_sent_after_withdrawal(effects) == []
        for effect in effects:
            self.carry(effect)
        for order in before:
            if states[order.key] is not order.state and order.state.is_final and not order.ended_ts:
                self.count("inferred end")

    def carry(self, effect: life_effects.Effect) -> None:
        match effect:
            case life_effects.SendCreate(order=order):
                self.to_create.append(order)
            case life_effects.SendCancel(order=order):
                self.to_cancel.append(order)
            case life_effects.AskGate(order=order):
                self.take(life_events.GateAnswered(order, self.refusal))
            case life_effects.AskExchange(order=order):
                self.asked.append(order)
            case life_effects.RetryAt(item=item):
                self.retry.push(item)
            case life_effects.ForgetRetry(key=key):
                self.retry.forget(key)
            case life_effects.CountAuthFailure(error=error):
                if self.cooldown:
                    self.take(life_events.KeyFailing(error))
            case life_effects.CountRefusal(order=order, answered=answered):
                self.take(life_events.LevelBroken(order, answered))
            case life_effects.HaltStrategy(order=order, error=error):
                self.take(life_events.StrategyHalted(order, error))
            case life_effects.NoteCancel(wish=wish):
                self.count(f"wish {wish}")
            case life_effects.TellOperator(key=key):
                self.count(f"alert {key.partition('.')[0]}")
            case Transition(before=old, after=new):
                if old.is_final and not new.is_final:
                    self.count("final yet listed")

    def pick(self, data: st.DataObject, some: list[TrackedOrder]) -> TrackedOrder:
        return data.draw(st.sampled_from(some))

    # ------------------------------------------------------------------ our side

    @initialize(
        levels=st.lists(LEVELS, min_size=1, max_size=4),
        fates=st.lists(CREATES, max_size=4),
        is_answered=st.booleans(),
        cooldown=st.booleans(),
    )
    def start(
        self, levels: list[tuple[int, Side, Direction]], fates: list[str], *, is_answered: bool, cooldown: bool
    ) -> None:
        """Orders to begin with: hypothesis leaves out rules at random, so half of all runs would place none."""
        self.cooldown = cooldown
        for ticks, side, direction in levels:
            self.place(ticks, side, direction)
        for how in fates[: len(self.to_create)]:
            self.create(self.to_create.pop(0), how)
        while is_answered and self.answers:
            self.take(self.answers.pop(0))

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

    def create(self, order: TrackedOrder, how: str) -> None:
        assert not order.withdrawn
        assert not order.in_flight
        self.take(life_events.Sending(order, sent_ms=1))
        self.count(f"create: {how}")
        if how == "denied":
            self.answers.append(life_events.Placed(order, OrderResult.denied("not sent")))
            return
        answer: OrderAck | ExchangeError = REFUSALS.get(how, LOST)
        if order.link_id in self.exchange.orders or how in ("ack", "lost reply"):
            answer = self.exchange.create(order)
        if how == "lost reply":
            answer = LOST
        if how == "late":
            self.floating.append(replace(order))
        self.answers.append(life_events.Placed(order, result_of_place(answer)))

    @precondition(lambda self: self.to_cancel)
    @rule(data=st.data(), how=st.sampled_from(["ack", "ack", "lost", "lost reply", "undone", "busy", "key"]))
    def send_cancel(self, data: st.DataObject, how: str) -> None:
        order = self.pick(data, self.to_cancel)
        self.to_cancel.remove(order)
        if order.state is OrderState.PENDING_CANCEL:
            self.cancel(order, how)

    def cancel(self, order: TrackedOrder, how: str) -> None:
        self.count(f"cancel: {how}")
        answer: OrderAck | ExchangeError = REFUSALS.get(how, LOST)
        if how in ("ack", "lost reply"):
            answer = self.exchange.cancel(order.link_id)
        if how == "lost reply":
            answer = LOST
        if how == "undone":
            answer = OrderAck(order.order_id, order.link_id)
        self.answers.append(life_events.CancelAnswered(order, result_of_cancel(answer)))

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

    def news(self, row: OrderUpdateEvent) -> None:
        known = self.book.get(row.order_link_id) or self.book.get(row.order_id)
        assert known is not None
        self.take(life_events.Heard(known, row))

    @precondition(lambda self: self.exchange.executions)
    @rule(data=st.data())
    def hear_execution(self, data: st.DataObject) -> None:
        self.execution(data.draw(st.sampled_from(self.exchange.executions)))

    def execution(self, execution: ExecutionEvent) -> None:
        self.exchange.executions.remove(execution)
        self.take(life_events.Executed(execution.order_link_id, execution))

    def backfill(self) -> None:
        for execution in list(self.exchange.executions):
            self.execution(execution)

    @precondition(lambda self: self.mine)
    @rule(data=st.data(), is_blind=st.booleans())
    def look_up(self, data: st.DataObject, *, is_blind: bool) -> None:
        """As the reconciler does it; a blind one finds nothing although there is something."""
        some = self.asked or [order for order in self.mine if order.on_wire]
        if some:
            self.ask(self.pick(data, some), is_blind=is_blind)

    def ask(self, order: TrackedOrder, *, is_blind: bool = False) -> None:
        if order in self.asked:
            self.asked.remove(order)
        if order.state.is_final or order.key in self.retry:
            return
        real = self.exchange.orders.get(order.link_id)
        if real is not None and real.is_known and not is_blind:
            if real.row.cum_exec_qty > order.exec_qty:
                self.backfill()
            self.news(real.row)
            if real.rests and order.state is OrderState.PENDING_CANCEL:
                self.take(life_events.LookedUp(order, life_events.LookUp.STILL_OPEN))
        elif order.order_id or order.state is OrderState.PENDING_CANCEL:
            self.backfill()
            self.take(life_events.LookedUp(order, life_events.LookUp.GONE))
        else:
            self.take(life_events.LookedUp(order, life_events.LookUp.NEVER_ARRIVED))

    @rule(how=st.integers(0, 3))
    def reconcile(self, how: int) -> None:
        if how == 0:
            self.compare()

    def compare(self) -> None:
        """Executions first, then the complete listing, then what is missing in it."""
        self.backfill()
        listing = self.exchange.resting()
        for row in listing.values():
            self.take(life_events.Revived(row))
        for order in self.book:
            if order.on_wire and order.link_id not in listing:
                self.ask(order)

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
        """A new book knows nothing; the listing shows what rests, and it is adopted."""
        if how != 0:
            return
        self.backfill()
        self.book, self.retry = OrderBook(INSTRUMENT), RetryQueue()
        self.mine, self.to_cancel, self.asked, self.exchange.frames = [], [], [], []
        self.floating = []
        self.executed = executed_of(self.book)
        for link in [link for link, real in self.exchange.orders.items() if not real.rests]:
            del self.exchange.orders[link]
        for row in self.exchange.resting().values():
            order = adopted(row, "s1", INSTRUMENT)
            self.mine.append(order)
            self.take(life_events.Adopted(order, "reconcile"))

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

    def deliver(self) -> None:
        while self.to_create or self.to_cancel or self.answers:
            for order in self.take_all(self.to_create):
                if order.state is OrderState.PENDING:
                    self.create(order, "ack")
            for order in self.take_all(self.to_cancel):
                if order.state is OrderState.PENDING_CANCEL:
                    self.cancel(order, "ack")
            while self.answers:
                self.take(self.answers.pop(0))
        self.backfill()
        frames, self.exchange.frames = self.exchange.frames, []
        for row in frames:
            self.news(row)

    def take_all(self, queue: list[TrackedOrder]) -> list[TrackedOrder]:
        taken = list(queue)
        queue.clear()
        return taken

    def same_as_the_exchange(self) -> None:
        resting = self.exchange.resting()
        ours = {order.link_id: order for order in self.book if not order.state.is_final}
        assert ours.keys() == resting.keys()
        for link, row in resting.items():
            order = ours[link]
            assert (order.price, order.qty, order.cum_exec_qty) == (row.price, row.qty, row.cum_exec_qty)
            assert not order.withdrawn
        levels = [(order.direction, order.ticks) for order in ours.values()]
        assert len(levels) == len(set(levels))
        assert not self.book.unsettled()
        assert len(self.retry) == 0


Life.TestCase.settings = settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None)
TestLife = Life.TestCase
