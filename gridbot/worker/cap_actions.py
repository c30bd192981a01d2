"""What a brake of caps means for the orders and positions of an account, carried out twice a second until it is lifted.

    opens      what would open and rests, or waits to be sent, is withdrawn
    all        every order is withdrawn, again and again until none is left
    flatten    then each leg is closed, reduce-only, through the last price, again until it is flat

The gate refuses new ones meanwhile; a close of `flatten` passes it as an operator's does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gridbot.core import Direction
from gridbot.risk.brake import Brake, Stops
from gridbot.worker.context import WorkerContext
from gridbot.worker.leg_closing import close_leg
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["CapActions"]

AGAIN_S: Final = 3.0
"""After so long a closing order has been left behind by the price, and is priced anew."""


class CapActions:
    """One per account; `live` are its live strategies by symbol."""

    def __init__(self, context: WorkerContext, live: Mapping[str, StrategyRunner]) -> None:
        self._context = context
        self._live = live
        self._closing: dict[tuple[str, Direction], float] = {}
        """When the order that closes a leg was sent."""

    def carry_out(self, brake: Brake, *, flattens: bool) -> None:
        """Do what `brake` means; a fault in one strategy halts that one."""
        if brake.stops is Stops.NOTHING:
            self._closing.clear()
            return
        for symbol, runner in self._live.items():
            with self._context.faults.contained(f"{symbol}: withdrawing orders for a cap", symbol):
                if brake.stops is Stops.OPENS:
                    _withdraw_opens(runner)
                elif not (flattens and self._close(runner)):
                    runner.orders.cancel_all("cap_latch")
        self._context.executor.pump()

    def _close(self, runner: StrategyRunner) -> bool:
        """Close the legs; False while there are orders to be withdrawn first."""
        now_s = self._context.clock.monotonic_s()
        legs = [leg for leg, state in runner.risk_state.legs.items() if state.size > 0]
        sent = {leg: self._closing.get((runner.symbol, leg)) for leg in legs}
        late = [leg for leg, at_s in sent.items() if at_s is not None and now_s - at_s > AGAIN_S]
        if late or (len(runner.book) and not any(sent.values())):
            for leg in late:
                del self._closing[runner.symbol, leg]
            return False
        for leg, at_s in sent.items():
            if at_s is None and close_leg(self._context, runner, leg):
                self._closing[runner.symbol, leg] = now_s
        if legs:
            self._context.requests.refresh_positions(runner.symbol)
        return bool(legs) or not len(runner.book)


def _withdraw_opens(runner: StrategyRunner) -> None:
    for order in [order for order in runner.book if not (order.reduce_only or order.withdrawn)]:
        runner.orders.cancel(order.key, "only_reduces")
