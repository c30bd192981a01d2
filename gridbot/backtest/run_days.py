"""The days of a run: each is the whole run long what it was when the run began.

Few days are open at a time, so the same one is opened again and again. An import replaces it meanwhile, and places in
the old one mean nothing in the new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Protocol

from gridbot.backtest.mark_feed import DayRefusedHere
from gridbot.market.day import Day
from gridbot.market.market_error import MarketError

__all__ = ["DaysInMemory", "MarketDays", "RunDays"]


class MarketDays(Protocol):
    """Where the days of the market come from: `gridbot.market.Market`, or `DaysInMemory`."""

    def days(self, symbol: str) -> Sequence[date]: ...
    def day(self, symbol: str, day: date) -> Day: ...


class DaysInMemory:
    """Days that were made by `ticks_of`."""

    def __init__(self, days: Iterable[Day]) -> None:
        self._days = {(day.symbol, day.date): day for day in days}

    def days(self, symbol: str) -> list[date]:
        """The days of a symbol, oldest first."""
        return sorted(day for name, day in self._days if name == symbol)

    def day(self, symbol: str, day: date) -> Day:
        """One of them."""
        return self._days[symbol, day]


class RunDays:
    """Days that refuse to change. One per run."""

    def __init__(self, market: MarketDays) -> None:
        self._market = market
        self._versions: dict[tuple[str, date], str] = {}
        self._refused: DayRefusedHere | None = None

    def days(self, symbol: str) -> Sequence[date]:
        """The days of a symbol, oldest first."""
        return self._market.days(symbol)

    def day(self, symbol: str, day: date) -> Day:
        """One of them. DayRefusedHere when it is not what it was, or cannot be read again; MarketError when it cannot
        be read the first time."""
        known = self._versions.get((symbol, day))
        try:
            found = self._market.day(symbol, day)
        except MarketError as error:
            if known is None:
                raise
            raise self._refuse(f"{symbol}: {day} cannot be read any more: {error}") from error
        if known is not None and found.version != known:
            raise self._refuse(
                f"{symbol}: {day} was imported again while the backtest ran, which had begun with the day of before: "
                "run it again when the import is done"
            )
        self._versions[symbol, day] = found.version
        return found

    def look(self) -> None:
        """DayRefusedHere when a day was refused: whoever asked for it may have taken it for a fault of his own."""
        if self._refused is not None:
            raise self._refused

    def _refuse(self, text: str) -> DayRefusedHere:
        self._refused = DayRefusedHere(text)
        return self._refused
