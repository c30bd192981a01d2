"""Questions over many millions of fills and ledger movements, for `benchmarks/store.py`.

Rows are made by SQL in the table where the writer puts them, some hundred thousand in a transaction, each with ids that
are random as in life and a row of the wallet; sums and matched pairs are the program's own, made by the statements that
make them of an older file. Then it is asked as an operator asks: views by their names, in a process of its own for what
is cold, where the file is not in the page cache either.

Times are of the processor, all threads together, and beside it by the clock.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import duckdb
import orjson

from benchmarks.parts.store_history import Figure, Figures, make_history, writing
from benchmarks.parts.store_setup import processor_s
from gridbot.store.database import Database
from gridbot.store.reading import connect, database_path
from supervisor.store.ledger_check import check_balances, differing_sums

__all__ = ["QUESTIONS", "questions"]

ACCOUNT: Final = "account = 'account3'"

QUESTIONS: Final = {
    "grid_trades: how many, and their sums": (
        "SELECT count(*), sum(profit), sum(fees), sum(net_profit) FROM grid_trades"
    ),
    "grid_trades: the newest 20": "SELECT * FROM grid_trades ORDER BY closed_at DESC LIMIT 20",
    "grid_trades: the newest 20 of an account": (
        f"SELECT * FROM grid_trades WHERE {ACCOUNT} ORDER BY closed_at DESC LIMIT 20"
    ),
    "grid_trades: a day of an account, with ids": (
        f"SELECT * FROM grid_trades WHERE {ACCOUNT} AND closed_at BETWEEN TIMESTAMP '{{day}}' "
        "AND TIMESTAMP '{day}' + INTERVAL 1 DAY"
    ),
    "grid_trades: an account's sums": f"SELECT count(*), sum(net_profit) FROM grid_trades WHERE {ACCOUNT}",
    "grid_trades: by account and strategy": (
        "SELECT account, strategy, symbol, count(*), sum(net_profit) FROM grid_trades GROUP BY ALL"
    ),
    "grid_trades: by day": "SELECT CAST(closed_at AS DATE), count(*), sum(net_profit) FROM grid_trades GROUP BY ALL",
    "grid_trades: by month": (
        "SELECT date_trunc('month', closed_at), count(*), sum(net_profit) FROM grid_trades GROUP BY ALL"
    ),
    "grid_trades: by month, from its days": (
        "SELECT date_trunc('month', day), sum(pairs), sum(net_profit) FROM (SELECT CAST(closed_at AS DATE) AS day, "
        "count(*) AS pairs, sum(net_profit) AS net_profit FROM grid_trades GROUP BY day) GROUP BY ALL"
    ),
    "grid_trades: by level": (
        "SELECT symbol, open_price, count(*), sum(net_profit) FROM grid_trades GROUP BY ALL ORDER BY 4 DESC LIMIT 50"
    ),
    "grid_levels: an account's": f"SELECT * FROM grid_levels WHERE {ACCOUNT} ORDER BY net_profit DESC",
    "grid_levels: by account and strategy": (
        "SELECT account, strategy, symbol, sum(pairs), sum(net_profit) FROM grid_levels GROUP BY ALL"
    ),
    "grid_levels: by level, of all accounts": (
        "SELECT symbol, level, sum(pairs), sum(net_profit) FROM grid_levels GROUP BY ALL ORDER BY 4 DESC LIMIT 50"
    ),
    "grid_levels: the best 50": "SELECT * FROM grid_levels ORDER BY net_profit DESC LIMIT 50",
    "grid_levels: all, and their sums": "SELECT count(*), sum(pairs), sum(net_profit) FROM grid_levels",
    "grid_levels: all, as values of Python": "SELECT * FROM grid_levels",
    "statement": "SELECT * FROM statement",
    "fills: the newest 50 of an account": f"SELECT * FROM fills WHERE {ACCOUNT} ORDER BY seq DESC LIMIT 50",
    "fills: the newest 50": "SELECT * FROM fills ORDER BY exchange_ts DESC LIMIT 50",
    "fills: an hour of an account": (
        f"SELECT * FROM fills WHERE {ACCOUNT} AND exchange_ts BETWEEN TIMESTAMP '{{day}}' "
        "AND TIMESTAMP '{day}' + INTERVAL 1 HOUR"
    ),
    "fills: a day of an account": (
        f"SELECT * FROM fills WHERE {ACCOUNT} AND exchange_ts BETWEEN TIMESTAMP '{{day}}' "
        "AND TIMESTAMP '{day}' + INTERVAL 1 DAY"
    ),
}
"""What is asked, as an operator asks it; `{day}` is one in the middle."""
COLD: Final = (
    "fills: an hour of an account",
    "fills: a day of an account",
    "fills: the newest 50 of an account",
    "grid_trades: the newest 20",
)

_WALLETS: Final = """
    INSERT INTO wallets_stored BY NAME
    SELECT account, run_id, 1000000000 + seq AS seq, exchange_ts AS local_ts, exchange_ts, 'USDT' AS coin,
        10000 + sum(realised_pnl - fee) OVER (PARTITION BY account ORDER BY seq) AS wallet_balance,
        wallet_balance AS equity, 'stream' AS source
    FROM executions_stored"""

_COLD: Final = """
import sys, time
started = time.process_time(), time.perf_counter()
import duckdb
imported = time.process_time(), time.perf_counter()
con = duckdb.connect(sys.argv[1], read_only=True, config={"threads": 2})
opened = time.process_time(), time.perf_counter()
count = len(con.execute(sys.argv[2]).fetchall())
ended = time.process_time(), time.perf_counter()
steps = (imported, opened), (opened, ended)
print([count] + [1000 * (after[n] - before[n]) for before, after in steps for n in (0, 1)], file=sys.stderr)
"""
"""A process that asks once: opens the file, asks, takes the rows. Its import of DuckDB is not counted."""


def questions(data_dir: Path, fills: int, rounds: int = 3) -> Figures:
    """Make the history, then ask, each as often; the best counts."""
    store = Database(database_path(data_dir))
    store.prepare()
    with writing(store, "3GB") as con:
        _, took = _timed(lambda: make_history(con, fills))
        con.execute(_WALLETS)
        pairs, levels = (_one(con, f"SELECT count(*) FROM {name}") for name in ("grid_trades", "grid_levels"))
        day = _one(con, f"SELECT CAST(min(exchange_ts) AS DATE) FROM executions_stored WHERE seq = {fills // 16}")
    figures = [
        Figure(f"{fills:,} fills, {pairs:,} pairs, {levels:,} levels, {fills:,} wallet rows: file", _mb(store), "MB"),
        Figure("rows, sums and pairs made, once", took[0], "s", "CPU"),
    ]
    asked = {name: question.format(day=day) for name, question in QUESTIONS.items()}
    for name, question in asked.items():
        with connect(data_dir, config={"threads": "2"}) as con:
            answers = [_timed(lambda: con.execute(question).fetchall()) for _ in range(rounds)]  # noqa: B023 - at once
        cpu, wall = (min(times[at] for _, times in answers) * 1000 for at in (0, 1))
        figures.append(Figure(f"{name}: warm", cpu, "ms", f"CPU; {wall:.0f} by the clock, {len(answers[0][0]):,} rows"))
    for name in COLD:
        figures.append(_cold(store, name, asked[name]))
    found, (cpu, wall) = _timed(lambda: (check_balances(data_dir), differing_sums(data_dir)))
    assert found[0], "there are balances to check"
    assert all(balance.explained for balance in found[0]), "each balance is what the executions say"
    assert found[1] == [], "sums are those of the rows"
    figures.append(Figure("ledger check", cpu, "s", f"CPU; {wall:.1f} by the clock: all executions, added up by day"))
    return figures


def _cold(store: Database, name: str, question: str) -> Figure:
    store.close()
    with store.path.open("rb") as file:  # nobody has the database open here
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    command = [sys.executable, "-c", _COLD, str(store.path), question]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows, opening, opening_wall, asking, asking_wall = orjson.loads(done.stderr)
    told = f"CPU, {opening:.0f} of it opens the file; {opening_wall + asking_wall:.0f} by the clock, {rows:,} rows"
    return Figure(f"{name}: cold", opening + asking, "ms", told)


def _timed(work: Callable[[], Any]) -> tuple[Any, tuple[float, float]]:
    """What it returns; seconds of the processor and by the clock."""
    started = processor_s(), time.perf_counter()
    result = work()
    return result, (processor_s() - started[0], time.perf_counter() - started[1])


def _one(con: duckdb.DuckDBPyConnection, question: str) -> Any:
    row = con.execute(question).fetchone()
    assert row is not None
    return row[0]


def _mb(store: Database) -> float:
    return store.path.stat().st_size / 1e6
