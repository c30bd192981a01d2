"""Keeps a strategy's state across restarts: saved after each change; its ladder, if any, recorded once a second."""

from __future__ import annotations

from collections.abc import Callable

from gridbot.records import builders
from gridbot.strategies.base import Strategy
from gridbot.worker.context import RecordSink

__all__ = ["StrategySaving"]


class StrategySaving:
    """`save` is called with the exchange time (ms) of what changed the state; it must not wait for the disk."""

    def __init__(self, strat_id: str, strategy: Strategy, recorder: RecordSink, save: Callable[[int], None]) -> None:
        self._strat_id = strat_id
        self._strategy = strategy
        self._recorder = recorder
        self._save = save
        self.saved_version: int | None = None
        """Of the state that was saved last."""
        self._recorded_version: int | None = None

    def save(self, exchange_ts: int) -> None:
        """The state has another version than `saved_version`. Does not wait for the disk."""
        self.saved_version = self._strategy.state_version
        self._save(exchange_ts)

    def record_if_changed(self) -> None:
        """Record a snapshot when the ladder has changed since the last one. Not for the hot path."""
        if self._strategy.state_version == self._recorded_version:
            return
        ladder = self._strategy.ladder()
        if ladder is not None:
            self._recorded_version = self._strategy.state_version
            self._recorder.record(builders.of_grid(self._strat_id, ladder))
