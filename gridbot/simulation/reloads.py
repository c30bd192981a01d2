"""Reloads of the simulated worker, as its supervisor does them: prepared, applied, and only then what counts.

What is in force for the next life is the `spec` of the world; a life that dies before it has said that it has applied
the new configuration begins again by the one before.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Protocol

from gridbot.config.models import GridbotConfig
from gridbot.config.strategy_kinds import strategy_config
from gridbot.simulation.fault_values import Fault
from gridbot.simulation.scene import ACCOUNT, AMOUNTS, SHADOW

__all__ = ["Reloads", "begin_reload", "changed"]

MORE: tuple[dict[str, Any], ...] = (
    {"strat_id": "eth", "account": ACCOUNT, "symbol": "ETHUSDT", "grid_count": 6, "grid_step": 0.2, "amount": "q0.2"},
    {**SHADOW, "strat_id": "sol-live", "shadow_mode": False, "grid_count": 6},
    {"strat_id": "btc", "account": ACCOUNT, "symbol": "BTCUSDT", "grid_count": 10, "grid_step": 0.3, "amount": "q0.01"},
)


class Staged(Protocol):
    """What a reload needs of the stage (`stage.Stage`)."""

    life: Any
    loop: Any
    world: Any
    result: Any
    judge: Any

    @property
    def reloads(self) -> Reloads: ...

    def reloaded(self, config: GridbotConfig) -> None:
        """It is in force."""


class Reloads:
    """One per stage: what was asked of which life, and what it is to be then."""

    def __init__(self, stage: Staged) -> None:
        self._stage = stage
        self._asked: dict[str, tuple[Any, GridbotConfig]] = {}
        self._number = 0
        self._runners: dict[str, Any] = {}
        self.settings = stage.world.spec.settings
        """In force."""

    def begin(self, settings: GridbotConfig) -> None:
        """Ask the worker of now to prepare it."""
        self._number += 1
        self._say("prepare", settings)

    def answered(self, life: Any, message: Mapping[str, Any]) -> None:
        """An answer of a worker, perhaps to a step of a reload."""
        asked, settings = self._asked.pop(str(message["id"]), (None, self.settings))
        if asked is not life or life is not self._stage.life or not message["ok"]:
            return
        stage = self._stage
        if str(message["id"]).startswith("reload prepare"):
            self._say("apply", settings)
        else:
            self._compare(life, settings)
            self.settings = settings
            stage.result.counts["reloads"] += 1
            stage.reloaded(settings)

    def _compare(self, life: Any, settings: GridbotConfig) -> None:
        """Who has not changed is looked after by the same runner, with the same memory."""
        before = {each.strat_id: each for each in self.settings.strategies}
        now = {runner.strat_id: runner for runner in life.orchestrator.runners.values()}
        for strategy in settings.strategies:
            was, runner = self._runners.get(strategy.strat_id), now.get(strategy.strat_id)
            if before.get(strategy.strat_id) != strategy or was is None:
                continue
            if runner is None or was != (runner, runner.engine):
                self._stage.judge.find("reload-counts", f"{strategy.strat_id} has not changed, and was made anew")

    def _say(self, step: str, settings: GridbotConfig) -> None:
        life = self._stage.life
        if life is None:
            return
        if life.orchestrator is not None:
            self._runners = {each.strat_id: (each, each.engine) for each in life.orchestrator.runners.values()}
        name = f"reload {step} {self._number}"
        self._asked[name] = (life, settings)
        message = {"type": "reload", "id": name, "step": step, "settings": settings}
        self._stage.loop.call_soon(life.session.on_message, message, context=life.context)


def begin_reload(stage: Staged, fault: Fault) -> bool:
    """The fault: another configuration, drawn from it, where a worker trades and something can differ."""
    life = stage.life
    if life is None or life.orchestrator is None:
        return False
    settings = changed(stage.reloads.settings, str(fault.what["how"]), float(fault.what["pick"]))
    if settings is None:
        return False
    stage.reloads.begin(settings)
    return True


def changed(settings: GridbotConfig, how: str, pick: float) -> GridbotConfig | None:
    """Another configuration; None where there is nothing of the kind to change."""
    rng = random.Random(f"{how}:{pick}")
    strategies = list(settings.strategies)
    at = rng.randrange(len(strategies))
    one = strategies[at].model_dump()
    match how:
        case "step":
            one["grid_step"] = rng.choice((0.1, 0.15, 0.25, 0.4))
        case "count":
            one["grid_count"] = rng.choice((4, 8, 12, 24))
        case "amount":
            one["amount"] = rng.choice(AMOUNTS.get(str(one["symbol"]), ("q1", "q2")))
        case "caps":
            one["caps"] = {"max_open_orders": rng.choice((3, 7, 40, None))}
        case "remove":
            if len(strategies) < 2:
                return None
            del strategies[at]
        case "add":
            names = {strategy.strat_id for strategy in strategies}
            symbols = {strategy.symbol for strategy in strategies}
            missing = [row for row in MORE if row["strat_id"] not in names and row["symbol"] not in symbols]
            if not missing:
                return None
            strategies.append(strategy_config(rng.choice(missing)))
    if how not in ("remove", "add"):
        strategies[at] = strategy_config(one)
    changed_one = settings.model_copy(update={"strategies": tuple(strategies)})
    return None if changed_one == settings else changed_one
