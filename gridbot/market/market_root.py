"""The days below one directory: `<root>/<SYMBOL>/<yyyy-mm-dd>/`."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Final

from gridbot.doors.plain_text import shown
from gridbot.market.day import Day
from gridbot.market.day_document import DayDocument
from gridbot.market.day_files import DOCUMENT, open_day, put_day, read_document
from gridbot.market.day_rows import SYMBOL
from gridbot.market.market_error import MarketError

__all__ = ["Damaged", "Market"]

Damaged = Callable[[date, MarketError], None]
"""What is told of a day that is there and cannot be read."""
DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Market:
    """What was imported below `root`. Nothing is kept between calls: an import that happens meanwhile is seen."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def symbols(self) -> list[str]:
        """Symbols of which there are days, by name. Raise MarketError."""
        return [name for name in _names(self.root, SYMBOL) if self.days(name)]

    def known(self) -> list[str]:
        """Symbols of which there is anything, also marks or fundings alone, or damage, by name. Raise MarketError."""
        return [name for name in _names(self.root, SYMBOL) if self._places(name)]

    def days(self, symbol: str) -> list[date]:
        """Days of a symbol that have trades or candles, or cannot be read, oldest first. Raise MarketError.

        So whoever wants a damaged day hears of it, and nobody else does.
        """
        damaged: list[date] = []
        found = [each.date for each in self.documents(symbol, lambda day, _: damaged.append(day)) if each.kind]
        return sorted([*found, *damaged])

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
        _require_place(found, symbol, day, self.directory(symbol, day))
        return found

    def put(self, day: Day) -> DayDocument:
        """Keep a day that was made in memory, in place of what was there. Raise MarketError, DayRefused."""
        return put_day(self.directory(day.symbol, day.date), day)

    def documents(self, symbol: str, damaged: Damaged | None = None) -> list[DayDocument]:
        """What `day.json` says of each day, oldest first, also of those without ticks.

        `damaged` is told of each day that cannot be read, which is left out; without it that is a MarketError, as is a
        directory that cannot be read.
        """
        _require_symbol(symbol)
        found: list[DayDocument] = []
        for day, directory in self._places(symbol):
            try:
                if (document := read_document(directory)) is None:
                    continue
                _require_place(document, symbol, day, directory)
            except MarketError as error:
                if damaged is None:
                    raise
                damaged(day, error)
            else:
                found.append(document)
        return found

    def _places(self, symbol: str) -> list[tuple[date, Path]]:
        """The days of a symbol that have a `day.json`, oldest first, with their directories. Raise MarketError."""
        places = [(_date(name), self.root / symbol / name) for name in _names(self.root / symbol, DATE)]
        return [(day, place) for day, place in places if day is not None and _is_there(place / DOCUMENT)]

    def directory(self, symbol: str, day: date) -> Path:
        """Where a day is kept. Raise MarketError for what is no symbol."""
        _require_symbol(symbol)
        return self.root / symbol / day.isoformat()


def _require_place(found: Day | DayDocument, symbol: str, day: date, directory: Path) -> None:
    if (found.symbol, found.date) != (symbol, day):
        raise MarketError(
            f"{directory}: expected the day that its place says, "
            f"got {shown(found.symbol)} on {found.date}; move it, or import it again"
        )


def _is_there(path: Path) -> bool:
    """Also a link that leads nowhere, and what this user may not look at: whoever reads it hears what it is."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _date(name: str) -> date | None:
    try:
        return date.fromisoformat(name)
    except ValueError:  # such as 2026-02-30
        return None


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
