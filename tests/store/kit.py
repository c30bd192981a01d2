"""Helpers of the store's tests: records, and processes that record or write."""

from __future__ import annotations

import contextlib
import functools
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from gridbot.records.journal import Journal
from gridbot.records.journal_reader import journal_directory
from gridbot.records.record_queue import QueueReceiver
from gridbot.records.record_types import ExecutionRecord, TickerRecord, UtcMs
from gridbot.records.recorder import Recorder
from gridbot.store.commit import Rows
from gridbot.store.context_rows import take_over_rows
from gridbot.store.landing import KnownOrder, put
from gridbot.store.reading import attach, database_path
from gridbot.store.sql_columns import LANDED, as_stored
from gridbot.system_ports import SystemClock
from supervisor.store.writer import Writer, WriterSpec
from supervisor.store.writer_process import run_writer
from tests.fork_server import CONTEXT as CONTEXT

WAIT_S = 30.0


def execution(number: int, **changes: Any) -> ExecutionRecord:
    """An execution whose exec_id and quantity carry its number."""
    values: dict[str, Any] = {
        "strategy": "btc",
        "symbol": "BTCUSDT",
        "exec_id": f"e-{number}",
        "order_id": f"o-{number}",
        "order_link_id": f"g-{number}",
        "direction": "long",
        "side": "Buy",
        "price": Decimal("104233.10"),
        "qty": Decimal(number) / 1000,
        "leaves_qty": Decimal(0),
        "closed_size": Decimal(0),
        "fee": Decimal("0.0208"),
        "realised_pnl": Decimal("0.1"),
        "exec_type": "Trade",
        "is_maker": True,
        "exchange_ts": UtcMs(1_700_000_000_000 + number),
    }
    return ExecutionRecord(**(values | changes))


def record_executions(recorder: Recorder, numbers: Iterable[int]) -> None:
    """Record the executions of these numbers and write them to the journal."""
    for number in numbers:
        recorder.record(execution(number))
    recorder.flush()


def flush_all(writer: Writer) -> None:
    """Have the writer commit everything that is there."""
    while writer.flush():
        pass


def ticker(number: int) -> TickerRecord:
    return TickerRecord(symbol="BTCUSDT", last_price=Decimal(number))


def until(condition: Callable[[], Any], what: str, timeout_s: float = WAIT_S) -> Any:
    """The first true answer of a condition."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}"
        time.sleep(0.02)


class WallClock(SystemClock):
    """The machine's time, but `wall_us` says what the wall clock shows."""

    def __init__(self, wall_us: Callable[[], int]) -> None:
        self._wall_us = wall_us

    def wall_us(self) -> int:
        return self._wall_us()


def make_recorder(data_dir: Path, account: str = "alice", queue: Any = None, **kwargs: Any) -> Recorder:
    durability = kwargs.pop("durability", "process")
    segment_bytes = kwargs.pop("segment_bytes", 8 * 1024 * 1024)
    directory, disk = journal_directory(data_dir, account), kwargs.pop("disk", None)
    journal = Journal(directory, account, durability, segment_bytes=segment_bytes, disk=disk)
    clock_us = kwargs.pop("clock_us", None)
    clock = WallClock(clock_us) if clock_us else SystemClock()
    return Recorder(account, f"run-{os.getpid()}", journal, queue, clock=clock, **kwargs)


@dataclass
class WriterProcess:
    """A real writer process and the supervisor's ends of its pipes."""

    process: Any
    health: Any
    life: Any
    last: dict[str, Any]

    def poll(self) -> dict[str, Any]:
        """Newest message of the writer."""
        with contextlib.suppress(EOFError):
            while self.health.poll():
                self.last = self.health.recv()
        return self.last

    def wait_health(self, condition: Callable[[dict[str, Any]], Any], what: str) -> dict[str, Any]:
        until(lambda: condition(self.poll()), what)
        return self.last

    def wait_committed(self, account: str, seq: int) -> dict[str, Any]:
        return self.wait_health(lambda m: m.get("committed", {}).get(account, 0) >= seq, f"{account} at {seq}")

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def stop(self) -> int | None:
        """Close the life pipe as a dying supervisor does; the exit code."""
        self.life.close()
        self.process.join(WAIT_S)
        code: int | None = self.process.exitcode
        return code


def start_writer(
    data_dir: Path,
    accounts: tuple[str, ...] = ("alice",),
    queues: Mapping[str, QueueReceiver] | None = None,
    **kwargs: Any,
) -> WriterProcess:
    health, health_child = CONTEXT.Pipe(duplex=False)
    life_child, life = CONTEXT.Pipe(duplex=False)
    kwargs.setdefault("flush_interval", 0.05)
    spec = WriterSpec(data_dir, accounts, **kwargs)
    process = CONTEXT.Process(target=run_writer, args=(spec, queues or {}, health_child, life_child))
    process.start()
    health_child.close()
    life_child.close()
    return WriterProcess(process, health, life, {})


@contextlib.contextmanager
def writing(data_dir: Path, *args: Any, **kwargs: Any) -> Iterator[WriterProcess]:
    """A writer process that is ready; ended afterwards whatever happens."""
    writer = start_writer(data_dir, *args, **kwargs)
    try:
        assert writer.health.poll(WAIT_S), "the writer says nothing"
        writer.last = writer.health.recv()
        if writer.last["type"] == "holds_nothing":
            writer.last = writer.health.recv()
        assert writer.last["type"] == "ready", writer.last
        yield writer
    finally:
        writer.kill()


def flush_without_an_answer(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flush whose commit is done while the writer must believe that it failed."""

    def write_and_fail(con: duckdb.DuckDBPyConnection, batch: Rows, *, lands: bool, order: KnownOrder) -> None:
        put(con, batch, lands=lands, order=order)
        raise duckdb.IOException("the answer got lost")

    with monkeypatch.context() as patch:
        patch.setattr("supervisor.store.writer.put", write_and_fail)
        with pytest.raises(duckdb.IOException):
            writer.flush()


HOLD = """
import duckdb, sys, time
while True:
    try:
        held = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "ro")
        break
    except duckdb.IOException:  # the writer has the file just now
        time.sleep(0.005)
print(1, flush=True)
sys.stdin.read()
"""


def hold(data_dir: Path, mode: str) -> subprocess.Popen[str]:
    """Another program that opens the file (mode "ro" or "rw") and keeps it open until it is killed."""
    args = [sys.executable, "-c", HOLD, str(database_path(data_dir)), mode]
    pipe = subprocess.PIPE
    holder = subprocess.Popen(args, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
    assert holder.stdout is not None
    ready, _, _ = select.select([holder.stdout], [], [], 2 * WAIT_S)
    if not ready or not holder.stdout.readline():
        holder.kill()
        raise AssertionError(f"no program got the file within {2 * WAIT_S} s")
    return holder


def rows(data_dir: Path, statement: str) -> list[tuple[Any, ...]]:
    """What the records say. An engine takes longer to start than most questions: this process has one for all."""
    con, name = _engine(), f'"{database_path(data_dir).stem}"'
    attach(con, data_dir, name, timeout_s=WAIT_S)
    try:
        con.execute(f"USE {name}")
        return con.execute(statement).fetchall()
    finally:
        con.execute("USE memory")
        con.execute(f"DETACH {name}")


@functools.cache
def _engine() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})


def put_executions(con: duckdb.DuckDBPyConnection, query: str) -> None:
    """Store rows of a query that has the columns of executions, or most of them."""
    types = {name: kind for name, kind, *_ in con.execute(f"DESCRIBE {query}").fetchall()}
    take_over_rows(con, types, f"({query})")


def sequences(data_dir: Path, table: str = "executions") -> dict[str, list[int]]:
    """Numbers of each account in the order in which they are stored."""
    found: dict[str, list[int]] = {}
    statement = f"""
        SELECT account, seq FROM (
            SELECT 0 AS place, rowid AS row, account, seq FROM {as_stored(table)}
            UNION ALL SELECT 1, rowid, account, seq FROM {LANDED} WHERE kind = '{table}')
        ORDER BY place, row"""
    for account, seq in rows(data_dir, statement):
        found.setdefault(account, []).append(seq)
    return found


def fill(number: int) -> ExecutionRecord:
    """An execution that opens or, each second one, closes as much; each fiftieth comes 0.7 s late.

    Sizes stay those of a grid: a pair is cut at each size that the leg ever had between its ends, so ever larger ones
    would give pieces by the square of the executions.
    """
    plain = replace(execution(number), qty=Decimal((number + 1) // 2 % 7 + 1) / 1000)
    return replace(
        plain,
        closed_size=plain.qty if number % 2 == 0 else Decimal(0),
        exchange_ts=UtcMs(plain.exchange_ts - (700 if number % 50 == 0 else 0)),
    )


def record_forever(
    data_dir: Path, account: str, queue: Any, rate_sleep: float, acks: Any, note: Any, each: int = 3
) -> None:
    """Process that records until it is killed, `each` in a write: `note` is the last number that is in the journal.

    From 17 on the journal has blocks, and its segments are kept.
    """
    recorder = make_recorder(data_dir, account, queue, segment_bytes=64 * 1024, keep_journal=each > 16)
    while True:
        for _ in range(each):
            seq = recorder.last_seq + 1
            assert recorder.record(fill(seq)) == seq
        recorder.flush()
        note.value = recorder.journal.written_seq
        while acks.poll():
            recorder.ack(acks.recv())
        time.sleep(rate_sleep)
