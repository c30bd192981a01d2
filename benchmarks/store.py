"""The record path's published figures, each measured against what it replaces.

    python benchmarks/store.py            all of it (some minutes, about 4 GB of disk)
    python benchmarks/store.py --quick    a tenth of everything

* throughput: a worker process journals executions and passes them by queue to a writer process, until all are
  committed; baseline: the same rows inserted one by one, each committed, by sqlite3 with
  WAL, same run
* delay: from appending a record to a reader seeing it by SQL, at 200 records a second
* loop lag of a recording worker while the writer is stopped (SIGSTOP)
* recovery: a fresh database from the journals
* queries over a history of fills
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import signal
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import orjson

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gridbot import codec
from gridbot.journal import Journal
from gridbot.journal_reader import JournalReader, journal_directory
from gridbot.reading import connect, database_path
from gridbot.recorder import Recorder
from gridbot.records import ExecutionRecord, Header, UtcMs
from supervisor.store.database import Database
from supervisor.store.writer import Writer, WriterSpec
from supervisor.store.writer_process import run_writer

CONTEXT = multiprocessing.get_context("spawn")
BATCH = 25


def execution(number: int, now_ms: int = 1_700_000_000_000) -> ExecutionRecord:
    return ExecutionRecord(
        strategy="btc_grid",
        symbol="BTCUSDT",
        exec_id=f"7d1f6f2a-5b3c-4e8f-{number:012d}",
        order_id=f"c0f4a2b1-9a44-4d52-{number:012d}",
        order_link_id=f"g1a2b3c-{number:08d}",
        direction="long",
        side="Buy",
        price=Decimal("104233.10") + number % 1000,
        qty=Decimal("0.012"),
        leaves_qty=Decimal(0),
        closed_size=Decimal("0.012"),
        fee=Decimal("0.25015944"),
        realised_pnl=Decimal("1.2034"),
        exec_type="Trade",
        is_maker=True,
        exchange_ts=UtcMs(now_ms + number),
    )


@contextmanager
def writer_process(data_dir: Path, queues: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    health, health_child = CONTEXT.Pipe(duplex=False)
    life_child, life = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(
        target=run_writer, args=(WriterSpec(data_dir, tuple(queues)), queues, health_child, life_child)
    )
    process.start()
    health_child.close()
    life_child.close()
    assert health.recv()["type"] == "ready"
    try:
        yield process, health
    finally:
        life.close()
        process.join()


def wait_committed(health: Any, count: int) -> float:
    """Time of the report that says `count` records of alice are committed; reports come each second."""
    while True:
        message = health.recv()
        if message.get("committed", {}).get("alice", 0) >= count:
            return time.perf_counter()


# -- throughput -------------------------------------------------------------------------------------------------------


def record_many(data_dir: Path, count: int, queue: Any, done: Any) -> None:
    samples = [execution(number) for number in range(1000)]
    recorder = Recorder("alice", "run", Journal(journal_directory(data_dir, "alice"), "alice", "power"), queue)
    started = time.perf_counter()
    offered = started
    for number in range(count):
        recorder.record(samples[number % 1000])
        if number % BATCH == BATCH - 1:
            recorder.write()
            if time.perf_counter() - offered > 0.05:
                recorder.flush()
                offered = time.perf_counter()
    recorder.flush()
    done.send((started, time.perf_counter(), recorder.stats.queue_dropped))
    recorder.close()


def throughput(data_dir: Path, count: int) -> dict[str, Any]:
    queue = CONTEXT.Queue(1000)
    ours, theirs = CONTEXT.Pipe(duplex=False)
    with writer_process(data_dir, {"alice": queue}) as (_, health):
        worker = CONTEXT.Process(target=record_many, args=(data_dir, count, queue, theirs))
        worker.start()
        started, journaled, dropped = ours.recv()
        committed = wait_committed(health, count)
        worker.join()
    return {
        "records": count,
        "journaled_per_s": round(count / (journaled - started)),
        "committed_per_s": round(count / (committed - started)),
        "batches_not_by_queue": dropped,
        "bytes_per_million_executions": round(database_path(data_dir).stat().st_size / count * 1e6),
    }


def sqlite_row_by_row(data_dir: Path, count: int) -> dict[str, Any]:
    """The plain way: each record inserted and committed by itself, money as text to keep it exact."""
    path = data_dir / "baseline.sqlite"
    con = sqlite3.connect(path, isolation_level=None)
    con.execute("PRAGMA journal_mode = WAL")
    names = [column.name for column in (*codec.columns(Header), *codec.columns(ExecutionRecord))]
    con.execute(f"CREATE TABLE executions ({', '.join(names)})")
    body = codec.encode("alice", "run", 1, 1, execution(1))[16:-1]
    row = [str(value) if not isinstance(value, int) else value for value in codec.row_of(orjson.loads(body))]
    statement = f"INSERT INTO executions VALUES ({', '.join('?' * len(names))})"
    started = time.perf_counter()
    for number in range(count):
        row[2] = number
        con.execute(statement, row)
    took = time.perf_counter() - started
    con.close()
    return {
        "records": count,
        "committed_per_s": round(count / took),
        "bytes_per_million_executions": round(path.stat().st_size / count * 1e6),
    }


# -- delay ------------------------------------------------------------------------------------------------------------


def record_paced(data_dir: Path, rate: int, seconds: float, queue: Any) -> None:
    recorder = Recorder("alice", "run", Journal(journal_directory(data_dir, "alice"), "alice", "power"), queue)
    started, sent = time.perf_counter(), 0
    while sent < rate * seconds:
        while sent < (time.perf_counter() - started) * rate:
            sent += 1
            recorder.record(execution(sent, time.time_ns() // 1_000_000))
            recorder.flush()
        time.sleep(0.002)
    recorder.close()


def delay(data_dir: Path, rate: int, seconds: float) -> dict[str, Any]:
    queue = CONTEXT.Queue(1000)
    seen, delays, reads = 0, [], 0
    with writer_process(data_dir, {"alice": queue}):
        worker = CONTEXT.Process(target=record_paced, args=(data_dir, rate, seconds, queue))
        worker.start()
        while seen < rate * seconds:
            with connect(data_dir, timeout_s=30) as con:
                rows = con.execute("SELECT seq, epoch_us(local_ts) FROM executions WHERE seq > ?", [seen]).fetchall()
            now = time.time_ns() // 1000
            delays += [(now - stamp) / 1000 for _, stamp in rows]
            seen = max([seen, *(seq for seq, _ in rows)])
            reads += 1
            time.sleep(0.05)
        worker.join()
    return {
        "records_per_s": rate,
        "reads": reads,
        "p50_ms": round(quantile(delays, 0.5)),
        "p99_ms": round(quantile(delays, 0.99)),
        "max_ms": round(max(delays)),
    }


def quantile(values: Sequence[float], q: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * q))]


# -- the worker's loop while the writer is stopped --------------------------------------------------------------------


async def _lags(recorder: Recorder, rate: int, seconds: float) -> list[float]:
    lags, started, sent = [], time.perf_counter(), 0
    while (now := time.perf_counter() - started) < seconds:
        while sent < now * rate:
            sent += 1
            recorder.record(execution(sent))
        recorder.flush()
        before = time.perf_counter()
        await asyncio.sleep(0.005)
        lags.append((time.perf_counter() - before - 0.005) * 1000)
    return lags


def loop_lag(data_dir: Path, rate: int, seconds: float) -> dict[str, Any]:
    queue = CONTEXT.Queue(1000)
    figures: dict[str, Any] = {"records_per_s": rate}
    with writer_process(data_dir, {"alice": queue}) as (process, health):
        recorder = Recorder("alice", "run", Journal(journal_directory(data_dir, "alice"), "alice", "power"), queue)
        for name in ("running", "stopped"):
            if name == "stopped":
                os.kill(process.pid, signal.SIGSTOP)
            lags = asyncio.run(_lags(recorder, rate, seconds))
            figures[f"writer_{name}_p50_ms"] = round(statistics.median(lags), 2)
            figures[f"writer_{name}_p99_ms"] = round(quantile(lags, 0.99), 2)
        figures["batches_not_by_queue"] = recorder.stats.queue_dropped
        os.kill(process.pid, signal.SIGCONT)
        last = recorder.last_seq
        started = time.perf_counter()
        figures["caught_up_after_s"] = round(wait_committed(health, last) - started, 2)
        recorder.close()
    return figures


# -- recovery and queries ---------------------------------------------------------------------------------------------


def recovery(data_dir: Path, count: int) -> dict[str, Any]:
    recorder = Recorder("alice", "run", Journal(journal_directory(data_dir, "alice"), "alice", "process"))
    samples = [execution(number) for number in range(1000)]
    for number in range(count):
        recorder.record(samples[number % 1000])
        if number % 1000 == 999:
            recorder.flush()
    recorder.close()
    started = time.perf_counter()
    read = _read_all(data_dir)
    checked = time.perf_counter()
    writer = Writer(WriterSpec(data_dir, ("alice",)), {})
    while writer.flush():
        pass
    took = time.perf_counter() - checked
    writer.close()
    return {
        "records": read,
        "read_and_checked_s": round(checked - started, 2),
        "database_from_journals_s": round(took, 1),
        "records_per_s": round(count / took),
    }


def _read_all(data_dir: Path) -> int:
    reader, read = JournalReader(journal_directory(data_dir, "alice")), 0
    while bodies := reader.read().bodies:
        read += len(bodies)
    return read


HISTORY = """
INSERT INTO executions BY NAME
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
INSERT INTO position_events BY NAME
SELECT 'account' || (i % 8) AS account, 'run' AS run_id, i // 8 AS seq,
    TIMESTAMP '2025-01-01' + INTERVAL (i) SECOND AS local_ts, 'grid' || (i % 24) AS strategy,
    ['BTCUSDT', 'ETHUSDT', 'SOLUSDT'][1 + i % 3] AS symbol, IF(i % 2 = 0, 'long', 'short') AS direction,
    (i % 900) / 1000 AS size, 1 AS multiplier_buy, 1 AS multiplier_sell, '' AS rule, false AS shadow, 'stream' AS source
FROM range(0, {last}) r(i)"""

QUERIES = {
    "pnl by strategy and day": "SELECT * FROM pnl_daily",
    "pnl by strategy, whole history": "SELECT * FROM pnl_by_strategy",
    "pnl by strategy, last 30 days": "SELECT strategy, sum(realised_pnl - fee) FROM fills "
    "WHERE exchange_ts > (SELECT max(exchange_ts) FROM fills) - INTERVAL 30 DAY GROUP BY 1",
    "latest positions": "SELECT * FROM positions",
    "last 50 fills of an account": "SELECT * FROM fills WHERE account = 'account3' ORDER BY seq DESC LIMIT 50",
    "grid profit by level": "SELECT * FROM grid_levels",
}


def queries(data_dir: Path, fills: int) -> dict[str, Any]:
    database = Database(database_path(data_dir))
    database.prepare()
    with duckdb.connect(str(database.path)) as con:
        con.execute("SET memory_limit = '2GB'")
        for first in range(0, fills, 1_000_000):
            con.execute(HISTORY.format(first=first, last=min(fills, first + 1_000_000)))
        con.execute(POSITIONS.format(last=fills // 5))
    figures: dict[str, Any] = {"fills": fills, "bytes": database.path.stat().st_size}
    with connect(data_dir) as con:
        views = {row[0] for row in con.execute("SELECT view_name FROM duckdb_views()").fetchall()}
        for name, statement in QUERIES.items():
            if statement.rsplit(" ", 1)[-1] == "grid_levels" and "grid_levels" not in views:
                continue
            times: list[float] = []
            for _ in range(5):
                started = time.perf_counter()
                con.execute(statement).fetchall()
                times.append((time.perf_counter() - started) * 1000)
                if times[0] > 10_000:
                    break  # once is enough
            print(name, round(times[0]), file=sys.stderr, flush=True)
            figures[f"{name}, ms"] = {"first": round(times[0]), "warm": round(statistics.median(times[1:] or times))}
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--only", choices=["throughput", "delay", "lag", "recovery", "queries"])
    options = parser.parse_args()
    part = 10 if options.quick else 1
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        steps = {
            "throughput": lambda: {
                "gridbot": throughput(root / "throughput", 1_000_000 // part),
                "sqlite3 row by row": sqlite_row_by_row(root / "throughput", 100_000 // part),
            },
            "delay": lambda: delay(root / "delay", 200, 30 / part),
            "lag": lambda: loop_lag(root / "lag", 1000, 20 / part),
            "recovery": lambda: recovery(root / "recovery", 1_000_000 // part),
            "queries": lambda: queries(root / "queries", 10_000_000 // part),
        }
        for name, step in steps.items():
            if options.only in (None, name):
                print(orjson.dumps({name: step()}, option=orjson.OPT_INDENT_2).decode(), flush=True)


if __name__ == "__main__":
    main()
