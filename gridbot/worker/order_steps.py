"""Carries out what `orders/life.py` decides about a strategy's orders: records, requests, questions, counts, alerts.

It decides nothing. What comes of a count or a question (a breaker opens, the gate refuses) goes back as an event.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from gridbot.orders import life_types as life
from gridbot.orders.life import step
from gridbot.orders.order import TrackedOrder, Transition
from gridbot.orders.outcomes import OrderResult
from gridbot.orders.proposal import proposal_of
from gridbot.orders.shadow_venue import ShadowVenue
from gridbot.records import builders
from gridbot.risk.gate import Gate
from gridbot.risk.refusals import Producer
from gridbot.risk.strategy_state import StrategyRiskState
from gridbot.worker.context import WorkerContext

__all__ = ["OrderSteps"]

LogTo = logging.LoggerAdapter[logging.Logger]


class OrderSteps:
    """One per strategy; for the executor the owner of its orders. A `venue` takes the place of the executor."""

    def __init__(
        self, risk_state: StrategyRiskState, context: WorkerContext, gate: Gate, venue: ShadowVenue | None, log: LogTo
    ) -> None:
        self._risk_state = risk_state
        self._context = context
        self._gate = gate
        self._venue = venue
        self._log = log
        self._now_s = context.clock.monotonic_s
        self._carriers = self._words() | self._requests() | self._counts()

    def take(self, event: life.Event) -> None:
        """Apply an event to the strategy's orders, and do what follows from it."""
        for effect in step(self._risk_state.book, event, self._now_s()):
            self._carriers[type(effect)](effect)

    # ------------------------------------------------------------------ the executor's answers

    def sending(self, order: TrackedOrder) -> None:
        """The create request is about to leave: what this records is journalled before it does."""
        self.take(life.Sending(order))

    def placed(self, order: TrackedOrder, result: OrderResult) -> None:
        """The create request was answered, or denied by us."""
        self.take(life.Placed(order, result))

    def cancelled(self, order: TrackedOrder, result: OrderResult) -> None:
        """The cancel request was answered."""
        self.take(life.CancelAnswered(order, result))

    # ------------------------------------------------------------------ how each effect is carried out

    def _words(self) -> dict[type[life.Effect], Callable[[Any], object]]:
        context, is_shadow = self._context, self._venue is not None
        record = context.recorder.record
        return {
            Transition: lambda e: record(builders.of_transition(e, shadow=is_shadow, ret_code=e.ret_code)),
            life.NotePlace: self._note_place,
            life.NoteCancel: lambda e: record(
                builders.of_cancel(
                    e.order,
                    verdict="shadow" if is_shadow else e.wish,
                    reason=e.reason,
                    ticker=self._risk_state.ticker,
                )
            ),
            life.KeepRaw: lambda e: context.record_raw(builders.raw_order(self._risk_state.strat_id, e.update)),
            life.Log: lambda e: self._log.log(e.level, e.text),
            life.TellOperator: lambda e: context.alert(e.level, e.key, e.text, e.strategy),
        }

    def _requests(self) -> dict[type[life.Effect], Callable[[Any], object]]:
        wanted, retry = self._context.requests, self._context.retry
        return {
            life.SendCreate: self._send_create,
            life.SendCancel: self._send_cancel,
            life.AskGate: self._ask_gate,
            life.AskExchange: lambda e: wanted.look_up(e.order),
            life.Reconcile: lambda e: wanted.reconcile(e.reason),
            life.ReadPositions: lambda e: wanted.refresh_positions(e.symbol),
            life.ReadWallet: lambda e: wanted.refresh_wallet(),
            life.RetryAt: lambda e: retry.push(e.item),
            life.ForgetRetry: lambda e: retry.forget(e.key),
        }

    def _counts(self) -> dict[type[life.Effect], Callable[[Any], object]]:
        return {
            life.CountAcceptance: lambda e: self._gate.accepted(e.order),
            life.CountRefusal: self._count_refusal,
            life.CountAuthFailure: self._count_auth_failure,
            life.CountAuthSuccess: lambda e: self._gate.auth_succeeded(),
            life.DoubtLeg: lambda e: self._risk_state.doubt_leg(e.order.direction),
            life.HaltStrategy: self._halt,
        }

    def _note_place(self, effect: life.NotePlace) -> None:
        state, order = self._risk_state, effect.order
        verdict = "sent" if self._venue is None else "shadow"
        self._context.recorder.record(
            builders.of_proposal(
                state.strat_id,
                state.symbol,
                effect.proposal,
                verdict=verdict,
                link_id=order.link_id,
                ticker=state.ticker,
            )
        )
        self._context.trace.admitted(order.link_id)

    def _send_create(self, effect: life.SendCreate) -> None:
        if self._venue is None:
            self._context.executor.place(effect.order, self, effect.distance)
        else:
            self.take(life.Heard(effect.order, self._venue.place(effect.order, self._context.clock.wall_ms())))

    def _send_cancel(self, effect: life.SendCancel) -> None:
        if self._venue is None:
            self._context.executor.cancel(effect.order, self)
        else:
            self.take(life.Heard(effect.order, self._venue.cancel(effect.order, self._context.clock.wall_ms())))

    def _ask_gate(self, effect: life.AskGate) -> None:
        proposal = proposal_of(effect.order)
        refusal = self._gate.admit(self._risk_state, proposal, self._now_s(), Producer.RETRY)
        self.take(life.GateAnswered(effect.order, refusal or ""))

    def _count_refusal(self, effect: life.CountRefusal) -> None:
        if self._gate.refused(effect.order, self._now_s()):
            self.take(life.LevelBroken(effect.order, effect.answered))

    def _count_auth_failure(self, effect: life.CountAuthFailure) -> None:
        if self._gate.auth_failed(self._now_s()):
            self.take(life.KeyFailing(effect.error))

    def _halt(self, effect: life.HaltStrategy) -> None:
        if self._risk_state.halt(str(effect.error)):
            self.take(life.StrategyHalted(effect.order, effect.error))
