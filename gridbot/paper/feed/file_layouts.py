"""What the lines of a market file mean: the layouts of Bybit's public archive and their kin. Pure.

| layout | told by |
|---|---|
| trades of a contract | columns `timestamp` (seconds), `side`, `size` (base coin), `price` |
| trades of spot | columns `timestamp` (milliseconds), `side` (small letters), `volume`, `price` |
| klines | a time column and `open`, `high`, `low`, `close`, often `volume` |
| klines for MetaTrader | no column names; `YYYY.MM.DD HH:MM` in UTC+3 in one column or two, then as above |
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

from gridbot.core.strict_numbers import LATEST_MS, amount_of, decimal_or_none, whole_or_none
from gridbot.core.vocabulary import Side
from gridbot.doors.plain_text import shown

__all__ = [
    "PRICES",
    "TIME_COLUMNS",
    "Layout",
    "Trade",
    "layout_of",
    "parse_trade",
    "price_of",
    "seconds_of",
    "without_column_names",
]

PRICES = ("open", "high", "low", "close")
TIME_COLUMNS = ("start", "startTime", "date", "timestamp", "open_time", "time")
METATRADER_ZONE = timezone(timedelta(hours=3))  # without daylight saving; 1239 of 1261 minutes match trades so
METATRADER_TIME = re.compile(r"[0-9]{4}\.[0-9]{2}\.[0-9]{2}( [0-9]{2}:[0-9]{2})?")
TRADES_WANTED = "timestamp, side, size, price"
TRADE_NAMES = (("timestamp", "side", "price", "size"), ("timestamp", "side", "price", "volume"))
MILLISECONDS_FROM = 1e11  # as seconds that is the year 5138


@dataclass(frozen=True, slots=True)
class Trade:
    """One line of a trade file: UTC seconds, the taker's side, USDT, base coin."""

    at_s: float
    side: Side
    price: Decimal
    size: Decimal


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns of a file. `cells` are the places of time, side, price and size of trades; empty for klines."""

    columns: tuple[str, ...]
    cells: tuple[int, ...] = ()
    symbol_cell: int | None = None

    @property
    def is_klines(self) -> bool:
        return not self.cells


def without_column_names(first: Sequence[str]) -> tuple[str, ...]:
    """Columns of a file whose first line is already data, as MetaTrader's are; empty when it has names."""
    stamp = METATRADER_TIME.fullmatch(first[0]) if first else None
    if stamp is None:
        return ()
    times = ("time",) if stamp.group(1) else ("day", "clock")
    return (*times, *PRICES, "volume")


def layout_of(columns: Sequence[str]) -> Layout:
    """Raise ValueError, saying what was expected, when columns are of none of the layouts."""
    names = tuple(columns)
    if all(name in names for name in PRICES) and any(name in names for name in (*TIME_COLUMNS, "day")):
        return Layout(names)
    for wanted in TRADE_NAMES:
        if all(name in names for name in wanted):
            symbol_cell = names.index("symbol") if "symbol" in names else None
            return Layout(names, tuple(names.index(name) for name in wanted), symbol_cell)
    missing = [name for name in TRADE_NAMES[0] if name not in names]
    raise ValueError(
        f"expected the columns {TRADES_WANTED} of a Bybit trade dump, or a time column and open, high, low, close, "
        f"volume; missing {missing}, got {shown(', '.join(names), 300) if names else 'an empty file'}"
    )


def parse_trade(layout: Layout, row: Sequence[object]) -> Trade:
    """Raise ValueError or IndexError when the row is no trade of a linear contract."""
    at, side, price, size = (str(row[cell]) for cell in layout.cells)
    if layout.symbol_cell is not None and str(row[layout.symbol_cell]).endswith("USD"):
        raise ValueError(
            f"expected sizes in base coin, got {shown(row[layout.symbol_cell])}, an inverse contract with sizes in "
            "USD; take the file of its USDT contract"
        )
    if side.capitalize() not in ("Buy", "Sell"):
        raise ValueError(f"expected Buy or Sell, got {shown(side)}")
    return Trade(seconds_of(at), Side(side.capitalize()), price_of(price), amount_of(size))


def price_of(value: object) -> Decimal:
    """A price of a file; ValueError when it is none, or nothing."""
    price = amount_of(value)
    if not price:
        raise ValueError("expected a price above zero, got 0")
    return price


def seconds_of(value: object) -> float:
    """UTC seconds of a date, an ISO text, a MetaTrader text, or a number in s, ms, us or ns. ValueError for others."""
    if isinstance(value, datetime):
        return _possible((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp())
    text = str(value)
    if METATRADER_TIME.fullmatch(text):
        return seconds_of(datetime.strptime(text, "%Y.%m.%d %H:%M").replace(tzinfo=METATRADER_ZONE))
    whole = whole_or_none(text)  # nanoseconds are more than any other number of ours
    number = decimal_or_none(text) if whole is None else whole
    if number is None:
        return seconds_of(datetime.fromisoformat(text))
    seconds = float(number)
    while seconds > MILLISECONDS_FROM:
        seconds /= 1000
    return _possible(seconds)


def _possible(seconds: float) -> float:
    if not 0 <= seconds <= LATEST_MS / 1000:
        raise ValueError(f"expected a time of the years 1970 to 2286, got {seconds:.0f} s")
    return seconds
