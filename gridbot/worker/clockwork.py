"""What happens once a second: retries, REST reads that are due, records of the state.

One broken part does not stop the clock. Each is reported once per cause (`Faults`), and tried again next second:

    part                          what its failure costs
    fresh wallet, sending         an alert
    one order's retry             its strategy is halted
    missing executions            an alert; the periodic comparison pages them
    choosing the jobs             an alert; the wishes stay
    one job                       an alert; of a symbol: its strategy is halted (`Jobs`)
    journal watch, state, flush   an alert; each by itself
    the clock itself (`run`)      fatal: the worker ends with an error, and its supervisor starts the next one
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping

from gridbot.worker.account_records import AccountRecords
from gridbot.worker.context import WorkerContext
from gridbot.worker.jobs import Jobs
from gridbot.worker.money_watch import MoneyWatch
from gridbot.worker.reconciler import Reconciler
from gridbot.worker.schedule import Intervals, Job, JobKind, ScheduleState, Second, step
from gridbot.worker.strategy_runner import StrategyRunner
from gridbot.worker.terms import Terms

__all__ = ["TICK_S", "Clockwork"]

TICK_S = 1.0


class Clockwork:
    """One per account; `live` are the strategies with orders on the exchange, `shadows` the others, by symbol.

    `private_alive` tells whether the private stream works; while it does, a wallet that was not pushed has not changed.
    """

    def __init__(
        self,
        context: WorkerContext,
        live: Mapping[str, StrategyRunner],
        shadows: Mapping[str, StrategyRunner],
        reconciler: Reconciler,
        money: MoneyWatch,
        *,
        intervals: Intervals,
        jobs: Jobs,
        records: AccountRecords,
        terms: Terms,
        private_alive: Callable[[], bool],
    ) -> None:
        self._context = context
        self._live = live
        self._shadows = shadows
        self._reconciler = reconciler
        self._money = money
        self._intervals = intervals
        self._schedule = ScheduleState()
        self._jobs = jobs
        self._records = records
        self._terms = terms
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
        context, contained = self._context, self._context.faults.contained
        with contained("the age of the wallet"):
            if self._private_alive():
                context.gate.stream_alive(now_s)
        with contained("the retries that are due"):
            self._retry(now_s)
        with contained("sending what waits"):
            context.executor.pump()
        with contained("the jobs that are due"):
            self._start_jobs(now_s)
        for name, part in (
            ("the watch over the journal", self._records.watch_journal),
            ("recording the state", self._records.record_state),
            ("writing the records", self._records.flush),
        ):
            with contained(name):
                part()

    def _retry(self, now_s: float) -> None:
        for item in self._context.retry.due(now_s):
            runner = next((r for r in self._live.values() if r.book.get(item.key) is not None), None)
            if runner is not None:
                with self._context.faults.contained(f"{runner.symbol}: another try of an order", runner.symbol):
                    runner.orders.retry(item)

    def _start_jobs(self, now_s: float) -> None:
        again = ""
        with self._context.faults.contained("looking for missing executions"):
            again = self._reconciler.again()
        requests = self._context.requests
        second = Second(requests.wishes, self._jobs.running, again)
        symbols = [*self._live, *self._shadows]
        self._schedule, jobs = step(self._schedule, second, now_s, intervals=self._intervals, symbols=symbols)
        for job in jobs:
            requests.started(job)
            self._jobs.start(job.name, self._reading(job), job.symbol)

    def _reading(self, job: Job) -> Coroutine[None, None, None]:
        match job.kind:
            case JobKind.RECONCILE:
                for symbol, runner in self._shadows.items():
                    with self._context.faults.contained(f"{symbol}: reading the shadow's legs", symbol):
                        runner.read_shadow()
                return self._reconciler.reconcile(job.subject)
            case JobKind.POSITIONS if job.subject in self._shadows:
                return _read_shadow(self._shadows[job.subject])
            case JobKind.POSITIONS:
                return self._reconciler.positions(job.subject)
            case JobKind.TERMS:
                return self._terms.read(job.subject)
            case JobKind.CLOCK:
                return self._reconciler.measure_clock()
            case JobKind.WALLET:
                return self._reconciler.wallet()
            case JobKind.MONEY:
                return self._money.check()


async def _read_shadow(runner: StrategyRunner) -> None:
    """The legs of a shadow strategy are at hand; the job is one so that its risk rules are judged as often."""
    runner.read_shadow()
