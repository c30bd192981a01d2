"""The record path's published figures, each measured against what it replaces.

    python benchmarks/store.py            all of it (some ten minutes, about 6 GB of disk)
    python benchmarks/store.py --quick    a tenth of everything

* throughput: a worker process journals executions as fast as it can, and offers them to the queue every 50 ms as a
  worker does, until a writer process has committed all; baseline: the same rows inserted one by one, each committed, by
  sqlite3 with WAL, same run
* delay: from appending a record to a reader seeing it by SQL, at 200 records a second
* lag: the loop of a recording worker while the writer runs, and while it is stopped (SIGSTOP)
* flush: processor time of one transaction with and without the rollups, beside a million older executions
* recovery: a fresh database from the journals, and its size
* queries: over a history of fills, orders and position rows; cold (not in the page cache), first and warm in a
  connection, and beside the rollups the same answer from all rows

Every figure depends on what else the machine does: compare those of one run.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import multiprocessing
import os
import resource
import signal
import sqlite3
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb
import orjson
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.store_history import HISTORY, Figure, Figures, make_rollups, queries
from gridbot.records import codec
from gridbot.records.columns import columns_of
from gridbot.records.journal import Journal
from gridbot.records.journal_reader import JournalReader, journal_directory
from gridbot.records.record_types import ExecutionRecord, Header, OrderRecord, PositionRecord, UtcMs
from gridbot.records.recorder import Recorder
from gridbot.store.commit import Rows, commit
from gridbot.store.database import Database
from gridbot.store.reading import connect, database_path
from gridbot.store.rollups import ROLLUP_SOURCES
from gridbot.store.row_values import row_of
from gridbot.system_ports import SystemClock
from supervisor.store.writer import Writer, WriterSpec
from supervisor.store.writer_process import run_writer

CONTEXT = multiprocessing.get_context("spawn")
BATCH = 25
OFFER_S = 0.05


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
    recorder = Recorder(
        "alice", "run", Journal(journal_directory(data_dir, "alice"), "alice", "power"), queue, clock=SystemClock()
    )
    started = offered = time.perf_counter()
    for number in range(count):
        recorder.record(samples[number % 1000])
        if number % BATCH == BATCH - 1:
            recorder.write()
            if time.perf_counter() - offered > OFFER_S:
                recorder.flush()
                offered = time.perf_counter()
    recorder.flush()
    done.send((started, time.perf_counter(), processor_s()))
    recorder.close()


def processor_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def throughput(data_dir: Path, count: int) -> Figures:
    queue = CONTEXT.Queue(1000)
    ours, theirs = CONTEXT.Pipe(duplex=False)
    with writer_process(data_dir, {"alice": queue}) as (writer, health):
        worker = CONTEXT.Process(target=record_many, args=(data_dir, count, queue, theirs))
        worker.start()
        started, journaled, worker_s = ours.recv()
        committed = wait_committed(health, count)
        writer_usage = psutil.Process(writer.pid)
        writer_s = sum(writer_usage.cpu_times()[:2])
        peak_rss = int(Path(f"/proc/{writer.pid}/status").read_text().split("VmHWM:")[1].split()[0]) / 1000
        worker.join()
    ours_per_s = count / (committed - started)
    baseline = sqlite_row_by_row(data_dir, max(1000, count // 10))
    return [
        Figure("worker: journaled", count / (journaled - started), "records/s", "one core: JSON, checksum, write()"),
        Figure("worker: processor time", worker_s / count * 1e6, "us/record"),
        Figure("worker to committed", ours_per_s, "records/s", "the writer's one core; two cores shared with the rest"),
        Figure(
            "writer: processor time", writer_s / count * 1e6, "us/record", "DuckDB two thirds: parse JSON, compress"
        ),
        Figure("writer: memory at most", peak_rss, "MB", "one transaction: 122,880 records or 96 MB"),
        Figure("sqlite3, WAL, row by row", baseline, "records/s", "a commit, an fsync, a statement for each"),
        Figure("ratio to sqlite3", ours_per_s / baseline, "x"),
    ]


def sqlite_row_by_row(data_dir: Path, count: int) -> float:
    """The plain way: each record inserted and committed by itself, money as text to keep it exact. Records a second."""
    con = sqlite3.connect(data_dir / "baseline.sqlite", isolation_level=None)
    con.execute("PRAGMA journal_mode = WAL")
    names = [column.name for column in (*columns_of(Header), *columns_of(ExecutionRecord))]
    con.execute(f"CREATE TABLE executions ({', '.join(names)})")
    body = codec.encode("alice", "run", 1, 1, execution(1))[16:-1]
    row = [str(value) if not isinstance(value, int) else value for value in row_of(orjson.loads(body))]
    statement = f"INSERT INTO executions VALUES ({', '.join('?' * len(names))})"
    started = time.perf_counter()
    for number in range(count):
        row[2] = number
        con.execute(statement, row)
    took = time.perf_counter() - started
    con.close()
    return count / took


# -- delay ------------------------------------------------------------------------------------------------------------


def record_paced(data_dir: Path, rate: int, seconds: float, queue: Any) -> None:
    recorder = Recorder(
        "alice", "run", Journal(journal_directory(data_dir, "alice"), "alice", "power"), queue, clock=SystemClock()
    )
    started, sent = time.perf_counter(), 0
    while sent < rate * seconds:
        while sent < (time.perf_counter() - started) * rate:
            sent += 1
            recorder.record(execution(sent, time.time_ns() // 1_000_000))
            recorder.flush()
        time.sleep(0.002)
    recorder.close()


def delay(data_dir: Path, rate: int, seconds: float) -> Figures:
    queue = CONTEXT.Queue(1000)
    seen, delays = 0, []
    with writer_process(data_dir, {"alice": queue}):
        worker = CONTEXT.Process(target=record_paced, args=(data_dir, rate, seconds, queue))
        worker.start()
        while seen < rate * seconds:
            with connect(data_dir, timeout_s=30) as con:
                rows = con.execute("SELECT seq, epoch_us(local_ts) FROM executions WHERE seq > ?", [seen]).fetchall()
            now = time.time_ns() // 1000
            delays += [(now - stamp) / 1000 for _, stamp in rows]
            seen = max([seen, *(seq for seq, _ in rows)])
            time.sleep(0.05)
        worker.join()
    beat = "the writer's beat of 0.5 s, its flush, the reader's look each 50 ms"
    return [
        Figure(f"delay to SQL at {rate}/s, p50", quantile(delays, 0.5), "ms", beat),
        Figure("p99", quantile(delays, 0.99), "ms"),
        Figure("max", max(delays), "ms"),
    ]


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


def loop_lag(data_dir: Path, rate: int, seconds: float) -> Figures:
    queue = CONTEXT.Queue(1000)
    figures = []
    with writer_process(data_dir, {"alice": queue}) as (process, health):
        recorder = Recorder(
            "alice", "run", Journal(journal_directory(data_dir, "alice"), "alice", "power"), queue, clock=SystemClock()
        )
        for name in ("running", "stopped"):
            if name == "stopped":
                os.kill(process.pid, signal.SIGSTOP)
            lags = asyncio.run(_lags(recorder, rate, seconds))
            figures += [
                Figure(f"loop lag at {rate}/s, writer {name}, p50", statistics.median(lags), "ms"),
                Figure("p99", quantile(lags, 0.99), "ms", "other processes; nothing waits for the writer"),
            ]
        os.kill(process.pid, signal.SIGCONT)
        last = recorder.last_seq
        started = time.perf_counter()
        figures.append(Figure("caught up after", wait_committed(health, last) - started, "s", "a report each second"))
        recorder.close()
    return figures


# -- what a flush costs -----------------------------------------------------------------------------------------------


def flush_cost(data_dir: Path, history: int, rounds: int) -> Figures:
    store = Database(database_path(data_dir))
    store.prepare()
    with duckdb.connect(str(store.path)) as con:
        con.execute(HISTORY.format(first=0, last=history))
        make_rollups(con)
    figures = []
    for count in (5, 100, 5000):
        times: dict[bool, list[float]] = {True: [], False: []}
        for _ in range(rounds):
            for with_rollups in times:  # by turns, so that both meet the same weather
                sources = ROLLUP_SOURCES if with_rollups else frozenset()
                with mock.patch("gridbot.store.commit.ROLLUP_SOURCES", sources):
                    times[with_rollups].append(_flush(store, count))
        with_them, without = statistics.median(times[True]), statistics.median(times[False])
        figures += [
            Figure(f"flush of {count} executions and orders, 2 positions", with_them, "ms", "planning statements"),
            Figure("without rollups", without, "ms", "open, commit, close: some 30 ms at any size"),
        ]
    return figures


def _flush(store: Database, count: int) -> float:
    """Processor milliseconds of one transaction."""
    records: dict[str, list[Any]] = {
        "executions": [execution(number, time.time_ns() // 1_000_000) for number in range(count)],
        "orders": [order(number) for number in range(count)],
        "position_events": [position(side) for side in ("long", "short")],
    }
    tables = {
        table: [codec.encode("alice", "run", seq, 1, record)[16:-1] for seq, record in enumerate(found, start=1)]
        for table, found in records.items()
    }
    started = processor_s()
    with store.open() as con:
        commit(con, Rows(tables, {"alice": count}))
    return (processor_s() - started) * 1000


def order(number: int) -> OrderRecord:
    return OrderRecord(
        strategy="btc_grid",
        symbol="BTCUSDT",
        order_link_id=f"g1a2b3c-{number:08d}",
        order_id=f"c0f4a2b1-9a44-4d52-{number:012d}",
        direction="long",
        side="Buy",
        price=Decimal("104233.10"),
        qty=Decimal("0.012"),
        cum_exec_qty=Decimal(0),
        reduce_only=False,
        state="open" if number % 2 else "filled",
    )


def position(direction: str) -> PositionRecord:
    return PositionRecord(strategy="btc_grid", symbol="BTCUSDT", direction=direction, size=Decimal("0.1"))


# -- recovery ------------------------------------------------------------------------------------------------------


def recovery(data_dir: Path, count: int) -> Figures:
    recorder = Recorder(
        "alice", "run", Journal(journal_directory(data_dir, "alice"), "alice", "process"), clock=SystemClock()
    )
    sample = execution(0)
    for number in range(count):
        ids: dict[str, Any] = {"exec_id": str(uuid.uuid4()), "order_id": str(uuid.uuid4())}
        stamp = UtcMs(1_700_000_000_000 + number * 30)
        recorder.record(dataclasses.replace(sample, **ids, order_link_id=f"g1a2b3c-{number:08d}", exchange_ts=stamp))
        if number % 1000 == 999:
            recorder.flush()
    recorder.close()
    started = time.perf_counter()
    assert _read_all(data_dir) == count
    checked = time.perf_counter()
    writer = Writer(WriterSpec(data_dir, ("alice",)), {})
    while writer.flush():
        pass
    took = time.perf_counter() - checked
    writer.close()
    size = database_path(data_dir).stat().st_size / count
    return [
        Figure(f"{count:,} journaled records, read and checked", checked - started, "s", "one core: checksums"),
        Figure("a new database from them", took, "s", "one core: as the writer above"),
        Figure("rate", count / took, "records/s"),
        Figure("database, per million executions", size, "MB", "three ids of which two are random; DuckDB compresses"),
        Figure("journal, per million executions", recorder.stats.bytes_written / count, "MB", "JSON with its keys"),
    ]


def _read_all(data_dir: Path) -> int:
    reader, read = JournalReader(journal_directory(data_dir, "alice")), 0
    while bodies := reader.read().bodies:
        read += len(bodies)
    return read


def show(figures: Figures) -> None:
    for figure in figures:
        value = f"{figure.value:,.0f}" if figure.value >= 100 else f"{figure.value:.3g}"
        print(f"{figure.what:<58} {value:>10} {figure.unit:<12} {figure.limit}".rstrip(), flush=True)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_const", const=10, default=1, dest="part", help="a tenth of everything")
    parser.add_argument("--part", type=int, default=1, help="or another part: 1000 is a thousandth, no figure at all")
    parser.add_argument("--only", choices=["throughput", "delay", "lag", "flush", "recovery", "queries"])
    parser.add_argument("--json", action="store_true", help="one JSON object for each part instead of the table")
    return parser.parse_args(given)


def main() -> None:
    options = arguments()
    part = options.part
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        steps: dict[str, Callable[[], Figures]] = {
            "throughput": lambda: throughput(root / "throughput", 2_000_000 // part),
            "delay": lambda: delay(root / "delay", 200, 60 / part),
            "lag": lambda: loop_lag(root / "lag", 1000, 20 / part),
            "flush": lambda: flush_cost(root / "flush", 1_000_000 // part, max(2, 30 // part)),
            "recovery": lambda: recovery(root / "recovery", 1_000_000 // part),
            "queries": lambda: queries(root / "queries", 10_000_000 // part),
        }
        for name, step in steps.items():
            if options.only in (None, name):
                before = os.getloadavg()[0]
                figures = step()
                if options.json:
                    print(orjson.dumps({name: figures}).decode(), flush=True)
                    continue
                print(f"\n{name} (load {before:.1f} before, {os.getloadavg()[0]:.1f} after)")
                show(figures)


if __name__ == "__main__":
    main()
