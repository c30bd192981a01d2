"""A worker's process of `benchmarks/latency.py`, with its stages switched on."""

from __future__ import annotations

import asyncio
import contextlib
import cProfile
import pstats
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.parts.latency_subjects import STEP, Subject, hide_packages, own_pid, run_child
from benchmarks.parts.latency_tls import trust
from gridbot import logging_setup
from gridbot.bybit.streams import StreamSet
from gridbot.config.account_models import AccountConfig
from gridbot.config.models import GridbotConfig
from gridbot.orders.order import OrderState
from gridbot.system_ports import SystemClock, SystemIds
from gridbot.worker.assembly import Assembly
from gridbot.worker.spec import WorkerSpec


def worker_process(
    subject: Subject,
    url: str,
    authority: Path | None,
    data_dir: Path,
    records: Any,
    profile: Path | None,
    signals: Connection,
    control: Connection,
) -> None:
    """Entry: a worker as the supervisor would start it, with its stages switched on.

    With `profile` it runs under cProfile, from its first measured price on, and leaves what that found in the file.
    """
    hide_packages(subject)
    if authority is not None:
        trust(authority)
    settings = worker_settings(subject, data_dir)
    logging_setup.setup_logging(
        f"worker-{subject.name}", settings.logging, data_dir, console=False, account=subject.name
    )
    spec = WorkerSpec(subject.name, settings, data_dir, "0123456789abcdef", url, console=False)
    run_child(_worker(spec, subject, records, profile, signals, control), control, subject)
    logging_setup.stop_logging()


def worker_settings(subject: Subject, data_dir: Path) -> GridbotConfig:
    account = subject.account
    keys = {"name": account.name, "api_key": account.api_key, "api_secret": account.api_secret}
    entry = {"order_entry": subject.order_entry} if "order_entry" in AccountConfig.model_fields else {}
    return GridbotConfig.model_validate(
        {
            "environment": "paper",
            "accounts": [keys | entry],
            "strategies": [
                {
                    "strat_id": subject.name,
                    "account": account.name,
                    "symbol": subject.symbol,
                    "grid_count": subject.levels,
                    "grid_step": str(STEP),
                    "amount": f"q{subject.qty}",
                    "caps": {"max_orders_per_minute": None},
                }
            ],
            "storage": {"data_dir": str(data_dir)},
        }
    )


class Watched(Assembly):
    """A worker's parts, and a look at them after each wake-up of its loop."""

    def __init__(self, spec: WorkerSpec, records: Any, look: Callable[[], None]) -> None:
        super().__init__(spec, records, alert=lambda change: None, clock=SystemClock(), ids=SystemIds())
        self._look = look

    def _streams(self, symbols: Sequence[str], on_wake: Callable[[], None]) -> StreamSet:
        def wake() -> None:
            on_wake()
            self._look()

        return super()._streams(symbols, wake)


async def _worker(
    spec: WorkerSpec, subject: Subject, records: Any, profile: Path | None, signals: Connection, control: Connection
) -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    watching = cProfile.Profile()
    told: tuple[int, int] | None = None

    def look() -> None:
        """Tell the driver, once, when all is answered and the book is whole (at first) or lacks the withdrawn order."""
        nonlocal told
        if not assembly.ready:
            return
        runner = assembly.orchestrator.runners[subject.symbol]
        state = len(assembly.context.trace.traces), len(runner.book)
        wanted = (subject.levels, subject.levels - 1) if state[0] == 0 else (subject.levels - 1,)
        if state == told or state[1] not in wanted or any(o.state is not OrderState.OPEN for o in runner.book):
            return
        if not assembly.context.executor.idle:
            loop.call_later(0.0005, look)
            return
        if told is None and profile is not None:
            watching.enable()
        told = state
        assembly.context.trace.on = True
        signals.send_bytes(own_pid())

    assembly = Watched(spec, records, look)
    await assembly.start()
    loop.add_reader(control.fileno(), over.set)
    await over.wait()
    if profile is not None:
        watching.disable()
        with profile.open("w", encoding="utf-8") as text:
            pstats.Stats(watching, stream=text).sort_stats("tottime").print_stats(60)
    with contextlib.suppress(EOFError, OSError):
        control.recv()
        control.send({"traces": assembly.context.trace.traces})
    await assembly.close("the benchmark is over")
