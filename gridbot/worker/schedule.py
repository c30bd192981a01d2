"""Which periodic and requested readings of the exchange are due, as a step. Pure; times are monotonic seconds.

::

    wishes of others ─┐
    running jobs ─────┼─► Second ──► step(state, event, now_s, ...) ──► (state, the jobs to start now)
    again ────────────┘

    job                when it is wanted                                          two starts apart
    reconcile          asked for; each `order_sync_s`; executions are missing     5 s
                       or the last one failed, then each 10 s
    positions.SYMBOL   asked for; each `position_check_s` without a whole pass    10 s
    terms.SYMBOL       orders of it are refused, the exchange says that it has    30 s
                       changed; each hour, each minute while it is not in order
    margin_mode        with the terms of any symbol, once for all of them; asked  30 s
                       for
    clock              each hour                                                  an hour
    wallet             asked for; each `wallet_s` without a whole pass            10 s
    money              asked for; each 300 s; with more than 500 executions 60 s  10 s
    dead_man           asked for: at the start and when the private stream is     10 s
                       back
    notices            each 300 s, each 60 s around a maintenance of the exchange 10 s

A wanted job starts when none of its name runs and its time apart has passed, counted from the last start, so a failing
one is not repeated sooner (incident L59). One that failed is wanted until it succeeds, each `FAILED_S`. Until a job
starts the wish stays: nothing that was asked for is dropped, and a wish that comes while its job runs leads to another
run. What never ran is due at once, whatever the clock says (incident L36).

A `Second` that has passed is the only event. Between two of them nothing is decided: a wish waits in `RefreshRequests`,
where neither order nor repeats count, and a job that ends is missing among the running ones. Events of their own would
only keep a second copy of both here. The effects are the jobs.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import field
from enum import StrEnum
from types import MappingProxyType

from gridbot.core.quick_values import quick_value

__all__ = [
    "APART_S",
    "FAILED_S",
    "UNCHECKED_MOST",
    "Due",
    "Intervals",
    "Job",
    "JobKind",
    "ScheduleState",
    "Second",
    "Wishes",
    "next_due_s",
    "step",
]

REFRESH_MIN_S = 10.0
FORCED_RECONCILE_MIN_S = 5.0
CLOCK_S = 3600.0
CLOCK_APART_S = 30.0
LEASED_CLOCK_S = 60.0
"""With a lease the exchange's time has to be known to half a second (`gridbot/lease/anchored_clock.py`)."""
TERMS_S = 3600.0
WATCHED_S = 60.0
"""How often a symbol is read that is not in order, or does not trade yet."""
TERMS_MIN_S = 30.0
MONEY_S = 300.0
"""How often what is recorded is compared with the exchange's transaction log."""
MONEY_MIN_S = 60.0
MONEY_AFTER_S = 2.0
NOTICES_S = 300.0
"""How often the exchange's announcements are read, by each account for itself."""
UNCHECKED_MOST = 500
"""With more executions that are not compared it is compared sooner: they and the checkpoint have to stay small."""


FAILED_S = 60.0
"""How often a job is tried again that the exchange let fail, whoever wanted it."""


class Due:
    """When each job ran last; a job that never ran is due at once, whatever the clock says (incident L36)."""

    def __init__(self) -> None:
        self._last_s: dict[str, float] = {}

    def take(self, job: str, every_s: float, now_s: float) -> bool:
        """True when the job is due, which then counts as done; an interval of 0 switches it off."""
        if not _is_due(self._last_s.get(job), every_s, now_s):
            return False
        self._last_s[job] = now_s
        return True


class JobKind(StrEnum):
    """What is read from the exchange."""

    RECONCILE = "reconcile"
    POSITIONS = "positions"
    MARGIN_MODE = "margin_mode"
    TERMS = "terms"
    CLOCK = "clock"
    WALLET = "wallet"
    MONEY = "money"
    NOTICES = "notices"
    DEAD_MAN = "dead_man"


APART_S: Mapping[JobKind, float] = {
    JobKind.RECONCILE: FORCED_RECONCILE_MIN_S,
    JobKind.POSITIONS: REFRESH_MIN_S,
    JobKind.MARGIN_MODE: TERMS_MIN_S,
    JobKind.TERMS: TERMS_MIN_S,
    JobKind.CLOCK: CLOCK_APART_S,
    JobKind.WALLET: REFRESH_MIN_S,
    JobKind.MONEY: REFRESH_MIN_S,
    JobKind.NOTICES: REFRESH_MIN_S,
    JobKind.DEAD_MAN: REFRESH_MIN_S,
}
"""Seconds between two starts of a job."""


OF_SYMBOL = frozenset({JobKind.POSITIONS, JobKind.TERMS})
"""Jobs that are about one symbol each."""
READ_BY_A_PASS = ("position_check", "wallet_check")
"""Periods that a whole pass of the reconciler begins anew: it has read the same."""


@quick_value(frozen=True, slots=True)
class Job:
    """`subject` is the reason of a reconcile, or the symbol whose positions or terms are read."""

    kind: JobKind
    subject: str = ""

    name: str = field(init=False, compare=False, repr=False)
    """Only one job of a name runs at a time."""
    symbol: str = field(init=False, compare=False, repr=False)
    """The symbol whose strategy it belongs to; "" for none."""

    def __post_init__(self) -> None:
        is_of_symbol = self.kind in OF_SYMBOL
        object.__setattr__(self, "name", f"{self.kind}.{self.subject}" if is_of_symbol else str(self.kind))
        object.__setattr__(self, "symbol", self.subject if is_of_symbol else "")


@quick_value(frozen=True, slots=True)
class Intervals:
    """Seconds between periodic readings; 0 switches one off.

    `notices_after_s`: when the announcements are read first, so that the accounts of one address do it one by one.
    `first_s`: when what the start has just read is read again first: other accounts may still start.
    """

    order_sync_s: float
    position_check_s: float
    wallet_s: float
    notices_after_s: float = 0.0
    first_s: float = 0.0
    clock_s: float = CLOCK_S


@quick_value(frozen=True, slots=True)
class Wishes:
    """What is wanted and has not started: a reconcile with its reason ("" for none), positions and terms by symbol."""

    reconcile: str = ""
    positions: frozenset[str] = frozenset()
    wallet: bool = False
    clock: bool = False
    terms: frozenset[str] = frozenset()
    money: bool = False
    notices: bool = False
    margin_mode: bool = False
    dead_man: bool = False

    def __or__(self, other: Wishes) -> Wishes:
        """Both; of two reasons for a reconcile the one of the left side stays."""
        return Wishes(
            self.reconcile or other.reconcile,
            self.positions | other.positions,
            self.wallet or other.wallet,
            self.clock or other.clock,
            self.terms | other.terms,
            self.money or other.money,
            self.notices or other.notices,
            self.margin_mode or other.margin_mode,
            self.dead_man or other.dead_man,
        )

    def without(self, jobs: Sequence[Job]) -> Wishes:
        """What is left when these jobs have started."""
        kinds = {job.kind for job in jobs}
        if self is NO_WISHES or not kinds:
            return self
        return Wishes(
            "" if JobKind.RECONCILE in kinds else self.reconcile,
            self.positions - {job.subject for job in jobs if job.kind is JobKind.POSITIONS},
            self.wallet and JobKind.WALLET not in kinds,
            self.clock and JobKind.CLOCK not in kinds,
            self.terms - {job.subject for job in jobs if job.kind is JobKind.TERMS},
            self.money and JobKind.MONEY not in kinds,
            self.notices and JobKind.NOTICES not in kinds,
            self.margin_mode and JobKind.MARGIN_MODE not in kinds,
            self.dead_man and JobKind.DEAD_MAN not in kinds,
        )

    def jobs(self) -> list[Job]:
        """As jobs, the most important first."""
        jobs = [Job(JobKind.RECONCILE, self.reconcile)] if self.reconcile else []
        jobs += [Job(JobKind.DEAD_MAN)] if self.dead_man else []
        jobs += _of_symbols(JobKind.POSITIONS, self.positions)
        jobs += [Job(JobKind.MARGIN_MODE)] if self.margin_mode else []
        jobs += _of_symbols(JobKind.TERMS, self.terms)
        jobs += [Job(JobKind.CLOCK)] if self.clock else []
        jobs += [Job(JobKind.WALLET)] if self.wallet else []
        jobs += [Job(JobKind.MONEY)] if self.money else []
        return jobs + ([Job(JobKind.NOTICES)] if self.notices else [])


@functools.lru_cache(maxsize=64)
def _of_symbols(kind: JobKind, symbols: frozenset[str]) -> Sequence[Job]:
    """The same ones each time: all symbols of an account are read once or twice a minute."""
    return tuple(Job(kind, symbol) for symbol in sorted(symbols))


NO_WISHES = Wishes()
"""What a mailbox without wishes has: this very object, so that most need no comparison."""


@quick_value(frozen=True, slots=True)
class Second:
    """A second has passed. `wishes` are those of others, `running` the names of the jobs under way.

    `again` is why a reconcile has to be repeated until it succeeds; "" for none. `unchecked`: how many executions are
    kept until they are compared with the exchange's log. `watched` are symbols that are not in order.
    `is_maintained`: a maintenance of the exchange is under way or begins soon. `failed` are jobs whose last run failed.
    `passed_s`: when the last whole pass of the reconciler ended, which has read legs and wallet; one that broke off
    keeps nobody from reading them.
    """

    wishes: Wishes
    running: Set[str]
    again: str
    unchecked: int = 0
    watched: frozenset[str] = frozenset()
    is_maintained: bool = False
    failed: Collection[Job] = ()
    passed_s: float | None = None


@quick_value(frozen=True, slots=True)
class ScheduleState:
    """`owed` are the wishes of the clock that have not started; `last_s` has the last start of each period and job."""

    owed: Wishes = NO_WISHES
    last_s: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


def step(
    state: ScheduleState, event: Second, now_s: float, *, intervals: Intervals, symbols: Collection[str]
) -> tuple[ScheduleState, list[Job]]:
    """Apply the event and return the jobs to start now. `symbols` are those whose positions and terms are checked."""
    last_s = dict(state.last_s)

    def begins(period: str, every_s: float) -> bool:
        due = _is_due(last_s.get(period), every_s, now_s)
        if due:
            last_s[period] = now_s
        return due

    last_s.setdefault("terms_check", now_s)  # the start has just read them
    if "order_sync" not in last_s:
        last_s.update(
            (name, now_s - every_s + min(every_s, after_s)) for name, every_s, after_s in _of_start(intervals)
        )
    if event.passed_s is not None:
        last_s.update({period: max(last_s[period], event.passed_s) for period in READ_BY_A_PASS})
    last_s.setdefault("notices_check", now_s - NOTICES_S + intervals.notices_after_s)
    again = event.again if event.again and begins("again", REFRESH_MIN_S) else ""
    periodic = begins("order_sync", intervals.order_sync_s)
    terms = frozenset(symbols) if begins("terms_check", TERMS_S) else frozenset()
    if event.watched and begins("watched_check", WATCHED_S):
        terms |= event.watched
    owed = state.owed | Wishes(
        again or ("periodic" if periodic else ""),
        frozenset(symbols) if begins("position_check", intervals.position_check_s) else frozenset(),
        begins("wallet_check", intervals.wallet_s),
        begins("clock_check", intervals.clock_s),
        terms,
        begins("money_check", MONEY_MIN_S if event.unchecked > UNCHECKED_MOST else MONEY_S),
        begins("notices_check", WATCHED_S if event.is_maintained else NOTICES_S),
        margin_mode=bool(terms),
    )
    jobs: list[Job] = []
    started = set(event.running)

    wanted = [(job, APART_S[job.kind]) for job in (owed if event.wishes is NO_WISHES else event.wishes | owed).jobs()]
    wanted += [(job, FAILED_S) for job in sorted(event.failed, key=lambda job: job.name)]
    for job, apart_s in wanted:
        name = job.name
        if name not in started and ((before_s := last_s.get(name)) is None or now_s - before_s >= apart_s):
            jobs.append(job)
            started.add(name)
            last_s[name] = now_s
    return ScheduleState(owed.without(jobs), last_s), jobs


def _of_start(intervals: Intervals) -> list[tuple[str, float, float]]:
    """The periods of what the start has just read, their lengths, and after how long they begin.

    The comparison of the money takes the exchange's time that was read for the clock shortly before.
    """
    first_s = intervals.first_s
    return [
        ("order_sync", intervals.order_sync_s, first_s),
        ("position_check", intervals.position_check_s, first_s),
        ("wallet_check", intervals.wallet_s, first_s),
        ("clock_check", intervals.clock_s, first_s),
        ("money_check", MONEY_S, first_s + MONEY_AFTER_S if first_s else 0.0),
    ]


def next_due_s(state: ScheduleState, intervals: Intervals, *, is_maintained: bool = False) -> float:
    """When the clock alone next makes `step` do something; what is not begun yet, or owed, is due at once (0).

    For whoever jumps over seconds: without wishes, failures and watched symbols, no `step` before that has an effect.
    """
    if state.owed != NO_WISHES:
        return 0.0
    periods = {
        "order_sync": intervals.order_sync_s,
        "position_check": intervals.position_check_s,
        "wallet_check": intervals.wallet_s,
        "clock_check": intervals.clock_s,
        "terms_check": TERMS_S,
        "money_check": MONEY_S,
        "notices_check": WATCHED_S if is_maintained else NOTICES_S,
    }
    last_s = state.last_s
    return min(last_s[name] + every_s if name in last_s else 0.0 for name, every_s in periods.items() if every_s)


def _is_due(last_s: float | None, every_s: float, now_s: float) -> bool:
    return every_s > 0 and (last_s is None or now_s - last_s >= every_s)
