"""Strategies that come and go while their account trades: each part that looks after them is told.

Nothing here waits, so nobody sees one half in. What decides and when is `reloading`.
"""

from __future__ import annotations

from gridbot.config.account_models import StrategyConfig
from gridbot.worker.orchestrator import Orchestrator
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["Members"]


class Members:
    """Of one account."""

    def __init__(self, orchestrator: Orchestrator) -> None:
        self._orchestrator = orchestrator

    def enroll(self, runner: StrategyRunner) -> None:
        """Have a strategy looked after from now on; it sends nothing until it is `ready`."""
        account, symbol = self._orchestrator, runner.symbol
        account.enroll(runner)
        if runner.shadow is None:
            account.flattening.enroll(symbol, runner.orders.owner)
            account.reconciler.enroll(runner)
        else:
            account.readings.follow(symbol, runner.shadow)
        account.readings.terms.follow(runner.settings, runner.instrument)
        account.notices.follow(symbol, runner.strat_id)
        account.streams.follow(symbol)

    def enroll_again(self, runner: StrategyRunner) -> None:
        """Have one looked after again that was withdrawn."""
        runner.gate.enroll(runner.risk_state)
        self._orchestrator.context.faults.enroll(runner.symbol, runner.halt)
        if runner.shadow is not None:
            runner.shadow.come_back()
        self.enroll(runner)

    def withdraw(self, runner: StrategyRunner) -> None:
        """Look after it no more. It has no order; of a live one only while the reconciler `may_withdraw`."""
        account, symbol = self._orchestrator, runner.symbol
        account.withdraw(runner)
        account.streams.forget(symbol)
        account.notices.forget(symbol)
        account.readings.terms.forget(symbol)
        if runner.shadow is None:
            account.reconciler.withdraw(symbol)
            account.flattening.withdraw(symbol)
        else:
            account.readings.forget(symbol)
            runner.shadow.leave()
        runner.gate.withdraw(runner.strat_id)
        account.context.faults.withdraw(symbol)
        runner.fill_lines.tell_rest()

    def refused_goes(self, strategy: StrategyConfig) -> None:
        """A strategy that could not start is not of this account any more."""
        account, symbol = self._orchestrator, strategy.symbol
        refused = account.refused.of_symbol(symbol)
        if refused is None or refused.strat_id != strategy.strat_id:
            return
        account.refused.withdraw(strategy.strat_id)
        account.states.forget(symbol)
        account.notices.forget(symbol)
        account.readings.terms.forget(symbol)
        account.flattening.withdraw(symbol)

    def renewed(self, settings: StrategyConfig) -> None:
        """A strategy goes on by other settings: position mode and leverage are set by them, soon."""
        self._orchestrator.readings.terms.follow(settings, None)
        self._orchestrator.context.requests.read_terms(settings.symbol)
