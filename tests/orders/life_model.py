"""An exchange that loses, delays, repeats and reorders everything, and our side: a book, and the shell around `step`.

The exchange is what truly happened; the book hears of it late, twice, or not at all. `test_life_machine.py` and
`test_life_walks.py` choose what happens next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from gridbot.core import ExecutionEvent, OrderStatus, OrderUpdateEvent
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.exchange.requests import OrderAck
from gridbot.orders import life_effects, life_events
from gridbot.orders.book import OrderBook
from gridbot.orders.life import step
from gridbot.orders.order import OrderState, TrackedOrder, Transition, is_in_doubt
from gridbot.orders.order_invariants import executed_of, never_sent_after_withdrawal
from gridbot.orders.outcomes import OrderResult, result_of_cancel, result_of_place
from gridbot.orders.reconcile import adopted, contradicts
from gridbot.orders.retry import RetryQueue
from tests.orders.helpers import INSTRUMENT, update

__all__ = ["REFUSALS", "Exchange", "OurSide", "Real"]

ZERO = Decimal(0)
MOVED_TICKS = 1
"""How far the exchange moves an order that it gives another price."""
LOST = make_error("no answer in time", ErrorKind.AMBIGUOUS)
REFUSALS = {
    "busy": make_error("too many visits", ErrorKind.RATE_LIMIT),
    "parameter": make_error("bad price", ErrorKind.PARAM),
    "balance": make_error("no balance", ErrorKind.BALANCE),
    "position": make_error("position is zero", ErrorKind.RESYNC, ret_code=110017),
    "key": make_error("invalid key", ErrorKind.AUTH),
    "halt": make_error("restricted", ErrorKind.HALT),
    "symbol": make_error("not live", ErrorKind.SYMBOL, ret_code=110074),
}


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
        self.clock = 100
        """Grows with each change, and may be set back: only `numbers` never repeats."""
        self.numbers = 0
        self.frames: list[OrderUpdateEvent] = []
        self.executions: list[ExecutionEvent] = []

    def create(self, order: TrackedOrder) -> OrderAck | ExchangeError:
        if order.link_id in self.orders:
            return make_error("duplicate", ErrorKind.DUPLICATE)
        row = update(order, OrderStatus.NEW)
        self.orders[order.link_id] = Real(row)
        self.change(order.link_id)
        return OrderAck(row.order_id, order.link_id)

    def change(self, link: str, **changes: object) -> None:
        self.clock += 1
        self.numbers += 1
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
                f"e{self.numbers}",
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


class OurSide:
    """A book, what is under way, and what the effects of `step` lead to. `count` notes what occurs."""

    count: Callable[[str], None] = staticmethod(lambda text: None)

    def __init__(self) -> None:
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
        self.counted: list[tuple[str, int]] = []
        """Refusals that were counted: the order and the level."""
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
            case life_effects.CountRefusal(order=order, ticks=ticks, answered=answered):
                self.counted.append((order.link_id, ticks))
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

    def create(self, order: TrackedOrder, how: str) -> None:
        assert not order.withdrawn
        assert not order.in_flight
        self.take(life_events.Sending(order, sent_ms=1))
        self.count(f"create: {how}")
        if how == "denied":
            self.answers.append(life_events.Placed(order, OrderResult.denied("not sent")))
            return
        answer: OrderAck | ExchangeError = REFUSALS.get(how, LOST)
        if order.link_id in self.exchange.orders or how in ("ack", "moved", "lost reply"):
            is_new = order.link_id not in self.exchange.orders
            answer = self.exchange.create(order)
            if how == "moved" and is_new:
                self.exchange.frames.pop()
                self.exchange.change(order.link_id, price=INSTRUMENT.price(order.ticks + MOVED_TICKS))
        if how == "lost reply":
            answer = LOST
        if how == "late":
            self.floating.append(replace(order))
        self.answers.append(life_events.Placed(order, result_of_place(answer)))

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

    # ------------------------------------------------------------------ what we hear

    def news(self, row: OrderUpdateEvent) -> None:
        known = self.book.get(row.order_link_id) or self.book.get(row.order_id)
        assert known is not None
        is_first, asked, ticks, before = not known.exchange_ts, known.price, known.ticks, len(self.counted)
        self.take(life_events.Heard(known, row))
        if is_first and known.price != asked:
            self.count("moved by the exchange")
            assert self.counted[before:] == [(known.link_id, ticks)]

    def execution(self, execution: ExecutionEvent) -> None:
        self.exchange.executions.remove(execution)
        self.take(life_events.Executed(execution.order_link_id, execution))

    def backfill(self) -> None:
        for execution in list(self.exchange.executions):
            self.execution(execution)

    def ask(self, order: TrackedOrder, *, is_blind: bool = False) -> None:
        if order in self.asked:
            self.asked.remove(order)
        if order.state.is_final or order.key in self.retry:
            return
        real = self.exchange.orders.get(order.link_id)
        if real is not None and real.is_known and not is_blind:
            if real.row.cum_exec_qty > order.exec_qty:
                self.backfill()
            if is_in_doubt(order, real.row):
                self.take(life_events.Revived(real.row))
            else:
                self.news(real.row)
            if real.rests and order.state is OrderState.PENDING_CANCEL:
                self.take(life_events.LookedUp(order, life_events.LookUp.STILL_OPEN))
        elif order.order_id or order.state is OrderState.PENDING_CANCEL:
            self.backfill()
            self.take(life_events.LookedUp(order, life_events.LookUp.GONE))
        else:
            self.take(life_events.LookedUp(order, life_events.LookUp.NEVER_ARRIVED))

    def compare(self) -> None:
        """Executions first, then the complete listing, then what is missing in it."""
        self.backfill()
        listing = self.exchange.resting()
        for row in listing.values():
            known = self.book.get(row.order_link_id)
            if known is not None and not (contradicts(known, row) or known.is_cancel_answered):
                self.news(row)
            else:
                self.take(life_events.Revived(row))
        for order in self.book:
            if order.on_wire and order.link_id not in listing:
                self.ask(order)

    def start_anew(self) -> None:
        """A new book knows nothing; the listing shows what rests, and it is adopted."""
        self.backfill()
        self.book, self.retry = OrderBook(INSTRUMENT), RetryQueue()
        self.mine, self.asked, self.exchange.frames = [], [], []
        self.to_create, self.to_cancel, self.answers = [], [], []
        self.floating = []
        self.executed = executed_of(self.book)
        for link in [link for link, real in self.exchange.orders.items() if not real.rests]:
            del self.exchange.orders[link]
        for row in self.exchange.resting().values():
            order = adopted(row, "s1", INSTRUMENT)
            self.mine.append(order)
            self.take(life_events.Adopted(order, "reconcile"))

    # ------------------------------------------------------------------ the end

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
