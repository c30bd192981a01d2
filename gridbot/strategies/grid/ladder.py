"""The grid: price levels with sides, built around a price and moved by fills (docs/strategy.md 1).

A `Grid` is immutable: `filled` returns the next one. Prices are whole ticks. Prices that come from the
market (the last price C, a fill F, the price P a grid is built around) are exact Decimals and are compared exactly,
by cross-multiplying integers; they need not lie on a tick.

Invariant of every ladder (`problem_of_ladder`): `2·(grid_count // 2) + 1` levels, prices positive and strictly
ascending, neighbours at least half a step apart.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import field
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from gridbot.core.exact import require_decimal, round_div
from gridbot.core.instrument import Instrument
from gridbot.core.quick_values import quick_value
from gridbot.core.vocabulary import Side
from gridbot.strategies.base import CannotTrade

__all__ = ["WAIT", "Grid", "GridConfig", "ImpossibleLadder", "Level", "ladder", "problem_of_ladder", "smallest_step"]

WAIT: None = None
"""Side of a level at which nothing is placed."""
_BUY, _SELL = Side.BUY, Side.SELL

SMALLEST_COUNT = 4


class Level(NamedTuple):
    """One level: its price in whole ticks, and the side of the orders there (None is WAIT)."""

    ticks: int
    side: Side | None


class ImpossibleLadder(CannotTrade):
    """No ladder exists with this tick, step and price; `smallest_step` (percent) is one that works, if there is any."""

    def __init__(self, config: GridConfig, instrument: Instrument, price: Decimal, problem: str) -> None:
        self.smallest_step = smallest_step(config.grid_count, instrument, price)
        cure = (
            f"the smallest grid_step that works here is {self.smallest_step} %"
            if self.smallest_step is not None
            else "no grid_step works here; use a smaller grid_count"
        )
        super().__init__(
            f"{instrument.symbol}: expected {config.levels} different levels around {price:f}, but with tick "
            f"{instrument.tick_size} and grid_step {config.grid_step} % {problem}; {cure}",
            key="grid_step",
            expected=f"steps that stay apart at a price of {price:f} with a tick of {instrument.tick_size}",
            got=f"`{config.grid_step}` with {config.grid_count} levels",
            do=f"use at least {self.smallest_step}" if self.smallest_step is not None else "use a smaller grid_count",
        )


@quick_value(frozen=True, slots=True)
class GridConfig:
    """`grid_count` levels (half of them on each side of a centre one), `grid_step` percent apart.

    `rebalance_threshold` is the imbalance (b − s)/(b + s) of Buy and Sell levels above which a fill shifts the ladder.
    Raise TypeError for floats and ValueError for values out of range.
    """

    grid_count: int = 50
    grid_step: Decimal = Decimal("0.2")
    rebalance_threshold: Decimal = Decimal("0.3")

    def __post_init__(self) -> None:
        require_decimal("grid_step", self.grid_step)
        require_decimal("rebalance_threshold", self.rebalance_threshold)
        if not isinstance(self.grid_count, int) or self.grid_count < SMALLEST_COUNT:
            raise ValueError(f"grid_count: expected a whole number from {SMALLEST_COUNT} up, got {self.grid_count!r}")
        if not 0 < self.grid_step < 100:
            raise ValueError(f"grid_step: expected percent above 0 and below 100, got {self.grid_step}")
        if not 0 <= self.rebalance_threshold <= 1:
            raise ValueError(f"rebalance_threshold: expected a fraction from 0 to 1, got {self.rebalance_threshold}")

    @property
    def levels(self) -> int:
        """Levels of the ladder: `2·(grid_count // 2) + 1`."""
        return 2 * (self.grid_count // 2) + 1

    def smallest_step(self, instrument: Instrument, price: Decimal) -> Decimal | None:
        """`smallest_step` for this count."""
        return smallest_step(self.grid_count, instrument, price)


@quick_value(frozen=True, slots=True)
class Grid:
    """Levels from the lowest up, the price they were last built around, and the last fill (USDT per coin, exact)."""

    config: GridConfig
    instrument: Instrument
    levels: tuple[Level, ...]
    anchor: Decimal
    last_fill: Decimal | None = None
    _settled: tuple[Decimal, Decimal] | None = field(default=None, compare=False, repr=False)
    """A fill, and the market price with it, that would leave the grid as it is: both legs are often filled at once."""

    @classmethod
    def build(
        cls, config: GridConfig, instrument: Instrument, price: Decimal, last_fill: Decimal | None = None
    ) -> Grid:
        """Build around `price`; raise `ImpossibleLadder` if the levels would be too close together."""
        return cls(config, instrument, tuple(ladder(config, instrument, price)), price, last_fill)

    @property
    def low(self) -> Decimal:
        """Price of the lowest level."""
        return self.instrument.price(self.levels[0].ticks)

    @property
    def high(self) -> Decimal:
        """Price of the highest level."""
        return self.instrument.price(self.levels[-1].ticks)

    def price(self, level: Level) -> Decimal:
        """Price of a level in USDT."""
        return self.instrument.price(level.ticks)

    def rebuilt(self, price: Decimal) -> Grid:
        """A new ladder around `price` that remembers the last fill; raise `ImpossibleLadder`."""
        return Grid.build(self.config, self.instrument, price, self.last_fill)

    def filled(self, fill: Decimal, last_price: Decimal) -> Grid:
        """The grid after a fill at `fill` while the market is at `last_price`; raise `ImpossibleLadder`.

        A fill with the market at or beyond the outermost levels rebuilds around the market first.
        """
        if self._settled is not None and self._settled == (fill, last_price):
            return self
        grid = self if self.low < last_price < self.high else self.rebuilt(last_price)
        sided = _assign_sides(self.config, self.instrument, grid.levels, fill, last_price)
        levels = _shift(self.config, sided)
        # Where it has not moved on, sides depend on fill and price alone, and there is nothing to balance.
        stays = grid is self and levels[0] is sided[0] and levels[-1] is sided[-1]
        return Grid(self.config, self.instrument, levels, grid.anchor, fill, (fill, last_price) if stays else None)


def ladder(config: GridConfig, instrument: Instrument, price: Decimal) -> list[Level]:
    """Levels around `price` from the lowest up: Buys, one WAIT at the centre, Sells. Raise `ImpossibleLadder`.

    The first step each way starts from the unrounded price, the following ones from the rounded level before them.
    """
    if not price > 0:
        raise ValueError(f"{instrument.symbol}: expected a positive price to build around, got {price}")
    levels = _compound(config.grid_step, config.grid_count // 2, instrument, price)
    problem = problem_of_ladder([level.ticks for level in levels], config)
    if problem:
        raise ImpossibleLadder(config, instrument, price, problem)
    return levels


def problem_of_ladder(ticks: Sequence[int], config: GridConfig) -> str:
    """What is wrong with these level prices (whole ticks), or an empty string."""
    if len(ticks) != config.levels:
        return f"there are {len(ticks)} levels instead of {config.levels}"
    if ticks[0] <= 0:
        return "the lowest level is not above zero"
    step, scale = config.grid_step.as_integer_ratio()
    for lower, upper in pairwise(ticks):
        if upper <= lower:
            return "neighbouring levels fall on the same tick"
        if (upper - lower) * 200 * scale < step * lower:
            return "neighbouring levels are less than half a step apart"
    return ""


def smallest_step(grid_count: int, instrument: Instrument, price: Decimal) -> Decimal | None:
    """The smallest step (percent, to three digits) whose ladder around `price` exists; None if none does."""
    if not price > 0:
        return None
    per_mille = Decimal("0.001")
    units = 1
    worse = 0
    while not _works(grid_count, units * per_mille, instrument, price):
        worse = units
        units += max(1, units // 64)
        if units * per_mille >= 100:
            return None
    while units - worse > 1:
        middle = (units + worse) // 2
        if _works(grid_count, middle * per_mille, instrument, price):
            units = middle
        else:
            worse = middle
    return _shorten(grid_count, units, instrument, price)


def _shorten(grid_count: int, units: int, instrument: Instrument, price: Decimal) -> Decimal:
    """Thousandths of a percent, rounded up to three digits where that works too."""
    scale = max(1, 10 ** (len(str(units)) - 3))
    short = -(-units // scale) * scale
    thousandth = Decimal("0.001")
    if short * thousandth < 100 and _works(grid_count, short * thousandth, instrument, price):
        units = short
    return Decimal(format((units * thousandth).normalize(), "f"))


def _works(grid_count: int, step: Decimal, instrument: Instrument, price: Decimal) -> bool:
    levels = _compound(step, grid_count // 2, instrument, price)
    return not problem_of_ladder([level.ticks for level in levels], GridConfig(grid_count, step))


def _compound(step: Decimal, half: int, instrument: Instrument, price: Decimal) -> list[Level]:
    numerator, denominator = _in_ticks(instrument, price)
    percent, scale = step.as_integer_ratio()
    whole = 100 * scale
    buys: list[Level] = []
    sells: list[Level] = []
    for factor, side, levels in ((whole - percent, Side.BUY, buys), (whole + percent, Side.SELL, sells)):
        top, bottom = numerator, denominator
        for _ in range(half):
            top, bottom = round_div(top * factor, bottom * whole), 1
            levels.append(Level(top, side))
    return [*reversed(buys), Level(round_div(numerator, denominator), WAIT), *sells]


def _in_ticks(instrument: Instrument, price: Decimal) -> tuple[int, int]:
    """`price` in ticks, as an exact fraction (numerator, denominator)."""
    top, bottom = price.as_integer_ratio()
    tick_top, tick_bottom = instrument.tick_size.as_integer_ratio()
    return top * tick_bottom, bottom * tick_top


def _assign_sides(
    config: GridConfig, instrument: Instrument, levels: Sequence[Level], fill: Decimal, last_price: Decimal
) -> list[Level]:
    """WAIT within a quarter step of the fill, Sell above the market, Buy below it, unchanged exactly at it.

    A quarter step is one of the level's price: `|ticks - fill| < ticks * step / 400`, solved for whole ticks.
    """
    step, scale = config.grid_step.as_integer_ratio()
    top, bottom = _in_ticks(instrument, fill)
    top, whole, quarter = top * 400 * scale, bottom * 400 * scale, bottom * step
    wait_from, wait_below = top // (whole + quarter) + 1, -(-top // (whole - quarter))
    last_top, last_bottom = _in_ticks(instrument, last_price)
    sell_above, buy_below = last_top // last_bottom, -(-last_top // last_bottom)
    # Levels rise, so each side is a row of them: Buys below the market, Sells above it, perhaps one at it between.
    below, above = _first_from(levels, buy_below), _first_from(levels, sell_above + 1)
    sides = [_BUY] * below + [side for _, side in levels[below:above]] + [_SELL] * (len(levels) - above)
    first, last = _first_from(levels, wait_from), _first_from(levels, wait_below)
    sides[first:last] = [WAIT] * (last - first)
    return [level if level[1] is side else Level(level[0], side) for level, side in zip(levels, sides, strict=True)]


def _first_from(levels: Sequence[Level], ticks: int) -> int:
    """Index of the first level at a price or above it; their number if none is."""
    return bisect_left(levels, (ticks,))  # a level has a side besides, so it is no less than its price alone


def _shift(config: GridConfig, levels: list[Level]) -> tuple[Level, ...]:
    """Move the ladder one level towards the market if its sides are out of balance.

    The new level is measured from the outermost remaining one, whatever its side. If rounding to ticks would put it on
    that level or at zero, the ladder stays: it is still valid, and once the price leaves it, the rebuild raises a clear
    error.
    """
    sides = [side for _, side in levels]
    buys, sells = sides.count(_BUY), sides.count(_SELL)
    limit, limit_scale = config.rebalance_threshold.as_integer_ratio()
    step, scale = config.grid_step.as_integer_ratio()
    whole = 100 * scale
    if (buys - sells) * limit_scale > limit * (buys + sells):
        top = levels[-1].ticks
        shifted = [*levels[1:], Level(round_div(top * (whole + step), whole), Side.SELL)]
    elif (sells - buys) * limit_scale > limit * (buys + sells):
        bottom = levels[0].ticks
        shifted = [Level(round_div(bottom * (whole - step), whole), Side.BUY), *levels[:-1]]
    else:
        return tuple(levels)
    if problem_of_ladder([level.ticks for level in shifted], config):
        return tuple(levels)
    return tuple(shifted)
