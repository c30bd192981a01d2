"""One account: its strategies, its streams, and the clockwork around them. One asyncio loop, nothing blocking.

Frames wake `_drain`, which routes: private news first and in order, tickers (newest per symbol) last. Everything else
happens on the second: retries, sweeps, checks. One pass of the loop ends with one write to the journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Protocol

from gridbot.bybit.rest import BybitRest
from gridbot.bybit.streams import StreamSet
from gridbot.config.models import AccountConfig, GridbotConfig
from gridbot.core import ExecutionEvent, OrderUpdateEvent, PositionEvent, TickerEvent, WalletEvent
from gridbot.core.execution_ledger import Ledger
from gridbot.exchange.failures import ExchangeError
from gridbot.execution.executor import Executor
from gridbot.orders.ids import Generations
from gridbot.orders.order import TrackedOrder
from gridbot.orders.retry import RetryQueue
from gridbot.records import builders
from gridbot.records.record_types import ReconcileRecord, StreamGapRecord, UtcUs
from gridbot.records.recorder import Recorder
from gridbot.risk.gate import Gate
from gridbot.risk.halts import HaltWatch, halts_of
from gridbot.strategies.grid import ImpossibleLadder
from gridbot.worker.context import WorkerContext
from gridbot.worker.reconciler import Reconciler, Report
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["Alert", "Orchestrator"]

log = logging.getLogger(__name__)

TICK_S = 1.0
OFFER_S = 0.05
REFRESH_MIN_S = 10.0
FORCED_RECONCILE_MIN_S = 5.0
CLOCK_S = 3600.0
ZERO = Decimal(0)


class Alert(Protocol):
    """Tells the operator: level (warning or error), key for grouping, text, and the strategy it is about ("": none)."""

    def __call__(self, level: str, key: str, text: str, strategy: str = "") -> None: ...


@dataclass(slots=True)
class _Due:
    """When each periodic job ran last, on the monotonic clock; None is never (incident L36)."""

    at: dict[str, float] = field(default_factory=dict)

    def take(self, job: str, every_s: float, now_s: float) -> bool:
        """True when the job is due; it counts as done from now: a failing one is not hammered (incident L59)."""
        last = self.at.get(job)
        if every_s <= 0 or (last is not None and now_s - last < every_s):
            return False
        self.at[job] = now_s
        return True


class Orchestrator:
    """Wire with `add` for each strategy, then `start`; `stop` leaves orders as they are."""

    def __init__(
        self,
        config: AccountConfig,
        settings: GridbotConfig,
        *,
        rest: BybitRest,
        recorder: Recorder,
        gate: Gate,
        executor: Executor,
        ledger: Ledger,
        generations: Generations,
        retry: RetryQueue,
        run_id: str,
        alert: Alert,
        make_streams: Callable[[Sequence[str], Callable[[], None]], StreamSet],
    ) -> None:
        self.config = config
        self.settings = settings
        self.rest = rest
        self.recorder = recorder
        self.context = WorkerContext(
            name=config.name,
            run_id=run_id,
            gate=gate,
            executor=executor,
            ledger=ledger,
            generations=generations,
            retry=retry,
            recorder=recorder,
            requests=self,
            trace=executor.trace,
            clock_s=time.monotonic,
            clock_ms=lambda: time.time_ns() // 1_000_000,
            keeps_raw=settings.storage.raw_messages,
        )
        self.runners: dict[str, StrategyRunner] = {}
        self.live: dict[str, StrategyRunner] = {}
        self.reconciler = Reconciler(rest, self.live, self.context, on_wallet=self.on_wallet)
        self.streams: StreamSet | None = None
        self.loop_lag_s = 0.0
        self._alert = alert
        self._make_streams = make_streams
        self._due = _Due()
        self._position_wanted: set[str] = set()
        self._wallet_wanted = False
        self._reconcile_wanted: str | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._holds = HaltWatch()
        self._journal_error = ""
        self._routing = False
        self._offering: asyncio.TimerHandle | None = None

    # ------------------------------------------------------------------ life

    def add(self, runner: StrategyRunner) -> None:
        self.runners[runner.symbol] = runner
        if not runner.is_shadow:
            self.live[runner.symbol] = runner

    async def start(self) -> None:
        """Connect, make us equal to the exchange, then let the strategies trade. Raises ExchangeError.

        The streams are up before the listings are read: what happens meanwhile waits in their queue and is applied
        afterwards, so there is no moment that nobody watched.
        """
        self.streams = self._make_streams(list(self.runners), self._wake)
        await self.streams.start()
        report = await self._compare("start")
        log.info("equal to the exchange: %s", report)
        for runner in self.runners.values():
            runner.begin()
        self._routing = True
        self._drain()
        self._tasks = [asyncio.create_task(self._clockwork(), name="clockwork")]

    async def stop(self) -> None:
        """Let nothing new out, settle what is under way, close the streams."""
        self.context.gate.stopping = True
        for runner in self.runners.values():
            runner.risk_state.ready = False
            runner.orders.drop_unsent("stop")
        await self.context.executor.drain(5.0)
        for task in (*self._tasks, *self._jobs.values()):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._jobs.values(), return_exceptions=True)
        await self.reconciler.stop()
        if self.streams is not None:
            self._drain()
            await self.streams.stop()
        self.context.executor.close()
        if self._offering is not None:
            self._offering.cancel()
        self.record_state()
        self.recorder.flush()

    def failed(self) -> BaseException | None:
        """The exception that ended the clockwork, if one did: then the worker must not go on."""
        for task in self._tasks:
            if task.done() and not task.cancelled():
                return task.exception()
        return None

    # ------------------------------------------------------------------ what a strategy may ask (`Requests`)

    def look_up(self, order: TrackedOrder) -> None:
        self.reconciler.look_up(order)

    def refresh_positions(self, symbol: str) -> None:
        self._position_wanted.add(symbol)

    def refresh_wallet(self) -> None:
        self._wallet_wanted = True

    def reconcile(self, reason: str) -> None:
        self._reconcile_wanted = self._reconcile_wanted or reason

    def alert(self, level: str, key: str, text: str, strategy: str = "") -> None:
        self._alert(level, key, text, strategy)

    # ------------------------------------------------------------------ frames

    def _wake(self) -> None:
        if self._routing:
            self._drain()

    def _drain(self) -> None:
        """Route everything that has arrived: what happened to us first, what the market says last."""
        streams = self.streams
        if streams is None:
            return
        drained = streams.drain()
        for event in drained.private:
            with self._isolated(getattr(event, "symbol", "")):
                self._route(event)
        for gap in drained.gaps:
            log.warning("%s stream was away for %d ms", gap.kind, gap.ended_ts_ms - gap.started_ts_ms)
            self.recorder.record(
                StreamGapRecord(
                    stream=gap.kind,
                    started_at=UtcUs(gap.started_ts_ms * 1000),
                    ended_at=UtcUs(gap.ended_ts_ms * 1000),
                )
            )
            self.reconcile(f"the {gap.kind} stream reconnected")
        for ticker in drained.tickers:
            with self._isolated(ticker.symbol):
                self.on_ticker(ticker)
        for trade in drained.trades:
            self.recorder.record(builders.of_public_trade(trade))
        if self.recorder.write() and self._offering is None:
            self._offering = asyncio.get_running_loop().call_later(OFFER_S, self._offer)

    def _offer(self) -> None:
        """Give the store's writer its copy of the records: a moment later, so that no order waits for it."""
        self._offering = None
        self.recorder.flush()

    @contextlib.contextmanager
    def _isolated(self, symbol: str) -> Iterator[None]:
        """What goes wrong with one event must not take the others with it (incident L59).

        The strategy it belongs to decides nothing more until an operator has looked; its orders are still followed.
        """
        try:
            yield
        except ImpossibleLadder as error:
            self._halt(symbol, str(error))
        except Exception as error:
            log.exception("an event of %s could not be handled", symbol or "the account")
            self._halt(symbol, f"{type(error).__name__}: {error}; the log file has the traceback")
            self.reconcile("an event could not be handled")

    def _halt(self, symbol: str, reason: str) -> None:
        runner = self.runners.get(symbol)
        if runner is not None and not runner.risk_state.halted:
            runner.risk_state.halted = reason
            self.alert("error", f"halt.{symbol}", f"{runner.strat_id} is halted: {reason}", runner.strat_id)

    def on_ticker(self, ticker: TickerEvent) -> None:
        runner = self.runners.get(ticker.symbol)
        if runner is None:
            return
        self.context.trace.begin(ticker.received_ns)
        if runner.risk_state.halted:
            runner.see(ticker)
        else:
            runner.on_ticker(ticker)
        now_s = self.context.clock_s()
        if self._due.take(f"ticker.{ticker.symbol}", self.settings.storage.ticker_interval, now_s):
            self.recorder.record(builders.of_ticker(ticker))

    def _route(self, event: ExecutionEvent | OrderUpdateEvent | PositionEvent | WalletEvent) -> None:
        if isinstance(event, WalletEvent):
            self.on_wallet(event, "stream")
            return
        runner = self.live.get(event.symbol)
        if runner is None:
            return  # a symbol that is none of our business (shadow, or traded by hand)
        match event:
            case ExecutionEvent():
                runner.on_execution(event)
            case OrderUpdateEvent():
                runner.orders.heard(event)
            case PositionEvent():
                runner.on_position(event)

    def on_wallet(self, wallet: WalletEvent, source: str) -> None:
        """The newest figure of either source counts, for all strategies of the account."""
        funds = self.context.gate.funds
        before = funds.wallet
        if not funds.update(wallet, self.context.clock_s()):
            return
        for runner in self.runners.values():
            runner.on_wallet(wallet)
        if before is None or before.wallet_balance != wallet.wallet_balance or source == "rest":
            self.recorder.record(builders.of_wallet(wallet, source=source))

    # ------------------------------------------------------------------ the second hand

    async def _clockwork(self) -> None:
        """Each second, whatever happens: a job that fails is logged by name and due again at its next turn."""
        planned = self.context.clock_s() + TICK_S
        while True:
            await asyncio.sleep(max(0.0, planned - self.context.clock_s()))
            now_s = self.context.clock_s()
            self.loop_lag_s = max(0.0, now_s - planned)
            planned = max(planned + TICK_S, now_s)
            self._tick(now_s)
            self._watch_journal()
            self.record_state()
            self.recorder.flush()

    def _tick(self, now_s: float) -> None:
        context = self.context
        if self.streams is not None and self.streams.private_alive:
            context.gate.funds.confirm(now_s)
        for item in context.retry.due(now_s):
            runner = next((r for r in self.live.values() if r.book.get(item.key) is not None), None)
            if runner is not None:
                runner.orders.retry(item)
        context.executor.pump()
        if self.reconciler.unsettled() and self._due.take("unsettled", REFRESH_MIN_S, now_s):
            self.reconcile("executions of a finished order are missing")
        if self._due.take("order_sync", self.settings.order_sync_interval, now_s):
            self.reconcile("periodic")
        if self._reconcile_wanted is not None and self._due.take("reconcile", FORCED_RECONCILE_MIN_S, now_s):
            reason, self._reconcile_wanted = self._reconcile_wanted, None
            self._job("reconcile", self._reconcile(reason))
        if self._due.take("position_check", self.settings.position_check_interval, now_s):
            self._position_wanted.update(self.live)
        for symbol in sorted(self._position_wanted):
            if self._due.take(f"positions.{symbol}", REFRESH_MIN_S, now_s):
                self._position_wanted.discard(symbol)
                self._job(f"positions.{symbol}", self.reconciler.positions(symbol))
        if self._due.take("clock", CLOCK_S, now_s):
            self._job("clock", self._measure_clock())
        if self._due.take("wallet_check", self.settings.wallet_cache_interval, now_s):
            self._wallet_wanted = True
        if self._wallet_wanted and self._due.take("wallet", REFRESH_MIN_S, now_s):
            self._wallet_wanted = False
            self._job("wallet", self.reconciler.wallet())

    def _watch_journal(self) -> None:
        """One alert when the records cannot be written, one when they can again; trading does not wait for them."""
        stats = self.recorder.stats
        error, self._journal_error = self._journal_error, stats.journal_error or ""
        if self._journal_error and not error:
            text = f"the journal cannot be written: {self._journal_error}; trading goes on, its records wait in memory"
            self.alert("error", "journal", text)
        elif error and not self._journal_error:
            lost = f"; {stats.records_refused} records found no room in memory" if stats.records_refused else ""
            self.alert("warning", "journal", f"the journal is written again, with what waited in memory{lost}")

    def record_state(self) -> None:
        """Keep what changed since the last time: grids, and what holds orders back."""
        context = self.context
        now_s = context.clock_s()
        for runner in self.runners.values():
            runner.record_grid()
        risk_states = [runner.risk_state for runner in self.runners.values()]
        held = halts_of(context.gate, context.executor, risk_states, now_s)
        for change in self._holds.changes(held, now_s, time.time_ns() // 1000):
            self.recorder.record(change)

    async def _measure_clock(self) -> None:
        """Keep the offset to the exchange's clock true: drift is what 10002 is made of (incident L45)."""
        await self.rest.server_time_ms()

    async def _compare(self, reason: str) -> Report:
        """One pass of the reconciler, recorded with what came of it."""
        started_s = self.context.clock_s()

        def took_ms() -> int:
            return round((self.context.clock_s() - started_s) * 1000)

        try:
            report = await self.reconciler.run()
        except ExchangeError as failure:
            self.recorder.record(ReconcileRecord(reason=reason, ok=False, took_ms=took_ms(), error=str(failure)))
            raise
        self.recorder.record(ReconcileRecord(reason=reason, ok=True, took_ms=took_ms(), **asdict(report)))
        return report

    async def _reconcile(self, reason: str) -> None:
        report = await self._compare(reason)
        level = logging.INFO if report.executions or report.adopted or report.looked_up else logging.DEBUG
        log.log(level, "reconciled (%s): %s", reason, report)

    def _job(self, name: str, coroutine: Coroutine[None, None, None]) -> None:
        """Run a REST job beside the loop; one of a name at a time."""
        running = self._jobs.get(name)
        if running is not None and not running.done():
            coroutine.close()
            return
        self._jobs[name] = asyncio.create_task(self._guarded(name, coroutine), name=name)

    async def _guarded(self, name: str, coroutine: Coroutine[None, None, None]) -> None:
        try:
            await coroutine
        except ExchangeError as error:
            log.warning("%s failed, the last known state stays: %s", name, error)
        except Exception as error:
            log.exception("%s failed", name)
            self.alert("error", f"job.{name}", f"{name} failed: {type(error).__name__}: {error}")
        finally:
            self.recorder.flush()
