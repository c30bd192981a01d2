"""Who takes part in `benchmarks/latency.py`, what is stamped, and what each of its processes needs."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import sys
from dataclasses import dataclass
from decimal import Decimal
from multiprocessing.connection import Connection
from typing import Any

from gridbot.config.account_models import AccountConfig
from gridbot.execution.latency_trace import Stage
from gridbot.paper.server.paper_spec import PaperAccount

BLOCK = 50
START_TIMEOUT_S = 180.0
STEP_TIMEOUT_S = 10.0
TOTAL_TIMEOUT_S = 900.0
STEP = Decimal("0.2")
CREATED = "created"
WRITTEN = "written"
Trace = dict[str, int]


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is measured. `levels` is 0 for a bare loop; the rest says with what it is measured, and is off by default."""

    name: str
    about: str
    symbol: str
    price: Decimal = Decimal(50_000)
    levels: int = 0
    qty: str = "0.01"
    picows: bool = False
    uvloop: bool = False
    tls: bool = False
    order_entry: str = "http"

    @property
    def account(self) -> PaperAccount:
        return PaperAccount(self.name, f"paper-{self.name}", f"secret-of-{self.name}", Decimal(10_000_000))

    @property
    def is_worker(self) -> bool:
        return self.levels > 0

    def missing(self) -> str:
        """What it needs and is not there; "" when it can be measured."""
        needs = [name for name in ("picows", "uvloop") if getattr(self, name)]
        absent = [name for name in needs if importlib.util.find_spec(name) is None]
        if self.picows and self.is_worker and importlib.util.find_spec("gridbot.bybit.line_choice") is None:
            absent.append("gridbot's sockets on picows")
        if self.order_entry != "http" and "order_entry" not in AccountConfig.model_fields:
            absent.append("gridbot's order entry over WebSocket")
        return ", ".join(absent)


SUBJECTS = (
    Subject("floor", "picows + raw POST: no pybit, no journal, no strategy", "FLOORUSDT", picows=True),
    Subject("floor-plain", "the same with a small WebSocket of asyncio's", "PLAINUSDT"),
    Subject("floor-uvloop", "the floor on uvloop", "FLOORUVUSDT", picows=True, uvloop=True),
    Subject("floor-tls", "the floor over TLS", "FLOORTLSUSDT", picows=True, tls=True),
    Subject("pybit", "pybit as published, in its callback", "SOLUSDT", Decimal(150), qty="1"),
    Subject("classes", "gridbot's connections, no strategy", "LTCUSDT", Decimal(80), qty="1"),
    Subject("worker", "a worker, plain install, 4 levels", "BTCUSDT", levels=4),
    Subject("worker-50", "the same, 50 orders resting", "ETHUSDT", Decimal(2_500), levels=50, qty="0.1"),
    Subject("worker-uvloop", "plain sockets on uvloop", "UVUSDT", levels=4, uvloop=True),
    Subject("worker-picows", "picows on asyncio's loop", "PICOUSDT", levels=4, picows=True),
    Subject("worker-fast", "gridbot[fast]: picows and uvloop", "FASTUSDT", levels=4, picows=True, uvloop=True),
    Subject("worker-ws", "gridbot[fast], orders over WebSocket", "WSUSDT",
            levels=4, picows=True, uvloop=True, order_entry="websocket"),
    Subject("worker-tls", "gridbot[fast] over TLS", "TLSUSDT", levels=4, picows=True, uvloop=True, tls=True),
)  # fmt: skip
SHIPPED = frozenset({"BTCUSDT", "ETHUSDT", "SOLUSDT", "LTCUSDT"})
"""Symbols that the paper exchange knows; the others are made for the run, as BTCUSDT is."""
# A part is named after the stamp it ends with, and belongs to one of the four stages.
PARTS = {
    Stage.RECEIVED: ("frame -> event", "exchange -> frame read"),
    Stage.EVENT: ("frame -> event", "-> event on the loop"),
    Stage.DECIDED: ("decide", "engine"),
    Stage.ADMITTED: ("gate and journal", "size, gate, record"),
    Stage.JOURNALLED: ("gate and journal", "write the journal"),
    CREATED: ("request", "sign, send -> exchange"),
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


def hide_packages(subject: Subject) -> None:
    """Make this process what it would be without the packages that the subject does without."""
    for name in ("picows", "uvloop"):
        if not getattr(subject, name):
            sys.modules[name] = None  # type: ignore[assignment]  # to be neither found nor imported


def own_pid() -> bytes:
    """What a subject sends when it has seen what was done, and nothing of its own is under way."""
    return b"%d" % os.getpid()


def new_loop(subject: Subject | None) -> asyncio.AbstractEventLoop:
    """The loop it is measured on."""
    if subject is not None and subject.uvloop:
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


def run_child(main: Any, control: Connection, subject: Subject | None = None) -> None:
    """Run a child's coroutine; what ends it early is told over the pipe, if the parent is still there."""
    try:
        with asyncio.Runner(loop_factory=lambda: new_loop(subject)) as runner:
            runner.run(main)
    except Exception as error:  # noqa: BLE001 - the parent reports it
        with contextlib.suppress(OSError):
            control.send({"error": str(error) if isinstance(error, BenchmarkError) else repr(error)})
