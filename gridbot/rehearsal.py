"""A worker at work before there is any: what every worker does, done once in the process that all are forked from.

Python learns while it runs. It writes an instruction anew for what it has met, counts where it cannot, and makes much
at its first use. What has happened before a fork is shared, what happens after it each process has for itself, and each
pays for it. So a worker is put together here as in its own process, starts on a paper exchange of its own, trades while
prices go up and down, and stops: all of it by loopback, in a directory of its own, with secrets made for nothing else.

Nothing of it stays but what was learnt: no thread, loop, descriptor, file, logger or remembered answer
(`tests/test_rehearsal.py`). `supervisor.children.fork_server` calls it.
"""

from __future__ import annotations

import asyncio
import contextlib
import decimal
import functools
import gc
import logging
import os
import time
from collections.abc import Iterator
from decimal import Decimal
from multiprocessing.connection import Pipe
from pathlib import Path
from typing import Any, Final

from gridbot import background, logging_setup
from gridbot.config.models import GridbotConfig
from gridbot.config.paper_secrets import with_paper_secrets
from gridbot.paper.server.paper_server import PaperServer
from gridbot.paper.server.paper_spec import PaperAccount, PaperSpec
from gridbot.paper.settings import PaperConfig
from gridbot.simulation.own_directory import own_directory
from gridbot.system_ports import OwnProcess, SystemClock, SystemIds
from gridbot.worker.spec import WorkerSpec
from gridbot.worker.supervisor_pipe import SupervisorPipe
from gridbot.worker.worker_session import WorkerSession

__all__ = ["rehearse"]

LONGEST_S: Final = 10.0
"""A machine that takes longer has other troubles: the workers learn by themselves then."""
THREADS_END_S: Final = 5.0
ACCOUNT: Final = "rehearsal"
SEED: Final = b"the secrets of a rehearsal, which nobody but the rehearsal can reach"
PRICES: Final = {"BTCUSDT": (Decimal(50000), Decimal(25)), "ETHUSDT": (Decimal(2500), Decimal("1.25"))}
"""Of each symbol where its price begins, and one step of it: half of what is between two levels."""
STEPS: Final = (1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 1, 1, 1, 1, 1, 1)
ROUNDS: Final = 3
"""Some instructions are written anew at the second time only, and what is counted is seen by then."""
TURN_S: Final = 0.002
"""Between two prices: requests are answered meanwhile."""


def rehearse() -> int:
    """Let a worker trade; how many of its orders were filled. Leaves no thread behind, whatever it raises."""
    try:
        with _forgetful(), own_directory() as directory, decimal.localcontext(decimal.Context()):
            config = _config(directory)
            with _logging(config, directory), asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                return runner.run(_bounded(config, directory))
    finally:
        _wait_for_threads()


async def _bounded(config: GridbotConfig, directory: Path) -> int:
    async with asyncio.timeout(LONGEST_S):
        return await _trade(config, directory)


async def _trade(config: GridbotConfig, directory: Path) -> int:
    account, loop = config.account(ACCOUNT), asyncio.get_running_loop()
    key, secret = account.api_key.get_secret_value(), account.api_secret.get_secret_value()
    paper = PaperSpec(config=_exchange(), accounts=[PaperAccount(ACCOUNT, key, secret)])
    ours, theirs = Pipe()
    with ours, theirs:
        async with PaperServer(paper) as server:
            spec = WorkerSpec(ACCOUNT, config, directory, ACCOUNT, server.url, console=False)
            pipe, ready = SupervisorPipe(theirs), asyncio.Event()

            def send(message: dict[str, Any]) -> None:
                pipe.send(message)
                if message["type"] in ("ready", "bye"):
                    ready.set()

            session = WorkerSession(spec, None, send, clock=SystemClock(), ids=SystemIds(), process=OwnProcess())
            pipe.listen(loop, session.on_message, session.on_supervisor_gone)
            with background.watch(loop, session.on_fault):
                life = background.awaited(session.run(), name=ACCOUNT)
                life.add_done_callback(lambda _: ready.set())  # one that could not even begin says nothing
                try:
                    await ready.wait()
                    await _move_prices(server)
                    session.stop()
                    if code := await life:
                        raise RuntimeError(f"expected the rehearsed worker to stop in order, got exit code {code}")
                finally:
                    life.cancel()
                    await asyncio.gather(life, return_exceptions=True)
                    pipe.close()
            return len(server.exchange.accounts[ACCOUNT].executions)


async def _move_prices(server: PaperServer) -> None:
    away = 0
    for step in STEPS * ROUNDS:
        away += step
        for symbol, (price, size) in PRICES.items():
            server.market.set_price(symbol, price + away * size)
        await asyncio.sleep(TURN_S)


# ------------------------------------------------------------------ what it is given


def _config(directory: Path) -> GridbotConfig:
    strategies = [
        {
            "strat_id": symbol,
            "account": ACCOUNT,
            "symbol": symbol,
            "grid_count": 8,
            "grid_step": 0.1,
            "amount": "x0.011",
        }
        for symbol in PRICES
    ]
    document = {
        "environment": "paper",
        "accounts": [{"name": ACCOUNT, "balance": 10000}],
        "strategies": strategies,
        "storage": {"data_dir": str(directory), "health_interval": 1},
    }
    return with_paper_secrets(GridbotConfig.model_validate(document), SEED)


def _exchange() -> PaperConfig:
    symbols = {symbol: {"price": str(price)} for symbol, (price, _) in PRICES.items()}
    limits = {"orders_per_second": 0, "queries_per_second": 0, "ip_requests": 0}
    market = {"source": "manual", "symbols": symbols}
    return PaperConfig.model_validate(
        {"ticker_interval_ms": 0, "ack_delay_ms": 0, "port": 0, "limits": limits, "market": market}
    )


# ------------------------------------------------------------------ what it leaves


@contextlib.contextmanager
def _logging(config: GridbotConfig, directory: Path) -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    logging_setup.setup_logging(ACCOUNT, config.logging, directory, console=False, account=ACCOUNT)
    try:
        yield
    finally:
        logging_setup.stop_logging()
        logging.captureWarnings(False)
        root.setLevel(level)


@contextlib.contextmanager
def _forgetful() -> Iterator[None]:
    """Answers that functions remember for a while are forgotten again: what is asked later is about other accounts.

    A hit among such answers is also written down, into the answers next to it, which would be pages of everybody's.
    """
    empty = [each for each in _bounded_caches() if not each.cache_info().currsize]
    try:
        yield
    finally:
        for each in empty:
            each.cache_clear()


def _bounded_caches() -> list[functools._lru_cache_wrapper[Any]]:
    """Of our functions."""
    found = [each for each in gc.get_objects() if type(each) is functools._lru_cache_wrapper]
    ours = [each for each in found if str(getattr(each, "__module__", "")).startswith("gridbot.")]
    return [each for each in ours if each.cache_parameters()["maxsize"]]


def _wait_for_threads() -> None:
    """One that has been waited for is gone for Python a moment before it is for the kernel."""
    deadline = time.monotonic() + THREADS_END_S
    while len(os.listdir("/proc/self/task")) > 1 and time.monotonic() < deadline:
        time.sleep(0.001)
