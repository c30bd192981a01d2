"""Records of the account's state: what changed in grids and obstacles, and whether the journal can be written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from gridbot.records.recorder import Recorder
from gridbot.risk.obstacles import ObstacleWatch, obstacles_of
from gridbot.risk.strategy_state import StrategyRiskState
from gridbot.worker.context import WorkerContext
from gridbot.worker.standing import standing
from gridbot.worker.standstill import EXPECTED, Standstill, step
from gridbot.worker.startup import RefusedStrategy
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["AccountRecords"]


class AccountRecords:
    """Called once a second and after an operator's command.

    `runners` are all strategies by symbol, `refused` those that could not start.
    """

    def __init__(
        self,
        recorder: Recorder,
        context: WorkerContext,
        runners: Mapping[str, StrategyRunner],
        refused: Sequence[RefusedStrategy] = (),
    ) -> None:
        self._recorder = recorder
        self._context = context
        self._runners = runners
        self._refused = refused
        self._obstacles = ObstacleWatch()
        self._journal_error = ""
        self.standstill = Standstill()

    def record_state(self) -> None:
        """Record what changed since the last call: grids, and what stops orders."""
        context = self._context
        now_s = context.clock.monotonic_s()
        for runner in self._runners.values():
            runner.saving.record_if_changed()
        risk_states = [runner.risk_state for runner in self._runners.values()]
        obstacles = obstacles_of(context.gate, context.executor.ip_banned_until_s, risk_states, now_s)
        self._look_for_standstill(now_s)
        self._look_for_incidents(risk_states, now_s)
        for change in self._obstacles.changes(obstacles, now_s, context.clock.wall_us()):
            self._recorder.record(change)

    def _look_for_standstill(self, now_s: float) -> None:
        executor, wanted = self._context.executor, Counter[str]()
        for runner in self._runners.values():
            if not (runner.is_shadow or runner.risk_state.halted or runner.risk_state.paused):
                wanted.update({why: n for why, n in runner.placement.refusals.items() if why not in EXPECTED})
        if waiting := executor.queue.creates.wanted:
            wanted["waiting to be sent"] = waiting
        self.standstill = step(self.standstill, wanted, executor.creates_sent, now_s)

    def _look_for_incidents(self, risk_states: Sequence[StrategyRiskState], now_s: float) -> None:
        context = self._context
        found = standing(
            {context.gate: None, **{runner.gate: None for runner in self._runners.values()}},
            risk_states,
            passage=context.passage,
            ip_banned_until_s=context.executor.ip_banned_until_s,
            has_numbers=context.generations.available(1),
            standstill=self.standstill.why,
            now_s=now_s,
            refused=self._refused,
        )
        context.alert.look(found)

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
