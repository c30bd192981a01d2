"""An account that performs the reconciler's effects on a real book and a real ledger: the shell without its loop.

What it asks, an `Exchange` of `model_exchange` answers.
"""

from __future__ import annotations

import json
from collections import ChainMap, Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from gridbot.core import Direction, ExecutionEvent, OrderUpdateEvent, PositionEvent, Side, WalletEvent
from gridbot.core.execution_ledger import Ledger
from gridbot.core.ledger_document import document_of, ledger_of
from gridbot.exchange.listing import Unreadable, UnreadableRows
from gridbot.orders import reconcile_invariants as invariants
from gridbot.orders import reconcile_state as states
from gridbot.orders import reconcile_words as words
from gridbot.orders.book import OrderBook
from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.orders.reconcile import adopted
from gridbot.orders.reconciliation import step
from gridbot.orders.retry import Tries
from tests.orders.helpers import (
    INSTRUMENT,
    OWNER,
    hold_for_gone,
    hold_for_rejected,
    keep_after_cancel,
    make_order,
)
from tests.orders.model_exchange import Exchange

__all__ = ["STRATEGY", "Account", "Asking", "Told"]

D = Decimal
STRATEGY, SYMBOL = OWNER.strat_id, INSTRUMENT.symbol


@dataclass(frozen=True)
class Told:
    """The newest record of an order that is not over."""

    order_link_id: str
    order_id: str = ""
    symbol: str = SYMBOL
    shadow: bool = False
    strategy: str = STRATEGY


@dataclass
class Asking:
    """A question under way, and when it was asked."""

    question: words.Question
    asked_ms: int


@dataclass
class Account:
    """Our side. After each step the invariants of `reconcile_invariants` hold; `note` hears what occurs."""

    exchange: Exchange
    ledger: Ledger = field(default_factory=Ledger)
    mono_s: float = 1.0
    note: Callable[[str], None] = lambda text: None

    def __post_init__(self) -> None:
        self.ledger.begin(self.exchange.now_ms)
        self.counted: Counter[str] = Counter()
        self.alerts: list[words.Alert] = []
        self.faults: list[words.ReportFault] = []
        self.told: dict[int, words.Finished | words.Failed] = {}
        self.saved = json.dumps(document_of(self.ledger))
        self.journal: list[tuple[str, ExecutionEvent, Decimal] | PositionEvent] = []
        self.over: dict[str, int] = {}
        """When the exchange itself said that an order is over, by its clock."""
        self.cancelled_again: list[str] = []
        """Orders whose cancel was answered without effect, and that a listing then had cancelled again."""
        self.tickets = self.generation = 0
        self.recorded: dict[str, Told] = {}
        self.ended: dict[str, Told] = {}
        """Adopted orders that are over: their ids do not say that they are ours."""
        self.refused: set[str] = set()
        """Orders whose next records find no room."""
        self._begin()

    def _begin(self) -> None:
        self.book = OrderBook(INSTRUMENT)
        self.asking: list[Asking] = []
        self.moments = self.listing_asked_at = 0
        self.answered_at: dict[str, int] = {}
        """When the last cancel of an order was answered, and when the last listing was asked for, as moments."""
        self.state = states.ReconcileState(complete_to_ms=self.ledger.complete_to)
        known = ChainMap(self.recorded, self.ended)
        self.view = states.View(
            *({SYMBOL: states.Held(OWNER, INSTRUMENT, self.book)}, self.ledger, frozenset(), self.recorded),
            known=known,
        )

    def save(self) -> None:
        """Write the checkpoint."""
        self.saved, self.journal = json.dumps(document_of(self.ledger)), []

    def die(self) -> None:
        """Start again from the checkpoint and the journal behind it."""
        self.record()
        self.refused.clear()
        self.ledger = ledger_of(json.loads(self.saved))
        for record in self.journal:
            if isinstance(record, PositionEvent):
                self.ledger.restore_row(STRATEGY, record)
            else:
                self.ledger.restore(*record, shadow=False)
        self.ledger.settle("a start")
        self._begin()

    @property
    def now(self) -> states.Now:
        return states.Now(self.mono_s, self.exchange.now_ms, self.exchange.stamp_ms)

    # ------------------------------------------------------------------ events

    def record(self, *, anew: str = "") -> None:
        """Whatever becomes of an order is recorded at once, but for those whose records find no room."""
        self.refused.discard(anew)
        index = self.book.index
        for order in [*index.live.values(), *index.finished.values()]:
            if order.key in self.refused:
                continue
            if order.state.is_final:
                told = self.recorded.pop(order.key, None)
                if told is not None and not OWNER.made(order.link_id):
                    self.ended[order.key] = told
            else:
                self.recorded[order.key] = Told(order.link_id, order.order_id)

    def feed(self, event: words.Event) -> None:
        self.record()
        self.moments += 1
        who = getattr(event, "who", None)
        self.note(f"event {type(event).__name__}" + (f" for {who.part.name}" if who else ""))
        before, now = self.state, self.now
        orders = {order.key: replace(order) for order in self.book}
        self.state, effects = step(before, event, now, self.view)
        assert {order.key: order for order in self.book} == orders, "a step only reads"
        assert invariants.of_step(before, effects, self.state, self.view, now) == []
        for effect in effects:
            self.note(f"effect {type(effect).__name__}")
            self._perform(effect)
            self.record()
        under_way = {asking.question.who for asking in self.asking}
        assert invariants.everything_goes_on(self.state, under_way) == []
        made = [row for row, _ in self.exchange.executions]
        assert invariants.is_covered(self.state, made, self.ledger) == []
        assert self.ledger.complete_to == self.state.complete_to_ms
        assert all(count == 1 for count in self.counted.values())

    def want_pass(self, reason: str = "asked for") -> int:
        self.tickets += 1
        counted_ms = self.ledger.last_exec_ts if reason == "start" else None
        self.feed(words.Asked(reason, self.tickets, counted_ms=counted_ms))
        return self.tickets

    def count(self, execution: ExecutionEvent) -> None:
        """An execution, by stream or paged: once into ledger and journal, then to its order."""
        strategy = STRATEGY if execution.symbol == SYMBOL else ""
        realised = self.ledger.apply(strategy, execution)
        if realised is None:
            return
        self.counted[execution.exec_id] += 1
        self.journal.append((strategy, execution, realised))
        if strategy:
            key = execution.order_link_id or execution.order_id
            self.book.apply_execution(key, execution.qty, execution.leaves_qty, execution.exchange_ts)

    def hear(self, row: OrderUpdateEvent) -> None:
        """News of an order, by stream or by REST."""
        if self.book.apply_update(row) is not None and not row.status.is_open:
            self.over[row.order_link_id] = row.exchange_ts

    def place(self, ticks: int, side: Side) -> TrackedOrder:
        """A new order whose request has left."""
        self.generation += 1
        direction = Direction.LONG if side is Side.BUY else Direction.SHORT
        order = make_order(self.generation, ticks=ticks, side=side, direction=direction)
        order.sent_ms = self.exchange.now_ms
        self.book.add(order)
        return order

    def adopt(self, row: OrderUpdateEvent) -> None:
        """An operator has an order of another program taken over: a record says so, and a pass is asked for."""
        self.recorded[row.order_link_id] = Told(row.order_link_id, row.order_id)
        self.want_pass("orders were adopted")

    def lose_reply(self, order: TrackedOrder) -> None:
        """It is not known what became of the request."""
        if not order.state.is_final:
            self.book.lose_reply(order.key, "timed out")
            self.feed(words.LookUpWanted(order.symbol, order.key))

    def cancel_answered(self, order: TrackedOrder) -> None:
        """The exchange has accepted our cancel, whatever comes of it."""
        self.moments += 1
        order.cancelling = False
        self.answered_at[order.key] = self.moments

    # ------------------------------------------------------------------ answers

    def answer(self, asking: Asking, at_ms: int) -> None:
        """Answer with what the exchange would have said at a time."""
        self.asking.remove(asking)
        question, exchange = asking.question, self.exchange
        who = question.who
        answers: dict[type[words.Question], Callable[[words.Question], words.Event]] = {
            words.AskExecutions: lambda q: words.ExecutionsAnswered(who, exchange.executions_since(q.from_ms, at_ms)),  # type: ignore[union-attr]
            words.AskExecutionsOf: lambda q: words.ExecutionsAnswered(who, exchange.executions_of(q.link_id, at_ms)),  # type: ignore[union-attr]
            words.AskListing: lambda q: words.ListingAnswered(who, exchange.listing(at_ms)),
            words.AskOrder: lambda q: words.OrderAnswered(who, exchange.order(q.link_id, q.order_id, at_ms)),  # type: ignore[union-attr]
            words.AskClosed: lambda q: words.ListingAnswered(who, exchange.closed(at_ms)),
            words.AskPositions: lambda q: words.PositionsAnswered(who, q.rows or exchange.positions(at_ms)),  # type: ignore[union-attr]
            words.AskWallet: lambda q: words.WalletAnswered(who, WalletEvent("USDT", D(1))),
        }
        self.feed(answers[type(question)](question))

    def answer_in_part(self, asking: Asking, pick: int) -> None:
        """Answer now, with a row about our symbol that cannot be read (if there is one)."""
        self.asking.remove(asking)
        question, exchange = asking.question, self.exchange
        match question:
            case words.AskExecutions():
                answered: Callable[..., words.Event] = words.ExecutionsAnswered
                rows: Sequence[ExecutionEvent | OrderUpdateEvent | PositionEvent] = exchange.executions_since(
                    question.from_ms, exchange.now_ms
                )
            case words.AskListing():
                answered, rows = words.ListingAnswered, exchange.listing(exchange.now_ms)
            case words.AskClosed():
                answered, rows = words.ListingAnswered, exchange.closed(exchange.now_ms)
            case words.AskPositions():
                answered, rows = words.PositionsAnswered, question.rows or exchange.positions(exchange.now_ms)
            case _:
                bad = Unreadable(SYMBOL, "odd")
                self.feed(words.QueryFailed(question.who, UnreadableRows("odd", bad)))
                return
        ours = [row for row in rows if row.symbol == SYMBOL]
        odd = ours[pick % len(ours)] if ours else None
        unreadable = [Unreadable(SYMBOL, "odd", odd.exchange_ts)] if odd is not None else []
        self.feed(answered(question.who, [row for row in rows if row is not odd], unreadable))

    def fail(self, asking: Asking, error: Exception, *, is_fault: bool = False) -> None:
        """The question gets no answer."""
        self.asking.remove(asking)
        self.feed(words.QueryFailed(asking.question.who, error, is_fault))

    # ------------------------------------------------------------------ effects

    def _perform(self, effect: words.Effect) -> None:
        book = self.book
        match effect:
            case words.ApplyExecution(execution):
                self.count(execution)
            case words.Advance(up_to_ms):
                self.ledger.reached(complete_to=up_to_ms)
            case words.ApplyRow(row):
                self.hear(row)
            case words.Adopt(row):
                book.add(adopted(row, STRATEGY, INSTRUMENT))
            case words.Revive(row):
                assert row.exchange_ts >= self.over.get(row.order_link_id, 0), "the exchange said that it is over"
                held = book.get(row.order_link_id)
                assert held is not None
                if held.state.is_final:
                    book.revive(held, row, "it rests after all")
                else:
                    self._cancel_again(held)
            case words.LookedUp(_, key, finding):
                ends = {
                    words.Finding.STILL_OPEN: keep_after_cancel,
                    words.Finding.GONE: hold_for_gone,
                    words.Finding.NEVER_ARRIVED: hold_for_rejected,
                }
                ends[finding](book, key, finding)
            case words.EndUnseen(key, row):
                self._end_unseen(key, row)
            case words.RestsUnfollowed():
                raise AssertionError("the model has no symbol that nobody follows")
            case words.Restate(_, key):
                restated = book.get(key)
                assert restated is not None
                assert key in self.refused
                self.record(anew=key)
            case words.Settle(_, key):
                book.settle(key)
            case words.Adjust(row):
                self.journal.append(row)
                self.ledger.believe(STRATEGY, row)
            case words.Alert():
                self.alerts.append(effect)
            case words.ReportFault():
                self.faults.append(effect)
            case words.Finished() | words.Failed():
                self.told.update(dict.fromkeys(effect.tickets, effect))
            case words.Halt():
                assert effect.symbol == SYMBOL
            case words.TakePosition() | words.TakeWallet():
                pass
            case _:
                if isinstance(effect, words.AskListing):
                    self.listing_asked_at = self.moments
                self.asking.append(Asking(effect, self.exchange.now_ms))

    def _end_unseen(self, key: str, row: OrderUpdateEvent | None) -> None:
        assert self.book.get(key) is None, "its book knows better"
        truth = self.exchange.orders.get(key)
        if row is None:
            assert truth is None, "the exchange knows this order"
        else:
            assert truth is not None
            assert not truth.status.is_open
            assert (row.status, row.cum_exec_qty) == (truth.status, truth.cum_exec_qty)
        del self.recorded[key]

    def _cancel_again(self, order: TrackedOrder) -> None:
        assert order.state is OrderState.PENDING_CANCEL
        assert not order.cancelling
        assert self.answered_at[order.key] < self.listing_asked_at, "the listing may be older than the answer"
        self.note("a cancel is sent again")
        order.cancelling = True
        order.cancel_tries = Tries(order.cancel_tries.made + 1, None, None)
        self.cancelled_again.append(order.key)
