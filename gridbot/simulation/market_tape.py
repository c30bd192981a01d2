"""What recorded days do to a market, as one row of events: marks, fundings and trades of several symbols, by time."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import NamedTuple, Protocol

import numpy as np

from gridbot.core.instrument import Instrument
from gridbot.core.vocabulary import Side
from gridbot.market.day import DAY_MS, Day

__all__ = ["FUNDING", "MARK", "TRADE", "Event", "MarketDays", "MarketTape", "SymbolTape"]

MARK, FUNDING, TRADE = 0, 1, 2


class MarketDays(Protocol):
    """`gridbot.market.market_root.Market`, or days in memory."""

    def days(self, symbol: str) -> Sequence[date]:
        """Days with ticks, oldest first."""

    def day(self, symbol: str, day: date) -> Day:
        """One of them."""


class Event(NamedTuple):
    """At `at_ms` (UTC): a mark (`value`, USDT), a funding (`value` is the rate) or a trade of `size` base coin at
    `value`. `place` is the symbol's among the symbols."""

    at_ms: int
    kind: int
    place: int
    symbol: str
    value: Decimal
    size: Decimal = Decimal(0)
    side: Side = Side.BUY


@dataclass(frozen=True, slots=True)
class SymbolTape:
    """A symbol's days within a time, which means `from_ms` <= time < `to_ms`."""

    symbol: str
    place: int
    days: tuple[Day, ...]
    from_ms: int
    to_ms: int

    @property
    def instrument(self) -> Instrument:
        """The rules, the same on all its days."""
        return self.days[0].instrument

    @property
    def first(self) -> Event:
        """The trade that opens it."""
        return next(self.trades())

    @property
    def mark_before(self) -> Decimal | None:
        """The newest mark price up to `from_ms`, of its day."""
        day = self.days[0]
        count = int(np.searchsorted(day.marks_ms, self.from_ms, side="right"))
        return day.mark_unit * int(day.marks[count - 1]) if count else None

    @property
    def fundings(self) -> list[tuple[int, Decimal]]:
        """(ms UTC, rate) of those that happen."""
        return [(at_ms, rate) for day in self.days for at_ms, rate in day.fundings if self.from_ms < at_ms < self.to_ms]

    def events(self) -> Iterator[Event]:
        """All of it, by time; at one time marks, then fundings, then trades."""
        return heapq.merge(self._marks(), self._fundings(), self.trades(), key=_turn)

    def trades(self) -> Iterator[Event]:
        """The trades alone."""
        for day in self.days:
            begin, end = np.searchsorted(day.times_ms, (self.from_ms, self.to_ms), side="left")
            rules = day.instrument
            columns = (day.times_ms, day.prices, day.sizes, day.sides)
            for at_ms, ticks, steps, side in zip(*(column[begin:end].tolist() for column in columns), strict=True):
                taker = Side.BUY if side > 0 else Side.SELL
                yield Event(at_ms, TRADE, self.place, self.symbol, rules.price(ticks), rules.qty_step * steps, taker)

    def _marks(self) -> Iterator[Event]:
        for day in self.days:
            begin, end = np.searchsorted(day.marks_ms, (self.from_ms, self.to_ms), side="left")
            for at_ms, mark in zip(day.marks_ms[begin:end].tolist(), day.marks[begin:end].tolist(), strict=True):
                yield Event(at_ms, MARK, self.place, self.symbol, day.mark_unit * mark)

    def _fundings(self) -> Iterator[Event]:
        for at_ms, rate in self.fundings:
            yield Event(at_ms, FUNDING, self.place, self.symbol, rate)


class MarketTape:
    """Several symbols within one time (ms UTC), in the order given. Raise ValueError for one without a trade in it."""

    def __init__(self, market: MarketDays, symbols: Sequence[str], from_ms: int, to_ms: int) -> None:
        self.from_ms, self.to_ms = from_ms, to_ms
        self.symbols = {
            symbol: _of_symbol(market, symbol, place, from_ms, to_ms)
            for place, symbol in enumerate(dict.fromkeys(symbols))
        }

    @property
    def begins_ms(self) -> int:
        """When the first trade of any symbol happens (ms UTC)."""
        return min(tape.first.at_ms for tape in self.symbols.values())

    def moments(self) -> Iterator[tuple[int, list[Event]]]:
        """(ms UTC, what happens then), by time."""
        now: list[Event] = []
        for event in heapq.merge(*(tape.events() for tape in self.symbols.values()), key=_turn):
            if now and now[0].at_ms != event.at_ms:
                yield now[0].at_ms, now
                now = []
            now.append(event)
        if now:
            yield now[0].at_ms, now


def _turn(event: Event) -> tuple[int, int, int]:
    return event[:3]


def _of_symbol(market: MarketDays, symbol: str, place: int, from_ms: int, to_ms: int) -> SymbolTape:
    days = tuple(
        day
        for when in market.days(symbol)
        if (day := market.day(symbol, when)).start_ms < to_ms and day.start_ms + DAY_MS > from_ms
    )
    tape = SymbolTape(symbol, place, days, from_ms, to_ms)
    if next(tape.trades(), None) is None:
        raise ValueError(f"{symbol}: expected a trade from {from_ms} to {to_ms} ms UTC, got none")
    if len({day.instrument for day in days}) > 1:
        raise ValueError(f"{symbol}: expected the same rules on all days, got a change")
    return tape
