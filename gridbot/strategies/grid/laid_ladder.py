"""A grid laid on orders that rest already: for orders of the original bot, whose ladder was built around a price that
nobody knows any more. Pure.

::

    prices of Buys, prices of Sells ──► a hole between two of one side: a level there, of that side
                                    ──► between the highest Buy and the lowest Sell: WAIT levels, one at least
                                    ──► fewer levels than the grid has: more of them outside, where there are fewer
                                    ──► more: what is outside, apart or without an order is left out
                                    ──► no ladder at all: refused, with the reason

The WAIT levels get their sides with the next fill, as always. The anchor is the middle of the WAIT band.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from gridbot.core.exact import round_div
from gridbot.core.vocabulary import Side
from gridbot.strategies.base import CannotTrade
from gridbot.strategies.grid.ladder import WAIT, GridConfig, Level, problem_of_ladder
from gridbot.strategies.grid.state import GridState

__all__ = ["laid_on"]


def laid_on(state: GridState, config: GridConfig, orders: Iterable[tuple[int, Side]]) -> GridState:
    """The state with levels on these orders (whole ticks, side). Raises CannotTrade, with the reason."""
    sides: dict[int, set[Side]] = {}
    for ticks, side in orders:
        sides.setdefault(ticks, set()).add(side)
    buys = sorted(ticks for ticks, found in sides.items() if Side.BUY in found)
    sells = sorted(ticks for ticks, found in sides.items() if Side.SELL in found)
    if not buys or not sells:
        raise _refused(state, "orders on both sides of the price", "orders on one side, or none")
    if buys[-1] >= sells[0]:
        raise _refused(state, "every Buy below every Sell", f"a Buy at {_price(state, buys[-1])} above a Sell")
    low = [Level(ticks, Side.BUY) for ticks in _without_holes(config, buys)]
    high = [Level(ticks, Side.SELL) for ticks in _without_holes(config, sells)]
    band = _between(config, low[-1].ticks, high[0].ticks)
    if not band:
        raise _refused(state, "room for a level between Buys and Sells", "none")
    if len(band) + 2 > config.levels:
        found = f"{len(band)} more between the highest Buy and the lowest Sell"
        raise _refused(state, f"at most {config.levels} levels", found)
    while len(low) + len(band) + len(high) > config.levels:
        if _goes_first(low, high[::-1], sides):
            low.pop(0)
        else:
            high.pop()
    while len(low) + len(band) + len(high) < config.levels:
        if len(low) <= len(high):
            low.insert(0, Level(_next(config, low[0].ticks, up=False), Side.BUY))
        else:
            high.append(Level(_next(config, high[-1].ticks, up=True), Side.SELL))
    levels = (*low, *(Level(ticks, WAIT) for ticks in band), *high)
    problem = problem_of_ladder([level.ticks for level in levels], config)
    if problem:
        raise _refused(state, f"orders {config.grid_step} % apart", problem)
    anchor = state.tick_size * band[len(band) // 2]
    return replace(state, levels=levels, anchor=anchor, last_fill=None, pending=(), version=state.version + 1)


def _goes_first(one: list[Level], other: list[Level], orders: Collection[int]) -> bool:
    """Whether of two ends, each from the outside in, the first one loses its outermost level.

    A level without an order goes before one that has one; of two orders the one that is farther from the next.
    """
    if len(other) == 1 or len(one) == 1:
        return len(other) == 1
    mine, theirs = _apart(one, orders), _apart(other, orders)
    return (mine, len(one)) >= (theirs, len(other))


def _apart(end: list[Level], orders: Collection[int]) -> int:
    """How many levels without an order the end has behind its outermost level; more than any for one without."""
    if end[0].ticks not in orders:
        return len(end)
    return next((n for n, level in enumerate(end[1:]) if level.ticks in orders), 0)


def _without_holes(config: GridConfig, ticks: list[int]) -> list[int]:
    found = [ticks[0]]
    for upper in ticks[1:]:
        found += [*_between(config, found[-1], upper), upper]
    return found


def _between(config: GridConfig, lower: int, upper: int) -> list[int]:
    """Levels a step apart above `lower`, and none nearer than three quarters of a step to `upper`."""
    found: list[int] = []
    at = _next(config, lower, up=True)
    step, scale = config.grid_step.as_integer_ratio()
    while (upper - at) * 400 * scale >= 3 * step * at and at > (found[-1] if found else lower):
        found.append(at)
        at = _next(config, at, up=True)
    return found


def _next(config: GridConfig, ticks: int, *, up: bool) -> int:
    percent, scale = config.grid_step.as_integer_ratio()
    whole = 100 * scale
    return round_div(ticks * (whole + percent if up else whole - percent), whole)


def _price(state: GridState, ticks: int) -> str:
    return format((state.tick_size * ticks).normalize(), "f")


def _refused(state: GridState, expected: str, got: str) -> CannotTrade:
    text = f"{state.symbol}: no ladder lies on the orders that rest: expected {expected}, got {got}"
    return CannotTrade(text, key="grid_count", expected=expected, got=got, do="compare grid_count and grid_step")
