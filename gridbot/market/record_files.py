"""What we recorded ourselves: the tables `public_trades` and `tickers` of a DuckDB file, as rows. Reads files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np

from gridbot.doors.plain_text import one_line
from gridbot.market.market_error import MarketError
from gridbot.market.text_columns import Rows, texts_of
from gridbot.store.reading import ReadingError, connect, names_in

__all__ = ["read_records"]

BATCH_ROWS: Final = 1 << 17
# Several accounts record the same market: a trade has an id, and equal tickers at one time are one.
TABLES: Final = {
    "trades": (
        "public_trades",
        "SELECT epoch_ms(exchange_ts) AS timestamp, symbol, side, qty AS size, price, trade_id AS id"
        " FROM public_trades ORDER BY exchange_ts, trade_id",
    ),
    "tickers": (
        "tickers",
        "SELECT DISTINCT epoch_ms(coalesce(exchange_ts, local_ts)) AS timestamp, symbol, last_price, mark_price"
        " FROM tickers ORDER BY 1, 2",
    ),
}


def read_records(path: Path) -> Iterator[Rows]:
    """Trades, then tickers, of a database of ours. Rows are numbered in the order of time. Raise MarketError."""
    try:
        with connect(path) as database:
            there = names_in(database)
            if not there & {table for table, _ in TABLES.values()}:
                raise MarketError(
                    f"{path}: expected the table tickers or public_trades, got {', '.join(sorted(there))}"
                )
            for kind, (table, query) in TABLES.items():
                if table in there:
                    yield from _rows(database.sql(query), kind)
    except (duckdb.Error, ReadingError) as error:
        raise MarketError(f"{path}: cannot be read: {one_line(str(error))}") from error


def _rows(answer: Any, kind: str) -> Iterator[Rows]:
    first = 1
    for batch in answer.to_arrow_reader(BATCH_ROWS):
        columns = {name: texts_of(batch.column(name)) for name in batch.schema.names}
        yield Rows(columns, np.arange(first, first + len(batch)), hints={"kind": kind})
        first += len(batch)
