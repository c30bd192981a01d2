"""Limits of what a worker remembers taken out again (`reverts` names them).

A run of two minutes fills nothing that has room for thousands. So a run looks with limits of its own here, which the
product keeps to when its limits are as low (`tests/simulation/test_bounds.py`).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any

from gridbot.core import counted_ids
from gridbot.orders import order_index
from gridbot.orders.breakers import Breaker, Circuit, RateCap
from gridbot.orders.order import TrackedOrder
from gridbot.orders.order_index import OrderIndex
from gridbot.simulation import bounds
from gridbot.simulation.taken_out import replaced, together

__all__ = [
    "keep_all_attempts",
    "keep_all_executions",
    "keep_all_levels",
    "keep_all_orders",
    "keep_all_refusals",
]

ENDLESS = 1_000_000_000


def _keep_all(module: ModuleType, limit: str, collection: str, most: int) -> AbstractContextManager[Any]:
    limits = bounds._limits()
    return together(
        replaced(bounds, _limits=lambda: {**limits, collection: most}),
        replaced(module, **{limit: ENDLESS}),
    )


def keep_all_orders() -> AbstractContextManager[Any]:
    return _keep_all(order_index, "FINISHED_KEPT", "OrderIndex.finished", 20)


def keep_all_executions() -> AbstractContextManager[Any]:
    return _keep_all(counted_ids, "IDS_KEPT", "CountedIds._times", 20)


def keep_all_levels() -> AbstractContextManager[Any]:
    """A level without an order stays, with none."""

    def leave(index: OrderIndex, order: TrackedOrder) -> None:
        index.levels[order.direction, order.ticks] -= 1

    return replaced(OrderIndex, _leave=leave)


def keep_all_refusals() -> AbstractContextManager[Any]:
    """Of levels that nobody has wanted for long, too."""

    def left(breaker: Breaker[Any], circuit: Circuit, now_s: float) -> Circuit:
        return circuit

    return replaced(Breaker, _left=left)


def keep_all_attempts() -> AbstractContextManager[Any]:
    """However old."""

    def counted(cap: RateCap, now_s: float) -> RateCap:
        return RateCap(cap.per_minute, (*cap.acts, (now_s, 1)), cap.used(now_s) + 1)

    def used(cap: RateCap, now_s: float) -> int:
        return sum(count for at_s, count in cap.acts if now_s - at_s < 60.0)

    return replaced(RateCap, counted=counted, used=used)
