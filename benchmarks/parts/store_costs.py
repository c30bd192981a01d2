"""What one flush costs, with and without rollups, and what a recovery from the journals takes."""

from __future__ import annotations

import dataclasses
import statistics
import time
import uuid
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.parts.store_history import Figure, Figures, make_rollups, put_history, writing
from benchmarks.parts.store_setup import execution, link_id, order, position, processor_s
from gridbot.records import codec
from gridbot.records.block_reader import is_block, read_block
from gridbot.records.journal import Journal
from gridbot.records.journal_compaction import JournalCompaction
from gridbot.records.journal_reader import JournalReader, journal_directory
from gridbot.records.record_types import UtcMs
from gridbot.records.recorder import Recorder
from gridbot.store.commit import Rows
from gridbot.store.database import Database
from gridbot.store.landing import put
from gridbot.store.reading import database_path
from gridbot.store.rollups import ROLLUP_SOURCES
from gridbot.system_ports import SystemClock
from supervisor.store.writer import Writer, WriterSpec


def flush_cost(data_dir: Path, history: int, rounds: int) -> Figures:
    store = Database(database_path(data_dir))
    store.prepare()
    with writing(store) as con:
        put_history(con, 0, history)
        make_rollups(con)
    figures = []
    for count in (5, 100, 5000):
        times: dict[str, list[float]] = {"landed": [], "stored": [], "without rollups": []}
        for _ in range(rounds):
            for way, found in times.items():  # by turns, so that all meet the same weather
                sources = frozenset() if way == "without rollups" else ROLLUP_SOURCES
                with mock.patch("gridbot.store.commit.ROLLUP_SOURCES", sources):
                    found.append(flushed(store, count, lands=way == "landed"))
        landed, stored, without = map(statistics.median, times.values())
        figures += [
            Figure(
                f"{count} executions and orders, 2 positions: landed", landed, "ms", "the catalogue, read and written"
            ),
            Figure("into their tables, with all that landed", stored, "ms", "planning statements"),
            Figure("without rollups", without, "ms", "open, commit, close: some 30 ms at any size"),
        ]
    return figures


def flushed(store: Database, count: int, *, lands: bool) -> float:
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
        put(con, Rows(tables, {"alice": count}), lands=lands)
    return (processor_s() - started) * 1000


def recovery(data_dir: Path, count: int) -> Figures:
    directory = journal_directory(data_dir, "alice")
    journal = Journal(directory, "alice", "process", segment_bytes=min(8 * 1024 * 1024, 20 * count))
    recorder = Recorder("alice", "run", journal, clock=SystemClock())
    sample = execution(0)
    for number in range(count):
        ids: dict[str, Any] = {"exec_id": str(uuid.uuid4()), "order_id": str(uuid.uuid4())}
        stamp = UtcMs(1_700_000_000_000 + number * 30)
        recorder.record(dataclasses.replace(sample, **ids, order_link_id=link_id(number), exchange_ts=stamp))
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
    segments = sorted(journal_directory(data_dir, "alice").glob("*.journal"))
    compacting = processor_s()
    compaction = JournalCompaction(data_dir, quiet_s=0.0, look_s=0.0)
    while compaction.step({"alice": count}, 0.0):
        pass
    compact_s = processor_s() - compacting
    finished = int(segments[-1].stem) - 1
    compact = sum(path.stat().st_size for path in segments[:-1]) / max(1, finished)
    return [
        Figure(f"{count:,} journaled records, read and checked", checked - started, "s", "one core: checksums"),
        Figure("a new database from them", took, "s", "one core: as the writer above"),
        Figure("rate", count / took, "records/s"),
        Figure("database, per million executions", size, "MB", "three ids of which two are random; DuckDB compresses"),
        Figure(
            "journal, per million executions",
            recorder.stats.bytes_written / count,
            "MB",
            "blocks of 1,000; two random ids",
        ),
        Figure("the same in compacted segments", compact, "MB", "zlib; what is left are the two ids"),
        Figure("compacting it, processor time", compact_s * 1e6 / max(1, finished), "us/record", "made, and compared"),
    ]


def _read_all(data_dir: Path) -> int:
    reader, read = JournalReader(journal_directory(data_dir, "alice")), 0
    while bodies := reader.read().bodies:
        for body in bodies:
            block = read_block(body) if is_block(body) else None
            read += block.last - block.first + 1 if block else 1
    return read
