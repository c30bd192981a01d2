"""What the same capital would have made without the bot: held in the traded coins, in equal parts, bought at the start.

No fee is taken off, no leverage is used. Pure, exact: Decimal, USDT.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal

from gridbot.report.position_facts import PriceEnds, PricePoint

__all__ = ["Holding", "holding", "holding_curve"]


@dataclass(frozen=True, slots=True)
class Holding:
    """Bought at the first price of each symbol, worth at the last one."""

    capital: Decimal
    symbols: tuple[PriceEnds, ...]

    @property
    def ratio(self) -> Decimal:
        """What the capital changed by, a fraction: the mean of the symbols' changes."""
        changes = [end.last_price / end.first_price - 1 for end in self.symbols]
        return sum(changes, Decimal(0)) / len(changes)

    @property
    def change(self) -> Decimal:
        """In USDT."""
        return self.capital * self.ratio


def holding(capital: Decimal, ends: Sequence[PriceEnds], symbols: Collection[str]) -> Holding | None:
    """None when one of the symbols has no price in the span, or there is nothing to buy with."""
    found = tuple(end for end in ends if end.symbol in symbols and end.first_price > 0)
    if not found or len(found) != len(set(symbols)) or capital <= 0:
        return None
    return Holding(capital, found)


def holding_curve(held: Holding, points: Sequence[PricePoint]) -> list[tuple[int, Decimal]]:
    """Time (ms) and worth (USDT) of what was bought, at each price that is drawn, from when all symbols have one."""
    bought = {end.symbol: end.first_price for end in held.symbols}
    share = held.capital / len(bought)
    worth: dict[str, Decimal] = {}
    curve = []
    for point in sorted(points, key=lambda point: (point.at_ms, point.seq)):
        if point.symbol in bought:
            worth[point.symbol] = share * point.last_price / bought[point.symbol]
            if len(worth) == len(bought):
                curve.append((point.at_ms, sum(worth.values(), Decimal(0))))
    return curve
