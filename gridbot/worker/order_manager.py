"""What becomes of one strategy's orders: sent, answered, heard of, retried, withdrawn, and each step recorded.

The keeper owns the strategy's `OrderBook` and is the owner the executor answers to. It decides nothing about levels or
prices (its runner does) and does no I/O. For a shadow strategy a `ShadowVenue` stands where the executor would.
"""

from __future__ import annotations

import logging

from gridbot.core import ExecutionEvent, Instrument, OrderUpdateEvent, TickerEvent
from gridbot.exchange.failures import ExchangeError
from gridbot.orders.ids import wire_id
from gridbot.orders.order import OrderState, TrackedOrder, Transition
from gridbot.orders.outcomes import REDUCE_ONLY_ZERO, Next, OrderResult, Verdict, after_cancel, after_place
from gridbot.orders.reconcile import adopted, owns
from gridbot.orders.retry import RetryItem
from gridbot.orders.shadow_venue import ShadowVenue
from gridbot.records import builders
from gridbot.risk.gate import Gate, Leg, LevelKey, Producer, Proposal, StrategyRiskState
from gridbot.worker.context import WorkerContext

__all__ = ["OrderManager"]

Log = logging.LoggerAdapter[logging.Logger]


class OrderManager:
    """See the module. `risk_state.book` is the book it keeps; `log` carries account and strategy."""

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
        self.ticker: TickerEvent | None = None
        """What the decisions of now are made at; kept with what is recorded about them."""
        self._risk_state = risk_state
        self._instrument = instrument
        self._context = context
        self._gate = gate
        self._log = log
        self._venue = venue
        self._foreign: set[str] = set()

    # ------------------------------------------------------------------ new orders

    def submit(self, proposal: Proposal) -> None:
        """An order that the gate has let through begins its life. Call `pump` after the last one of a batch."""
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
                ticker=self.ticker,
            )
        )
        self._context.trace.admitted(order.link_id)
        if self._venue is None:
            self._context.executor.place(order, self, proposal.level_distance)
        else:
            self.heard(self._venue.place(order, self._context.clock_ms()))

    # ------------------------------------------------------------------ cancels, from anybody

    def cancel(self, key: str, reason: str) -> None:
        """Withdraw an order; an order that never left needs no request. Call `pump` afterwards."""
        order = self.book.get(key)
        if order is None or order.state.is_final or order.state is OrderState.PENDING_CANCEL:
            return
        self._context.recorder.record(
            builders.of_cancel(order, verdict="shadow" if self._venue else "sent", reason=reason, ticker=self.ticker)
        )
        if self._venue is not None:
            self._keep(self.book.apply_update(self._venue.cancel(order, self._context.clock_ms())))
        elif not order.on_wire:
            self._keep(self.book.drop_unsent(key, reason))
        elif order.state is not OrderState.UNRESOLVED:  # what may not exist is looked up first
            self._keep(self.book.ask_cancel(key, reason))
            self._context.executor.cancel(order, self)

    def cancel_all(self, reason: str) -> None:
        """Withdraw every live order and send what that takes."""
        for order in self.book:
            self.cancel(order.key, reason)
        self.pump()

    def pump(self) -> None:
        """Send what was submitted and withdrawn."""
        if self._venue is None:
            self._context.executor.pump()

    def drop_unsent(self, reason: str) -> None:
        """Forget the orders whose turn on the wire has not come."""
        for order in self.book:
            self._keep(self.book.drop_unsent(order.key, reason))

    # ------------------------------------------------------------------ answers of the executor

    def sending(self, order: TrackedOrder) -> None:
        """Journalled before the request is on the wire."""
        self._keep(Transition(order, order.state, order.state))

    def placed(self, order: TrackedOrder, result: OrderResult) -> None:
        """The create request was answered, or denied by us."""
        if result.ack is not None:
            self.book.acknowledge(order.key, result.ack.order_id)
            self._gate.auth.succeed()
            self._gate.breaker.succeed(self._level(order))
            self._context.retry.forget(order.key)
        elif result.error is not None:
            self._not_placed(order, result.error)
        else:
            self._context.retry.forget(order.key)
            self._keep(self.book.reject(order.key, result.reason))

    def _not_placed(self, order: TrackedOrder, error: ExchangeError) -> None:
        verdict = after_place(error)
        self._log.warning(
            "[order] %s %s %s @ %s was not confirmed: %s (%s)",
            order.direction,
            order.side,
            order.qty,
            order.price,
            error,
            verdict.next,
        )
        if verdict.next is Next.RETRY and self._context.retry.push(
            order.key, is_cancel=False, now_s=self._context.clock_s(), error=str(error)
        ):
            return
        if verdict.next is Next.LOOK_UP:
            self._keep(self.book.lose_reply(order.key, str(error)), error.ret_code)
            self._context.requests.look_up(order)
        else:
            self._context.retry.forget(order.key)
            self._keep(self.book.reject(order.key, str(error)), error.ret_code)
        if verdict.breaker and self._gate.breaker.fail(self._level(order), self._context.clock_s()):
            self._context.requests.reconcile(f"{order.direction} {order.side} @ {order.price} was refused repeatedly")
        self._consequences(order, error, verdict)

    def cancelled(self, order: TrackedOrder, result: OrderResult) -> None:
        """The cancel request was answered. An acknowledgement is not the end: the stream's `Cancelled` is."""
        if result.ack is not None:
            self._gate.auth.succeed()
        elif result.error is not None:
            self._not_cancelled(order, result.error)

    def _not_cancelled(self, order: TrackedOrder, error: ExchangeError) -> None:
        verdict = after_cancel(error)
        if verdict.next is Next.RETRY and self._context.retry.push(
            order.key, is_cancel=True, now_s=self._context.clock_s(), error=str(error)
        ):
            return
        if verdict.next is Next.LOOK_UP:
            self._keep(self.book.lose_reply(order.key, f"cancel: {error}"), error.ret_code)
            self._context.requests.look_up(order)
        else:
            self._keep(self.book.cancel_failed(order.key, f"cancel: {error}"), error.ret_code)
        self._consequences(order, error, verdict)

    def _consequences(self, order: TrackedOrder, error: ExchangeError, verdict: Verdict) -> None:
        requests = self._context.requests
        if verdict.refresh_positions:
            if error.ret_code == REDUCE_ONLY_ZERO:
                leg = self._risk_state.legs[order.direction]
                self._risk_state.legs[order.direction] = Leg(leg.size, leg.entry_price, leg.leverage, unsure=True)
            requests.refresh_positions(self.symbol)
        if verdict.refresh_wallet:
            requests.refresh_wallet()
        if verdict.auth and self._gate.auth.fail(self._context.clock_s()):
            self._context.retry.clear()
            requests.alert("error", "auth", f"orders paused after repeated authentication errors: {error}")
        if verdict.halt and not self._risk_state.halted:
            self._risk_state.halted = str(error)
            text = f"{self.symbol}: the exchange refuses to trade: {error}"
            requests.alert("error", f"halt.{self.symbol}", text, self.strat_id)

    def retry(self, item: RetryItem) -> None:
        """Another try of the same order under the same id, through the same gate (incident L13)."""
        order = self.book.get(item.key)
        if order is None or order.state.is_final:
            self._context.retry.forget(item.key)
        elif item.is_cancel:
            if order.state is OrderState.PENDING_CANCEL:
                self._context.executor.cancel(order, self)
        elif order.state in (OrderState.PENDING, OrderState.UNRESOLVED):
            refusal = self._gate.admit(self._risk_state, _as_proposal(order), self._context.clock_s(), Producer.RETRY)
            if refusal is None:
                self._keep(self.book.resend(order.key, "retry"))
                self._context.executor.place(order, self)
            elif order.state is OrderState.PENDING:
                self.placed(order, OrderResult.denied(f"not retried: {refusal}"))
            else:
                self._context.requests.look_up(order)

    # ------------------------------------------------------------------ what the exchange says

    def heard(self, update: OrderUpdateEvent) -> None:
        """Apply an order's news; have an unknown order of ours verified; leave foreign ones alone."""
        known = self.book.get(update.order_link_id) or self.book.get(update.order_id)
        if known is not None:
            self._keep(self.book.apply_update(update))
            self._context.record_raw(builders.raw_order(self.strat_id, update))
            if known.state is OrderState.CANCELLED and "PostOnly" in update.reject_reason:
                level = self._gate.level_key(self._risk_state, known.direction, known.side, known.ticks)
                self._gate.breaker.fail(level, self._context.clock_s())
        elif update.status.is_open and owns(update, self.strat_id, self._instrument):
            # The stream also repeats what is long past: whether this order rests is for the exchange's list to say.
            self._context.requests.reconcile("an order of ours that the book does not know")
        elif update.status.is_open and update.order_id not in self._foreign:
            self._foreign.add(update.order_id)
            self._context.requests.alert(
                "warning",
                f"foreign.{self.symbol}",
                f"{self.symbol}: an order that is not ours rests on the exchange "
                f"({update.side} {update.qty} @ {update.price}); it is left alone",
                self.strat_id,
            )

    def adopt(self, row: OrderUpdateEvent, source: str) -> None:
        """Take over an order of ours that rests on the exchange: after a restart, or after a lost reply."""
        order = adopted(row, self.strat_id, self._instrument)
        transition = self.book.add(order)
        self._keep(Transition(transition.order, transition.before, transition.after, f"adopted ({source})"))
        self._log.debug("[order] adopted %s %s %s @ %s", order.direction, order.side, order.qty, order.price)

    def cancel_did_not_happen(self, order: TrackedOrder) -> None:
        """The order still rests: the strategy decides again whether it wants it."""
        self._keep(self.book.cancel_failed(order.key, "still open"))

    def is_gone(self, order: TrackedOrder) -> None:
        """The exchange neither lists nor remembers it, and its executions are in."""
        self._keep(self.book.gone(order.key, "not known to the exchange any more"))

    def never_arrived(self, order: TrackedOrder) -> None:
        """Its request was lost: the same order again, under the same id, or given up when its tries are used."""
        error = "the exchange does not know the order: its request was lost"
        if not self._context.retry.push(order.key, is_cancel=False, now_s=self._context.clock_s(), error=error):
            self._keep(self.book.reject(order.key, "never reached the exchange"))

    def executed(self, key: str, execution: ExecutionEvent) -> None:
        """Account for an execution, counted for the first time, in its order."""
        self._keep(
            self.book.apply_execution(
                key, execution.qty, execution.leaves_qty, execution.exchange_ts, order_qty=execution.order_qty
            )
        )

    # ------------------------------------------------------------------ inside

    def _level(self, order: TrackedOrder) -> LevelKey:
        return self._gate.level_key(self._risk_state, order.direction, order.side, order.ticks)

    def _keep(self, transition: Transition | None, ret_code: int | None = None) -> None:
        """Record a step of an order; the end of one also ends its retries."""
        if transition is None:
            return
        self._context.recorder.record(
            builders.of_transition(transition, shadow=self._venue is not None, ret_code=ret_code)
        )
        if transition.after.is_final:
            self._context.retry.forget(transition.order.key)


def _as_proposal(order: TrackedOrder) -> Proposal:
    return Proposal(
        side=order.side,
        direction=order.direction,
        ticks=order.ticks,
        price=order.price,
        qty=order.qty,
        reduce_only=order.reduce_only,
        client_id=order.client_id,
        post_only=order.post_only,
    )
