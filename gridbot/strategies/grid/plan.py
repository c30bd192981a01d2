"""What the engine works out once per grid, so that a decision is one walk over ready lists."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from gridbot.core.intents import PlaceLimitIntent
from gridbot.core.quick_values import quick_value
from gridbot.core.vocabulary import Direction, Side
from gridbot.strategies.grid.ladder import WAIT, Grid, Level

__all__ = ["Plan"]

_BUY = Side.BUY


@quick_value(frozen=True, slots=True)
class Plan:
    """`walk` are the levels with a side, in the order they are placed: (index, ticks, side, whether it is a Buy).

    `sides` is the side of every level by its ticks, `wanted` the same without those that wait. `intents` are the
    placements made so far by direction and level index. `lowest` and `highest` are the ticks of the outermost levels,
    `low` and `high` their prices.
    """

    grid: Grid
    walk: tuple[tuple[int, int, Side, bool], ...]
    sides: dict[int, Side | None]
    wanted: dict[int, Side]
    intents: dict[Direction, list[PlaceLimitIntent | None]]
    lowest: int
    highest: int
    low: Decimal
    high: Decimal

    @classmethod
    def of(cls, grid: Grid, before: Plan | None = None) -> Plan:
        """`before` is the plan that this one follows: the placements of levels that it leaves as they were are kept."""
        levels = grid.levels
        walk = [
            (index, ticks, side, side is _BUY)
            for index in _outwards(len(levels), _centre(levels))
            for ticks, side in (levels[index],)
            if side is not WAIT
        ]
        return cls(
            grid=grid,
            walk=tuple(walk),
            sides={ticks: side for ticks, side in levels},  # noqa: C416 - three times as fast as `dict`
            wanted={ticks: side for _, ticks, side, _ in walk},
            intents={direction: [None] * len(levels) for direction in Direction}
            if before is None
            else _kept(before, grid),
            lowest=levels[0].ticks,
            highest=levels[-1].ticks,
            low=grid.low,
            high=grid.high,
        )


def _kept(before: Plan, grid: Grid) -> dict[Direction, list[PlaceLimitIntent | None]]:
    """The placements of the levels that are the very same ones in the same place."""
    return {
        direction: [
            intent if one is other else None
            for intent, one, other in zip(known, before.grid.levels, grid.levels, strict=True)
        ]
        for direction, known in before.intents.items()
    }


@lru_cache(maxsize=256)
def _outwards(count: int, centre: int) -> tuple[int, ...]:
    """The indexes of so many levels, from the centre outwards; the same for most grids of a strategy."""
    return tuple(sorted(range(count), key=lambda index: (abs(index - centre), index)))


def _centre(levels: tuple[Level, ...]) -> int:
    """Index of the integer middle of the WAIT band, or of the ladder if nothing waits."""
    waiting = [index for index, (_, side) in enumerate(levels) if side is WAIT]
    return (waiting[0] + waiting[-1]) // 2 if waiting else len(levels) // 2
