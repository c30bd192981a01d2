"""Records each change of a strategy's orders; the end of an order also ends its retries."""

from __future__ import annotations

from gridbot.orders.order import Transition
from gridbot.records import builders
from gridbot.worker.context import WorkerContext

__all__ = ["OrderSteps"]


class OrderSteps:
    """One per strategy."""

    def __init__(self, context: WorkerContext, *, is_shadow: bool) -> None:
        self._context = context
        self._is_shadow = is_shadow

    def keep(self, transition: Transition | None, ret_code: int | None = None) -> None:
        """Record a transition, if there was one; `ret_code` is the exchange's when its answer caused it."""
        if transition is None:
            return
        self._context.recorder.record(builders.of_transition(transition, shadow=self._is_shadow, ret_code=ret_code))
        if transition.after.is_final:
            self._context.retry.forget(transition.order.key)
