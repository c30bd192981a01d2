"""What happens once a second: retries, REST reads that are due, records of the state.

One broken part does not stop the clock. Each is reported once per cause (`Faults`), and tried again next second:

    part                          what its failure costs
    fresh wallet, sending         an alert
    one order's retry             its strategy is halted
    the state of a symbol         its strategy is halted
    the exchange's announcements  an alert
    missing executions            an alert; the periodic comparison pages them
    choosing the jobs             an alert; the wishes stay
    one job                       an alert; of a symbol: its strategy is halted (`Jobs`)
    files, journal, state, lines  an alert; each by itself
    about fills, flush
    the clock itself (`run`)      fatal: the worker ends with an error, and its supervisor starts the next one
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from gridbot.worker.account_records import AccountRecords
from gridbot.worker.context import WorkerContext
from gridbot.worker.file_watch import FileWatch
from gridbot.worker.jobs import Jobs
from gridbot.worker.readings import Readings
from gridbot.worker.schedule import (
    NO_WISHES,
    UNCHECKED_MOST,
    Intervals,
    Job,
    ScheduleState,
    Second,
    next_due_s,
    step,
)
from gridbot.worker.strategy_runner import StrategyRunner
from gridbot.worker.symbol_states import SymbolStates

__all__ = ["TICK_S", "Clockwork"]

TICK_S = 1.0
ROUNDING_S = 0.001
"""What the sum and the difference of two times may differ by, and more."""


class Clockwork:
    """One per account; `runners` are all its strategies, as they come and go.

    `private_alive` tells whether the private stream works; while it does, a wallet that was not pushed has not changed.
    """

    def __init__(
        self,
        context: WorkerContext,
        runners: Collection[StrategyRunner],
        readings: Readings,
        *,
        intervals: Intervals,
        jobs: Jobs,
        records: AccountRecords,
        files: FileWatch,
        states: SymbolStates,
        private_alive: Callable[[], bool],
    ) -> None:
        self._context = context
        self._runners = runners
        self._readings = readings
        self._intervals = intervals
        self._schedule = ScheduleState()
        self._due: tuple[ScheduleState | None, bool, float] = (None, False, 0.0)
        """When the schedule next has a job, and for which schedule that is known."""
        self._jobs = jobs
        self._records = records
        self._files = files
        self._states = states
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
        with contained("the states of the symbols"):
            self._states.look()
        with contained("the exchange's announcements"):
            self._readings.notices.look()
        with contained("the retries that are due"):
            self._retry(now_s)
        with contained("sending what waits"):
            context.executor.pump()
        with contained("the jobs that are due"):
            self._start_jobs(now_s)
        for name, part in (
            ("the watch over the files", self._files.look),
            ("the watch over the journal", self._records.watch_journal),
            ("recording the state", self._records.record_state),
            ("the lines about fills", self._tell_fills),
            ("writing the records", self._records.flush),
        ):
            with contained(name):
                part()

    def tick_calmly(self, now_s: float, touched: Iterable[StrategyRunner]) -> None:
        """As `tick`, for whoever knows that nothing but the schedule and the ladders of some strategies can have
        anything to do."""
        contained = self._context.faults.contained
        with contained("the jobs that are due"):
            self._start_jobs(now_s)
        with contained("recording the state"):
            self._records.record_ladders(touched)
        with contained("writing the records"):
            self._records.flush()

    def next_due_s(self) -> float:
        """When the schedule alone next has a job (monotonic); what others wish for comes sooner."""
        is_maintained = self._readings.notices.is_maintained
        schedule, known_for, due_s = self._due
        if schedule is not self._schedule or known_for is not is_maintained:
            due_s = next_due_s(self._schedule, self._intervals, is_maintained=is_maintained)
            self._due = self._schedule, is_maintained, due_s
        return due_s

    def _retry(self, now_s: float) -> None:
        for item in self._context.retry.due(now_s):
            runner = next((r for r in self._runners if r.book.get(item.key) is not None), None)
            if runner is not None:
                with self._context.faults.contained(f"{runner.symbol}: another try of an order", runner.symbol):
                    runner.orders.retry(item)

    def _tell_fills(self) -> None:
        for runner in self._runners:
            runner.fill_lines.look()

    def _start_jobs(self, now_s: float) -> None:
        again = ""
        with self._context.faults.contained("looking for missing executions"):
            again = self._readings.again()
        requests, kept = self._context.requests, self._context.ledger.legs.kept
        watched, failed = self._states.watched, self._jobs.failed
        is_asked = again or watched or failed or requests.wishes is not NO_WISHES or kept > UNCHECKED_MOST
        if not is_asked and self.next_due_s() > now_s + ROUNDING_S:
            return  # the usual case: it would be told so
        is_maintained = self._readings.notices.is_maintained
        passed_s = self._readings.passed_s
        second = Second(requests.wishes, self._jobs.running, again, kept, watched, is_maintained, failed, passed_s)
        symbols = [runner.symbol for runner in self._runners]
        self._schedule, jobs = step(self._schedule, second, now_s, intervals=self._intervals, symbols=symbols)
        if requests.wishes is not NO_WISHES:
            for job in jobs:
                requests.started(job)
        self._begin(jobs)

    def _begin(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._jobs.start(job, self._readings.of(job))
