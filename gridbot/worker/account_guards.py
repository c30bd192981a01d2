"""What watches over the losses and caps of an account, made from its configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gridbot.risk.loss_limit import LossLimit
from gridbot.state.documents import StopFile
from gridbot.state.state_log import StateLog
from gridbot.worker.cap_guard import CapGuard
from gridbot.worker.context import WorkerContext
from gridbot.worker.loss_guard import LossGuard
from gridbot.worker.spec import WorkerSpec

__all__ = ["account_guards"]


def account_guards(
    spec: WorkerSpec,
    states: StateLog,
    context: WorkerContext,
    tell: Callable[[dict[str, Any]], None] | None,
) -> tuple[LossGuard, CapGuard]:
    """Both, with what an earlier life left. `tell` gives a message to the supervisor; None where there is none."""
    settings, account = spec.settings, spec.account
    caps = settings.account(account).caps
    resume = f"`{context.command_line(f'resume {account}')}`"
    limit = LossLimit(caps.session_loss_limit, caps.session_loss_includes_unrealised, resume)
    live = [strategy.strat_id for strategy in settings.strategies_of(account) if not strategy.shadow_mode]
    losses = LossGuard(limit, StopFile(states, "latch.json"), context, live)
    losses.load()
    scopes = {
        scope: shared.max_notional is not None
        for scope, (shared, members) in settings.cap_scopes().items()
        if account in members
    }
    guard = CapGuard(caps, StopFile(states, "caps.json"), context, losses, resume=resume, scopes=scopes, tell=tell)
    guard.load(spec.caps)
    return losses, guard
