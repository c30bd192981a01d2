"""A little account on which the way from a price to an order is rehearsed: a worker's own parts, and an exchange that
is nowhere (`bybit/nowhere.py`).

Nothing on it is shared with the account that trades, but for the code: its gate, orders, engine and numbers are its
own, its records end in `/dev/null`, and what it sends ends in this process.

Each `play` makes one order: the exchange says that last time's order rests and that the one on the other side is gone,
then comes a price at which that level is wanted again. The answer comes two turns of the loop later.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from gridbot.background import OnFault
from gridbot.bybit.nowhere import Nowhere
from gridbot.config.strategy_kinds import strategy_config
from gridbot.core import Direction, Instrument, OrderStatus, PositionEvent, Side, WalletEvent
from gridbot.core.execution_ledger import Ledger
from gridbot.execution.executor import Executor
from gridbot.incidents import Name, Standing
from gridbot.orders.ids import Generations, account_tag
from gridbot.orders.order import TrackedOrder
from gridbot.orders.retry import RetryQueue
from gridbot.ports import Clock
from gridbot.records.recorder import Recorder
from gridbot.records.unwritten_journal import UnwrittenJournal
from gridbot.risk.gate import Gate
from gridbot.worker.context import WorkerContext
from gridbot.worker.faults import Alert, Faults
from gridbot.worker.passage_watch import PassageWatch
from gridbot.worker.refresh_requests import RefreshRequests
from gridbot.worker.router import Router
from gridbot.worker.shadow_wire import Shadows
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["RehearsalFailed", "RehearsalStage"]

NAME: Final = "rehearsal"
SYMBOL: Final = "REHEARSALUSDT"
D = Decimal
ZERO, MONEY = D(0), D(10_000_000)
CENTRE, STEP = D(50_000), D("0.2")
RULES: Final = Instrument(
    SYMBOL, D("0.1"), D("0.001"), D("0.001"), D(100), price_limit_x=D("0.01"), price_limit_y=D("0.02")
)
GAP: Final = CENTRE * STEP / 100
ENDS: Final = (CENTRE - GAP * 3 / 4, CENTRE + GAP * 3 / 4)
"""Prices at which the nearest level below, or above, is too near for an order."""
LEVELS: Final = 4
WALLET_S: Final = 1.0
"""After so long the exchange tells the wallet again."""


class RehearsalFailed(Exception):
    """A rehearsal did not go as it must: no order, or a fault on its way. The text says which."""


class RehearsalStage:
    """Call on a running loop. `on_fault` hears of each fault in a part of a rehearsal."""

    def __init__(self, clock: Clock, on_fault: OnFault) -> None:
        self._clock = clock
        self._alert = _Silence()
        self._recorder = Recorder(NAME, NAME, UnwrittenJournal(NAME), clock=clock)
        self._nowhere = Nowhere(SYMBOL, self._wake)
        requests = RefreshRequests()
        faults = _Faults(self._alert, requests, on_fault)
        gate = Gate(clock.wall_ms)
        self._executor = Executor(
            self._nowhere.gateway, clock, before_send=self._recorder.write_ahead, on_fault=faults.report
        )
        self._context = WorkerContext(
            name=NAME,
            account_tag=account_tag("paper", NAME),
            run_id=NAME,
            clock=clock,
            gate=gate,
            executor=self._executor,
            ledger=Ledger(),
            generations=Generations(1, lambda upto, safe: safe()),
            retry=RetryQueue(),
            recorder=self._recorder,
            requests=requests,
            alert=self._alert,
            faults=faults,
            shadows=Shadows(clock, gate.shadow()),
            trace=self._executor.trace,
            passage=PassageWatch(clock, requests),
        )
        config = strategy_config(
            {
                "strat_id": NAME,
                "account": NAME,
                "symbol": SYMBOL,
                "grid_count": LEVELS,
                "grid_step": str(STEP),
                "amount": "q0.01",
                "caps": {"max_orders_per_minute": None},
            }
        )
        engine = config.decided_by.make(config, RULES, NAME, None)
        self._runner = StrategyRunner(config, RULES, engine, self._context)
        runners = {SYMBOL: self._runner}
        self._router = Router(self._context, runners, runners, ticker_interval_s=0)
        self._now_ms = clock.wall_ms()
        """The exchange's time: it goes on by a millisecond with each frame."""
        self._wanted = 0
        """How many orders there must have been."""
        self._side = Side.BUY
        self._wallet_due_s = 0.0
        try:
            self._enter()
        except BaseException:
            self.close()
            raise

    @property
    def heard(self) -> int:
        """How many requests the exchange that is nowhere has got."""
        return self._nowhere.heard

    @property
    def is_settled(self) -> bool:
        """Whether all is answered, so that the next one may be played."""
        return self._executor.idle

    def play(self) -> None:
        """Make one order. Raises RehearsalFailed."""
        if self._clock.monotonic_s() >= self._wallet_due_s:
            self._tell_wallet()
        side, self._side = self._side, Side.SELL if self._side is Side.BUY else Side.BUY
        gone = self._nearest(side)
        fresh = [self._row(order, OrderStatus.NEW) for order in self._runner.book if not order.exchange_ts]
        self._tell_orders([*fresh, self._row(gone, OrderStatus.CANCELLED)])
        self._recorder.flush()
        self._wanted += 1
        self._tell_price(ENDS[side is Side.BUY])
        if self._executor.creates_sent != self._wanted or self._alert.said:
            why = self._alert.said or f"expected {self._wanted} orders so far, got {self._executor.creates_sent}"
            raise RehearsalFailed(f"a rehearsal went wrong: {why}")

    def close(self) -> None:
        """Harmless when called twice. An answer that is still to come concerns nobody."""
        self._clock.call_later(0.0, self._executor.close)  # a request that has just left has a task that must begin
        self._nowhere.close()
        self._recorder.close()

    # ------------------------------------------------------------------ inside

    def _enter(self) -> None:
        """All that a strategy must know before it trades, and its first orders."""
        self._tell_wallet()
        for direction in Direction:
            leg = PositionEvent(SYMBOL, direction, ZERO, None, mark_price=CENTRE, leverage=D(10), exchange_ts=1)
            self._runner.on_position_update(leg, source="rest")
        self._runner.ready()
        self._context.ledger.begin(1)
        self._tell_price(CENTRE)
        self._tell_price(ENDS[0])
        self._wanted = self._executor.creates_sent

    def _tell_wallet(self) -> None:
        """Figures that are old let nothing pass."""
        self._now_ms += 1
        self._wallet_due_s = self._clock.monotonic_s() + WALLET_S
        figures = WalletEvent(
            "USDT", MONEY, equity=MONEY, available_balance=MONEY, unrealised_pnl=ZERO, exchange_ts=self._now_ms
        )
        self._router.on_wallet(figures, "stream")

    def _nearest(self, side: Side) -> TrackedOrder:
        orders = [order for order in self._runner.book if order.side is side]
        if not orders:
            raise RehearsalFailed(f"expected a {side} order on the stage, got none: {self._alert.said}")
        return min(orders, key=lambda order: abs(order.price - CENTRE))

    def _tell_price(self, price: Decimal) -> None:
        self._now_ms += 1
        told = {
            "symbol": SYMBOL,
            "lastPrice": str(price),
            "markPrice": str(price),
            "indexPrice": str(price),
            "bid1Price": str(price - RULES.tick_size),
            "ask1Price": str(price + RULES.tick_size),
        }
        self._nowhere.tell_ticker(told, self._now_ms, self._clock.monotonic_ns())

    def _tell_orders(self, rows: list[dict[str, Any]]) -> None:
        self._now_ms += 1
        self._nowhere.tell_orders(rows, self._now_ms, self._clock.monotonic_ns())

    def _row(self, order: TrackedOrder, status: OrderStatus) -> dict[str, Any]:
        return {
            "category": "linear",
            "symbol": SYMBOL,
            "orderId": order.order_id,
            "orderLinkId": order.link_id,
            "side": str(order.side),
            "positionIdx": order.direction.position_idx,
            "orderType": "Limit",
            "orderStatus": str(status),
            "price": str(order.price),
            "qty": str(order.qty),
            "cumExecQty": "0",
            "leavesQty": str(order.qty),
            "avgPrice": "",
            "reduceOnly": order.reduce_only,
            "cancelType": "CancelByUser" if status is OrderStatus.CANCELLED else "UNKNOWN",
            "rejectReason": "EC_NoError",
            "createdTime": str(self._now_ms),
            "updatedTime": str(self._now_ms + 1),
        }

    def _wake(self) -> None:
        """As the orchestrator takes in what has come."""
        self._router.route(self._nowhere.streams.drain())
        if self._recorder.write():
            self._runner.prepare()


class _Faults(Faults):
    """Neither halts nor logs."""

    def __init__(self, alert: Alert, requests: RefreshRequests, on_fault: OnFault) -> None:
        super().__init__(alert, requests)
        self._on_fault = on_fault

    def report(self, part: str, error: BaseException, symbol: str = "") -> None:
        self._on_fault(part, error)


class _Silence:
    """An `Alert` of which no operator hears: what there was to say ends the rehearsals."""

    def __init__(self) -> None:
        self.said = ""

    def __call__(
        self, level: str, key: str, text: str, strategy: str = "", *, cause: str = "", shown: bool = True
    ) -> int:
        self.said = self.said or text
        return 2

    def over(self, key: str, text: str, strategy: str = "") -> None:
        """Nothing has begun."""

    def look(self, standing: Mapping[Name, Standing]) -> None:
        """Nothing stands."""

    def rows(self) -> list[dict[str, Any]]:
        return []
