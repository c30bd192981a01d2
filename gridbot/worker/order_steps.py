"""Carries out what `orders/life.py` decides about a strategy's orders: records, requests, questions, counts, alerts.

It decides nothing. What comes of a count or a question (a breaker opens, the gate refuses) goes back as an event.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from gridbot.core import Side
from gridbot.exchange.remedies import with_remedy
from gridbot.orders import life_effects, life_events
from gridbot.orders.life import step
from gridbot.orders.order import TrackedOrder, Transition
from gridbot.orders.outcomes import OrderResult
from gridbot.orders.proposal import proposal_of
from gridbot.records import builders
from gridbot.records.sent_order import SentOrders
from gridbot.risk.gate import Gate
from gridbot.risk.refusals import Producer
from gridbot.risk.strategy_state import StrategyRiskState
from gridbot.worker.context import WorkerContext
from gridbot.worker.log_repeats import Repeats
from gridbot.worker.shadow_wire import ShadowWire

__all__ = ["OrderSteps"]

LogTo = logging.LoggerAdapter[logging.Logger]
PRICE_PASSED = "price_passed"
LEVELS = {"debug": logging.DEBUG, "warning": logging.WARNING}


class OrderSteps:
    """One per strategy; for the executor the owner of its orders. A `wire` takes the place of the executor."""

    def __init__(
        self, risk_state: StrategyRiskState, context: WorkerContext, gate: Gate, wire: ShadowWire | None, log: LogTo
    ) -> None:
        self._risk_state = risk_state
        self._context = context
        self._gate = gate
        self._wire = wire
        self._log = log
        self._now_s = context.clock.monotonic_s
        self._repeats = Repeats(self._now_s)
        self._sent_orders = SentOrders(risk_state.strat_id, risk_state.symbol)
        self._sent: list[Transition] = []
        """Recorded, and not yet among the orders that are open by our records: their requests are just leaving."""
        self._carriers = self._words() | self._requests() | self._counts()

    def take(self, event: life_events.Event) -> None:
        """Apply an event to the strategy's orders, and do what follows from it."""
        for effect in step(self._risk_state.book, event, self._now_s()):
            self._carriers[type(effect)](effect)

    def _say(self, line: life_effects.Log) -> None:
        tail = self._repeats.tail(line.kind) if line.kind else ""
        if tail is not None:
            self._log.log(LEVELS[line.level], line.text + tail)

    # ------------------------------------------------------------------ the executor's answers

    def waited(self, order: TrackedOrder) -> None:
        """The create request may leave now, later than it was wanted.

        The price may have passed it: the exchange would cancel it at once, which costs a request and counts as a
        refusal of its level. It is withdrawn; the strategy wants it again as soon as it can rest.
        """
        last = self._risk_state.last_price
        if last is None or not order.post_only or order.on_wire:
            return
        if order.price >= last if order.side is Side.BUY else order.price <= last:
            self.take(life_events.Withdrawn(order.key, PRICE_PASSED))

    def sending(self, order: TrackedOrder, sent_ms: int) -> None:
        """The create request leaves at `sent_ms`: what this records is journalled before it does."""
        self.take(life_events.Sending(order, sent_ms))

    def sent(self, order: TrackedOrder) -> None:
        """The create request has left, or has failed to: what its record did not wait for."""
        sent, self._sent = self._sent, []
        for transition in sent:
            self._context.order_sent(transition)

    def placed(self, order: TrackedOrder, result: OrderResult) -> None:
        """The create request was answered, or denied by us."""
        self._context.passage.answered(order, result)
        self.take(life_events.Placed(order, result))

    def cancelled(self, order: TrackedOrder, result: OrderResult) -> None:
        """The cancel request was answered."""
        self.take(life_events.CancelAnswered(order, result))

    # ------------------------------------------------------------------ how each effect is carried out

    def _words(self) -> dict[type[life_effects.Effect], Callable[[Any], object]]:
        context, is_shadow = self._context, self._wire is not None
        record = context.recorder.record
        return {
            Transition: self._note_transition,
            life_effects.NotePlace: self._note_place,
            life_effects.NoteCancel: lambda e: record(
                builders.of_cancel(
                    e.order,
                    verdict="shadow" if is_shadow else e.wish,
                    reason=e.reason,
                    ticker=self._risk_state.ticker,
                )
            ),
            life_effects.KeepRaw: lambda e: context.record_raw(builders.raw_order(self._risk_state.strat_id, e.update)),
            life_effects.Log: self._say,
            life_effects.TellOperator: lambda e: context.alert(e.level, e.key, e.text, e.strategy),
        }

    def _requests(self) -> dict[type[life_effects.Effect], Callable[[Any], object]]:
        wanted, retry = self._context.requests, self._context.retry
        return {
            life_effects.SendCreate: self._send_create,
            life_effects.SendCancel: self._send_cancel,
            life_effects.AskGate: self._ask_gate,
            life_effects.AskExchange: lambda e: wanted.look_up(e.order),
            life_effects.Reconcile: lambda e: wanted.reconcile(e.reason),
            life_effects.ReadPositions: lambda e: wanted.refresh_positions(e.symbol),
            life_effects.ReadWallet: lambda e: wanted.refresh_wallet(),
            life_effects.RetryAt: lambda e: retry.push(e.item),
            life_effects.ForgetRetry: lambda e: retry.forget(e.key),
        }

    def _counts(self) -> dict[type[life_effects.Effect], Callable[[Any], object]]:
        return {
            life_effects.CountRefusal: self._count_refusal,
            life_effects.CountAuthFailure: self._count_auth_failure,
            life_effects.CountAuthSuccess: lambda e: self._gate.auth_succeeded(),
            life_effects.DoubtLeg: lambda e: self._risk_state.doubt_leg(e.order.direction),
            life_effects.RestrictSymbol: self._restrict,
            life_effects.HaltStrategy: self._halt,
        }

    def _note_transition(self, transition: Transition) -> None:
        is_shadow = self._wire is not None
        if not is_shadow and transition.is_sending:
            data = self._sent_orders.data(transition.order)
            if data is not None:
                if self._context.recorder.record_sent(data):
                    self._sent.append(transition)
                return
        self._context.record_order(builders.of_transition(transition, shadow=is_shadow, ret_code=transition.ret_code))
        if not is_shadow:
            self._context.passage.moved(transition)

    def _note_place(self, effect: life_effects.NotePlace) -> None:
        """What was wanted is recorded when the request has left: the order's own record, which has all that names it,
        is written before (`_note_transition`)."""
        state, proposal, link_id = self._risk_state, effect.proposal, effect.order.link_id
        verdict, ticker = "sent" if self._wire is None else "shadow", state.ticker
        self._context.recorder.record_later(
            lambda: builders.of_proposal(
                state.strat_id, state.symbol, proposal, verdict=verdict, link_id=link_id, ticker=ticker
            )
        )
        self._context.trace.admitted(link_id)

    def _send_create(self, effect: life_effects.SendCreate) -> None:
        if self._wire is None:
            self._context.executor.place(effect.order, self, effect.distance)
        else:
            self._wire.place(effect.order)

    def _send_cancel(self, effect: life_effects.SendCancel) -> None:
        if self._wire is None:
            self._context.executor.cancel(effect.order, self)
        else:
            self._wire.cancel(effect.order)

    def _ask_gate(self, effect: life_effects.AskGate) -> None:
        proposal = proposal_of(effect.order)
        refusal = self._gate.admit(self._risk_state, proposal, self._now_s(), Producer.RETRY)
        self.take(life_events.GateAnswered(effect.order, refusal or ""))

    def _count_refusal(self, effect: life_effects.CountRefusal) -> None:
        if effect.error is not None and self._wire is None:
            self._context.passage.ended_at_once(effect.order, effect.error)
        if self._gate.refused(effect.order, self._now_s(), effect.ticks, effect.cause):
            self.take(life_events.LevelBroken(effect.order, effect.answered))

    def _count_auth_failure(self, effect: life_effects.CountAuthFailure) -> None:
        if self._gate.auth_failed(effect.error, self._now_s()):
            self.take(life_events.KeyFailing(effect.error))

    def _restrict(self, effect: life_effects.RestrictSymbol) -> None:
        self._risk_state.restricted(effect.error, self._now_s())
        self._context.requests.read_terms(effect.order.symbol)

    def _halt(self, effect: life_effects.HaltStrategy) -> None:
        # The reason holds the remedy: status, the incident and the hold after a restart show nothing else.
        if self._risk_state.halt(with_remedy(effect.error)):
            self.take(life_events.Stopped("halted"))
            self.take(life_events.StrategyHalted(effect.order, effect.error))
