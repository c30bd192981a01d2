"""What the strategies of one account share. One per worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gridbot.core.execution_ledger import Ledger
from gridbot.execution.executor import Executor
from gridbot.execution.latency_trace import LatencyTrace
from gridbot.orders.ids import Generations
from gridbot.orders.order import TrackedOrder
from gridbot.orders.retry import RetryQueue
from gridbot.records.record_types import RawMessageRecord, Record
from gridbot.risk.gate import Gate

__all__ = ["Requests", "Sink", "WorkerContext"]


class Sink(Protocol):
    """Where records go (a `Recorder`)."""

    def record(self, record: Record) -> int: ...


class Requests(Protocol):
    """What a strategy may ask of its orchestrator; each returns at once and is done when the time is right."""

    def look_up(self, order: TrackedOrder) -> None:
        """Ask the exchange what became of this order."""

    def refresh_positions(self, symbol: str) -> None:
        """Read the symbol's position by REST, soon (not more often than every 10 s)."""

    def refresh_wallet(self) -> None:
        """Read the wallet by REST, soon."""

    def reconcile(self, reason: str) -> None:
        """Compare everything with the exchange, soon."""

    def alert(self, level: str, key: str, text: str, strategy: str = "") -> None:
        """Tell the operator; `level` is warning or error."""


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The shared parts, wired once by the orchestrator."""

    name: str
    run_id: str
    gate: Gate
    executor: Executor
    ledger: Ledger
    generations: Generations
    retry: RetryQueue
    recorder: Sink
    requests: Requests
    trace: LatencyTrace
    clock_s: Callable[[], float]
    clock_ms: Callable[[], int]
    keeps_raw: bool = False
    """Whether the exchange's own words are recorded beside what we read in them."""

    def record_raw(self, record: RawMessageRecord | None) -> None:
        """Keep the exchange's own words, if there are any and they are wanted."""
        if record is not None and self.keeps_raw:
            self.recorder.record(record)
