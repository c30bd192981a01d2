"""Days as Parquet, for other tools, and for `data import` to take back. Writes files.

    BTCUSDT2026-09-01.parquet             trades: timestamp (ms UTC), symbol, side, size (base coin), price (USDT)
    BTCUSDT2026-09-01-candles.parquet     start, symbol, open, high, low, close, volume
    BTCUSDT2026-09-01-tickers.parquet     timestamp, symbol, last_price
    BTCUSDT2026-09-01-marks.parquet       timestamp, symbol, mark_price
    BTCUSDT2026-09-01-fundings.parquet    timestamp, symbol, fundingRate

Prices and sizes are decimals, exact. Files of ticks carry the instrument's rules of that day in their metadata.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from gridbot.atomic_file import put_in_place, temporary_beside
from gridbot.market.candle_ticks import TICKS
from gridbot.market.day import Day
from gridbot.market.day_document import DayDocument, row_of
from gridbot.market.market_error import MarketError, unwritable
from gridbot.market.table_files import RULES
from gridbot.private_files import make_directory, open_private

__all__ = ["write_parquet"]

DIGITS: Final = 38


def write_parquet(day: Day, document: DayDocument, directory: Path) -> list[Path]:
    """Write a day into a directory, in place of files of the same names. Returns the files. Raise MarketError."""
    written: list[Path] = []
    try:
        make_directory(directory)
        for ending, table in _tables(day, document):
            path = directory / f"{day.symbol}{day.date}{ending}.parquet"
            temporary = temporary_beside(path)
            try:
                with open_private(temporary, "xb") as file:
                    pyarrow.parquet.write_table(table, file, compression="zstd")
                put_in_place(temporary, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
                raise
            written.append(path)
    except OSError as error:
        raise unwritable(directory, error) from error
    return written


def _tables(day: Day, document: DayDocument) -> Iterator[tuple[str, pa.Table]]:
    tick, step = day.instrument.tick_size, day.instrument.qty_step
    if document.form == "trades":
        sides = pa.DictionaryArray.from_arrays(pa.array((day.sides > 0).astype(np.int8)), pa.array(["Sell", "Buy"]))
        columns: dict[str, Any] = {
            "timestamp": day.times_ms,
            "side": sides.cast(pa.string()),
            "size": _decimals(day.sizes, step),
            "price": _decimals(day.prices, tick),
        }
        yield "", _table(day, columns)
    elif document.form == "tickers":
        yield "-tickers", _table(day, {"timestamp": day.times_ms, "last_price": _decimals(day.prices, tick)})
    else:
        _require_whole_candles(day)
        bars = day.prices.reshape(-1, TICKS)
        yield (
            "-candles",
            _table(
                day,
                {
                    "start": day.times_ms[::TICKS],
                    "open": _decimals(bars[:, 0], tick),
                    "high": _decimals(bars.max(1), tick),
                    "low": _decimals(bars.min(1), tick),
                    "close": _decimals(bars[:, -1], tick),
                    "volume": _decimals(day.sizes.reshape(-1, TICKS).sum(1), step),
                },
            ),
        )
    if len(day.marks):
        yield "-marks", _table(day, {"timestamp": day.marks_ms, "mark_price": _decimals(day.marks, day.mark_unit)})
    if day.fundings:
        times = [at for at, _ in day.fundings]
        yield "-fundings", _table(day, {"timestamp": times, "fundingRate": [str(rate) for _, rate in day.fundings]})


def _require_whole_candles(day: Day) -> None:
    """Days of earlier versions may hold a part of a candle that goes over midnight."""
    is_whole = len(day) % TICKS == 0
    if is_whole:
        at = day.times_ms.reshape(-1, TICKS) - day.times_ms[::TICKS, None]
        span = at[:, -1] + 1
        is_whole = bool(((at[:, 1] == span // 3) & (at[:, 2] == 2 * span // 3)).all())
    if not is_whole:
        raise MarketError(
            f"{day.symbol} {day.date}: expected whole candles, got parts of some that go over midnight (UTC); "
            "import the day again from shorter ones"
        )


def _table(day: Day, columns: dict[str, Any]) -> pa.Table:
    first = next(iter(columns.values()))
    table = pa.table(columns | {"symbol": pa.array([day.symbol] * len(first))})
    return table.replace_schema_metadata({RULES: orjson.dumps(row_of(day.instrument))})


def _decimals(counts: NDArray[np.int64], unit: Decimal) -> pa.Array:
    """`counts * unit` as decimals of Arrow, exact: the whole numbers are its own, with the point moved."""
    sign, digits, exponent = unit.as_tuple()
    assert not sign
    assert isinstance(exponent, int)
    factor = int("".join(map(str, digits))) * 10 ** max(exponent, 0)
    words = np.zeros((len(counts), 2), np.int64)
    words[:, 0] = counts * factor
    if len(counts) and int(counts.max()) * factor >= 1 << 63:
        raise MarketError(f"expected numbers of 63 bits in units of {unit}, got more")
    kind = pa.decimal128(DIGITS, max(-exponent, 0))
    return pa.Array.from_buffers(kind, len(counts), [None, pa.py_buffer(words.tobytes())])
