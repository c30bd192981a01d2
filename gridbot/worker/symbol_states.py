"""What the exchange lets each strategy do with its symbol: looked at once a second, and read from the exchange.

`risk/symbol_state.py` and `risk/symbol_watch.py` decide; this carries it out. Where a leg may only be reduced, orders
that would open are withdrawn: they rest, and would make it larger.
"""

from __future__ import annotations

from collections.abc import Mapping

from gridbot.core import Direction, Instrument
from gridbot.risk.symbol_state import Allows
from gridbot.worker.context import WorkerContext
from gridbot.worker.passage_watch import covers_of
from gridbot.worker.refused_strategies import RefusedStrategies
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["FREE", "SymbolStates"]

FREE = "the levels it had refused are free"
"""How the end of an incident about refusals is told when what they were for was set right."""


class SymbolStates:
    """One per account. `runners` are its strategies by symbol, `refused` those that could not start."""

    def __init__(
        self,
        context: WorkerContext,
        runners: Mapping[str, StrategyRunner],
        refused: RefusedStrategies,
    ) -> None:
        self._context = context
        self._runners = runners
        self.refused = {each.symbol: each for each in refused}
        """Of each symbol that may not be traded, or not yet, the strategy that could not start."""
        self._covered: dict[str, frozenset[Direction]] = {}

    def forget(self, symbol: str) -> None:
        """A strategy that could not start is none of this account any more."""
        self.refused.pop(symbol, None)

    def read(self, symbol: str, instrument: Instrument) -> None:
        """The exchange's rules of a symbol were read."""
        self._runners[symbol].risk_state.listed(instrument)
        self._look_at(self._runners[symbol])

    def in_margin_mode(self, symbol: str, margin_mode: str) -> None:
        """The account's margin mode was read; `symbol` has a live strategy."""
        self._runners[symbol].risk_state.in_margin_mode(margin_mode)
        self._look_at(self._runners[symbol])

    def look(self) -> None:
        """A second has passed. A fault in one strategy halts that one."""
        for symbol, runner in self._runners.items():
            with self._context.faults.contained(f"{symbol}: the state of the symbol", symbol):
                self._look_at(runner)
                self._look_at_covers(symbol, runner)

    @property
    def watched(self) -> frozenset[str]:
        """Symbols to be read each minute: not in order, or with a strategy that could not start."""
        terms = self._context.passage.terms
        odd = {
            symbol
            for symbol, runner in self._runners.items()
            if (terms and terms.get(symbol)) or runner.risk_state.symbol_watch.state.allows is not Allows.ALL
        }
        return frozenset(self.refused) | odd

    def repaired(self, symbol: str, text: str) -> None:
        """Something wrong with the exchange's terms was set right: what it had refused may be sent again at once."""
        self._free(symbol, text)

    def _free(self, symbol: str, text: str, uncovered: frozenset[Direction] = frozenset()) -> None:
        runner, context = self._runners[symbol], self._context
        context.passage.repaired(runner.strat_id, uncovered)
        context.gate.repaired(runner.strat_id, uncovered)
        if not context.passage.blocked(runner.book, runner.strat_id):
            context.alert.over(f"refused.{symbol}", f"over: {text}; {FREE}", runner.strat_id)

    def _look_at_covers(self, symbol: str, runner: StrategyRunner) -> None:
        """An order of somebody else that left nothing to close is gone: our closes need not wait for their breakers."""
        covered = frozenset(covers_of(runner.book))
        gone = self._covered.get(symbol, frozenset()) - covered
        self._covered[symbol] = covered
        if gone:
            text = f"no order of somebody else covers the {' or the '.join(sorted(gone))} any more"
            self._free(symbol, text, gone)

    def _look_at(self, runner: StrategyRunner) -> None:
        clock, state = self._context.clock, runner.risk_state
        state.look(clock.monotonic_s())
        if state.symbol_watch.state.allows is Allows.NOTHING:
            runner.orders.drop_unsent("not_trading")
            return
        if all(map(state.may_open, Direction)):
            return  # the usual case
        opens = [
            order
            for order in runner.book
            if not (order.reduce_only or order.withdrawn or state.may_open(order.direction))
        ]
        for order in opens:
            runner.orders.cancel(order.key, "reduce_only")
        if opens:
            runner.orders.pump()
