"""Makes a strategy's runner, with what an earlier life of the worker has kept of the strategy."""

from __future__ import annotations

import logging

from gridbot.config.account_models import StrategyConfig
from gridbot.state.strategy_store import GridAnchorStore
from gridbot.worker.account_disk import AccountDisk
from gridbot.worker.context import WorkerContext
from gridbot.worker.shadow_side import shadow_wire
from gridbot.worker.startup import PreparedSymbol
from gridbot.worker.strategy_runner import Keeping, StrategyRunner

__all__ = ["make_runner"]

log = logging.getLogger(__name__)


def make_runner(
    strategy: StrategyConfig, symbol: PreparedSymbol, context: WorkerContext, disk: AccountDisk
) -> StrategyRunner:
    """One that goes on from the state, the holds and the executions that were kept, and keeps its own from here on."""
    name, kind, instrument = strategy.strat_id, strategy.decided_by, symbol.instrument
    states = GridAnchorStore(
        disk.states, kind, lambda text: context.alert("error", f"{kind.name}_file", text, strategy=name)
    )
    saved = states.load(name)
    engine = kind.make(strategy, instrument, name, None if saved is None else saved.state)
    if engine.restore_note:
        log.info("%s: the %s is built anew: %s", name, kind.name, engine.restore_note)
    holds = disk.holds.of(name)
    for hold, held in holds.held.items():
        log.warning("%s starts %s, as an earlier run was (%s): %s", name, hold, held.who, held.reason)
    runner = StrategyRunner(
        strategy,
        instrument,
        engine,
        context,
        keeping=Keeping(
            save_state=lambda told: states.save(name, runner.engine.state(), told),
            told=() if saved is None else [told for told in saved.told if disk.ledger.is_new(told)],
            keep_holds=lambda held: disk.holds.keep(name, held),
            holds=holds,
        ),
        wire=shadow_wire(context, name, symbol) if strategy.shadow_mode else None,
    )
    if saved is not None:
        runner.catch_up(saved.untold)
    runner.saving.save()
    return runner
