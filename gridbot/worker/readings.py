"""What a job reads: for each kind of job of the schedule, whom it asks."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping

from gridbot.worker.dead_man_watch import DeadManWatch
from gridbot.worker.faults import Faults
from gridbot.worker.money_watch import MoneyWatch
from gridbot.worker.notice_watch import NoticeWatch
from gridbot.worker.reconciler import Reconciler
from gridbot.worker.schedule import Job, JobKind
from gridbot.worker.shadow_side import ShadowSide
from gridbot.worker.terms import Terms

__all__ = ["Readings"]


class Readings:
    """One per account. `shadows` are the strategies, by symbol, whose legs nobody has to be asked for."""

    def __init__(
        self,
        reconciler: Reconciler,
        money: MoneyWatch,
        terms: Terms,
        shadows: Mapping[str, ShadowSide],
        faults: Faults,
        notices: NoticeWatch,
        dead_man: DeadManWatch,
    ) -> None:
        self._reconciler = reconciler
        self._money = money
        self.terms = terms
        self.shadows = dict(shadows)
        self._faults = faults
        self.notices = notices
        self._dead_man = dead_man

    def follow(self, symbol: str, shadow: ShadowSide) -> None:
        """A shadow strategy has come."""
        self.shadows[symbol] = shadow

    def forget(self, symbol: str) -> None:
        """It is gone."""
        del self.shadows[symbol]

    def again(self) -> str:
        """Why another comparison with the exchange is needed (`Reconciler.again`)."""
        return self._reconciler.again()

    @property
    def passed_s(self) -> float | None:
        """When the last whole comparison ended (`Reconciler.last_s`)."""
        return self._reconciler.last_s

    def of(self, job: Job) -> Coroutine[None, None, None]:
        """The work of a job, not begun yet."""
        match job.kind:
            case JobKind.RECONCILE:
                return self._reconcile(job.subject)
            case JobKind.POSITIONS if job.subject in self.shadows:
                return self._shadow_legs(self.shadows[job.subject])
            case JobKind.POSITIONS:
                return self._reconciler.positions(job.subject)
            case JobKind.TERMS:
                return self.terms.read(job.subject)
            case JobKind.MARGIN_MODE:
                return self.terms.read_margin_mode()
            case JobKind.CLOCK:
                return self._reconciler.measure_clock()
            case JobKind.WALLET:
                return self._reconciler.wallet()
            case JobKind.MONEY:
                return self._money.check()
            case JobKind.NOTICES:
                return self.notices.read()
            case JobKind.DEAD_MAN:
                return self._dead_man.set()

    async def _reconcile(self, reason: str) -> None:
        for symbol, shadow in self.shadows.items():
            with self._faults.contained(f"{symbol}: reading the shadow's legs", symbol):
                shadow.read_legs()
        await self._reconciler.reconcile(reason)

    async def _shadow_legs(self, shadow: ShadowSide) -> None:
        """They are at hand; the job is one so that the risk rules are judged as often."""
        shadow.read_legs()
