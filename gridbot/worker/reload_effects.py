"""What other settings of a strategy would do to its resting orders, counted with its own ladder. Changes nothing."""

from __future__ import annotations

from typing import Any

from gridbot.config.account_models import StrategyConfig
from gridbot.core import CancelIntent, Direction, LimitOrders, PlaceLimitIntent, TickerEvent
from gridbot.strategies.base import Strategy
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["TRIAL", "decides_anew", "effect_of", "is_replaced", "made_anew", "of_added", "of_removed"]

REPLACING = ("account", "symbol", "kind", "shadow_mode")
"""With another one of these a strategy ends, and another begins under its name."""

TRIAL = "only to see"
"""The name of a strategy that is asked once and forgotten; no strat_id has blanks."""

Row = dict[str, Any]


def is_replaced(before: StrategyConfig, after: StrategyConfig) -> bool:
    """Whether it is another strategy by the same name."""
    return any(getattr(before, key) != getattr(after, key) for key in REPLACING)


def decides_anew(before: StrategyConfig, after: StrategyConfig) -> bool:
    """Whether what decides has other settings: its ladder, and not only sizes or limits."""
    return any(getattr(before, key) != getattr(after, key) for key in before.decided_by.keys.model_fields)


def made_anew(runner: StrategyRunner, after: StrategyConfig, name: str = "") -> Strategy:
    """A strategy with the new settings that goes on from what the present one remembers, as far as that fits."""
    return after.decided_by.make(after, runner.instrument, name or after.strat_id, runner.engine.state())


def effect_of(runner: StrategyRunner, after: StrategyConfig) -> Row:
    """How many resting orders stay and go, and how many are placed, at the price now.

    `place` is None while no price is known. Raises CannotTrade when there is no ladder with these settings here.
    """
    resting = len(runner.book)
    row = {**_row(runner), "keep": resting, "cancel": 0, "place": 0}
    if not decides_anew(runner.settings, after):
        return row
    price, engine = runner.risk_state.last_price, made_anew(runner, after, TRIAL)
    if price is None:
        return row | {"keep": None, "cancel": None, "place": None}
    orders = runner.book.limit_orders
    seen = LimitOrders(orders.long, orders.short)
    intents = engine.on_event(TickerEvent(runner.symbol, price), seen)
    cancelled = sum(isinstance(intent, CancelIntent) for intent in intents)
    sizes = {direction: leg.size for direction, leg in runner.risk_state.legs.items()}
    placed = sum(
        isinstance(intent, PlaceLimitIntent) and (not intent.reduce_only or sizes[intent.direction] > 0)
        for intent in intents
    )
    return row | {"keep": resting - cancelled, "cancel": cancelled, "place": placed}


def of_removed(runner: StrategyRunner) -> Row:
    """All its orders go, its position stays."""
    return {**_row(runner), "keep": 0, "cancel": len(runner.book), "place": 0}


def of_added(settings: StrategyConfig) -> Row:
    """At most a whole ladder; what rests already under its name is taken over."""
    most = settings.decided_by.most_orders(settings)
    return {"strategy": settings.strat_id, "symbol": settings.symbol, "keep": 0, "cancel": 0, "place": most}


def _row(runner: StrategyRunner) -> Row:
    legs = runner.risk_state.legs
    held = runner.risk_state.holds.held
    reasons = [f"{hold}: {held[hold].reason}" for hold in held]
    return {
        "strategy": runner.strat_id,
        "symbol": runner.symbol,
        "mode": "shadow" if runner.is_shadow else "live",
        "long": f"{legs[Direction.LONG].size:f}",
        "short": f"{legs[Direction.SHORT].size:f}",
        "held": "; ".join(reasons),
    }
