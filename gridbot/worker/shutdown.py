"""Stopping with `on_stop: cancel` or `flatten`: cancel all orders, close all positions, report what could not be done.

The gate is stopped first, so that no strategy places anything meanwhile. Closing orders pass the same gate as orders of
an operator. Each step is confirmed by the exchange's own list, not by an acknowledgement
(docs/risk.md 6.6).
"""

from __future__ import annotations

from gridbot.exchange.failures import ExchangeError
from gridbot.flatten.flatten_words import Terms, Wanted
from gridbot.worker.orchestrator import Orchestrator

__all__ = ["cancel_everything", "flatten"]

POLL_S = 0.2


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
    """Close both legs of every symbol, after `cancel_everything`; returns what is left at the timeout, as messages.

    As the command `flatten` does it (`gridbot.flatten`), but that nothing of it is left to the next life.
    """
    terms = Terms(
        market_after_s=min(Terms().market_after_s, timeout_s / 3),
        clear_s=min(Terms().clear_s, timeout_s / 3),
        latch_wait_s=0.0,
        give_up_s=timeout_s,
    )
    end = await orchestrator.flattening.close_now(Wanted(dict.fromkeys(orchestrator.live, True), terms))
    return [] if end.clean else [f"{end.text}; close it by hand"]
