"""The days below one directory: `<root>/<SYMBOL>/<yyyy-mm-dd>/`."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Final

from gridbot.doors.plain_text import shown
from gridbot.market.day import Day
from gridbot.market.day_document import DayDocument
from gridbot.market.day_files import open_day, put_day, read_document
from gridbot.market.day_rows import SYMBOL
from gridbot.market.market_error import MarketError

__all__ = ["Market"]

DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Market:
    """What was imported below `root`. Nothing is kept between calls: an import that happens meanwhile is seen."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def symbols(self) -> list[str]:
        """Symbols of which there are days, by name. Raise MarketError."""
        return [name for name in _names(self.root, SYMBOL) if self.days(name)]

    def known(self) -> list[str]:
        """Symbols of which there is anything, also marks or fundings alone, by name. Raise MarketError."""
        return [name for name in _names(self.root, SYMBOL) if self.documents(name)]

    def days(self, symbol: str) -> list[date]:
        """Days of a symbol that have trades or candles, oldest first. Raise MarketError."""
        return [found.date for found in self.documents(symbol) if found.kind is not None]

    def span(self, symbol: str) -> tuple[date, date] | None:
        """The first and the last of `days`; None when there are none. Raise MarketError."""
        days = self.days(symbol)
        return (days[0], days[-1]) if days else None

    def day(self, symbol: str, day: date) -> Day:
        """One day, its columns mapped. Raise MarketError when it is not there, saying which days are."""
        found = open_day(self.directory(symbol, day))
        if found is None:
            span = self.span(symbol)
            there = f"there are days from {span[0]} to {span[1]}" if span else "there is no day of this symbol"
            raise MarketError(f"{self.root}: expected {symbol} on {day}, {there}; import or fetch it")
        return found

    def put(self, day: Day) -> DayDocument:
        """Keep a day that was made in memory, in place of what was there. Raise MarketError, DayRefused."""
        return put_day(self.directory(day.symbol, day.date), day)

    def documents(self, symbol: str) -> list[DayDocument]:
        """What `day.json` says of each day, oldest first, also of those without ticks. Raise MarketError."""
        _require_symbol(symbol)
        found: list[DayDocument] = []
        for name in _names(self.root / symbol, DATE):
            directory = self.root / symbol / name
            if (document := read_document(directory)) is None:
                continue
            if (document.symbol, document.date.isoformat()) != (symbol, name):
                raise MarketError(
                    f"{directory}: expected the day that its place says, "
                    f"got {shown(document.symbol)} on {document.date}; move it, or import it again"
                )
            found.append(document)
        return found

    def directory(self, symbol: str, day: date) -> Path:
        """Where a day is kept. Raise MarketError for what is no symbol."""
        _require_symbol(symbol)
        return self.root / symbol / day.isoformat()


def _require_symbol(symbol: str) -> None:
    if not SYMBOL.fullmatch(symbol):
        raise MarketError(f"expected a symbol such as BTCUSDT, got {shown(symbol)}")


def _names(directory: Path, pattern: re.Pattern[str]) -> list[str]:
    try:
        return sorted(entry.name for entry in directory.iterdir() if pattern.fullmatch(entry.name))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise MarketError(f"{directory}: cannot be read: {error}") from error
