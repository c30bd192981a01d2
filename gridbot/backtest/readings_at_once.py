"""Readings of positions and wallet of which is known that nothing else happens until they are answered.

Each job of these is a handful of waits, and twice a minute there is one for each symbol. Where the whole time that they
take is quiet, what they read and tell is done at once, in the order and at the times at which it would have happened;
and what cannot change a size and is no sample is left out (`calm_legs`). Whatever one of them changes ends this: the
rest then happens as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, Final, NamedTuple

from gridbot.backtest.calm_legs import Ahead, CalmLegs
from gridbot.backtest.mark_feed import FAR
from gridbot.backtest.run_loop import RunLoop, Symbols
from gridbot.backtest.run_readings import ASKED_AT_ONCE, PERIODIC
from gridbot.backtest.run_records import RunRecords
from gridbot.backtest.run_venue import RunVenue
from gridbot.core import PositionEvent, WalletEvent
from gridbot.worker.clockwork import Clockwork
from gridbot.worker.context import WorkerContext
from gridbot.worker.jobs import Jobs
from gridbot.worker.schedule import NO_WISHES, Job, JobKind
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["ReadingsAtOnce", "RunClockwork"]

Work = Coroutine[None, None, None]
KEPT_PLANS: Final = 50


class RunClockwork(Clockwork):
    """A clockwork whose jobs wait until all of a second are known."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._held: Sequence[Job] = ()

    def take_jobs(self) -> Sequence[Job]:
        """Those that are due since it was asked last."""
        held, self._held = self._held, ()
        return held

    def _begin(self, jobs: Sequence[Job]) -> None:
        self._held = [*self._held, *jobs]


class _Reading(NamedTuple):
    """Of the legs of a symbol, or of the wallet (""): when it arrives at the exchange and its answer at the worker, µs
    after the second of its job."""

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
        sample_legs: Callable[[StrategyRunner, Sequence[PositionEvent]], bool],
        take_wallet: Callable[[WalletEvent, str], None],
        touch: Callable[[Collection[str]], None],
        work_of: Callable[[Job], Work],
        on_pass: Callable[[Sequence[str]], Work],
        on_passed: Callable[[], None],
    ) -> None:
        self._venue, self._runners, self._context = venue, runners, context
        self._records, self._loop, self._ahead = records, loop, ahead
        self._take_legs, self._sample_legs, self._take_wallet = take_legs, sample_legs, take_wallet
        self._touch, self._work_of, self._on_pass, self._on_passed = touch, work_of, on_pass, on_passed
        self._plans: dict[tuple[tuple[str, str], ...], Sequence[_Reading] | None] = {}
        self._calm = CalmLegs(venue, runners, ahead, round((2 * position_check_s + 10) * 1e6))

    def start(self, held: Sequence[Job], jobs: Jobs, next_slot_us: int) -> None:
        """Do all of these at once, up to the next work of the clock; or start them."""
        began_us, readings = self._loop.now_us, self._planned(held)
        if readings is None or not self._is_quiet(began_us + readings[-1].told_us if readings else 0, next_slot_us):
            self.start_all(held, jobs)
        elif readings:
            self._do(began_us, readings, jobs)

    def start_all(self, held: Sequence[Job], jobs: Jobs) -> None:
        """Start these as a worker does."""
        if any(job.kind is JobKind.RECONCILE and job.subject != PERIODIC for job in held):
            self._loop.widen()
        for job in held:
            jobs.start(job, self._work_of(job))

    def _planned(self, held: Sequence[Job]) -> Sequence[_Reading] | None:
        """All readings in the order of their answers; None where it is not known when they are."""
        fixed = self._venue.calls.fixed_us
        if fixed is None:
            return None
        plan = tuple([(job.name, job.subject) for job in held])
        if plan not in self._plans:
            if len(self._plans) >= KEPT_PLANS:
                self._plans.clear()
            self._plans[plan] = self._plan(held, *fixed)
        return self._plans[plan]

    def _plan(self, held: Sequence[Job], request_us: int, answer_us: int) -> Sequence[_Reading] | None:
        both_us = request_us + answer_us
        planned: list[_Reading] = []
        for job in held:
            at_us = 0
            match job.kind:
                case JobKind.POSITIONS:
                    wanted: list[str] = [job.subject]
                case JobKind.WALLET:
                    wanted = [""]
                case JobKind.RECONCILE if job.subject == PERIODIC:
                    at_us = 2 * both_us  # executions and orders; then all others, as many at once as a worker asks
                    wanted = [*self._runners, ""]
                case JobKind.RECONCILE:
                    return None
                case _:
                    continue
            for number, symbol in enumerate(wanted):
                begun_us = at_us + number // ASKED_AT_ONCE * both_us
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

    def _do(self, began_us: int, readings: Sequence[_Reading], jobs: Jobs) -> None:
        """Make these readings, but those of which nothing can come, up to the first of which something has."""
        loop, now_us, changed_us = self._loop, self._loop.now_us, None
        last_us = began_us + readings[-1].told_us
        uneasy = self._uneasy(last_us) if readings[0].symbol or len(readings) > 1 else ()  # not for the wallet alone
        samples_us = self._records.next_samples_us()
        about: Symbols = None
        rest: Sequence[_Reading] = ()
        for number, each in enumerate(readings):
            symbol, told_us = each.symbol, began_us + each.told_us
            if changed_us is not None and told_us > changed_us:
                rest = readings[number:]
                break
            is_calm = symbol and symbol not in uneasy
            if is_calm and told_us < samples_us.get(symbol, 0):
                continue
            if not (is_calm and self._is_sample(began_us, each)) and self._changes(began_us, each):
                about = (symbol,) if symbol and changed_us is None else None
                changed_us = told_us
            samples_us = self._records.next_samples_us()
            if not symbol and each is not readings[-1]:
                uneasy = self._uneasy(last_us)
        loop.now_us = now_us
        if changed_us is not None:  # where to look next may be elsewhere from then on
            loop.at(changed_us, self._go_on, began_us, rest, jobs, about=about)

    def _uneasy(self, last_us: int) -> Collection[str]:
        self._calm.look(last_us)
        return self._calm.uneasy(last_us)

    def _go_on(self, began_us: int, rest: Sequence[_Reading], jobs: Jobs) -> None:
        """Of a periodic comparison what is not asked yet: at once again where nothing else happens."""
        if not rest:
            return
        if self._is_quiet(began_us + rest[-1].told_us, FAR):  # the next second is planned already
            self._do(began_us, rest, jobs)
            return
        fixed = self._venue.calls.fixed_us
        assert fixed is not None
        symbols, begin_us = [each.symbol for each in rest if each.symbol], began_us + rest[0].read_us - fixed[0]
        self._loop.at(begin_us, lambda: jobs.start(rest[0].job, self._on_pass(symbols)))

    def _is_sample(self, began_us: int, each: _Reading) -> bool:
        """Make a reading that can change no size: what is due of it is recorded, and that is all. False where the
        strategy has other legs."""
        loop, symbol = self._loop, each.symbol
        loop.now_us = began_us + each.read_us
        loop.before_exchange()
        legs = self._venue.legs(symbol)
        loop.now_us = began_us + each.told_us
        return self._sample_legs(self._runners[symbol], legs)

    def _changes(self, began_us: int, each: _Reading) -> bool:
        """Make a reading; whether anything has come of it."""
        loop, context, symbol = self._loop, self._context, each.symbol
        before = self._counts(symbol)
        loop.now_us = began_us + each.read_us
        loop.before_exchange()
        wallet = None if symbol else self._venue.wallet()
        legs = self._venue.legs(symbol) if symbol else []
        loop.now_us = began_us + each.told_us
        if wallet is None:
            self._touch((symbol,))
            self._ahead.hear(symbol)
            with context.faults.contained(f"{symbol}: taking in its positions", symbol):
                self._take_legs(self._runners[symbol], legs)
        else:
            self._take_wallet(wallet, "rest")
            if each.job.kind is JobKind.RECONCILE:
                self._on_passed()
        return self._counts(symbol) != before or context.requests.wishes is not NO_WISHES

    def _counts(self, symbol: str) -> tuple[int, int]:
        """What grows when a reading of a symbol's legs, or of the wallet (""), changes anything."""
        if symbol:
            return self._records.changes, self._runners[symbol].risk_state.epoch
        return self._records.changes, self._context.gate.state.balance_changes
