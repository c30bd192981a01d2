"""Who takes part in `benchmarks/latency.py`, what is stamped, and what each of its processes needs."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from decimal import Decimal
from multiprocessing.connection import Connection
from typing import Any

from gridbot.execution.latency_trace import Stage
from gridbot.paper.server.paper_spec import PaperAccount

BLOCK = 50
START_TIMEOUT_S = 60.0
STEP_TIMEOUT_S = 10.0
TOTAL_TIMEOUT_S = 240.0
STEP = Decimal("0.2")
CREATED = "created"
WRITTEN = "written"
Trace = dict[str, int]


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is measured; `levels` is 0 for a bare loop."""

    name: str
    symbol: str
    price: Decimal
    levels: int = 0
    qty: str = "1"

    @property
    def account(self) -> PaperAccount:
        return PaperAccount(self.name, f"paper-{self.name}", f"secret-of-{self.name}", Decimal(10_000_000))


SUBJECTS = (
    Subject("pybit", "SOLUSDT", Decimal(150)),
    Subject("tuned", "LTCUSDT", Decimal(80)),
    Subject("worker", "BTCUSDT", Decimal(50_000), levels=4, qty="0.01"),
    Subject("worker-50", "ETHUSDT", Decimal(2_500), levels=50, qty="0.1"),
)
# A part is named after the stamp it ends with, and belongs to one of the four stages.
PARTS = {
    Stage.RECEIVED: ("frame -> event", "exchange -> our callback"),
    Stage.EVENT: ("frame -> event", "-> event on the loop"),
    Stage.DECIDED: ("decide", "engine"),
    Stage.ADMITTED: ("gate and journal", "size, gate, record"),
    Stage.JOURNALLED: ("gate and journal", "write the journal"),
    CREATED: ("request", "thread, sign, send -> exchange"),
}


class BenchmarkError(Exception):
    """Nothing could be measured; the text says why."""


@contextlib.asynccontextmanager
async def deadline(what: str, timeout_s: float = STEP_TIMEOUT_S) -> Any:
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError:
        raise BenchmarkError(f"expected {what} within {timeout_s:.0f} s, got nothing") from None


def run_child(main: Any, control: Connection) -> None:
    """Run a child's coroutine; what ends it early is told over the pipe, if the parent is still there."""
    try:
        asyncio.run(main)
    except Exception as error:  # noqa: BLE001 - the parent reports it
        with contextlib.suppress(OSError):
            control.send({"error": str(error) if isinstance(error, BenchmarkError) else repr(error)})
