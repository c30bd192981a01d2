"""A whole worker without its process: real assembly, real pybit, the real paper exchange, a market the test moves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gridbot.config.models import GridbotConfig
from gridbot.config.paper_secrets import with_paper_secrets
from gridbot.core import Direction
from gridbot.exchange.failures import ErrorKind, ExchangeError
from gridbot.paper.accounts.account import Account
from gridbot.paper.accounts.exchange_order import Order
from gridbot.paper.server.paper_spec import PaperAccount, PaperSpec
from gridbot.paper.server.paper_thread import PaperThread
from gridbot.paper.settings import PaperConfig
from gridbot.records.journal_reader import JournalReader, journal_directory
from gridbot.records.record_types import ExecutionRecord, Record
from gridbot.records.state_record import StateRecord
from gridbot.system_ports import SystemClock, SystemIds
from gridbot.worker.assembly import Assembly
from gridbot.worker.outside import Outside
from gridbot.worker.spec import WorkerSpec
from gridbot.worker.startup import is_hopeless
from gridbot.worker.strategy_runner import StrategyRunner

WAIT_S = 60.0
BTC: dict[str, Any] = {
    "strat_id": "btc",
    "account": "alice",
    "symbol": "BTCUSDT",
    "grid_count": 10,
    "grid_step": 0.2,
    "amount": "q0.01",
}
PRICE = Decimal(50000)


def settings(data_dir: Path, *strategies: dict[str, Any], **more: Any) -> GridbotConfig:
    document = {
        "environment": "paper",
        "accounts": [{"name": "alice"}],
        "strategies": list(strategies) or [BTC],
        "storage": {"data_dir": str(data_dir)},
        **more,
    }
    return with_paper_secrets(GridbotConfig.model_validate(document), b"worker bench")


@contextlib.contextmanager
def exchange(config: GridbotConfig, **more: Any) -> Iterator[PaperThread]:
    """A paper exchange whose market stands still until the test moves it; quick answers, no limits.

    `more` are further keys of the `paper` section.
    """
    paper = PaperConfig.model_validate(
        {
            "ticker_interval_ms": 0,
            "ack_delay_ms": 1,
            "limits": {"orders_per_second": 0, "queries_per_second": 0, "ip_requests": 0},
            "market": {
                "source": "manual",
                "symbols": {"BTCUSDT": {"price": str(PRICE)}, "ETHUSDT": {"price": "2500"}},
            },
            **more,
        }
    )
    accounts = [
        PaperAccount(a.name, a.api_key.get_secret_value(), a.api_secret.get_secret_value()) for a in config.accounts
    ]
    with PaperThread(PaperSpec(config=paper, accounts=accounts)) as thread:
        yield thread


@dataclass
class WorkerBench:
    """One worker's life."""

    assembly: Assembly
    data_dir: Path
    alerts: list[tuple[str, str, str]] = field(default_factory=list)
    handed: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """What its supervisor was given, in order."""

    def runner(self, symbol: str = "BTCUSDT") -> StrategyRunner:
        return self.assembly.orchestrator.runners[symbol]

    async def until(self, condition: Callable[[], object], what: str = "the condition") -> None:
        deadline = asyncio.get_running_loop().time() + WAIT_S
        while not condition():
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"{what} did not come true within {WAIT_S:.0f} s")
            await asyncio.sleep(0.01)

    async def quiet(self, symbol: str = "BTCUSDT") -> None:
        """Until everything the strategy asked for has been answered by the exchange."""
        runner = self.runner(symbol)
        executor = self.assembly.context.executor
        await self.until(
            lambda: (
                runner.risk_state.ticker is not None
                and len(runner.book) > 0
                and executor.idle
                and all(o.state in ("open", "partially_filled") for o in runner.book)
            ),
            "a quiet book",
        )

    def size(self, direction: Direction, symbol: str = "BTCUSDT") -> Decimal:
        return self.runner(symbol).risk_state.legs[direction].size


@contextlib.asynccontextmanager
async def trading(
    config: GridbotConfig,
    paper: PaperThread,
    *,
    crash: bool = False,
    outside: Outside | None = None,
    begin_anew: Callable[[str], None] = print,
    paused: str = "",
    unkept: Mapping[str, Any] = MappingProxyType({}),
    lease: Mapping[str, Any] = MappingProxyType({}),
    share: Callable[[str, bytes, bool], None] | None = None,
    known: Mapping[str, Any] | None = None,
) -> AsyncIterator[WorkerBench]:
    """A worker that trades; `crash` ends it without a word, as kill -9 would leave its files.

    `begin_anew` hears that it asks for another start; with `paused` the strategies begin paused, for that reason.
    `lease` has the fields of the spec about a lease, `share` gets what is for the next holder. With `known` it takes
    over from a life that has left this.
    """
    data_dir = config.storage.data_dir
    spec = WorkerSpec("alice", config, data_dir, "0123456789abcdef", paper.url, console=False, paused=paused)
    spec = replace(spec, unkept=unkept, **lease)
    if known is not None:
        spec = replace(spec, takes_over=True, known=known)
    alerts: list[tuple[str, str, str]] = []
    handed: list[tuple[str, dict[str, Any]]] = []
    assembly = Assembly(
        spec,
        None,
        alert=lambda change: alerts.append((change.level, change.incident.name.key, change.text)),
        clock=SystemClock(),
        ids=SystemIds(),
        outside=outside,
        begin_anew=begin_anew,
        hand=lambda name, document: handed.append((name, document)),
        share=share,
    )
    bench = WorkerBench(assembly, data_dir, alerts, handed)
    try:
        await _start(assembly)
        yield bench
    finally:
        if crash:
            await assembly.orchestrator.stop()
            assembly.recorder.close()
        else:
            await assembly.close("the test is over")


async def _start(assembly: Assembly) -> None:
    """As the worker does it: what passes is tried again (without its waits), and a ban is waited for and is no try."""
    left = 20
    while left:
        try:
            return await assembly.start()
        except ExchangeError as error:
            await assembly.undo_start()
            if is_hopeless(error):
                raise
            if error.kind is ErrorKind.IP_BAN:
                await asyncio.sleep(error.silence_s)
            else:
                left -= 1
    raise AssertionError("the start failed twenty times")


def records(data_dir: Path, account: str = "alice") -> list[Record | StateRecord]:
    """Everything in the account's journal, in order."""
    return [record for _, record in JournalReader(journal_directory(data_dir, account)).read_from(1)]


def executions(data_dir: Path) -> list[ExecutionRecord]:
    return [record for record in records(data_dir) if isinstance(record, ExecutionRecord)]


def account_of(paper: PaperThread) -> Account:
    """The exchange's own record of the (only) account. Read it through `paper.call`."""
    return next(iter(paper.server.exchange.accounts.values()))


def resting(paper: PaperThread) -> list[Order]:
    """Orders that rest on the exchange now."""
    return paper.call(lambda: list(account_of(paper).open.values()))


def ever(paper: PaperThread) -> int:
    """How many orders the exchange has ever accepted from the account."""
    return paper.call(lambda: len(account_of(paper).open) + len(account_of(paper).closed))
