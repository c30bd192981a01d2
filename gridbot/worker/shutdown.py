"""Stopping with `on_stop: cancel` or `flatten`: cancel all orders, close all positions, report what could not be done.

The gate is stopped first, so that no strategy places anything meanwhile. Closing orders pass the same gate as orders of
an operator. Each step is confirmed by the exchange's own list, not by an acknowledgement
(docs/risk.md 6.6).
"""

from __future__ import annotations

from decimal import Decimal

from gridbot.core import Direction, Side
from gridbot.exchange.failures import ExchangeError
from gridbot.orders.proposal import Proposal
from gridbot.risk.refusals import Producer
from gridbot.worker.orchestrator import Orchestrator
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["cancel_everything", "flatten"]

POLL_S = 0.2
AGAIN_S = 3.0
CROSS = Decimal("0.005")
"""A closing order is priced this far beyond the last price, so that it trades at once and never worse than that."""


async def cancel_everything(orchestrator: Orchestrator, timeout_s: float) -> list[str]:
    """Cancel all our orders until the exchange lists none; returns messages about what is left at the timeout."""
    orchestrator.context.gate.stop()
    clock = orchestrator.context.clock
    deadline_s = clock.monotonic_s() + timeout_s
    problem = ""
    while clock.monotonic_s() < deadline_s:
        for runner in orchestrator.runners.values():
            runner.orders.cancel_all("stop")
        await clock.sleep(POLL_S)
        if any(len(runner.book) for runner in orchestrator.live.values()):
            continue
        try:
            await orchestrator.reconciler.run("stop")
        except ExchangeError as error:
            problem = f" ({error})"
            continue
        if not any(len(runner.book) for runner in orchestrator.live.values()):
            return []
    return [
        f"{runner.symbol}: {len(runner.book)} orders could not be confirmed as cancelled{problem}; check the exchange"
        for runner in orchestrator.live.values()
        if len(runner.book)
    ]


async def flatten(orchestrator: Orchestrator, timeout_s: float) -> list[str]:
    """Close both legs of every symbol, after `cancel_everything`; returns what is left at the timeout, as messages."""
    clock = orchestrator.context.clock
    deadline_s = clock.monotonic_s() + timeout_s
    sent: dict[tuple[str, Direction], float] = {}
    while clock.monotonic_s() < deadline_s:
        open_legs = [
            (runner, direction)
            for runner in orchestrator.live.values()
            for direction, leg in runner.risk_state.legs.items()
            if leg.size > 0
        ]
        if not open_legs:
            return []
        for runner, direction in open_legs:
            last = sent.get((runner.symbol, direction))
            if last is None and _close(orchestrator, runner, direction):
                sent[runner.symbol, direction] = clock.monotonic_s()
            elif last is not None and clock.monotonic_s() - last > AGAIN_S:  # the price has moved away from the order
                del sent[runner.symbol, direction]
                runner.orders.cancel_all("flatten")
        orchestrator.context.executor.pump()
        await clock.sleep(POLL_S)
        for runner, _ in open_legs:
            orchestrator.context.requests.refresh_positions(runner.symbol)
    return [
        f"{runner.symbol}: {leg.size} {direction} is still open; close it by hand"
        for runner in orchestrator.live.values()
        for direction, leg in runner.risk_state.legs.items()
        if leg.size > 0
    ]


def _close(orchestrator: Orchestrator, runner: StrategyRunner, direction: Direction) -> bool:
    """One reduce-only order over the whole leg, priced to trade at once; False when the gate refuses it for now."""
    context, risk_state = orchestrator.context, runner.risk_state
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
