"""Where an order is on its way that does not rest yet, or is being withdrawn. Pure."""

from __future__ import annotations

from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.strategies.base import Wish
from gridbot.why.asked_about import Reason, Scene, Weight

__all__ = ["order_reason"]

S = OrderState
RESTS = frozenset({S.OPEN, S.PARTIALLY_FILLED})


def order_reason(scene: Scene, wish: Wish, order: TrackedOrder, now_s: float) -> Reason | None:
    """Why the order of a level does not rest as it is wanted; None when it does."""
    if order.side is not wish.side:
        return Reason(f"a {order.side} of ours is still there: it is withdrawn first", Weight.PASSING)
    if order.state in RESTS:
        return None
    if order.state is S.PENDING_CANCEL:
        return _withdrawn(scene, order, now_s)
    if order.state is S.UNRESOLVED:
        code = "" if order.answered_with is None else f" (retCode {order.answered_with})"
        return Reason(f"it may rest or not: an answer was lost{code}; the exchange is asked for it", Weight.PASSING)
    if order.state.is_final:
        return Reason(f"the order is {order.state}; its executions are still missing here", Weight.PASSING)
    return _on_its_way(scene, order, now_s)


def _withdrawn(scene: Scene, order: TrackedOrder, now_s: float) -> Reason:
    item = scene.retries.get(order.key)
    why = f": {order.withdrawn}" if order.withdrawn else ""
    if item is not None:
        text = f"its old order is being withdrawn{why}; try {item.tries + 1} of the cancel is due: {item.last_error}"
        return Reason(text, Weight.PASSING, max(0.0, item.due_s - now_s))
    return Reason(f"its old order is being withdrawn{why}", Weight.PASSING)


def _on_its_way(scene: Scene, order: TrackedOrder, now_s: float) -> Reason:
    item = scene.retries.get(order.key)
    if item is not None:
        text = f"the exchange did not take it, try {item.tries + 1} is due: {item.last_error}"
        return Reason(text, Weight.PASSING, max(0.0, item.due_s - now_s))
    if order.in_flight:
        return Reason("its request is under way", Weight.PASSING)
    if order.key in scene.sending.queued:
        return _queued(scene, now_s)
    if order.order_id:
        return Reason("the exchange has accepted it and not shown it yet", Weight.PASSING)
    return Reason("it is on its way", Weight.PASSING)


def _queued(scene: Scene, now_s: float) -> Reason:
    """It waits to be sent: what for."""
    sending = scene.sending
    if sending.ban is not None and sending.ban.is_on(now_s) and sending.by_http:
        return Reason(f"it waits to be sent: {sending.ban}", Weight.HELD, sending.ban.until_s - now_s)
    if sending.late:
        return Reason(f"it waits to be sent: {sending.late}", Weight.HELD)
    if sending.wait_s > 0:
        return Reason("it waits to be sent: the request budget of the account is used", Weight.PASSING, sending.wait_s)
    if sending.is_full:
        return Reason("it waits to be sent: as many requests as may be are under way", Weight.PASSING)
    return Reason("it waits to be sent", Weight.PASSING)
