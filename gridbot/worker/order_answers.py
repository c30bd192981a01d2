"""Handles the answers to requests: what they mean for the order, its leg, the wallet, the API key and the strategy.

`OrderAnswers` is the `OrderOwner` that the executor calls. The tables in `orders/outcomes.py` say what to do about each
error; this module does it.
"""

from __future__ import annotations

import logging

from gridbot.exchange.failures import ExchangeError
from gridbot.orders.order import TrackedOrder, Transition
from gridbot.orders.outcomes import REDUCE_ONLY_ZERO, Next, OrderResult, Verdict, after_cancel, after_place
from gridbot.risk.gate import Gate
from gridbot.risk.strategy_state import StrategyRiskState
from gridbot.worker.context import WorkerContext
from gridbot.worker.order_steps import OrderSteps

__all__ = ["OrderAnswers"]

Log = logging.LoggerAdapter[logging.Logger]


class OrderAnswers:
    """One per strategy; the owner of its orders for the executor."""

    def __init__(
        self, risk_state: StrategyRiskState, context: WorkerContext, gate: Gate, steps: OrderSteps, log: Log
    ) -> None:
        self._risk_state = risk_state
        self._book = risk_state.book
        self._context = context
        self._gate = gate
        self._steps = steps
        self._log = log

    def sending(self, order: TrackedOrder) -> None:
        """Record that the request is about to leave."""
        self._steps.keep(Transition(order, order.state, order.state))

    def placed(self, order: TrackedOrder, result: OrderResult) -> None:
        """The create request was answered, or denied by us."""
        if result.ack is not None:
            self._book.acknowledge(order.key, result.ack.order_id)
            self._gate.accepted(order)
            self._context.retry.forget(order.key)
        elif result.error is not None:
            self._not_placed(order, result.error)
        else:
            self._context.retry.forget(order.key)
            self._steps.keep(self._book.reject(order.key, result.reason))

    def cancelled(self, order: TrackedOrder, result: OrderResult) -> None:
        """The cancel request was answered. The order ends with the stream's `Cancelled`, not with this answer."""
        if result.ack is not None:
            self._gate.auth_succeeded()
        elif result.error is not None:
            self._not_cancelled(order, result.error)

    def _not_placed(self, order: TrackedOrder, error: ExchangeError) -> None:
        context = self._context
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
        now_s = context.clock.monotonic_s()
        if verdict.next is Next.RETRY and context.retry.push(order.key, is_cancel=False, now_s=now_s, error=str(error)):
            return
        if verdict.next is Next.LOOK_UP:
            self._steps.keep(self._book.lose_reply(order.key, str(error)), error.ret_code)
            context.requests.look_up(order)
        else:
            context.retry.forget(order.key)
            self._steps.keep(self._book.reject(order.key, str(error)), error.ret_code)
        if verdict.breaker and self._gate.refused(order, now_s):
            context.requests.reconcile(f"{order.direction} {order.side} @ {order.price} was refused repeatedly")
        self._consequences(order, error, verdict)

    def _not_cancelled(self, order: TrackedOrder, error: ExchangeError) -> None:
        context = self._context
        verdict = after_cancel(error)
        now_s = context.clock.monotonic_s()
        if verdict.next is Next.RETRY and context.retry.push(order.key, is_cancel=True, now_s=now_s, error=str(error)):
            return
        if verdict.next is Next.LOOK_UP:
            self._steps.keep(self._book.lose_reply(order.key, f"cancel: {error}"), error.ret_code)
            context.requests.look_up(order)
        else:
            self._steps.keep(self._book.cancel_failed(order.key, f"cancel: {error}"), error.ret_code)
        self._consequences(order, error, verdict)

    def _consequences(self, order: TrackedOrder, error: ExchangeError, verdict: Verdict) -> None:
        """Carry out the flags of a verdict."""
        context = self._context
        if verdict.refresh_positions:
            if error.ret_code == REDUCE_ONLY_ZERO:
                self._risk_state.doubt_leg(order.direction)
            context.requests.refresh_positions(order.symbol)
        if verdict.refresh_wallet:
            context.requests.refresh_wallet()
        if verdict.auth and self._gate.auth_failed(context.clock.monotonic_s()):
            context.retry.clear()
            context.alert("error", "auth", f"orders paused after repeated authentication errors: {error}")
        if verdict.halt and self._risk_state.halt(str(error)):
            text = f"{order.symbol}: the exchange refuses to trade: {error}"
            context.alert("error", f"halt.{order.symbol}", text, order.strat_id)
