"""Readings of positions and wallet of which is known that nothing else happens until they are answered.

Each job of these is a handful of waits, and twice a minute there is one for each symbol. Where the whole time that they
take is quiet, what they read and tell is done at once, in the order and at the times at which it would have happened;
and what cannot change a size and is no sample is left out (`calm_legs`). Whatever one of them changes ends this: the
rest then happens as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple

from gridbot.backtest.calm_legs import Ahead, CalmLegs
from gridbot.backtest.run_loop import RunLoop
from gridbot.backtest.run_records import RunRecords
from gridbot.backtest.run_venue import RunVenue
from gridbot.backtest.symbol_feed import FAR
from gridbot.core import PositionEvent, WalletEvent
from gridbot.core.vocabulary import Direction
from gridbot.worker.context import WorkerContext
from gridbot.worker.jobs import Jobs
from gridbot.worker.schedule import NO_WISHES, Job, JobKind
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["ReadingsAtOnce", "RunJobs"]

Work = Coroutine[None, None, None]
PERIODIC = "periodic"


class RunJobs(Jobs):
    """Jobs that wait, while they are held back, until all of a second are known."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._held: list[tuple[Job, Work]] | None = None

    def hold(self) -> None:
        """Hold back what is started from now on."""
        self._held = []

    def start(self, job: Job, coroutine: Work) -> None:
        """As ever, or hold it back."""
        if self._held is None:
            super().start(job, coroutine)
        else:
            self._held.append((job, coroutine))

    def let_go(self) -> list[tuple[Job, Work]]:
        """What was held back; nothing is any more."""
        held, self._held = self._held or [], None
        return held


class _Reading(NamedTuple):
    """Of the legs of a symbol, or of the wallet (""): when it arrives at the exchange and its answer at the worker."""

    read_us: int
    told_us: int
    symbol: str
    job: Job


class ReadingsAtOnce:
    """One per account. `on_pass` gives what is left of a periodic comparison, `on_passed` is called at its end."""

    def __init__(
        self,
        venue: RunVenue,
        runners: Mapping[str, StrategyRunner],
        context: WorkerContext,
        records: RunRecords,
        loop: RunLoop,
        ahead: Ahead,
        *,
        position_check_s: float,
        take_legs: Callable[[StrategyRunner, Sequence[PositionEvent]], None],
        take_wallet: Callable[[WalletEvent, str], None],
        on_pass: Callable[[Sequence[str]], Work],
        on_passed: Callable[[], None],
    ) -> None:
        self._venue, self._runners, self._context = venue, runners, context
        self._records, self._loop, self._ahead = records, loop, ahead
        self._take_legs, self._take_wallet = take_legs, take_wallet
        self._on_pass, self._on_passed = on_pass, on_passed
        self._calm = CalmLegs(venue, runners, ahead, round((2 * position_check_s + 10) * 1e6))

    def start(self, held: Sequence[tuple[Job, Work]], jobs: Jobs, next_slot_us: int) -> None:
        """Do all of these at once, up to the next work of the clock; or start them."""
        readings = self._planned([job for job, _ in held])
        if readings is None or not self._is_quiet(readings[-1].told_us if readings else 0, next_slot_us):
            for job, work in held:
                jobs.start(job, work)
            return
        for _, work in held:
            work.close()
        if readings:
            self._do(readings, jobs)

    def _planned(self, held: Sequence[Job]) -> list[_Reading] | None:
        """All readings in the order of their answers; None where it is not known when they are."""
        fixed = self._venue.calls.fixed_us
        if fixed is None:
            return None
        request_us, both_us = fixed[0], sum(fixed)
        planned: list[_Reading] = []
        for job in held:
            at_us = self._loop.now_us
            match job.kind:
                case JobKind.POSITIONS:
                    wanted: list[str] = [job.subject]
                case JobKind.WALLET:
                    wanted = [""]
                case JobKind.RECONCILE if job.subject == PERIODIC:
                    at_us += 2 * both_us  # executions and orders
                    wanted = [*self._runners, ""]
                case JobKind.RECONCILE:
                    return None
                case _:
                    continue
            for number, symbol in enumerate(wanted):
                begun_us = at_us + number * both_us
                planned.append(_Reading(begun_us + request_us, begun_us + both_us, symbol, job))
        return sorted(planned, key=lambda each: each.told_us)

    def _is_quiet(self, until_us: int, next_slot_us: int) -> bool:
        """Whether nothing else happens up to then, itself included."""
        next_us = self._loop.next_us()
        return (
            self._loop.calls == 1
            and self._venue.under_way == 0
            and self._context.requests.wishes is NO_WISHES
            and (next_us is None or until_us < next_us)
            and until_us < min(next_slot_us, self._ahead.quiet_until_us)
        )

    def _do(self, readings: Sequence[_Reading], jobs: Jobs) -> None:
        loop, began_us, changed_us = self._loop, self._loop.now_us, None
        loop.before_exchange()
        self._calm.look(readings[-1].told_us)
        rest: Sequence[_Reading] = ()
        for number, each in enumerate(readings):
            if changed_us is not None and each.told_us > changed_us:
                rest = readings[number:]
                break
            if self._changes(each):
                changed_us = each.told_us
        loop.now_us = began_us
        if changed_us is not None:  # where to look next may be elsewhere from then on
            loop.at(changed_us, self._go_on, rest, jobs)

    def _go_on(self, rest: Sequence[_Reading], jobs: Jobs) -> None:
        """One after the other in a periodic comparison: the rest of it, at once again where nothing else happens."""
        if not rest:
            return
        if self._is_quiet(rest[-1].told_us, FAR):  # the next second is planned already
            self._do(rest, jobs)
            return
        fixed = self._venue.calls.fixed_us
        assert fixed is not None
        symbols, begin_us = [each.symbol for each in rest if each.symbol], rest[0].read_us - fixed[0]
        self._loop.at(begin_us, lambda: jobs.start(rest[0].job, self._on_pass(symbols)))

    def _changes(self, each: _Reading) -> bool:
        """Make a reading, unless nothing can come of it; whether anything has."""
        loop, records, context = self._loop, self._records, self._context
        if each.symbol:
            is_sample = any(records.samples(each.symbol, leg, each.told_us) for leg in Direction)
            if not is_sample and self._calm.holds(each.symbol, each.told_us):
                return False
        before = self._state()
        loop.now_us = each.read_us
        loop.before_exchange()
        wallet = None if each.symbol else self._venue.wallet()
        legs = self._venue.legs(each.symbol) if each.symbol else []
        loop.now_us = each.told_us
        if wallet is None:
            self._ahead.hear(each.symbol)
            with context.faults.contained(f"{each.symbol}: taking in its positions", each.symbol):
                self._take_legs(self._runners[each.symbol], legs)
        else:
            self._take_wallet(wallet, "rest")
            if each.job.kind is JobKind.RECONCILE:
                self._on_passed()
        return self._state() != before or context.requests.wishes is not NO_WISHES

    def _state(self) -> list[int]:
        return [self._records.changes, *(runner.risk_state.epoch for runner in self._runners.values())]
