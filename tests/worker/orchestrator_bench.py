"""An orchestrator of one account whose streams, recorder and guards do as the test says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gridbot.config.models import GridbotConfig
from gridbot.core.execution_ledger import Ledger
from gridbot.exchange.stream_news import Drained
from gridbot.incidents import Name, Standing
from gridbot.risk.brake import FREE, Brake
from gridbot.state.flatten_file import FlattenFile
from gridbot.worker.orchestrator import FlattenParts, Orchestrator, Parts
from tests.worker.account_bench import AccountBench, Notes, ticker
from tests.worker.reconcile_bench import FakeQueries


class FakeStreams:
    """Frames that the test puts in; `wake` is what the orchestrator gave."""

    def __init__(self, wake: Any) -> None:
        self.wake = wake
        self.prices: list[object] = []
        self.calls: list[str] = []
        self.private_alive = True

    async def start(self) -> None:
        self.calls.append("start")

    async def stop(self) -> None:
        self.calls.append("stop")

    def drain(self) -> Drained:
        prices, self.prices = self.prices, []
        return Drained([ticker(price) for price in prices], [], [], [])

    def push(self, price: object) -> None:
        self.prices.append(price)
        self.wake()


class FakeRecorder(Notes):
    """Notes when what was recorded is written."""

    last_seq = 0

    def __init__(self) -> None:
        super().__init__()
        self.written = 0
        self.is_new = False
        """Whether something was recorded since the last `flush`."""

    def write(self) -> bool:
        self.written += 1
        return self.is_new

    def flush(self) -> None:
        self.written += 1

    def write_ahead(self) -> bool:
        return True

    @property
    def stats(self) -> Any:
        @dataclass
        class Stats:
            journal_error: str | None = None

        return Stats()


@dataclass
class FakeLosses:
    """A `LossGuard` whose answer the test gives."""

    is_latched: bool = False
    checked: int = 0

    def check(self) -> bool:
        self.checked += 1
        return self.is_latched


class FakeCaps:
    """A `CapGuard` of an account without caps."""

    is_flattening = False
    every_s = 0.5

    def check(self, live: object, *, is_counted: bool) -> Brake:
        return FREE

    def standing(self) -> dict[Name, Standing]:
        return {}

    def rows(self) -> list[dict[str, Any]]:
        return []


@dataclass
class FakeCheckpoint:
    saved: list[Ledger] = field(default_factory=list)
    is_brought: bool = False

    def release(self) -> None: ...

    def save(self, ledger: Ledger) -> None:
        self.saved.append(ledger)


class FakeFileWatch:
    reasons = ()

    def look(self) -> None: ...


def flatten_file() -> FlattenFile:
    """One that has nothing and keeps nothing."""

    class Nothing:
        def load_as(self, read: Any) -> None: ...
        def save(self, document: Any) -> None: ...

    return FlattenFile(Nothing())  # type: ignore[arg-type]


class Bench:
    def __init__(self) -> None:
        self.account = AccountBench()
        self.account.start()
        self.account.runner.stop()  # not ready before the orchestrator says so
        self.queries = FakeQueries()
        self.recorder = FakeRecorder()
        self.losses = FakeLosses()
        self.checkpoint = FakeCheckpoint()
        settings = GridbotConfig.model_validate(
            {
                "environment": "paper",
                "accounts": [{"name": "alice"}],
                "strategies": [{"strat_id": "btc", "account": "alice", "symbol": "BTCUSDT"}],
                "storage": {"data_dir": str(Path("unused"))},
            }
        )
        parts: dict[str, Any] = {
            "config": settings.account("alice"),
            "settings": settings,
            "context": self.account.context,
            "queries": self.queries,
            "recorder": self.recorder,
            "open_streams": lambda symbols, wake: FakeStreams(wake),
            "losses": self.losses,
            "caps": FakeCaps(),
            "checkpoint": self.checkpoint,
            "files": FakeFileWatch(),
            "flatten": FlattenParts(flatten_file(), Any, Any, unsaved=list),  # type: ignore[arg-type]
            "strategies": settings.strategies_of("alice"),
            "begin_anew": lambda reason: None,
        }
        self.orchestrator = Orchestrator(Parts(**parts), [self.account.runner])
        self.shutdown = asyncio.Event()
        self.naps = 0
        self.account.clock.sleep = self._sleep  # type: ignore[method-assign]

    @property
    def streams(self) -> FakeStreams:
        assert isinstance(self.orchestrator.streams, FakeStreams)
        return self.orchestrator.streams

    async def _sleep(self, seconds: float) -> None:
        """Time passes; after a hundred naps the worker is asked to stop."""
        self.naps += 1
        self.account.clock.now_s += seconds / 2  # the clockwork and the guard sleep beside each other
        if self.naps > 100:
            self.shutdown.set()
        await asyncio.sleep(0)
