"""What the engine works out once per grid, so that a decision is one walk over ready lists."""

from __future__ import annotations

from functools import lru_cache

from gridbot.core.intents import PlaceLimitIntent
from gridbot.core.vocabulary import Direction, Side
from gridbot.strategies.grid.ladder import WAIT, Grid, Level

__all__ = ["Plan"]

_BUY = Side.BUY
LevelToPlace = tuple[int, int, Side, bool]
"""Index, ticks, side, whether that is a Buy."""


class Plan:
    """`intents` are the placements made so far by direction and level index. `lowest` and `highest` are the ticks of
    the outermost levels, `low` and `high` their prices.

    What only a decision looks at is worked out when one does: after several fills that is the last plan alone.
    """

    __slots__ = ("_opens", "_sides", "_walk", "_wanted", "grid", "high", "highest", "intents", "low", "lowest")

    def __init__(self, grid: Grid, intents: dict[Direction, list[PlaceLimitIntent | None]]) -> None:
        self.grid = grid
        self.intents = intents
        self.lowest, self.highest = grid.levels[0].ticks, grid.levels[-1].ticks
        self.low, self.high = grid.low, grid.high
        self._walk: tuple[LevelToPlace, ...] | None = None
        self._opens: dict[Direction, tuple[LevelToPlace, ...]] | None = None
        self._sides: dict[int, Side | None] | None = None
        self._wanted: dict[int, Side] | None = None

    @classmethod
    def of(cls, grid: Grid, before: Plan | None = None) -> Plan:
        """`before` is the plan that this one follows: the placements of levels that it leaves as they were are kept."""
        if before is None:
            return cls(grid, {direction: [None] * len(grid.levels) for direction in Direction})
        return cls(grid, _kept(before, grid))

    @property
    def walk(self) -> tuple[LevelToPlace, ...]:
        """The levels with a side, in the order they are placed."""
        if self._walk is None:
            levels = self.grid.levels
            self._walk = tuple(
                [
                    (index, ticks, side, side is _BUY)
                    for index in _outwards(len(levels), _centre(levels))
                    for ticks, side in (levels[index],)
                    if side is not WAIT
                ]
            )
        return self._walk

    @property
    def opens(self) -> dict[Direction, tuple[LevelToPlace, ...]]:
        """Of these the ones that open each leg."""
        if self._opens is None:
            self._opens = {
                direction: tuple([each for each in self.walk if each[2] is not direction.close_side])
                for direction in Direction
            }
        return self._opens

    @property
    def sides(self) -> dict[int, Side | None]:
        """The side of every level by its ticks."""
        if self._sides is None:
            self._sides = {ticks: side for ticks, side in self.grid.levels}  # noqa: C416 - three times as fast as `dict`
        return self._sides

    @property
    def wanted(self) -> dict[int, Side]:
        """The same without those that wait."""
        if self._wanted is None:
            self._wanted = {ticks: side for ticks, side in self.grid.levels if side is not WAIT}
        return self._wanted


def _kept(before: Plan, grid: Grid) -> dict[Direction, list[PlaceLimitIntent | None]]:
    """The placements of the levels that are the very same ones in the same place."""
    were, are = before.grid.levels, grid.levels
    if were[1] is are[0] or were[0] is are[1]:  # the ladder has moved on: each has another place
        return {direction: [None] * len(are) for direction in before.intents}
    return {
        direction: [intent if one is other else None for intent, one, other in zip(known, were, are, strict=True)]
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
