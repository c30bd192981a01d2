"""What the parts of `benchmarks/store.py` share: records, a writer process, processor time."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from gridbot.core import Direction, Side
from gridbot.orders.ids import Owner, account_tag, wire_id
from gridbot.records.record_types import ExecutionRecord, OrderRecord, PositionRecord, UtcMs
from supervisor.store import writer_process as product
from supervisor.store.writer import Writer, WriterSpec

CONTEXT = multiprocessing.get_context("forkserver")
"""As in the product, each process is a fork of one that has imported everything (`PRELOADED`, as the script says)."""
PRELOADED = [f"benchmarks.parts.{name}" for name in ("store_setup", "store_delays", "store_throughput")]


OWNER = Owner.of(account_tag("paper", "alice"), "btc_grid")


def link_id(number: int, above: int = 0) -> str:
    """As a worker makes them: of a price so many USDT `above` the lowest of `execution`, with a number that grows."""
    return wire_id(OWNER, Side.BUY, Direction.LONG, 1_042_331 + above * 10, 1_700_000_000_000 + number)


def execution(number: int, now_ms: int = 1_700_000_000_000) -> ExecutionRecord:
    return ExecutionRecord(
        strategy="btc_grid",
        symbol="BTCUSDT",
        exec_id=f"7d1f6f2a-5b3c-4e8f-8a1c-{number:012d}",
        order_id=f"c0f4a2b1-9a44-4d52-b1d7-{number:012d}",
        order_link_id=link_id(number, number % 1000),
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


def run_writer(count: int, told: Any, *entry: Any) -> None:
    """The product's own writer, which tells when it has committed `count` records of alice, and the processor time that
    its process had taken by then: a report of its health may come a second later, and pairs are matched meanwhile."""

    class Told(Writer):
        is_told = False

        def flush(self, *, idle: bool = True) -> bool:
            more = super().flush(idle=idle)
            if not self.is_told and self.state.committed.get("alice", 0) >= count:
                self.is_told = True
                told.send((time.perf_counter(), processor_s()))
            return more

    vars(product)["Writer"] = Told  # in this process alone
    product.run_writer(*entry)


@contextmanager
def writer_process(data_dir: Path, queues: dict[str, Any], count: int = 1) -> Iterator[tuple[Any, Any, Any]]:
    """Process, reports of its health, and what it tells of its commit of `count` records (`run_writer`)."""
    health, health_child = CONTEXT.Pipe(duplex=False)
    life_child, life = CONTEXT.Pipe(duplex=False)
    told, told_child = CONTEXT.Pipe(duplex=False)
    spec = WriterSpec(data_dir, tuple(queues))
    process = CONTEXT.Process(target=run_writer, args=(count, told_child, spec, queues, health_child, life_child))
    process.start()
    health_child.close()
    life_child.close()
    told_child.close()
    while (said := health.recv()["type"]) == "holds_nothing":
        pass
    assert said == "ready", said
    try:
        yield process, health, told
    finally:
        life.close()
        process.join()


def wait_committed(health: Any, count: int) -> float:
    """Time of the report that says `count` records of alice are committed; reports come each second."""
    while True:
        message = health.recv()
        if message.get("committed", {}).get("alice", 0) >= count:
            return time.perf_counter()


def wait_matched(health: Any, waiting: int) -> None:
    """Until a report says that no execution waits for its pairs any more; `waiting`: how many did by the last one."""
    while waiting:
        waiting = int(health.recv()["unmatched"])


def processor_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def quantile(values: Sequence[float], q: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * q))]


def order(number: int) -> OrderRecord:
    return OrderRecord(
        strategy="btc_grid",
        symbol="BTCUSDT",
        order_link_id=link_id(number),
        order_id=f"c0f4a2b1-9a44-4d52-b1d7-{number:012d}",
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
