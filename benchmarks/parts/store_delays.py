"""How long until a record is seen by SQL, and what a stopped writer does to a worker."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks.parts.store_history import Figure, Figures
from benchmarks.parts.store_setup import CONTEXT, execution, quantile, wait_committed, writer_process
from gridbot.records.journal import Journal
from gridbot.records.journal_reader import journal_directory
from gridbot.records.record_queue import record_queue
from gridbot.records.recorder import Recorder
from gridbot.store.reading import connect
from gridbot.system_ports import SystemClock


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
    queue, receiver = record_queue()
    seen, delays = 0, []
    with writer_process(data_dir, {"alice": receiver}):
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
    beat = "the writer's beat of 0.85 s, its flush, the reader's look each 50 ms"
    return [
        Figure(f"delay to SQL at {rate}/s, p50", quantile(delays, 0.5), "ms", beat),
        Figure("p99", quantile(delays, 0.99), "ms"),
        Figure("max", max(delays), "ms"),
    ]


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
    queue, receiver = record_queue()
    figures = []
    with writer_process(data_dir, {"alice": receiver}) as (process, health, _):
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
