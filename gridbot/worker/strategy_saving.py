"""Keeps a strategy's state across restarts: saved after each change; its ladder, if any, recorded once a second.

A state is recorded before the execution that changed it, and names it. If the journal's end is torn off between the
two, the next life counts the execution, and does not tell the strategy again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from gridbot.records import builders
from gridbot.strategies.base import Strategy
from gridbot.worker.context import RecordSink

__all__ = ["StrategySaving"]


class StrategySaving:
    """`save` has the state kept, and gets the executions that it knows and that are not recorded yet; it must not wait.

    `told` are those of an earlier life.
    """

    def __init__(
        self,
        strat_id: str,
        strategy: Strategy,
        recorder: RecordSink,
        save: Callable[[Collection[str]], None],
        told: Collection[str] = (),
    ) -> None:
        self._strat_id = strat_id
        self._strategy = strategy
        self._recorder = recorder
        self._save = save
        self.saved_version: int | None = None
        """Of the state that was saved last."""
        self._recorded_version: int | None = None
        self._told = set(told) - {""}

    def follow(self, strategy: Strategy) -> None:
        """Another strategy decides from now on: its state is kept in place of the one before."""
        self._strategy, self._recorded_version = strategy, None
        self.save()

    def save(self) -> None:
        """The state has another version than `saved_version`. Does not wait for the disk."""
        self.saved_version = self._strategy.state_version
        self._save(self._told)

    def is_news(self, exec_id: str) -> bool:
        """Whether the strategy is to be told of an execution. From here on it counts as told."""
        if exec_id in self._told:
            return False
        if exec_id:
            self._told.add(exec_id)
        return True

    def recorded(self, exec_id: str) -> None:
        """The execution is recorded: nobody will tell it again."""
        self._told.discard(exec_id)

    def record_if_changed(self) -> None:
        """Record a snapshot when the ladder has changed since the last one. Not for the hot path."""
        if self._strategy.state_version == self._recorded_version:
            return
        ladder = self._strategy.ladder()
        if ladder is not None:
            self._recorded_version = self._strategy.state_version
            self._recorder.record(builders.of_grid(self._strat_id, ladder))
