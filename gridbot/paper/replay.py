"""Trades from files in the layout of Bybit's public trade dumps (.csv, .csv.gz)."""

from __future__ import annotations

import csv
import gzip
import heapq
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path

from gridbot.core.vocabulary import Side
from gridbot.paper.synthetic import MarketTrade

__all__ = ["ReplayError", "first_prices", "read_file", "read_files"]

COLUMNS = ("timestamp", "side", "size", "price")


class ReplayError(Exception):
    """A file that cannot be replayed; the text names file and line."""


def read_file(path: Path, symbol: str) -> Iterator[tuple[float, MarketTrade]]:
    """(seconds, trade) of one file in file order. Columns are found by their names."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            header = next(rows, [])
            missing = [name for name in COLUMNS if name not in header]
            if missing:
                raise ReplayError(
                    f"{path}: expected the columns {', '.join(COLUMNS)} of a Bybit trade dump, missing {missing}"
                )
            at, side, size, price = (header.index(name) for name in COLUMNS)
            for row in rows:
                try:
                    trade = MarketTrade(symbol, Side(row[side]), Decimal(row[price]), Decimal(row[size]))
                    yield float(row[at]), trade
                except (ValueError, IndexError, InvalidOperation) as error:
                    raise ReplayError(f"{path} line {rows.line_num}: not a trade: {row} ({error})") from error
    except (OSError, EOFError) as error:
        raise ReplayError(f"{path}: cannot be read: {error}") from error


def read_files(files: Mapping[str, Path]) -> Iterator[tuple[float, MarketTrade]]:
    """Trades of several symbols merged by time."""
    return heapq.merge(*(read_file(path, symbol) for symbol, path in files.items()), key=lambda item: item[0])


def first_prices(files: Mapping[str, Path]) -> dict[str, Decimal]:
    """Price of the first trade of each file."""
    prices: dict[str, Decimal] = {}
    for symbol, path in files.items():
        first = next(read_file(path, symbol), None)
        if first is None:
            raise ReplayError(f"{path}: expected trades, the file has none")
        prices[symbol] = first[1].price
    return prices
