"""What happens once a second: retries, REST reads that are due, records of the state."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping

from gridbot.worker.account_records import AccountRecords
from gridbot.worker.context import WorkerContext
from gridbot.worker.jobs import Jobs
from gridbot.worker.reconciler import Reconciler
from gridbot.worker.schedule import Job, JobKind, Schedule
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["TICK_S", "Clockwork"]

TICK_S = 1.0


class Clockwork:
    """One per account; `live` are the strategies with orders on the exchange, by symbol.

    `private_alive` tells whether the private stream works; while it does, a wallet that was not pushed has not changed.
    """

    def __init__(
        self,
        context: WorkerContext,
        live: Mapping[str, StrategyRunner],
        reconciler: Reconciler,
        *,
        schedule: Schedule,
        jobs: Jobs,
        records: AccountRecords,
        private_alive: Callable[[], bool],
    ) -> None:
        self._context = context
        self._live = live
        self._reconciler = reconciler
        self._schedule = schedule
        self._jobs = jobs
        self._records = records
        self._private_alive = private_alive
        self.loop_lag_s = 0.0
        """How late the last tick was, in seconds."""

    async def run(self) -> None:
        """Tick each second until cancelled."""
        clock = self._context.clock
        planned_s = clock.monotonic_s() + TICK_S
        while True:
            await clock.sleep(max(0.0, planned_s - clock.monotonic_s()))
            now_s = clock.monotonic_s()
            self.loop_lag_s = max(0.0, now_s - planned_s)
            planned_s = max(planned_s + TICK_S, now_s)
            self.tick(now_s)

    def tick(self, now_s: float) -> None:
        """The work of one second. REST reads run in the background, as jobs."""
        context = self._context
        if self._private_alive():
            context.gate.stream_alive(now_s)
        self._retry(now_s)
        context.executor.pump()
        unsettled = self._reconciler.unsettled()
        if self._schedule.position_check_due(now_s):
            for runner in self._live.values():
                runner.check_positions()
        for job in self._schedule.take(context.requests, now_s, unsettled=unsettled):
            self._jobs.start(job.name, self._reading(job))
        self._records.watch_journal()
        self._records.record_state()
        self._records.flush()

    def _retry(self, now_s: float) -> None:
        for item in self._context.retry.due(now_s):
            runner = next((r for r in self._live.values() if r.book.get(item.key) is not None), None)
            if runner is not None:
                runner.orders.retry(item)

    def _reading(self, job: Job) -> Coroutine[None, None, None]:
        match job.kind:
            case JobKind.RECONCILE:
                return self._reconciler.reconcile(job.subject)
            case JobKind.POSITIONS:
                return self._reconciler.positions(job.subject)
            case JobKind.CLOCK:
                return self._reconciler.measure_clock()
            case JobKind.WALLET:
                return self._reconciler.wallet()
