"""Reconciles with the exchange: at start, after every reconnect, each minute, and whenever something does not fit.

The sequence matters: executions since the last one seen are paged and applied *first*, in exchange order; then the
complete list of open orders is compared; then positions and the wallet are read. So a fill in the gap reaches the grid
before its order can be taken for cancelled (incident L18).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal

from gridbot import background
from gridbot.core import ExecutionEvent, PositionEvent, WalletEvent
from gridbot.exchange.failures import ExchangeError
from gridbot.orders.order import OrderState, TrackedOrder
from gridbot.orders.reconcile import compare
from gridbot.ports import ExchangeQueries
from gridbot.records import builders
from gridbot.records.record_types import ReconcileRecord
from gridbot.worker.context import WorkerContext
from gridbot.worker.order_manager import LookUp
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["Reconciler", "Report"]

log = logging.getLogger(__name__)

OVERLAP_MS = 60_000
LOOK_UP_AFTER_S = 1.0
LOOK_UP_MAX_S = 30.0
SETTLE_AFTER_S = 60.0
SETTLED_MS = 5_000
POSITION_LOOKS = 5
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Report:
    """What one pass found and changed."""

    executions: int = 0
    adopted: int = 0
    looked_up: int = 0
    foreign_orders: int = 0

    def __str__(self) -> str:
        return (
            f"{self.executions} missed executions, {self.adopted} orders adopted, "
            f"{self.looked_up} looked up, {self.foreign_orders} foreign"
        )


class Reconciler:
    """One per account; `runners` are the live strategies by symbol. Each wallet read goes to `on_wallet`."""

    def __init__(
        self,
        queries: ExchangeQueries,
        runners: Mapping[str, StrategyRunner],
        context: WorkerContext,
        *,
        on_wallet: Callable[[WalletEvent, str], None],
    ) -> None:
        self._queries = queries
        self._runners = runners
        self._context = context
        self._on_wallet = on_wallet
        self._looking: dict[str, asyncio.Task[None]] = {}
        self._unsettled_since: dict[str, float] = {}
        self.last_s: float | None = None
        """When the last complete pass ended, on the account's monotonic clock."""

    async def reconcile(self, reason: str) -> None:
        """One full pass, recorded with its reason. Raises ExchangeError."""
        report = await self.run_recorded(reason)
        level = logging.INFO if report.executions or report.adopted or report.looked_up else logging.DEBUG
        log.log(level, "reconciled (%s): %s", reason, report)

    async def run_recorded(self, reason: str) -> Report:
        """One full pass and a record of its result. Raises ExchangeError."""
        clock, recorder = self._context.clock, self._context.recorder
        started_s = clock.monotonic_s()

        def took_ms() -> int:
            return round((clock.monotonic_s() - started_s) * 1000)

        try:
            report = await self.run()
        except ExchangeError as failure:
            recorder.record(ReconcileRecord(reason=reason, ok=False, took_ms=took_ms(), error=str(failure)))
            raise
        recorder.record(ReconcileRecord(reason=reason, ok=True, took_ms=took_ms(), **asdict(report)))
        return report

    async def run(self) -> Report:
        """One full pass. Raises ExchangeError; what was applied before that stays."""
        executions = await self.backfill()
        asked_ms = self._context.clock.wall_ms()
        listing = await self._queries.open_orders()
        adopted = looked_up = foreign = 0
        for runner in self._runners.values():
            plan = compare(
                runner.book, listing, strat_id=runner.strat_id, instrument=runner.instrument, asked_ms=asked_ms
            )
            for row in (*plan.update, *plan.foreign):
                runner.on_order_update(row)
            for row in plan.adopt:
                runner.orders.adopt(row, "reconcile")
            await asyncio.gather(*(self._ask(runner, order) for order in plan.missing))
            adopted, looked_up = adopted + len(plan.adopt), looked_up + len(plan.missing)
            foreign += len(plan.foreign)
        for symbol in self._runners:
            await self.positions(symbol)
        await self.wallet()
        self.last_s = self._context.clock.monotonic_s()
        return Report(executions, adopted, looked_up, foreign)

    async def backfill(self) -> int:
        """Apply executions we have not seen, oldest first; returns how many were new."""
        ledger = self._context.ledger
        rows = await self._queries.executions(max(0, ledger.last_exec_ts - OVERLAP_MS))
        fresh = [row for row in rows if ledger.is_new(row.exec_id)]
        for row in fresh:
            self._apply(row)
        return len(fresh)

    async def positions(self, symbol: str) -> None:
        """Read both legs of a symbol; a reading by REST clears `unsure`.

        Where our executions do not add up to a leg, the listing may be ahead of them. So they are paged, and the legs
        are read again if there were new ones: a leg that was believed too early would count those twice.
        """
        runner = self._runners[symbol]
        rows = await self._queries.positions(symbol)
        for _ in range(POSITION_LOOKS):
            if not any(self._differs(runner, row) for row in rows) or not await self.backfill():
                break
            rows = await self._queries.positions(symbol)
        for row in rows:
            runner.on_position_update(row, source="rest")
            self._align(runner, row)

    async def wallet(self) -> None:
        """Read the wallet."""
        self._on_wallet(await self._queries.wallet(), "rest")

    async def measure_clock(self) -> None:
        """Measure the offset to the exchange's clock again: drift causes 10002 (incident L45)."""
        await self._queries.server_time_ms()

    def look_up(self, order: TrackedOrder) -> None:
        """Ask for one order in the background; while that runs, further calls for the same order do nothing."""
        if order.key not in self._looking:
            task = background.start(self._look_up_guarded(order), name=f"look-up of {order.key}")
            self._looking[order.key] = task
            task.add_done_callback(lambda _: self._looking.pop(order.key, None))

    def unsettled(self) -> bool:
        """Whether the executions of a finished order have been missing for over a second: they have to be paged.

        If the exchange's own list does not have them within a minute either, the order is settled as it is.
        """
        now_s = self._context.clock.monotonic_s()
        found: dict[str, float] = {}
        for runner in self._runners.values():
            for order in runner.book.unsettled():
                since = found[order.key] = self._unsettled_since.get(order.key, now_s)
                if now_s - since > SETTLE_AFTER_S:
                    runner.book.settle(order.key)
                    self._context.alert(
                        "error",
                        f"unsettled.{order.key}",
                        f"{order.symbol}: {order.link_id} executed {order.cum_exec_qty} by the order's own account, "
                        f"but the executions list has {order.exec_qty}; continuing without the rest",
                        runner.strat_id,
                    )
        self._unsettled_since = found
        return any(now_s - since > LOOK_UP_AFTER_S for since in found.values())

    async def stop(self) -> None:
        """Cancel running look-ups."""
        for task in list(self._looking.values()):
            task.cancel()
        await asyncio.gather(*self._looking.values(), return_exceptions=True)

    # ------------------------------------------------------------------ inside

    def _differs(self, runner: StrategyRunner, row: PositionEvent) -> bool:
        """Whether our executions do not add up to a leg.

        False while executions are arriving, since the listing may be ahead of the stream.
        """
        ledger = self._context.ledger
        size, entry = ledger.leg(runner.strat_id, row.direction)
        settled = self.last_s is None or self._context.clock.wall_ms() - ledger.last_exec_ts > SETTLED_MS
        return settled and (size != row.size or (row.size > 0 and entry == 0))

    def _align(self, runner: StrategyRunner, row: PositionEvent) -> None:
        """Take the exchange's leg where our executions do not add up to it: part was held before our first one."""
        if self._differs(runner, row):
            ledger = self._context.ledger
            size, _ = ledger.leg(runner.strat_id, row.direction)
            log.info(
                "%s %s: executions add up to %s, the exchange says %s @ %s; continuing from there",
                runner.strat_id,
                row.direction,
                size,
                row.size,
                row.entry_price,
            )
            ledger.set_leg(runner.strat_id, row.direction, row.size, row.entry_price)

    def _apply(self, execution: ExecutionEvent) -> None:
        runner = self._runners.get(execution.symbol)
        if runner is not None:
            runner.on_execution(execution, source="backfill")
            return
        realised = self._context.ledger.apply("", execution)
        if realised is not None:
            self._context.recorder.record(
                builders.of_execution("", execution, realised, shadow=False, source="backfill")
            )
            self._context.record_raw(builders.raw_execution("", execution))

    async def _look_up_guarded(self, order: TrackedOrder) -> None:
        with self._context.faults.contained(f"{order.symbol}: looking up an order", order.symbol):
            await self._look_up_until_known(order)

    async def _look_up_until_known(self, order: TrackedOrder) -> None:
        wait_s = LOOK_UP_AFTER_S
        while not order.state.is_final:
            await self._context.clock.sleep(wait_s)
            try:
                await self._ask(self._runners[order.symbol], order)
                return
            except ExchangeError as error:
                wait_s = min(wait_s * 2, LOOK_UP_MAX_S)
                log.warning("%s: look-up of %s failed, again in %.0f s: %s", order.symbol, order.key, wait_s, error)

    async def _ask(self, runner: StrategyRunner, order: TrackedOrder) -> None:
        """Ask for one order by its id and act on the answer."""
        if order.state.is_final or order.key in self._context.retry:
            return
        found = await self._queries.find_order(order.symbol, order_link_id=order.link_id, order_id=order.order_id)
        if found is not None:
            if found.cum_exec_qty > order.exec_qty:
                await self.backfill()
            runner.on_order_update(found)
            if found.status.is_open and order.state is OrderState.PENDING_CANCEL:
                runner.orders.on_look_up(order, LookUp.STILL_OPEN)
        elif order.order_id or order.state is OrderState.PENDING_CANCEL:
            await self.backfill()
            runner.orders.on_look_up(order, LookUp.GONE)
        else:
            runner.orders.on_look_up(order, LookUp.NEVER_ARRIVED)
