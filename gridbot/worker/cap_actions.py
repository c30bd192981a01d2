"""What a brake of caps means for the orders and positions of an account, carried out twice a second until it is lifted.

    opens      what would open and rests, or waits to be sent, is withdrawn
    all        every order is withdrawn, again and again until none is left
    flatten    all is cancelled and closed, as by the command (`Flattening`); again while a leg is open and nothing runs

The gate refuses new ones meanwhile; a close of `flatten` passes it as an operator's does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from gridbot.flatten.flatten_words import Others, Terms, Wanted
from gridbot.risk.brake import Brake, Stops
from gridbot.worker.context import WorkerContext
from gridbot.worker.flattening import Flattening
from gridbot.worker.refused_strategies import NOBODY
from gridbot.worker.startup import RefusedStrategy
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["CapActions"]

AGAIN_S: Final = 10.0
"""Between two times that positions are closed, where the first could not close all."""


class CapActions:
    """One per account; `live` are its live strategies by symbol, `refused` those that could not start, as of now."""

    def __init__(
        self,
        context: WorkerContext,
        live: Mapping[str, StrategyRunner],
        flattening: Flattening,
        refused: Iterable[RefusedStrategy] = NOBODY,
    ) -> None:
        self._context = context
        self._live = live
        self._flattening = flattening
        self._refused = refused
        self._begun_s: float | None = None

    def carry_out(self, brake: Brake, *, flattens: bool) -> None:
        """Do what `brake` means; a fault in one strategy halts that one."""
        if brake.stops is Stops.NOTHING:
            self._begun_s = None
            return
        for symbol, runner in self._live.items():
            with self._context.faults.contained(f"{symbol}: withdrawing orders for a cap", symbol):
                if brake.stops is Stops.OPENS:
                    _withdraw_opens(runner)
                else:
                    runner.orders.cancel_all("cap_latch")
        self._context.executor.pump()
        if flattens:
            with self._context.faults.contained("flattening for a cap"):
                self._flatten(brake.reason)

    def _flatten(self, reason: str) -> None:
        now_s = self._context.clock.monotonic_s()
        if self._flattening.busy or (self._begun_s is not None and now_s - self._begun_s < AGAIN_S):
            return
        is_open = any(leg.size > 0 for runner in self._live.values() for leg in runner.risk_state.legs.values())
        if is_open or self._begun_s is None:
            self._begun_s = now_s
            others = [each.symbol for each in self._refused if not each.shadow]
            symbols = dict.fromkeys([*self._live, *others], True)
            self._flattening.begin(Wanted(symbols, Terms(), Others.TOLD), reason)


def _withdraw_opens(runner: StrategyRunner) -> None:
    for order in [order for order in runner.book if not (order.reduce_only or order.withdrawn)]:
        runner.orders.cancel(order.key, "only_reduces")
