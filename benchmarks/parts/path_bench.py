"""From a price to a request in one process: all parts are a worker's own but for an exchange that answers at once.

The journal is on the disk, as a worker's. What is measured is stamped by `time.perf_counter_ns`, in this thread, so
nothing of it is waiting: the threads, sockets and processes of a real worker are not here (`benchmarks/latency.py` has
those).
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path

from gridbot.config.account_models import StrategyConfig
from gridbot.config.strategy_kinds import strategy_config
from gridbot.core import (
    Direction,
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
from gridbot.exchange.requests import CancelRef, OrderAck, OrderRequest, RateLimit
from gridbot.exchange.stream_news import Drained, PrivateEvent
from gridbot.execution.executor import Executor
from gridbot.execution.latency_trace import Stage
from gridbot.orders.ids import Generations, account_tag
from gridbot.orders.order import TrackedOrder
from gridbot.orders.retry import RetryQueue
from gridbot.records.journal import Journal
from gridbot.records.recorder import Recorder
from gridbot.risk.gate import Gate
from gridbot.system_ports import SystemClock
from gridbot.worker.context import WorkerContext
from gridbot.worker.faults import Faults
from gridbot.worker.operator_alerts import Alerts
from gridbot.worker.passage_watch import PassageWatch
from gridbot.worker.refresh_requests import RefreshRequests
from gridbot.worker.router import Router
from gridbot.worker.shadow_wire import Shadows
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["PathBench", "StampingGateway"]

D = Decimal
ZERO, MONEY = D(0), D(10_000_000)
SYMBOL = "BTCUSDT"
CENTRE = D(50_000)
STEP = D("0.2")
RULES = Instrument(SYMBOL, D("0.1"), D("0.001"), D("0.001"), D(100), price_limit_x=D("0.01"), price_limit_y=D("0.02"))
GAP = CENTRE * STEP / 100
ENDS = (CENTRE - GAP * 3 / 4, CENTRE + GAP * 3 / 4)
"""Prices at which the nearest level below, or above, is too near for an order."""


class StampingGateway:
    """Notes when a request would leave, and accepts it."""

    def __init__(self) -> None:
        self.limits: dict[str, RateLimit] = {}
        self.by_http = True
        self.left_ns = 0
        self._ids = itertools.count(1)

    def place_order(self, order: OrderRequest) -> asyncio.Future[OrderAck]:
        self.left_ns = time.perf_counter_ns()
        return self._done(OrderAck(f"id-{next(self._ids)}", order.order_link_id))

    def place_orders(self, orders: Sequence[OrderRequest]) -> asyncio.Future[list[OrderAck | ExchangeError]]:
        self.left_ns = time.perf_counter_ns()
        return self._all_done([OrderAck(f"id-{next(self._ids)}", order.order_link_id) for order in orders])

    def cancel_order(self, symbol: str, *, order_id: str = "", order_link_id: str = "") -> asyncio.Future[OrderAck]:
        return self._done(OrderAck(order_id, order_link_id))

    def cancel_orders(self, symbol: str, refs: Sequence[CancelRef]) -> asyncio.Future[list[OrderAck | ExchangeError]]:
        return self._all_done([OrderAck(ref.order_id, ref.order_link_id) for ref in refs])

    @staticmethod
    def _done(ack: OrderAck) -> asyncio.Future[OrderAck]:
        future: asyncio.Future[OrderAck] = asyncio.get_running_loop().create_future()
        future.set_result(ack)
        return future

    @staticmethod
    def _all_done(acks: list[OrderAck]) -> asyncio.Future[list[OrderAck | ExchangeError]]:
        future: asyncio.Future[list[OrderAck | ExchangeError]] = asyncio.get_running_loop().create_future()
        future.set_result(list(acks))
        return future


class PathBench:
    """An account with one strategy whose `levels` all rest, after `begin`."""

    def __init__(self, directory: Path, levels: int) -> None:
        clock = SystemClock()
        self.gateway = StampingGateway()
        journal = Journal(directory / "journal" / "bench", "bench")
        self.recorder = Recorder("bench", "0123456789ab-cdef", journal, clock=clock)
        requests = RefreshRequests()
        alerts = Alerts(self.recorder, lambda change: None, clock)
        faults = Faults(alerts, requests)
        executor = Executor(self.gateway, clock, before_send=self.recorder.write_ahead, on_fault=faults.report)
        gate = Gate(clock.wall_ms)
        self.context = WorkerContext(
            name="bench",
            account_tag=account_tag("paper", "bench"),
            run_id="bench",
            clock=clock,
            gate=gate,
            executor=executor,
            ledger=Ledger(),
            generations=Generations(2_000_000_000_000, lambda upto, safe: safe()),
            retry=RetryQueue(),
            recorder=self.recorder,
            requests=requests,
            alert=alerts,
            faults=faults,
            shadows=Shadows(clock, gate.shadow()),
            trace=executor.trace,
            passage=PassageWatch(clock, requests),
        )
        config = _config(levels)
        engine = config.decided_by.make(config, RULES, config.strat_id, None)
        self.runner = StrategyRunner(config, RULES, engine, self.context)
        runners = {SYMBOL: self.runner}
        self._router = Router(self.context, runners, runners, ticker_interval_s=0)
        self._ts = itertools.count(1_700_000_000_000)
        self._execs = itertools.count(1)

    # ------------------------------------------------------------------ what arrives

    def take(self, *private: PrivateEvent, tickers: Sequence[TickerEvent] = ()) -> int:
        """As the orchestrator takes in what has arrived; ns that it took."""
        drained = Drained(list(tickers), list(private), [], [])
        began = time.perf_counter_ns()
        self._router.route(drained)
        if self.recorder.write():
            self.runner.prepare()
        return time.perf_counter_ns() - began

    async def begin(self) -> None:
        """Everything is known, and every level has its orders."""
        self.take(self.wallet())
        for direction in Direction:
            self.runner.on_position_update(self.position(direction, D(0)), source="rest")
        self.runner.ready()
        self.context.ledger.begin(1)
        while True:
            self.take(tickers=[self.ticker(CENTRE)])
            await asyncio.sleep(0.11)  # the budget of a second
            fresh = [order for order in self.runner.book if order.exchange_ts == 0 and order.order_id]
            self.take(*(self.news(order, OrderStatus.NEW) for order in fresh))
            if not fresh and self.context.executor.idle:
                break
        self.recorder.flush()
        # From here on no order waits for the second's quota: what is measured is work.
        self.gateway.limits["order/create"] = RateLimit(1_000_000, 1_000_000, 0)

    async def settled(self) -> None:
        """Wait until every request is answered."""
        while not self.context.executor.idle:
            await asyncio.sleep(0)

    def nearest(self, side: Side) -> TrackedOrder:
        """The order of a side that is nearest to the centre."""
        orders = (order for order in self.runner.book if order.side is side)
        return min(orders, key=lambda order: abs(order.price - CENTRE))

    def ticker(self, price: Decimal) -> TickerEvent:
        ts = next(self._ts)
        bid, ask = price - D("0.1"), price + D("0.1")
        return TickerEvent(SYMBOL, price, ts, mark_price=price, index_price=price, bid1_price=bid, ask1_price=ask)

    def news(self, order: TrackedOrder, status: OrderStatus, cum_exec_qty: Decimal = ZERO) -> OrderUpdateEvent:
        return OrderUpdateEvent(
            symbol=SYMBOL,
            order_id=order.order_id,
            order_link_id=order.link_id,
            side=order.side,
            direction=order.direction,
            price=order.price,
            qty=order.qty,
            status=status,
            cum_exec_qty=cum_exec_qty,
            cancel_type="CancelByUser" if status is OrderStatus.CANCELLED else "UNKNOWN",
            exchange_ts=next(self._ts),
        )

    def fill(self, order: TrackedOrder) -> ExecutionEvent:
        number = next(self._execs)
        return ExecutionEvent(
            SYMBOL,
            f"e-{number}",
            order.order_id,
            order.link_id,
            order.side,
            order.price,
            order.qty,
            fee=D("0.08"),
            closed_size=order.qty if order.reduce_only else D(0),
            exchange_ts=next(self._ts),
            order_qty=order.qty,
            seq=number,
        )

    def position(self, direction: Direction, size: Decimal, entry: Decimal = CENTRE) -> PositionEvent:
        ts = next(self._ts)
        return PositionEvent(
            SYMBOL,
            direction,
            size,
            entry if size else None,
            mark_price=CENTRE,
            liq_price=D("30123.4") if size and direction is Direction.LONG else None,
            leverage=D(10),
            unrealised_pnl=D(0),
            seq=ts,
            exchange_ts=ts,
        )

    def wallet(self, balance: Decimal = MONEY) -> WalletEvent:
        return WalletEvent(
            "USDT", balance, equity=balance, available_balance=balance, unrealised_pnl=D(0), exchange_ts=next(self._ts)
        )

    # ------------------------------------------------------------------ one order, and what the exchange says of it

    async def replace(self, number: int, mark: Callable[[str, int], None] = lambda name, ns: None) -> None:
        """The exchange withdraws an order that is too near, and the price goes to where it is wanted again.

        `mark` gets each stage and the ns it took; `answer` is all that follows the request in this turn and the next.
        """
        side, other = (Side.BUY, 1) if number % 2 else (Side.SELL, 0)
        self.take(tickers=[self.ticker(ENDS[1 - other])])
        mark("news: cancelled", self.take(self.news(self.nearest(side), OrderStatus.CANCELLED)))
        ticker, trace = self.ticker(ENDS[other]), self.context.trace
        trace.on, before = True, len(trace.traces)
        began, mono = time.perf_counter_ns(), time.monotonic_ns()
        self.take(tickers=[ticker])
        ended = time.perf_counter_ns()
        trace.on = False
        if len(trace.traces) != before + 1:
            raise RuntimeError(f"expected one order at {ticker.last_price}, got {len(trace.traces) - before}")
        link_id, stamps = trace.traces.popitem()
        mark("decide", stamps[Stage.DECIDED] - mono)
        mark("size, gate, record", stamps[Stage.ADMITTED] - stamps[Stage.DECIDED])
        mark("journal", stamps[Stage.JOURNALLED] - stamps[Stage.ADMITTED])
        mark("journalled -> request", self.gateway.left_ns - began - (stamps[Stage.JOURNALLED] - mono))
        mark("price -> request", self.gateway.left_ns - began)
        mark("after the request", ended - self.gateway.left_ns)
        began = time.perf_counter_ns()
        await self.settled()
        mark("answer", time.perf_counter_ns() - began)
        order = self.runner.book.get(link_id)
        if order is None:
            raise RuntimeError(f"expected {link_id} in the book, got nothing")
        mark("news: rests", self.take(self.news(order, OrderStatus.NEW)))


def _config(levels: int) -> StrategyConfig:
    made: StrategyConfig = strategy_config(
        {
            "strat_id": "bench",
            "account": "bench",
            "symbol": SYMBOL,
            "grid_count": levels,
            "grid_step": str(STEP),
            "amount": "q0.01",
            "caps": {"max_orders_per_minute": None},
        }
    )
    return made
