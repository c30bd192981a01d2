"""A year of records of fifty accounts, month by month, in parts of the demo's rate: what grows, and how fast.

The fleet records as much a second as the demo does (150 rows), and here a part of that: a thousandth, and the half and
the quarter of it, so that a line through the two largest says what all of it would need. Rows are made by SQL in the
tables where the writer puts them, with ids that are random as in life; everything after that is the program's own:
the rollups, a flush of the demo's size, retention, export, questions, the step from version 4, vacuum. Times
are of the processor, of all threads.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import duckdb
import orjson

from benchmarks.parts.store_costs import flushed
from benchmarks.parts.store_history import Figure, Figures
from benchmarks.parts.store_setup import processor_s
from gridbot.records.columns import RECORD_TYPES
from gridbot.store.commit import delete_older
from gridbot.store.context_rows import take_over_rows
from gridbot.store.database import Database
from gridbot.store.grid_keeping import keep_all
from gridbot.store.grid_marks import mark_executions
from gridbot.store.grid_tables import GRID_TABLES
from gridbot.store.kept_ids import kept_types, rows_query
from gridbot.store.reading import connect, database_path
from gridbot.store.rollups import REMOVED_SUMS, ROLLUPS
from gridbot.store.row_contexts import CONTEXT_TABLE, CONTEXTS, CONTEXTS_AGAIN, ROWS
from gridbot.store.schema import EVERY_VIEW, create_table_sql
from gridbot.store.sql_columns import LANDED, OFFSETS, as_stored
from supervisor.store.maintenance import vacuum
from supervisor.store.parquet_export import MANIFEST, export

DAYS, MONTH, MONTHS = 360, 30, 12
FILLS: Final = "executions"
KEEP_DAYS: Final = {"raw_messages": 30, "tickers": 30, "grid_snapshots": 30}
ACCOUNTS: Final = 50

_COMMON: Final = """
    'account' || (i % 50) AS account, 'run' || ({month}) AS run_id, {month} * 10000000 + i // 50 AS seq,
    {start} + INTERVAL (i * {gap_us}) MICROSECOND AS local_ts,
    {start} + INTERVAL (i * {gap_us}) MICROSECOND AS exchange_ts"""
_SYMBOL: Final = ", ['BTCUSDT', 'ETHUSDT', 'SOLUSDT', 'LTCUSDT'][1 + i % 4] AS symbol"

_PRICE: Final = "CAST(100000 + (hash(i) % 20000) / 10 AS DECIMAL(38, 12))"
_MONEY: Final = "CAST((hash(i + {n}) % 1000000000) / 100000000 AS DECIMAL(38, 12))"


def _money(number: int) -> str:
    return _MONEY.format(n=number)


KINDS: Final = {
    "executions": (
        15.0,
        f"""'grid' || (i % 100) AS strategy, uuid() AS exec_id, uuid() AS order_id,
        'b7dn8qp3q9xc-' || hash(i) AS order_link_id, IF(i % 2 = 0, 'long', 'short') AS direction,
        IF((i // 100) % 2 = 0, 'Buy', 'Sell') AS side, {_PRICE} AS price, 0.012 AS qty, 0 AS leaves_qty,
        IF((i // 100) % 2 = 0, 0, 0.012) AS closed_size, {_money(1)} AS fee,
        IF((i // 100) % 2 = 0, 0, {_money(2)}) AS realised_pnl, 'Trade' AS exec_type, true AS is_maker,
        i % 100 = 7 AS shadow, 'stream' AS source""",
    ),
    "orders": (
        60.0,
        f"""'grid' || (i % 100) AS strategy,
        'b7dn8qp3q9xc-' || {{month}} || '-' || (i // 200) || '-' || (i % 50) AS order_link_id,
        md5({{month}} || '-' || (i // 200) || '-' || (i % 50))::UUID AS order_id, 'long' AS direction, 'Buy' AS side,
        {_PRICE} AS price, 0.012 AS qty, 0 AS cum_exec_qty, false AS reduce_only,
        IF((i // 50) % 4 = 3, 'filled', 'open') AS state, 1 AS attempt, '' AS reason, false AS shadow""",
    ),
    "intents": (
        33.0,
        f"""'grid' || (i % 100) AS strategy, 'place' AS action, 'long' AS direction, 'Buy' AS side, {_PRICE} AS price,
        0.012 AS qty, false AS reduce_only, 'sent' AS verdict, '' AS reason,
        'b7dn8qp3q9xc-' || hash(i) AS order_link_id,
        {_PRICE} AS last_price""",
    ),
    "position_events": (
        15.0,
        f"""'grid' || (i % 100) AS strategy, IF(i % 2 = 0, 'long', 'short') AS direction, (i % 900) / 1000 AS size,
        {_PRICE} AS entry_price, {_PRICE} AS mark_price, {_money(3)} AS unrealised_pnl, 1 AS multiplier_buy,
        1 AS multiplier_sell, '' AS rule, false AS shadow, 'stream' AS source""",
    ),
    "raw_messages": (
        12.0,
        """'grid' || (i % 100) AS strategy, 'execution' AS topic, uuid()::VARCHAR AS ref_id,
        '{{"execId":"' || uuid() || '","orderId":"' || uuid() || '","side":"Buy","orderQty":"0.002","execType":"Trade",'
        || repeat('"markPrice":"60117.17",', 20) || '"seq":' || i || '}}' AS payload""",
    ),
    "wallets": (
        7.0,
        f"""'USDT' AS coin, 10000 + {_money(4)} AS wallet_balance, 10000 + {_money(5)} AS equity,
        9000 + {_money(6)} AS available_balance, {_money(7)} AS unrealised_pnl, {_money(8)} AS total_initial_margin,
        {_money(9)} AS total_maintenance_margin, 'stream' AS source""",
    ),
    "tickers": (4.0, f"{_PRICE} AS last_price, {_PRICE} AS mark_price, {_PRICE} AS bid1_price, {_PRICE} AS ask1_price"),
    "grid_snapshots": (
        4.0,
        f"""'grid' || (i % 100) AS strategy, i AS version, {_PRICE} AS anchor, {_PRICE} AS last_fill,
        '[' || array_to_string([ '["' || (hash(i) % 90000 + n) || '","Buy"]' for n in range(13)], ',') || ']'
        AS levels""",
    ),
}
"""Rows a second of the demo, and their columns."""

QUESTIONS: Final = {
    "PnL by strategy": "SELECT * FROM pnl_by_strategy",
    "PnL by day and strategy": "SELECT * FROM pnl_daily",
    "positions": "SELECT * FROM positions",
    "open orders": "SELECT * FROM open_orders",
    "a day's fills of an account": """
        SELECT * FROM fills WHERE account = 'account3' AND exchange_ts BETWEEN TIMESTAMP '{day}'
        AND TIMESTAMP '{day}' + INTERVAL 1 DAY""",
    "an account's last 50 fills": "SELECT * FROM fills WHERE account = 'account3' ORDER BY seq DESC LIMIT 50",
}


@dataclass(slots=True)
class Year:
    """Of one part: figures after the second month and after the last; of each by name value and unit."""

    early: dict[str, tuple[float, str]] = field(default_factory=dict)
    late: dict[str, tuple[float, str]] = field(default_factory=dict)


def year(root: Path, part: int) -> Figures:
    """The year in a quarter, the half and all of the `part`th of the demo's rate."""
    parts = (4 * part, 2 * part, part)
    years = []
    for number in parts:
        print(f"a year at 1/{number} of the demo's rate", file=sys.stderr, flush=True)
        years.append(_year(root / str(number), number))
    figures = []
    for name, (value, unit) in years[-1].late.items():
        before = [each.late[name][0] for each in years[:-1]]
        text = f"at 1/{parts[0]}, 1/{parts[1]}: {before[0]:,.4g}, {before[1]:,.4g}"
        if name in years[-1].early:
            text += f"; after two months {years[-1].early[name][0]:,.4g}"
        if unit in ("MB", "rows"):  # what grows with the rows: by the line through the two largest
            whole = value + (value - before[1]) / (1 / parts[2] - 1 / parts[1]) * (1 - 1 / parts[2])
            text += f"; at 1/1: {whole:,.0f}"
        figures.append(Figure(name, value, unit, text))
    return figures


def _year(data_dir: Path, part: int) -> Year:
    found = Year()
    store = Database(database_path(data_dir))
    store.prepare()
    began = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=DAYS)
    for month in range(MONTHS):
        with store.open() as con:
            rows = sum(_fill(con, kind, month, began, part) for kind in KINDS)
            removed, took = _timed(partial(_retain, con, month))
        if month in (1, MONTHS - 1):
            _as_exported(data_dir, began + timedelta(days=MONTH * month))
            exported, export_took = _timed(lambda: len(export(data_dir, data_dir / "export", tables=(FILLS,)).written))
            kept = found.early if month == 1 else found.late
            kept |= {
                "rows recorded, of a month": (rows, "rows"),
                "file": (store.path.stat().st_size / 1e6, "MB"),
                "retention, of a month": (took * 1000, f"ms for {removed:,} rows"),
                "export, of a month's fills": (export_took * 1000, f"ms for {exported} days"),
                **_flushes(store),
                **_questions(data_dir, began + timedelta(days=MONTH * month)),
            }
    _make_version_4(store.path)
    _, took = _timed(store.prepare)
    found.late["from version 4, with its copy"] = (took * 1000, "ms")
    store.close()
    (_, after), took = _timed(lambda: vacuum(data_dir))
    found.late["vacuum"] = (took * 1000, "ms")
    found.late["file after vacuum"] = (after / 1e6, "MB")
    return found


def _fill(con: duckdb.DuckDBPyConnection, kind: str, month: int, began: datetime, part: int) -> int:
    """A month's rows of a kind, into its table and the rollups, as a commit does it; how many."""
    rate, columns = KINDS[kind]
    count = int(rate * 86400 * MONTH / part)
    start = f"TIMESTAMP '{began + timedelta(days=MONTH * month)}'"
    gap_us = MONTH * 86_400_000_000 // count
    symbol = "" if kind == "wallets" else _SYMBOL  # those are of an account
    select = f"SELECT {_COMMON}, {columns}{symbol} FROM range({count}) r(i)".format(
        month=month, start=start, gap_us=gap_us
    )
    con.execute(create_table_sql(kind, "fresh", temporary=True))
    con.execute(f"INSERT INTO fresh BY NAME {select}")
    con.begin()
    if kind == CONTEXT_TABLE:
        take_over_rows(con, kept_types(kind), "fresh")
    else:
        con.execute(f"INSERT INTO {as_stored(kind)} BY NAME SELECT * FROM fresh")
    for rollup in ROLLUPS:
        if rollup.source == kind:
            for statement in rollup.statements("fresh"):
                con.execute(statement)
    if kind == FILLS:
        mark_executions(con, "temp.fresh")
    con.commit()
    keep_all(con)
    con.execute("DROP TABLE temp.fresh")
    return count


def _retain(con: duckdb.DuckDBPyConnection, month: int) -> int:
    """What the writer does each hour, once a month: its clock is ours, so the days are as many more as are left."""
    left = DAYS - MONTH * (month + 1)
    return sum(delete_older(con, kind, days + left, 1 << 40) for kind, days in KEEP_DAYS.items())


def _as_exported(data_dir: Path, until: datetime) -> None:
    """All fills up to then were exported before: so says the list that an export keeps."""
    days = f"SELECT CAST(local_ts AS DATE)::VARCHAR, count(*) FROM {FILLS} WHERE local_ts < ? GROUP BY 1"
    with connect(data_dir) as con:
        found = con.execute(days, [until]).fetchall()
    folder = data_dir / "export"
    folder.mkdir(exist_ok=True)
    (folder / MANIFEST).write_bytes(orjson.dumps({f"{FILLS}/day={day}": count for day, count in found}))


def _flushes(store: Database) -> dict[str, tuple[float, str]]:
    landed = [flushed(store, 60, lands=True) for _ in range(9)]
    return {
        "a flush of the demo's size": (statistics.median(landed), "ms"),
        "what has landed into its tables": (flushed(store, 60, lands=False), "ms"),
    }


def _questions(data_dir: Path, day: datetime) -> dict[str, tuple[float, str]]:
    found = {}
    for name, question in QUESTIONS.items():
        with connect(data_dir) as con:
            statement = question.format(day=f"{day:%Y-%m-%d}")
            times = [_timed(lambda: con.execute(statement).fetchall())[1] for _ in range(3)]  # noqa: B023 - at once
        found[name] = (min(times) * 1000, "ms")
    return found


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    started = processor_s()
    result = work()
    return result, processor_s() - started


def _make_version_4(path: Path) -> None:
    """As a program of that version has left it: rows in tables of the names that are views since."""
    with duckdb.connect(str(path)) as con:
        for view in EVERY_VIEW:
            con.execute(f"DROP VIEW {view.name}")
        for table in GRID_TABLES:
            con.execute(f"DROP TABLE {table}")
        con.execute(f"DROP TABLE {LANDED}")
        for name in (OFFSETS, *RECORD_TYPES, *{rollup.name for rollup in (*ROLLUPS, REMOVED_SUMS)}):
            if name == CONTEXT_TABLE:
                con.execute(f"CREATE TABLE {name} AS {rows_query(name)}; DROP VIEW {as_stored(name)}")
                con.execute(f"DROP TABLE {ROWS}; DROP TABLE {CONTEXTS}; DROP TABLE {CONTEXTS_AGAIN}")
            else:
                con.execute(f"ALTER TABLE {as_stored(name)} RENAME TO {name}")
        con.execute("UPDATE schema_versions SET version = 4, fingerprint = ''")
