"""Trades from files: Bybit's public trade dumps, or klines taken apart into trades."""

from __future__ import annotations

import csv
import gzip
import heapq
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

from gridbot.core.vocabulary import Side
from gridbot.paper.feed.klines import is_kline_header, kline_trades, parse_bar, read_table
from gridbot.paper.market.synthetic import MarketTrade

__all__ = ["ReplayError", "first_prices", "read_file", "read_files"]

TRADE_COLUMNS = ("timestamp", "side", "size", "price")
TABLES = (".parquet", ".feather")


class ReplayError(Exception):
    """A file cannot be replayed; the text names file and line."""


def read_file(path: Path, symbol: str) -> Iterator[tuple[float, MarketTrade]]:
    """(seconds, trade) of one file in file order. Columns are found by their names."""
    try:
        if path.suffix in TABLES:
            header, rows = read_table(path)
        else:
            header, rows = _read_csv(path)
        if is_kline_header(header):
            yield from _bars(path, symbol, header, rows)
        else:
            yield from _trades(path, symbol, header, rows)
    except (OSError, EOFError) as error:
        raise ReplayError(f"{path}: cannot be read: {error}") from error


def _read_csv(path: Path) -> tuple[list[str], Iterator[Sequence[str]]]:
    def rows() -> Iterator[list[str]]:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8", newline="") as file:
            yield from csv.reader(file)

    lines = rows()
    return next(lines, []), lines


def _trades(
    path: Path, symbol: str, header: Sequence[str], rows: Iterator[Sequence[object]]
) -> Iterator[tuple[float, MarketTrade]]:
    missing = [name for name in TRADE_COLUMNS if name not in header]
    if missing:
        raise ReplayError(
            f"{path}: expected the columns {', '.join(TRADE_COLUMNS)} of a Bybit trade dump, or a time column and "
            f"open, high, low, close, volume; missing {missing}"
        )
    at, side, size, price = (header.index(name) for name in TRADE_COLUMNS)
    for line, row in enumerate(rows, start=2):
        try:
            trade = MarketTrade(symbol, Side(str(row[side])), Decimal(str(row[price])), Decimal(str(row[size])))
            yield float(str(row[at])), trade
        except (ValueError, IndexError, InvalidOperation) as error:
            raise ReplayError(f"{path} line {line}: not a trade: {row} ({error})") from error


def _bars(
    path: Path, symbol: str, header: Sequence[str], rows: Iterator[Sequence[object]]
) -> Iterator[tuple[float, MarketTrade]]:
    for line, row in enumerate(rows, start=2):
        try:
            bar = parse_bar(header, row)
        except (ValueError, IndexError, InvalidOperation) as error:
            raise ReplayError(f"{path} line {line}: not a kline: {row} ({error})") from error
        yield from kline_trades(symbol, bar)


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
