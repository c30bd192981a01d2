"""The order that closes a leg for an operator, a stop or a cap."""

from __future__ import annotations

from decimal import Decimal

from gridbot.core import Direction, Side
from gridbot.orders.proposal import Proposal
from gridbot.risk.refusals import Producer
from gridbot.worker.context import WorkerContext
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["close_leg"]

CROSS = Decimal("0.005")
"""A closing order is priced this far beyond the last price, so that it trades at once and never worse than that."""


def close_leg(context: WorkerContext, runner: StrategyRunner, direction: Direction) -> bool:
    """One reduce-only order over the whole leg, priced to trade at once; False when the gate refuses it for now."""
    risk_state = runner.risk_state
    if risk_state.last_price is None:
        return False
    side = direction.close_side
    ticks = runner.instrument.ticks(risk_state.last_price * (1 + CROSS if side is Side.BUY else 1 - CROSS))
    proposal = Proposal(
        side=side,
        direction=direction,
        ticks=ticks,
        price=runner.instrument.price(ticks),
        qty=min(risk_state.legs[direction].size, runner.instrument.max_order_qty),
        reduce_only=True,
        post_only=False,
    )
    if not context.generations.available(1):
        return False
    if context.gate.admit(risk_state, proposal, context.clock.monotonic_s(), Producer.CLOSE) is not None:
        return False
    runner.orders.submit(proposal)
    return True
