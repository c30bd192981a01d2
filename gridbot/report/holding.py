"""What the same capital would have made without the bot: held in the traded coins, in equal parts, bought at the start.

No fee is taken off, no leverage is used. Pure, exact: Decimal, USDT.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from gridbot.report.money_facts import Money
from gridbot.report.position_facts import PriceEnds, PricePoint

__all__ = ["Ends", "Holding", "holding", "holding_curve", "price_ends"]


@dataclass(frozen=True, slots=True)
class Ends:
    """The first and the last price of a symbol that the span knows."""

    symbol: str
    first_price: Decimal
    last_price: Decimal


def price_ends(prices: Sequence[PriceEnds], money: Sequence[Money]) -> list[Ends]:
    """Of each symbol. Recorded prices are removed after a while, fills stay: the first may be that of a fill."""
    known: dict[str, list[tuple[int, Decimal]]] = {}
    for symbol, at_ms, price in _prices(prices, money):
        known.setdefault(symbol, []).append((at_ms, price))
    by_time = {symbol: sorted(found, key=lambda each: each[0]) for symbol, found in sorted(known.items())}
    return [Ends(symbol, found[0][1], found[-1][1]) for symbol, found in by_time.items()]


def _prices(prices: Sequence[PriceEnds], money: Sequence[Money]) -> Iterator[tuple[str, int, Decimal]]:
    for ends in prices:
        yield ends.symbol, ends.first_ms, ends.first_price
        yield ends.symbol, ends.last_ms, ends.last_price
    for row in money:
        if row.first_ms is not None and row.first_price is not None:
            yield row.symbol, row.first_ms, row.first_price
        if row.last_ms is not None and row.last_price is not None:
            yield row.symbol, row.last_ms, row.last_price


@dataclass(frozen=True, slots=True)
class Holding:
    """Bought at the first price of each symbol, worth at the last one."""

    capital: Decimal
    symbols: tuple[Ends, ...]

    @property
    def ratio(self) -> Decimal:
        """What the capital changed by, a fraction: the mean of the symbols' changes."""
        changes = [end.last_price / end.first_price - 1 for end in self.symbols]
        return sum(changes, Decimal(0)) / len(changes)

    @property
    def change(self) -> Decimal:
        """In USDT."""
        return self.capital * self.ratio


def holding(capital: Decimal, ends: Sequence[Ends], symbols: Collection[str]) -> Holding | None:
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
