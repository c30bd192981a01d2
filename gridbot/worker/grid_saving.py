"""Keeps a strategy's grid across restarts: saved after each change, recorded once a second when it has changed."""

from __future__ import annotations

from collections.abc import Callable

from gridbot.records import builders
from gridbot.strategies.grid import GridEngine
from gridbot.worker.context import RecordSink

__all__ = ["GridSaving"]


class GridSaving:
    """`save` is called with the exchange time (ms) of the event that changed the grid; must not wait for the disk."""

    def __init__(self, strat_id: str, engine: GridEngine, recorder: RecordSink, save: Callable[[int], None]) -> None:
        self._strat_id = strat_id
        self._engine = engine
        self._recorder = recorder
        self._save = save
        self.saved_version: int | None = None
        """Version of the grid that was saved last."""
        self._recorded_version: int | None = None

    def save(self, exchange_ts: int) -> None:
        """Save the grid: its version differs from `saved_version`. Does not wait for the disk."""
        self.saved_version = self._engine.grid_version
        self._save(exchange_ts)

    def record_if_changed(self) -> None:
        """Record a snapshot when the grid has changed since the last one. Not for the hot path."""
        if self._engine.grid is not None and self._engine.grid_version != self._recorded_version:
            self._recorded_version = self._engine.grid_version
            self._recorder.record(builders.of_grid(self._strat_id, self._engine.state()))
