"""Trades from files: Bybit's public trade dumps, or klines taken apart into trades (`file_layouts`)."""

from __future__ import annotations

import csv
import gzip
import heapq
import itertools
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TypeAlias, TypeVar

from gridbot.doors.plain_text import one_line, shown
from gridbot.paper.feed.file_layouts import Layout, Trade, layout_of, parse_trade, without_column_names
from gridbot.paper.feed.klines import BAR_S, Bar, kline_trades, parse_bar, read_table
from gridbot.paper.market.synthetic import MarketTrade

T = TypeVar("T")
Numbered: TypeAlias = Iterator[tuple[int, Sequence[object]]]
"""Rows with the numbers of their lines, as an editor counts."""
__all__ = ["ReplayError", "first_prices", "read_file", "read_files"]

TABLES = (".parquet", ".feather")
PROBE = 10
STEP_BACK_S = 1.0
"""Trades of a file that lie so little before the one in front of them happened at its time."""


class ReplayError(Exception):
    """A file cannot be replayed; the text names file and line."""


def read_file(path: Path, symbol: str) -> Iterator[tuple[float, MarketTrade]]:
    """(seconds, trade) of one file, oldest first, whichever way round the file is."""
    try:
        columns, rows = _read_table(path) if path.suffix in TABLES else _read_csv(path)
        try:
            layout = layout_of(columns)
        except ValueError as error:
            raise ReplayError(f"{path}: {error}") from error
        if layout.is_klines:
            yield from _bars(path, symbol, layout, rows)
        else:
            yield from _trades(path, symbol, layout, rows)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as error:
        raise ReplayError(f"{path}: cannot be read: {error}") from error


def _read_table(path: Path) -> tuple[Sequence[str], Numbered]:
    columns, rows = read_table(path)
    return columns, enumerate(rows, start=1)


def _read_csv(path: Path) -> tuple[Sequence[str], Numbered]:
    """Columns, and the rows without repetitions of the column names (some dumps have them in their middle)."""

    def lines() -> Iterator[list[str]]:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8", newline="") as file:
            yield from csv.reader(file)

    rows = lines()
    first = next(rows, [])
    named = without_column_names(first)
    if named:
        return named, enumerate(itertools.chain([first], rows), start=1)
    return first, ((line, row) for line, row in enumerate(rows, start=2) if row != first)


def _trades(path: Path, symbol: str, layout: Layout, rows: Numbered) -> Iterator[tuple[float, MarketTrade]]:
    def parsed() -> Iterator[tuple[float, Trade]]:
        for line, row in rows:
            try:
                trade = parse_trade(layout, row)
            except (ValueError, IndexError) as error:
                raise ReplayError(
                    f"{path} line {line}: not a trade: {shown(str(row), 300)} ({one_line(str(error))})"
                ) from error
            yield trade.at_s, trade

    for at_s, trade in _oldest_first(path, parsed()):
        yield at_s, MarketTrade(symbol, trade.side, trade.price, trade.size)


def _bars(path: Path, symbol: str, layout: Layout, rows: Numbered) -> Iterator[tuple[float, MarketTrade]]:
    def parsed() -> Iterator[tuple[float, Bar]]:
        for line, row in rows:
            try:
                bar = parse_bar(layout.columns, row)
            except (ValueError, IndexError) as error:
                raise ReplayError(
                    f"{path} line {line}: not a kline: {shown(str(row), 300)} ({one_line(str(error))})"
                ) from error
            yield bar.start_s, bar

    bars = _oldest_first(path, parsed())
    ahead = list(itertools.islice(bars, PROBE))
    span_s = min((later - at_s for (at_s, _), (later, _) in itertools.pairwise(ahead) if later > at_s), default=BAR_S)
    for _, bar in itertools.chain(ahead, bars):
        yield from kline_trades(symbol, bar, span_s)


def _oldest_first(path: Path, rows: Iterator[tuple[float, T]]) -> Iterator[tuple[float, T]]:
    """Rows by time. A file that is newest first (Bybit's trade dumps of 2020) is read whole and turned round."""
    ahead: list[tuple[float, T]] = []
    for row in rows:
        ahead.append(row)
        if abs(row[0] - ahead[0][0]) > STEP_BACK_S:
            break
    everything: Iterator[tuple[float, T]] = itertools.chain(ahead, rows)
    if ahead and ahead[-1][0] < ahead[0][0]:
        everything = iter([*everything][::-1])
    latest = -math.inf
    for at_s, value in everything:
        if at_s < latest - STEP_BACK_S:
            raise ReplayError(
                f"{path}: expected one order of time, got {_utc(at_s)} after {_utc(latest)}; sort the file by its time"
            )
        latest = max(latest, at_s)
        yield latest, value


def _utc(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat()


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
