"""Questions to a long history, for `benchmarks/store.py`: how it is made, what is asked, what a figure is."""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from gridbot.store.context_rows import take_over_rows
from gridbot.store.database import Database, spill_directory
from gridbot.store.grid_keeping import keep_all
from gridbot.store.grid_marks import mark_all, mark_executions
from gridbot.store.reading import connect, database_path
from gridbot.store.rollups import ROLLUPS
from gridbot.store.schema import GROUP_ROWS, quote
from gridbot.store.sql_columns import as_stored
from supervisor.store.writer_process import KEEP_UP

__all__ = ["Figure", "Figures", "make_history", "make_rollups", "put_history", "queries", "writing"]


@dataclass(frozen=True)
class Figure:
    """A line of the table: what was measured, how much of what, and what stops it from being better."""

    what: str
    value: float
    unit: str
    limit: str = ""


Figures = list[Figure]


@contextlib.contextmanager
def writing(store: Database, memory: str = "2GB") -> Iterator[duckdb.DuckDBPyConnection]:
    """Its file, open to be filled by SQL, with row groups of the size that the writer makes."""
    with duckdb.connect(config={"memory_limit": memory, "temp_directory": str(spill_directory(store.path))}) as con:
        con.execute(f"ATTACH {quote(str(store.path))} AS history (ROW_GROUP_SIZE {GROUP_ROWS})")
        con.execute("USE history")
        yield con


def make_rollups(con: duckdb.DuckDBPyConnection) -> None:
    """As the first start with an older file does."""
    for rollup in ROLLUPS:
        for statement in rollup.statements(as_stored(rollup.source)):
            con.execute(statement)
    mark_all(con)
    keep_all(con, KEEP_UP)


def make_history(con: duckdb.DuckDBPyConnection, fills: int) -> None:
    """Fills by SQL, a million at a time; the sums and pairs of each by the statements that a commit and a step have."""
    for number in range(0, fills, 1_000_000):
        put_history(con, number, min(fills, number + 1_000_000))
        rows = f"(SELECT * FROM {as_stored('executions')} WHERE rowid >= {number})"
        for rollup in ROLLUPS:
            for statement in rollup.statements(rows) if rollup.source == "executions" else ():
                con.execute(statement)
        mark_executions(con, rows)
        keep_all(con, KEEP_UP)


def put_history(con: duckdb.DuckDBPyConnection, first: int, last: int) -> None:
    """Store executions `first` up to before `last` of the history."""
    query = _HISTORY.format(first=first, last=last)
    types = {name: kind for name, kind, *_ in con.execute(f"DESCRIBE {query}").fetchall()}
    take_over_rows(con, types, f"({query})")


_HISTORY = """
SELECT 'account' || (i % 8) AS account, 'run' || (i // 1000000) AS run_id, i // 8 AS seq,
    TIMESTAMP '2025-01-01' + INTERVAL (i * 315 // 100) SECOND AS local_ts, 'grid' || (i % 24) AS strategy,
    ['BTCUSDT', 'ETHUSDT', 'SOLUSDT'][1 + i % 3] AS symbol, uuid()::VARCHAR AS exec_id, uuid()::VARCHAR AS order_id,
    'g' || i AS order_link_id, IF(i % 2 = 0, 'long', 'short') AS direction,
    IF(((i // 48) % 2 = 0) = (i % 2 = 0), 'Buy', 'Sell') AS side,
    100000 + (i * 7919 % 20000) / 10 AS price, 0.012 AS qty, 0 AS leaves_qty,
    IF((i // 48) % 2 = 0, 0, 0.012) AS closed_size,
    0.02 + (i % 100) / 10000 AS fee,
    IF((i // 48) % 2 = 0, 0, (i * 31 % 400 - 100) / 100) AS realised_pnl, 'Trade' AS exec_type,
    true AS is_maker, false AS shadow, 'stream' AS source,
    TIMESTAMP '2025-01-01' + INTERVAL (i * 315 // 100) SECOND AS exchange_ts
FROM range({first}, {last}) r(i)"""

POSITIONS = """
INSERT INTO position_events_stored BY NAME
SELECT 'account' || (i % 8) AS account, 'run' AS run_id, i // 8 AS seq,
    TIMESTAMP '2025-01-01' + INTERVAL (i) SECOND AS local_ts, 'grid' || (i % 24) AS strategy,
    ['BTCUSDT', 'ETHUSDT', 'SOLUSDT'][1 + i % 3] AS symbol, IF(i % 2 = 0, 'long', 'short') AS direction,
    (i % 900) / 1000 AS size, 1 AS multiplier_buy, 1 AS multiplier_sell, '' AS rule, false AS shadow, 'stream' AS source
FROM range({first}, {last}) r(i)"""

ORDERS = """
INSERT INTO orders_stored BY NAME
SELECT 'account' || (i % 8) AS account, 'run' AS run_id, i // 8 AS seq,
    TIMESTAMP '2025-01-01' + INTERVAL (i) SECOND AS local_ts, 'grid' || (i % 24) AS strategy, 'BTCUSDT' AS symbol,
    'g' || (i // 24) || '-' || (i % 8) AS order_link_id, uuid()::VARCHAR AS order_id, 'long' AS direction,
    'Buy' AS side, 100000 + (i * 7919 % 20000) / 10 AS price, 0.012 AS qty, 0 AS cum_exec_qty, false AS reduce_only,
    IF((i // 8) % 3 < 2 OR i > {all} - 4000, 'open', 'filled') AS state, 1 AS attempt, '' AS reason, false AS shadow
FROM range({first}, {last}) r(i)"""

QUERIES = {
    "PnL by strategy and day": ("SELECT * FROM pnl_daily", "its 8,760 rows on their way to Python"),
    "the same from all fills": (
        "SELECT CAST(exchange_ts AS DATE), account, strategy, symbol, count(*), sum(price * qty), sum(realised_pnl), "
        "sum(fee) FILTER (exec_type <> 'Funding'), sum(fee) FILTER (exec_type = 'Funding') FROM executions "
        "WHERE NOT shadow GROUP BY ALL",
        "adding up 128-bit amounts",
    ),
    "PnL by strategy": ("SELECT * FROM pnl_by_strategy", "planning"),
    "PnL by strategy, last 30 days, from fills": (
        "SELECT strategy, sum(realised_pnl - fee) FROM fills "
        "WHERE exchange_ts > (SELECT max(exchange_ts) FROM fills) - INTERVAL 30 DAY GROUP BY 1",
        "the rows of these days",
    ),
    "latest positions": ("SELECT * FROM positions", "planning"),
    "the same from all rows": (
        "SELECT * FROM position_events WHERE NOT shadow "
        "QUALIFY row_number() OVER (PARTITION BY account, symbol, direction ORDER BY seq DESC) = 1",
        "grouping by text",
    ),
    "open orders": ("SELECT * FROM open_orders", "their rows on their way to Python"),
    "the same from all transitions": (
        "SELECT * FROM (SELECT * FROM orders WHERE NOT shadow QUALIFY row_number() OVER (PARTITION BY account, "
        "coalesce(nullif(order_link_id, ''), order_id) ORDER BY seq DESC) = 1) WHERE state <> 'filled'",
        "sorting by order",
    ),
    "last 50 fills of an account": (
        "SELECT * FROM fills WHERE account = 'account3' ORDER BY seq DESC LIMIT 50",
        "a look at every number",
    ),
    "grid profit by level": ("SELECT * FROM grid_levels", "adding up what is kept by level"),
}


def queries(data_dir: Path, fills: int) -> Figures:
    database = Database(database_path(data_dir))
    database.prepare()
    with writing(database) as con:
        for number in range(0, fills, 1_000_000):
            put_history(con, number, min(fills, number + 1_000_000))
        for statement in (POSITIONS, ORDERS):
            for number in range(0, fills, 1_000_000):
                con.execute(statement.format(first=number, last=min(fills, number + 1_000_000), all=fills))
        began = time.perf_counter()
        make_rollups(con)
        made = time.perf_counter() - began
    figures = [
        Figure(f"{fills:,} fills, orders, positions: file", database.path.stat().st_size / 1e6, "MB"),
        Figure("rollups made from them, once", made, "s", "an older file's first start: newest row of each order"),
    ]
    for name, (statement, limit) in QUERIES.items():
        with database.path.open("rb") as file:  # nobody has the database open here
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        cold = _times(data_dir, statement, 1)[0]
        first, *warm = _times(data_dir, statement, 2 if cold > 5000 else 6)
        figures += [
            Figure(f"{name}: warm", statistics.median(warm), "ms", limit),
            Figure("first / cold", first, f"/ {cold:.0f} ms"),
        ]
        print(name, round(statistics.median(warm)), file=sys.stderr, flush=True)
    return figures


def _times(data_dir: Path, statement: str, times: int) -> list[float]:
    """Milliseconds of the statement in a connection of its own, each time."""
    found = []
    with connect(data_dir) as con:
        for _ in range(times):
            started = time.perf_counter()
            con.execute(statement).fetchall()
            found.append((time.perf_counter() - started) * 1000)
    return found
