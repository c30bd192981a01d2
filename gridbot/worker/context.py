"""The parts that all strategies of one account share. One per worker."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gridbot.budget.address_budget import AddressBudget
from gridbot.command_line import pasteable
from gridbot.core.execution_ledger import Ledger
from gridbot.execution.executor import Executor
from gridbot.execution.latency_trace import LatencyTrace
from gridbot.lease.lease_watch import LeaseWatch
from gridbot.orders.ids import Generations
from gridbot.orders.order import Transition
from gridbot.orders.retry import RetryQueue
from gridbot.ports import Clock
from gridbot.records import builders
from gridbot.records.open_orders import OpenOrders
from gridbot.records.record_types import OrderRecord, RawMessageRecord, Record
from gridbot.risk.funds import Funds
from gridbot.risk.gate import Gate
from gridbot.worker.faults import Alert, Faults
from gridbot.worker.job_watch import JobWatch
from gridbot.worker.passage_watch import PassageWatch
from gridbot.worker.refresh_requests import RefreshRequests
from gridbot.worker.shadow_wire import Shadows
from gridbot.worker.tallies import Tallies

__all__ = ["Alert", "RecordSink", "WorkerContext"]

log = logging.getLogger(__name__)


class RecordSink(Protocol):
    """Where records go (a `Recorder`)."""

    def record(self, record: Record) -> int: ...
    def record_sent(self, order_data: bytes) -> int: ...
    def record_later(self, make: Callable[[], Record]) -> None: ...


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The shared parts, made by the assembly. None of them depends on a strategy."""

    name: str
    account_tag: str
    """What the ids of the account's orders begin with (`orders/ids.py`)."""
    run_id: str
    clock: Clock
    gate: Gate
    executor: Executor
    ledger: Ledger
    generations: Generations
    retry: RetryQueue
    recorder: RecordSink
    requests: RefreshRequests
    alert: Alert
    faults: Faults
    shadows: Shadows
    trace: LatencyTrace
    passage: PassageWatch
    recorded: OpenOrders = field(default_factory=OpenOrders)
    """The orders that our records hold for open."""
    jobs: JobWatch = field(default_factory=JobWatch)
    """Which readings of the exchange fail."""
    tallies: Tallies = field(default_factory=Tallies)
    """Counts of what happened since the start, for the metrics."""
    keeps_raw: bool = False
    """Whether the exchange's raw messages are recorded besides the events read from them."""
    address: AddressBudget | None = None
    """What all accounts of our address share; None where nobody counts."""
    lease: LeaseWatch | None = None
    """The account's lease, of a fleet of several hosts; None without one."""
    data_dir: Path | None = None
    """For hints; None leaves it out of them."""

    @property
    def epoch(self) -> int:
        """Which holder of the account this is; 0 without a fleet."""
        return 0 if self.lease is None else self.lease.epoch

    @property
    def funds(self) -> Funds:
        """What the account can afford: the gate's own figures."""
        return self.gate.state.funds

    def command_line(self, command: str) -> str:
        """A hint that an operator can paste, such as for "resume alice"."""
        return pasteable(command, data_dir=self.data_dir)

    def record_order(self, record: OrderRecord) -> None:
        """Record what has become of an order. All records of orders go through here, but for that of `order_sent`."""
        if self.recorder.record(record):
            self.recorded.take(record)

    def order_sent(self, transition: Transition) -> None:
        """The request of an order has left, whose record was written before (`RecordSink.record_sent`)."""
        self.recorded.take(builders.of_transition(transition, shadow=False))

    def record_corrections(self) -> None:
        """Record what the ledger has found to be wrong with earlier records; call it after each change of the ledger.

        Before the record of what shows it: were only that one in the journal after a power cut, nothing would show it.
        """
        for correction in self.ledger.take_corrections():
            self.recorder.record(builders.of_correction(correction))
            log.info(
                "[money] %s: %s: realised %+f, fee %+f: %s",
                correction.strategy or correction.symbol,
                correction.exec_id,
                correction.realised,
                correction.fee,
                correction.reason,
            )

    def record_raw(self, record: RawMessageRecord | None) -> None:
        """Record the exchange's raw message, if there is one and they are kept."""
        if record is not None and self.keeps_raw:
            self.recorder.record(record)
