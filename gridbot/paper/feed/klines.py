"""Klines as a source: each bar becomes trades along a stated path. Reads tables, otherwise pure.

The path inside a bar: a rising bar (close >= open) goes open, low, high, close; a falling one open, high, low, close.
Each of the three legs is walked in `STEPS` equal steps, evenly in time; the bar's volume is spread evenly over its
trades. Nothing says that the market went this way: it is a choice, and always the same one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from gridbot.core.strict_numbers import amount_of
from gridbot.core.vocabulary import Side
from gridbot.paper.feed.file_layouts import PRICES, TIME_COLUMNS, price_of, seconds_of
from gridbot.paper.market.synthetic import MarketTrade

__all__ = ["BAR_S", "STEPS", "Bar", "kline_trades", "parse_bar", "read_table"]

STEPS = 5
BAR_S = 60.0


@dataclass(frozen=True, slots=True)
class Bar:
    """`start_s` is UTC seconds, prices USDT, volume base coin."""

    start_s: float
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


def parse_bar(header: Sequence[str], row: Sequence[object]) -> Bar:
    """Raise ValueError when the row is not a valid bar."""
    fields = dict(zip(header, row, strict=True))
    if "day" in fields:
        fields["time"] = f"{fields['day']} {fields['clock']}"
    start = next(fields[name] for name in TIME_COLUMNS if name in fields)
    first, high, low, last = (price_of(str(fields[name])) for name in PRICES)
    volume = amount_of(str(fields.get("volume", 0)))
    if not 0 < low <= min(first, last) <= max(first, last) <= high:
        raise ValueError("expected 0 < low <= open, close <= high")
    return Bar(seconds_of(start), first, high, low, last, volume)


def kline_trades(symbol: str, bar: Bar, span_s: float = BAR_S) -> Iterator[tuple[float, MarketTrade]]:
    """(seconds, trade) along the path of a bar; the trades lie within its span."""
    rising = bar.close >= bar.open
    corners = (bar.open, bar.low, bar.high, bar.close) if rising else (bar.open, bar.high, bar.low, bar.close)
    prices = [bar.open]
    for start, end in pairwise(corners):
        prices += [start + (end - start) * step / STEPS for step in range(1, STEPS + 1)]
    size = bar.volume / len(prices)
    before = bar.open
    for number, price in enumerate(prices):
        side = Side.BUY if price > before or (price == before and rising) else Side.SELL
        before = price
        yield bar.start_s + span_s * number / len(prices), MarketTrade(symbol, side, price, size)


def read_table(path: Path) -> tuple[list[str], Iterator[Sequence[object]]]:
    """Columns and rows of a .parquet or .feather file. Raise OSError, saying what to do, when it cannot be read."""
    if path.suffix == ".feather":
        return _read_feather(path)
    import duckdb  # slow to import, and few need it here

    try:
        cursor = duckdb.connect().execute("SELECT * FROM read_parquet(?)", [str(path)])
    except duckdb.Error as error:
        raise OSError(str(error)) from error
    return [str(column[0]) for column in cursor.description or ()], _fetched(cursor)


def _read_feather(path: Path) -> tuple[list[str], Iterator[Sequence[object]]]:
    try:
        import pyarrow
        from pyarrow import feather
    except ImportError as error:
        raise OSError(
            "a .feather file needs the package pyarrow; install it with `pip install pyarrow`, "
            f"or convert the file to .parquet or .csv ({error})"
        ) from error
    try:
        table = feather.read_table(path)
    except pyarrow.ArrowException as error:
        raise OSError(str(error)) from error
    return list(table.column_names), (
        tuple(row.values()) for batch in table.to_batches(max_chunksize=1000) for row in batch.to_pylist()
    )


def _fetched(cursor: Any) -> Iterator[Sequence[object]]:
    import duckdb

    try:
        while rows := cursor.fetchmany(1000):
            yield from rows
    except duckdb.Error as error:  # a file that is damaged further down
        raise OSError(str(error)) from error
