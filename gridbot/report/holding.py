"""What the same capital would have made without the bot: held in the traded coins, in equal parts, bought at the start.

No fee is taken off, no leverage is used. Pure, exact: Decimal, USDT.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from gridbot.report.money_facts import Money
from gridbot.report.position_facts import PriceEnds, PricePoint
from gridbot.report.report_span import HOUR_MS

__all__ = ["Ends", "Holding", "holding", "holding_curve", "price_ends"]


@dataclass(frozen=True, slots=True)
class Ends:
    """The first and the last price of a symbol that the span knows."""

    symbol: str
    first_price: Decimal
    last_price: Decimal


def price_ends(prices: Sequence[PriceEnds], money: Sequence[Money]) -> list[Ends]:
    """Of each symbol. Recorded prices are removed after a while, fills stay: they count where they reach further."""
    recorded = {ends.symbol: ends for ends in prices}
    found = []
    for symbol in sorted({*recorded, *(row.symbol for row in money)}):
        first = [(row.first_ms + HOUR_MS, row.first_price) for row in _traded(money, symbol)]
        last = [(row.last_ms - HOUR_MS, row.last_price) for row in _traded(money, symbol)]
        ends = recorded.get(symbol)
        if ends is not None:
            first.append((ends.first_ms, ends.first_price))
            last.append((ends.last_ms, ends.last_price))
        if first:
            found.append(Ends(symbol, min(first, key=_time)[1], max(last, key=_time)[1]))
    return found


@dataclass(frozen=True, slots=True)
class _Trades:
    """First and last trade of a leg."""

    first_ms: int
    first_price: Decimal
    last_ms: int
    last_price: Decimal


def _traded(money: Sequence[Money], symbol: str) -> Iterator[_Trades]:
    for row in money:
        if row.symbol != symbol or row.first_ms is None or row.last_ms is None:
            continue
        if row.first_price is not None and row.last_price is not None:
            yield _Trades(row.first_ms, row.first_price, row.last_ms, row.last_price)


def _time(found: tuple[int, Decimal]) -> int:
    return found[0]


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
