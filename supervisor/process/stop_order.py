"""The order of the stop: workers, then the writer so that it commits everything, then the paper exchange."""

from __future__ import annotations

import logging

from supervisor.children.child_spec import ChildKind
from supervisor.children.fleet import Fleet
from supervisor.children.policy import Stop
from supervisor.store.supervisor_journal import SupervisorJournal

__all__ = ["StopOrder"]

log = logging.getLogger("supervisor")


class StopOrder:
    """Owns whether the supervisor is stopping, what becomes of orders (`mode`), and whether it is by force."""

    def __init__(self, fleet: Fleet, journal: SupervisorJournal, default_mode: str) -> None:
        self._fleet = fleet
        self._journal = journal
        self._default_mode = default_mode
        self._mode: str | None = None
        self._forced = False

    @property
    def begun(self) -> bool:
        return self._mode is not None

    @property
    def forced(self) -> bool:
        return self._forced

    @property
    def mode(self) -> str:
        """keep, cancel or flatten: as asked for, before that as configured."""
        return self._mode or self._default_mode

    def begin(self, mode: str | None, *, force: bool) -> None:
        """The first call decides the mode; a later one can only add force, which kills every process now."""
        if self._mode is None:
            self._mode = mode or self._default_mode
            log.info("stopping: workers first (orders: %s), then the writer", self._mode)
        if force and not self._forced:
            self._forced = True
            log.warning("stopping by force: every process is killed; resting orders stay on the exchange")
            self._fleet.advance_all(Stop(force=True))

    def stop_due(self) -> bool:
        """Ask those to stop whose turn it is. True when every process is gone."""
        for kind in (ChildKind.WORKER, ChildKind.WRITER, ChildKind.PAPER):
            group = self._fleet.of_kind(kind)
            for child in group:
                self._fleet.advance(child, Stop(force=self._forced))
            if any(child.state.alive for child in group) and not self._forced:
                return False
            if kind is ChildKind.WORKER:  # while the writer is there to store it
                self._journal.end("stopped by force" if self._forced else "stopped")
        return not any(child.state.alive for child in self._fleet)
