"""Why one order that a strategy wants does not rest. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from gridbot.exchange.remedies import with_remedy
from gridbot.orders.order import TrackedOrder
from gridbot.risk.gate_checks import admit
from gridbot.risk.refusals import Refusal
from gridbot.strategies.base import Wish
from gridbot.why.asked_about import Reason, Scene, Weight
from gridbot.why.gate_words import gate_reason
from gridbot.why.order_words import order_reason

__all__ = ["level_reason"]


def level_reason(scene: Scene, wish: Wish, there: Sequence[TrackedOrder], now_s: float) -> Reason | None:
    """Why the wish has no resting order; None when it has one. `there` are the orders at its level and leg."""
    if there:
        reasons = [order_reason(scene, wish, order, now_s) for order in there]
        return None if None in reasons else reasons[0]
    if wish.waits:
        return Reason(wish.waits, Weight.NORMAL)
    proposal = scene.proposals[wish.direction, wish.ticks]
    if wish.closes and proposal.qty <= 0 and not scene.view.legs[wish.direction].unsure:
        return gate_reason(scene, proposal, Refusal.NOT_COVERED, now_s)  # whatever holds: there is nothing to close
    refusal = admit(scene.gate, scene.others, scene.view, proposal, now_s).refusal
    if refusal is None and not scene.has_numbers:
        refusal = Refusal.NO_NUMBER
    if refusal is not None:
        return gate_reason(scene, proposal, refusal, now_s)
    return _asked_again(scene, wish, now_s)


def _asked_again(scene: Scene, wish: Wish, now_s: float) -> Reason:
    """Nothing of ours is in the way any more: the next price brings it."""
    level = wish.direction, wish.ticks
    said = scene.spoken.get(level)
    if said is not None:
        times = "" if said.times == 1 else f"{said.times} times, "
        text = f"refused by the exchange {times}{now_s - said.at_s:.0f} s ago: {with_remedy(said.error)}"
        return Reason(f"{text}; it is asked again at the next price", Weight.HELD)
    last = scene.refused.get(level)
    before = f"; the last one found: {str(last).replace('_', ' ')}" if last is not None else ""
    return Reason(f"placed with the next price{before}", Weight.PASSING)
