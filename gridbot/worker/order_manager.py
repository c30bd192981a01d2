"""The life of one strategy's orders: sent, answered, updated, retried, withdrawn, and each step recorded.

The order manager owns the strategy's `OrderBook`; the executor's answers go to its `OrderAnswers`. It decides nothing
about levels or prices (the runner does) and does no I/O. For a shadow strategy a `ShadowVenue` takes the place of the
executor.
"""

from __future__ import annotations

import logging
from enum import Enum, auto

from gridbot.core import ExecutionEvent, Instrument, OrderUpdateEvent
from gridbot.orders.ids import wire_id
from gridbot.orders.order import OrderState, TrackedOrder, Transition
from gridbot.orders.outcomes import OrderResult
from gridbot.orders.proposal import Proposal, proposal_of
from gridbot.orders.reconcile import adopted, owns
from gridbot.orders.retry import RetryItem
from gridbot.orders.shadow_venue import ShadowVenue
from gridbot.records import builders
from gridbot.risk.gate import Gate
from gridbot.risk.refusals import Producer
from gridbot.risk.strategy_state import StrategyRiskState
from gridbot.worker.context import WorkerContext
from gridbot.worker.order_answers import OrderAnswers
from gridbot.worker.order_steps import OrderSteps

__all__ = ["LookUp", "OrderManager"]

Log = logging.LoggerAdapter[logging.Logger]


class LookUp(Enum):
    """The result of a look-up by id of an order that is missing from the listing or whose reply was lost."""

    STILL_OPEN = auto()
    """It still rests, although we asked to cancel it."""
    GONE = auto()
    """The exchange neither lists nor remembers it, and its executions are in."""
    NEVER_ARRIVED = auto()
    """The exchange does not know it, and never acknowledged it."""


class OrderManager:
    """See the module. `risk_state.book` is the book it owns; `log` carries account and strategy."""

    def __init__(
        self,
        risk_state: StrategyRiskState,
        instrument: Instrument,
        context: WorkerContext,
        gate: Gate,
        *,
        log: Log,
        venue: ShadowVenue | None,
    ) -> None:
        self.book = risk_state.book
        self.strat_id = risk_state.strat_id
        self.symbol = risk_state.symbol
        self._risk_state = risk_state
        self._instrument = instrument
        self._context = context
        self._gate = gate
        self._log = log
        self._venue = venue
        self._foreign: set[str] = set()
        self._steps = OrderSteps(context, is_shadow=venue is not None)
        self.answers = OrderAnswers(risk_state, context, gate, self._steps, log)

    # ------------------------------------------------------------------ new orders

    def submit(self, proposal: Proposal) -> None:
        """Queue a new order that the gate has admitted. Call `pump` after the last one of a batch."""
        order = TrackedOrder(
            strat_id=self.strat_id,
            symbol=self.symbol,
            side=proposal.side,
            direction=proposal.direction,
            ticks=proposal.ticks,
            price=proposal.price,
            qty=proposal.qty,
            reduce_only=proposal.reduce_only,
            client_id=proposal.client_id,
            link_id=wire_id(proposal.client_id, self._context.generations.next()),
            post_only=proposal.post_only,
        )
        self.book.add(order)
        self._context.recorder.record(
            builders.of_proposal(
                self.strat_id,
                self.symbol,
                proposal,
                verdict="shadow" if self._venue else "sent",
                link_id=order.link_id,
                ticker=self._risk_state.ticker,
            )
        )
        self._context.trace.admitted(order.link_id)
        if self._venue is None:
            self._context.executor.place(order, self.answers, proposal.level_distance)
        else:
            self.on_order_update(self._venue.place(order, self._context.clock.wall_ms()))

    # ------------------------------------------------------------------ cancels

    def cancel(self, key: str, reason: str) -> None:
        """Withdraw an order; an order that never left needs no request. Call `pump` afterwards."""
        order = self.book.get(key)
        if order is None or order.state.is_final or order.state is OrderState.PENDING_CANCEL:
            return
        self._context.recorder.record(
            builders.of_cancel(
                order, verdict="shadow" if self._venue else "sent", reason=reason, ticker=self._risk_state.ticker
            )
        )
        if self._venue is not None:
            self._steps.keep(self.book.apply_update(self._venue.cancel(order, self._context.clock.wall_ms())))
        elif not order.on_wire:
            self._steps.keep(self.book.drop_unsent(key, reason))
        elif order.state is not OrderState.UNRESOLVED:  # an order that may not exist is looked up first
            self._steps.keep(self.book.ask_cancel(key, reason))
            self._context.executor.cancel(order, self.answers)

    def cancel_all(self, reason: str) -> None:
        """Withdraw every live order, and send the requests."""
        for order in self.book:
            self.cancel(order.key, reason)
        self.pump()

    def pump(self) -> None:
        """Send what was submitted and withdrawn."""
        if self._venue is None:
            self._context.executor.pump()

    def drop_unsent(self, reason: str) -> None:
        """Drop the orders whose request has not left yet."""
        for order in self.book:
            self._steps.keep(self.book.drop_unsent(order.key, reason))

    # ------------------------------------------------------------------ another try

    def retry(self, item: RetryItem) -> None:
        """Another try of the same order under the same id, through the same gate (incident L13)."""
        order = self.book.get(item.key)
        if order is None or order.state.is_final:
            self._context.retry.forget(item.key)
        elif item.is_cancel:
            if order.state is OrderState.PENDING_CANCEL:
                self._context.executor.cancel(order, self.answers)
        elif order.state in (OrderState.PENDING, OrderState.UNRESOLVED):
            refusal = self._gate.admit(
                self._risk_state, proposal_of(order), self._context.clock.monotonic_s(), Producer.RETRY
            )
            if refusal is None:
                self._steps.keep(self.book.resend(order.key, "retry"))
                self._context.executor.place(order, self.answers)
            elif order.state is OrderState.PENDING:
                self.answers.placed(order, OrderResult.denied(f"not retried: {refusal}"))
            else:
                self._context.requests.look_up(order)

    # ------------------------------------------------------------------ what the exchange reports

    def on_order_update(self, update: OrderUpdateEvent) -> None:
        """Apply an update of a known order; reconcile when an order of ours is unknown; alert about a foreign one."""
        known = self.book.get(update.order_link_id) or self.book.get(update.order_id)
        if known is not None:
            self._steps.keep(self.book.apply_update(update))
            self._context.record_raw(builders.raw_order(self.strat_id, update))
            if known.state is OrderState.CANCELLED and "PostOnly" in update.reject_reason:
                self._gate.refused(known, self._context.clock.monotonic_s())
        elif update.status.is_open and owns(update, self.strat_id, self._instrument):
            # The stream also repeats old updates: only the exchange's list shows whether this order rests.
            self._context.requests.reconcile("one of our orders is not in the book")
        elif update.status.is_open and update.order_id not in self._foreign:
            self._foreign.add(update.order_id)
            self._context.alert(
                "warning",
                f"foreign.{self.symbol}",
                f"{self.symbol}: an order that is not ours rests on the exchange "
                f"({update.side} {update.qty} @ {update.price}); it is left alone",
                self.strat_id,
            )

    def adopt(self, row: OrderUpdateEvent, source: str) -> None:
        """Add one of our orders that rests on the exchange to the book: after a restart, or after a lost reply."""
        order = adopted(row, self.strat_id, self._instrument)
        transition = self.book.add(order)
        self._steps.keep(Transition(transition.order, transition.before, transition.after, f"adopted ({source})"))
        self._log.debug("[order] adopted %s %s %s @ %s", order.direction, order.side, order.qty, order.price)

    def revive(self, row: OrderUpdateEvent) -> None:
        """One of our orders that we held for over rests: live again."""
        self._steps.keep(self.book.revive(row))
        text = f"{self.symbol}: {row.order_link_id} was held for over, and rests; it is followed again"
        self._context.alert("warning", f"revived.{self.symbol}", text, self.strat_id)

    def on_look_up(self, order: TrackedOrder, found: LookUp) -> None:
        """Act on the look-up of one order.

        An order that never arrived is sent again under the same id, until its tries are used up.
        """
        match found:
            case LookUp.STILL_OPEN:
                self._steps.keep(self.book.cancel_failed(order.key, "still open"))
            case LookUp.GONE:
                self._steps.keep(self.book.gone(order.key, "not known to the exchange any more"))
            case LookUp.NEVER_ARRIVED:
                now_s = self._context.clock.monotonic_s()
                error = "the exchange does not know the order: its request was lost"
                if not self._context.retry.push(order.key, is_cancel=False, now_s=now_s, error=error):
                    self._steps.keep(self.book.reject(order.key, "never reached the exchange"))

    def on_execution(self, key: str, execution: ExecutionEvent) -> None:
        """Apply a new execution to its order."""
        self._steps.keep(
            self.book.apply_execution(
                key, execution.qty, execution.leaves_qty, execution.exchange_ts, order_qty=execution.order_qty
            )
        )
