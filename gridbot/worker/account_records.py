"""Records of the account's state: what changed in grids and obstacles, and whether the journal can be written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from gridbot.exchange.order_entry import HTTP_ONLY, EntryHealth
from gridbot.incidents import Name, Standing
from gridbot.records.recorder import Recorder
from gridbot.risk.obstacles import ObstacleWatch, obstacles_of
from gridbot.worker.context import WorkerContext
from gridbot.worker.notice_watch import NoticeWatch
from gridbot.worker.refused_strategies import NOBODY, RefusedStrategies
from gridbot.worker.standing import standing
from gridbot.worker.standstill import WAITING, Standstill, Wishes, hinders, step, untold
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["AccountRecords"]


class AccountRecords:
    """Called once a second and after an operator's command.

    `runners` are all strategies by symbol, `refused` those that could not start; `notices` has what the exchange
    announces, `order_entry` tells by which way orders leave, `caps` what stands of the account's caps.
    """

    def __init__(
        self,
        recorder: Recorder,
        context: WorkerContext,
        runners: Mapping[str, StrategyRunner],
        refused: RefusedStrategies = NOBODY,
        notices: NoticeWatch | None = None,
        order_entry: Callable[[], EntryHealth] = lambda: HTTP_ONLY,
        caps: Callable[[], Mapping[Name, Standing]] = dict,
    ) -> None:
        self._recorder = recorder
        self._context = context
        self._runners = runners
        self._refused = refused
        self._notices = notices
        self._order_entry = order_entry
        self._caps = caps
        self._obstacles = ObstacleWatch()
        self._journal_error = ""
        self.standstill = Standstill()
        """Of everything that is wanted: a reason against health."""
        self._untold = Standstill()
        self.is_calm = False
        """Whether nothing stood, and nothing stopped orders or was in their way, when it was looked at last."""

    def record_state(self) -> None:
        """Record what changed since the last call: grids, and what stops orders."""
        context = self._context
        now_s = context.clock.monotonic_s()
        self.record_ladders()
        risk_states = [runner.risk_state for runner in self._runners.values()]
        obstacles = obstacles_of(context.gate, context.executor.ban, risk_states, now_s)
        found = standing(
            {context.gate: None, **{runner.gate: None for runner in self._runners.values()}},
            risk_states,
            passage=context.passage,
            ban=context.executor.ban,
            has_numbers=context.generations.available(1),
            now_s=now_s,
            refused=self._refused,
            order_entry=self._order_entry(),
        )
        found |= self._caps()
        announced = {} if self._notices is None else self._notices.standing()
        stands = found | announced | self._failing(found, now_s) | self._standstill(found, now_s)
        if context.address is not None and context.address.is_leased:
            stands.pop(Name("ip_ban"), None)  # of all accounts, so it is an incident of the supervisor
        context.alert.look(stands)
        self.is_calm = not (stands or obstacles or self.wanted()) and context.passage.is_clear
        for change in self._obstacles.changes(obstacles, now_s, context.clock.wall_us()):
            self._recorder.record(change)

    def record_ladders(self, of: Iterable[StrategyRunner] | None = None) -> None:
        """Record the ladders that changed since the last call, of all strategies or of some."""
        for runner in self._runners.values() if of is None else of:
            runner.saving.record_if_changed()

    def _failing(self, found: Mapping[Name, Standing], now_s: float) -> dict[Name, Standing]:
        """The incidents of readings that fail for minutes; a ban or a maintenance is the incident of its own."""
        jobs = self._context.jobs
        is_maintained = self._notices is not None and bool(self._notices.reasons)
        jobs.look(now_s, is_explained=Name("ip_ban") in found or is_maintained)
        return jobs.standing()

    def _standstill(self, found: Mapping[Name, Standing], now_s: float) -> dict[Name, Standing]:
        """The incident that nothing is sent, for causes that none of those `found` tells."""
        wanted, sent = self.wanted(), self._context.executor.creates_sent
        self.standstill = step(self.standstill, wanted, sent, now_s)
        self._untold = step(self._untold, untold(wanted, found), sent, now_s)
        return {Name("standstill"): Standing("warning", self._untold.why)} if self._untold.why else {}

    def wanted(self, of: Iterable[StrategyRunner] | None = None) -> Wishes:
        """Orders of all strategies, or of some, that are wanted and do not leave."""
        wanted: dict[tuple[str, str], int] = {}
        for runner in self._runners.values() if of is None else of:
            if not (runner.is_shadow or runner.risk_state.is_held):
                refusals, rests = runner.placement.refusals.items(), len(runner.book) > 0
                wanted.update({(runner.strat_id, why): count for why, count in refusals if hinders(why, rests=rests)})
        if waiting := self._context.executor.queue.creates.wanted:
            wanted["", WAITING] = waiting
        return wanted

    def watch_journal(self) -> None:
        """One alert when the journal cannot be written, one when it can again; trading does not wait for it."""
        stats = self._recorder.stats
        before, self._journal_error = self._journal_error, stats.journal_error or ""
        if self._journal_error and not before:
            text = f"the journal cannot be written: {self._journal_error}; trading goes on, its records wait in memory"
            self._context.alert("error", "journal", text)
        elif before and not self._journal_error:
            lost = f"; {stats.records_refused} records found no room in memory" if stats.records_refused else ""
            text = f"the journal is written again, with what waited in memory{lost}"
            self._context.alert.over("journal", text)

    def flush(self) -> None:
        """Write what was recorded, and offer it to the store."""
        self._recorder.flush()
