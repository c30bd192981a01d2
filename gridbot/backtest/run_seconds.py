"""The work of each second of an account in a backtest, at those seconds only at which something of it is due.

When that is is worked out after anything has happened (`plan`): the next second after news, the next half second where
losses have a limit, else the second at which the schedule next has a job. Where nothing but the schedule and a ladder
can have anything to do, only those are looked at, and of the strategies those to which something has happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gridbot.backtest.calm_legs import Ahead
from gridbot.backtest.readings_at_once import ReadingsAtOnce, RunClockwork
from gridbot.backtest.run_loop import RunClock, RunLoop
from gridbot.backtest.run_readings import RunReadings
from gridbot.backtest.run_records import RunRecords
from gridbot.backtest.touched import Touched
from gridbot.risk.gate_checks import STALE_PRICE_S
from gridbot.worker.account_records import AccountRecords
from gridbot.worker.cap_guard import GUARD_S
from gridbot.worker.clockwork import TICK_S
from gridbot.worker.context import WorkerContext
from gridbot.worker.jobs import Jobs
from gridbot.worker.loss_guard import LossGuard
from gridbot.worker.reconciler import Reconciler
from gridbot.worker.schedule import NO_WISHES
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["SECOND_US", "RunSeconds"]

GUARD_US: Final = round(GUARD_S * 1e6)
SECOND_US: Final = round(TICK_S * 1e6)
SLOTS: Final = SECOND_US // GUARD_US
"""Looks at losses in a second."""


class RunSeconds:
    """One per account, made when it is ready. `touched` has the strategies to which something has happened."""

    def __init__(
        self,
        loop: RunLoop,
        clock: RunClock,
        context: WorkerContext,
        records: RunRecords,
        runners: Mapping[str, StrategyRunner],
        *,
        losses: LossGuard,
        reconciler: Reconciler,
        jobs: Jobs,
        account_records: AccountRecords,
        clockwork: RunClockwork,
        readings: RunReadings,
        at_once: ReadingsAtOnce | None,
        ahead: Ahead,
    ) -> None:
        self._loop, self._clock, self._context, self._records = loop, clock, context, records
        self._runners, self._losses, self._reconciler, self._jobs = runners, losses, reconciler, jobs
        self._account_records, self._clockwork = account_records, clockwork
        self._readings, self._at_once, self._ahead = readings, at_once, ahead
        self._ready_us, self._ready_s = 0, 0.0
        self._seen_news = self._seen_changes = 0
        self._slot: Any = None
        self._slot_us = 0
        self._due_slot = 0
        """The half second, counted from when it was ready, at which the schedule next has a job."""
        self.touched = Touched()

    def begin(self) -> None:
        """Seconds are counted from now on."""
        self._ready_us, self._ready_s = self._loop.now_us, self._clock.monotonic_s()

    def plan(self) -> None:
        """Have the next second, and half a second, that has something to do come. Call it after anything happened."""
        if self._slot is not None:
            passed_us = self._loop.now_us - self._ready_us
            if self._slot_us - self._ready_us <= passed_us - passed_us % GUARD_US + GUARD_US:
                return  # none is sooner
        want_us = self._next_slot_us()
        if self._slot is not None:
            if self._slot_us <= want_us:
                return
            self._slot.cancel()
        self._slot_us = want_us
        self._slot = self._loop.at(want_us, self._on_slot, about=())

    def _next_slot_us(self) -> int:
        after = (self._loop.now_us - self._ready_us) // GUARD_US + 1
        if self._records.changes == self._seen_changes and not self._has_something_to_do():
            after = max(after, self._due_slot)
        elif not self._losses.has_limit:
            after = -(-after // SLOTS) * SLOTS  # between two seconds only losses are looked at
        return self._ready_us + after * GUARD_US

    def _has_something_to_do(self) -> bool:
        context = self._context
        return (
            self._records.news != self._seen_news
            or len(context.retry) > 0
            or context.requests.wishes is not NO_WISHES
            or self._jobs.has_failed
            or self._reconciler.asks
        )

    def _on_slot(self) -> None:
        self._slot = None
        if (self._loop.now_us - self._ready_us) % SECOND_US == 0:  # as a worker: it asked for this one earlier
            self._second()
        self.guard()
        if held := self._clockwork.take_jobs():
            if self._at_once is not None and not self._reconciler.has_questions:
                self._at_once.start(held, self._jobs, self._next_slot_us())
            else:
                self._loop.widen()
                for job in held:
                    self._jobs.start(job, self._readings.of(job))

    def _second(self) -> None:
        now_s, records = self._clock.monotonic_s(), self._records
        touched = self.touched.take()
        runners = self._runners
        if touched is not None:  # in the order of all, in which their records are
            runners = {name: runner for name, runner in runners.items() if name in touched}
        is_calm = self._is_calm(now_s, runners)
        self._readings.look_at(runners if is_calm else self._runners)
        self._seen_changes, self._seen_news = records.changes, records.news
        if is_calm:
            self._clockwork.tick_calmly(now_s, runners.values())
        else:
            self._loop.widen()
            self._clockwork.tick(now_s)
            self.touched.note(None)
        due_us = round((self._clockwork.next_due_s() - self._ready_s) * 1e6)
        self._due_slot = -(-due_us // SECOND_US) * SLOTS

    def _is_calm(self, now_s: float, touched: Mapping[str, StrategyRunner]) -> bool:
        """Whether nothing but the schedule can have anything to do: nothing stood, nothing but fills and their orders
        has happened since, and no time runs out for anything. Of those not touched no order has been wanting."""
        records = self._account_records
        return (
            records.is_calm
            and not self._has_something_to_do()
            and not self._context.executor.queue.waits
            and not records.wanted(touched.values())
            and (self._ahead.are_fresh(STALE_PRICE_S) or self._have_prices(now_s))
        )

    def _have_prices(self, now_s: float) -> bool:
        """Whether no strategy's price is stale; it may have come without having been told."""
        for symbol, runner in self._runners.items():
            price_s = runner.risk_state.price_s
            if price_s is None:
                return False
            if now_s - price_s > STALE_PRICE_S and self._ahead.age_s(symbol) > STALE_PRICE_S:
                return False
        return True

    def guard(self) -> None:
        """Look at the losses: of an account that is latched all orders are withdrawn."""
        if not self._losses.check():
            return
        self._loop.widen()
        for symbol, runner in self._runners.items():
            if not runner.is_shadow:
                with self._context.faults.contained(f"{symbol}: withdrawing all orders", symbol):
                    runner.orders.cancel_all("session_loss_limit")
