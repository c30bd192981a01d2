"""One account without streams and without a network: a real runner, order manager, gate and executor, all of whose
surroundings (clock, exchange, recorder, operator) are held by the test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

from gridbot.config.account_models import StrategyConfig
from gridbot.config.strategy_kinds import strategy_config
from gridbot.core import (
    Direction,
    ExecType,
    ExecutionEvent,
    Instrument,
    OrderStatus,
    OrderUpdateEvent,
    PositionEvent,
    Side,
    TickerEvent,
    WalletEvent,
)
from gridbot.core.execution_ledger import Ledger
from gridbot.exchange.failures import ExchangeError
from gridbot.execution.executor import Executor
from gridbot.incidents import Change
from gridbot.orders.ids import Generations, account_tag
from gridbot.orders.order import TrackedOrder
from gridbot.orders.retry import RetryQueue
from gridbot.orders.shadow_venue import ShadowVenue
from gridbot.records import codec
from gridbot.records.record_types import OrderRecord, Record
from gridbot.risk.gate import Gate
from gridbot.strategies.grid import Grid, GridEngine
from gridbot.worker.context import WorkerContext
from gridbot.worker.faults import Faults
from gridbot.worker.operator_alerts import Alerts
from gridbot.worker.passage_watch import PassageWatch
from gridbot.worker.refresh_requests import RefreshRequests
from gridbot.worker.schedule import Job, JobKind
from gridbot.worker.shadow_wire import Shadows
from gridbot.worker.strategy_runner import StrategyRunner
from tests.execution.support import FakeGateway, ManualClock

D = Decimal
R = TypeVar("R", bound=Record)
SYMBOL, PRICE = "BTCUSDT", D(50000)
BTC = Instrument(SYMBOL, D("0.1"), D("0.001"), D("0.001"), D(100))
START_S = 1.0  # a machine that has just started: nothing may look like "long ago" (incident L36)


class Notes:
    """A recorder that keeps the records as they are; the next ones fail with what `failures` has."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.failures: list[Exception] = []

    def record(self, record: Record) -> int:
        if self.failures:
            raise self.failures.pop(0)
        self.records.append(record)
        return len(self.records)

    def record_sent(self, order_data: bytes) -> int:
        frame = codec.encode_data(codec.head_of(OrderRecord.TABLE, "alice", "run"), 1, 1, order_data)
        record = codec.decode(frame)[1]
        assert isinstance(record, OrderRecord)
        return self.record(record)

    def record_later(self, make: Callable[[], Record]) -> None:
        self.record(make())

    def of(self, kind: type[R]) -> list[R]:
        return [record for record in self.records if isinstance(record, kind)]


class Alarm(Alerts):
    """Keeps what begins as (level, key, text, strategy), and the texts of what ended."""

    def __init__(self, clock: ManualClock) -> None:
        self.alerts: list[tuple[str, str, str, str]] = []
        self.ended: list[str] = []
        super().__init__(None, self._note, clock)

    def _note(self, change: Change) -> None:
        name = change.incident.name
        if change.level == "info":
            self.ended.append(change.text)
        else:
            self.alerts.append((change.level, name.key, change.text, name.where))

    @property
    def keys(self) -> list[str]:
        return [key for _, key, _, _ in self.alerts]


def take_reconcile(requests: RefreshRequests) -> str:
    """A reconcile starts; why it was asked for, empty when it was not."""
    reason = requests.wishes.reconcile
    requests.started(Job(JobKind.RECONCILE, reason))
    return reason


def ticker(price: object = PRICE, *, ts: int = 1) -> TickerEvent:
    return TickerEvent(SYMBOL, D(str(price)), exchange_ts=ts)


def wallet(balance: str = "10000", available: str | None = "10000", *, ts: int = 1) -> WalletEvent:
    return WalletEvent(
        "USDT", D(balance), available_balance=None if available is None else D(available), exchange_ts=ts
    )


def position(direction: Direction, size: str, entry: str | None = "50000", **more: Any) -> PositionEvent:
    return PositionEvent(SYMBOL, direction, D(size), None if entry is None else D(entry), leverage=D(10), **more)


def strategy(**more: Any) -> StrategyConfig:
    values = {"strat_id": "btc", "account": "alice", "symbol": SYMBOL, "grid_count": 4, "amount": "q0.01"}
    made: StrategyConfig = strategy_config({**values, "grid_step": 0.2, **more})
    return made


def grid_of(runner: StrategyRunner) -> Grid:
    """The grid of a strategy that has one."""
    assert isinstance(runner.engine, GridEngine)
    assert runner.engine.grid is not None
    return runner.engine.grid


@dataclass
class AccountBench:
    """An account with one strategy that knows its wallet and both legs; `start` lets it trade."""

    config: StrategyConfig = field(default_factory=strategy)
    instrument: Instrument = BTC
    clock: ManualClock = field(default_factory=ManualClock)
    notes: Notes = field(default_factory=Notes)
    requests: RefreshRequests = field(default_factory=RefreshRequests)

    def __post_init__(self) -> None:
        self.clock.now_s = START_S
        self.alarm = Alarm(self.clock)
        self.gateway = FakeGateway(self.clock)
        self.gate = Gate(self.clock.wall_ms)
        faults = Faults(self.alarm, self.requests)
        executor = Executor(self.gateway, self.clock, before_send=lambda: None, on_fault=faults.report)
        self.context = WorkerContext(
            name="alice",
            account_tag=account_tag("paper", "alice"),
            run_id="run",
            clock=self.clock,
            gate=self.gate,
            executor=executor,
            ledger=Ledger(),
            generations=Generations(1, lambda upto, safe: safe()),
            retry=RetryQueue(),
            recorder=self.notes,
            requests=self.requests,
            alert=self.alarm,
            faults=faults,
            shadows=Shadows(self.clock, self.gate.shadow()),
            trace=executor.trace,
            passage=PassageWatch(self.clock, self.requests),
        )
        engine = self.config.decided_by.make(self.config, self.instrument, self.config.strat_id, None)
        wire = None
        if self.config.shadow_mode:
            wire = self.context.shadows.wire(ShadowVenue(self.instrument, self.context.shadows.account, run_id="run"))
        self.runner = StrategyRunner(self.config, self.instrument, engine, self.context, wire=wire)

    def start(self) -> None:
        """Everything is known: flat legs, enough money."""
        self.gate.wallet_seen(wallet(), self.clock.now_s)
        self.context.shadows.on_wallet(wallet())
        for direction in Direction:
            self.runner.on_position_update(position(direction, "0", None), source="rest")
        self.runner.ready()
        self.notes.records.clear()

    @property
    def orders(self) -> list[TrackedOrder]:
        return list(self.runner.book)

    def order_at(self, side: Side) -> TrackedOrder:
        """The order of a side that is nearest to the price."""
        return min((o for o in self.orders if o.side is side), key=lambda o: abs(o.price - PRICE))

    def update(self, order: TrackedOrder, status: OrderStatus, **more: Any) -> OrderUpdateEvent:
        return OrderUpdateEvent(
            symbol=SYMBOL,
            order_id=order.order_id or f"id of {order.link_id}",
            order_link_id=order.link_id,
            side=order.side,
            direction=order.direction,
            price=order.price,
            qty=order.qty,
            status=status,
            **{"exchange_ts": 2, **more},
        )

    def fill(self, order: TrackedOrder, exec_id: str = "e1", **more: Any) -> ExecutionEvent:
        values: dict[str, Any] = {
            "symbol": SYMBOL,
            "exec_id": exec_id,
            "order_id": order.order_id,
            "order_link_id": order.link_id,
            "side": order.side,
            "price": order.price,
            "qty": order.qty,
            "closed_size": order.qty if order.reduce_only else D(0),
            "exchange_ts": 3,
        }
        return ExecutionEvent(**{**values, **more})

    def taken(self, kind: ExecType, qty: str = "0.01") -> ExecutionEvent:
        """An execution by which the exchange itself reduces the long leg."""
        return ExecutionEvent(
            SYMBOL, f"x-{kind}", "theirs", "", Side.SELL, PRICE, D(qty), closed_size=D(qty), exec_type=kind
        )

    def refuse(self, order: TrackedOrder, error: ExchangeError) -> None:
        """The exchange answers the next request of this order with an error."""
        self.gateway.answers[order.link_id] = error
