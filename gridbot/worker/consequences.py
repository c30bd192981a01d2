"""What an error of the exchange about one order means for the rest: the leg, the wallet, the key, the strategy."""

from __future__ import annotations

from gridbot.exchange.failures import ExchangeError
from gridbot.orders.order import TrackedOrder
from gridbot.orders.outcomes import REDUCE_ONLY_ZERO, Verdict
from gridbot.risk.gate import Gate
from gridbot.risk.strategy_state import StrategyRiskState
from gridbot.worker.context import WorkerContext

__all__ = ["draw_consequences"]


def draw_consequences(
    order: TrackedOrder,
    error: ExchangeError,
    verdict: Verdict,
    risk_state: StrategyRiskState,
    gate: Gate,
    context: WorkerContext,
) -> None:
    """Carry out the flags of a verdict; what becomes of the order itself is `verdict.next`, the order manager's."""
    if verdict.refresh_positions:
        if error.ret_code == REDUCE_ONLY_ZERO:
            risk_state.doubt_leg(order.direction)
        context.requests.refresh_positions(order.symbol)
    if verdict.refresh_wallet:
        context.requests.refresh_wallet()
    if verdict.auth and gate.auth_failed(context.clock.monotonic_s()):
        context.retry.clear()
        context.alert("error", "auth", f"orders paused after repeated authentication errors: {error}")
    if verdict.halt and risk_state.halt(str(error)):
        text = f"{order.symbol}: the exchange refuses to trade: {error}"
        context.alert("error", f"halt.{order.symbol}", text, risk_state.strat_id)
