"""Which periodic and requested REST reads are due. Pure; time is an argument, monotonic seconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gridbot.worker.refresh_requests import RefreshRequests

__all__ = ["Due", "Intervals", "Job", "JobKind", "Schedule"]

REFRESH_MIN_S = 10.0
FORCED_RECONCILE_MIN_S = 5.0
CLOCK_S = 3600.0


class Due:
    """When each job ran last; a job that never ran is due at once, whatever the clock says (incident L36)."""

    def __init__(self) -> None:
        self._last_s: dict[str, float] = {}

    def take(self, job: str, every_s: float, now_s: float) -> bool:
        """True when the job is due; an interval of 0 switches it off.

        The job counts as done from now on: a failing one is not repeated sooner (incident L59).
        """
        last_s = self._last_s.get(job)
        if every_s <= 0 or (last_s is not None and now_s - last_s < every_s):
            return False
        self._last_s[job] = now_s
        return True


class JobKind(StrEnum):
    """What is read from the exchange."""

    RECONCILE = "reconcile"
    POSITIONS = "positions"
    CLOCK = "clock"
    WALLET = "wallet"


@dataclass(frozen=True, slots=True)
class Job:
    """`subject` is the reason of a reconcile, or the symbol whose positions are read."""

    kind: JobKind
    subject: str = ""

    @property
    def name(self) -> str:
        """Only one job of a name runs at a time."""
        return f"{self.kind}.{self.subject}" if self.kind is JobKind.POSITIONS else str(self.kind)


@dataclass(frozen=True, slots=True)
class Intervals:
    """Seconds between periodic readings; 0 switches one off."""

    order_sync_s: float
    position_check_s: float
    wallet_s: float


class Schedule:
    """One per account. A request is served at once, or when the minimum interval of its kind has passed."""

    def __init__(self, intervals: Intervals) -> None:
        self._intervals = intervals
        self._due = Due()

    def position_check_due(self, now_s: float) -> bool:
        """Whether each strategy has to check its positions now."""
        return self._due.take("position_check", self._intervals.position_check_s, now_s)

    def take(self, requests: RefreshRequests, now_s: float, *, unsettled: bool) -> list[Job]:
        """What has to be read now; the requests served are taken out of `requests`.

        `unsettled`: executions of a finished order are missing, so a reconcile has to page them.
        """
        due, jobs = self._due, []
        if unsettled and due.take("unsettled", REFRESH_MIN_S, now_s):
            requests.reconcile("executions of a finished order are missing")
        if due.take("order_sync", self._intervals.order_sync_s, now_s):
            requests.reconcile("periodic")
        if requests.wants_reconcile and due.take("reconcile", FORCED_RECONCILE_MIN_S, now_s):
            jobs.append(Job(JobKind.RECONCILE, requests.take_reconcile()))
        for symbol in requests.symbols:
            if due.take(f"positions.{symbol}", REFRESH_MIN_S, now_s):
                requests.take_positions(symbol)
                jobs.append(Job(JobKind.POSITIONS, symbol))
        if due.take("clock", CLOCK_S, now_s):
            jobs.append(Job(JobKind.CLOCK))
        if due.take("wallet_check", self._intervals.wallet_s, now_s):
            requests.refresh_wallet()
        if requests.wants_wallet and due.take("wallet", REFRESH_MIN_S, now_s):
            requests.take_wallet()
            jobs.append(Job(JobKind.WALLET))
        return jobs
