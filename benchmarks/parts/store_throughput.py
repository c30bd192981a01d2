"""How many records a second, beside sqlite3 row by row."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import psutil

from benchmarks.parts.store_history import Figure, Figures
from benchmarks.parts.store_setup import (
    CONTEXT,
    execution,
    processor_s,
    wait_matched,
    writer_process,
)
from gridbot.records import codec
from gridbot.records.columns import columns_of
from gridbot.records.journal import Journal
from gridbot.records.journal_reader import journal_directory
from gridbot.records.record_queue import record_queue
from gridbot.records.record_types import ExecutionRecord, Header
from gridbot.records.recorder import Recorder
from gridbot.store.row_values import row_of
from gridbot.system_ports import SystemClock

BATCH = 25
OFFER_S = 0.05


def record_many(data_dir: Path, count: int, queue: Any, done: Any) -> None:
    # Opened and closed in turns, and none earlier than the one before: each that is late has its leg matched again.
    first = execution(0)
    samples = [
        replace(
            execution(number),
            exchange_ts=first.exchange_ts,
            closed_size=first.qty if number % 2 else Decimal(0),
            side="Sell" if number % 2 else "Buy",
        )
        for number in range(1000)
    ]
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


def throughput(data_dir: Path, count: int) -> Figures:
    queue, receiver = record_queue()
    ours, theirs = CONTEXT.Pipe(duplex=False)
    with writer_process(data_dir, {"alice": receiver}, count) as (writer, health, told):
        worker = CONTEXT.Process(target=record_many, args=(data_dir, count, queue, theirs))
        worker.start()
        started, journaled, worker_s = ours.recv()
        committed, writer_s = told.recv()
        writer_usage = psutil.Process(writer.pid)
        worker.join()
        report = health.recv()
        while report["committed"].get("alice", 0) < count:  # of before that commit: reports come each second
            report = health.recv()
        unmatched = int(report["unmatched"])
        before_s = sum(writer_usage.cpu_times()[:2])
        wait_matched(health, unmatched)
        matching_s = sum(writer_usage.cpu_times()[:2]) - before_s
        peak_rss = int(Path(f"/proc/{writer.pid}/status").read_text().split("VmHWM:")[1].split()[0]) / 1000
    ours_per_s = count / (committed - started)
    baseline = sqlite_row_by_row(data_dir, max(1000, count // 10))
    return [
        Figure(
            "worker: journaled", count / (journaled - started), "records/s", "one core: blocks of 25, checksum, write()"
        ),
        Figure("worker: processor time", worker_s / count * 1e6, "us/record"),
        Figure("worker to committed", ours_per_s, "records/s", "the writer's one core; two cores shared with the rest"),
        Figure(
            "writer: processor time",
            writer_s / count * 1e6,
            "us/record",
            "DuckDB three quarters: parse lines, compress three ids",
        ),
        Figure(
            "their pairs, matched behind it: processor time",
            matching_s / max(1, unmatched) * 1e6,
            "us/execution",
            f"{unmatched:,} waited, soon after all were committed",
        ),
        Figure("writer: memory at most", peak_rss, "MB", "one transaction: 84,000 to 98,000 records or 96 MB"),
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
