"""The order of the stop: workers, then the writer so that it commits everything, then the paper exchange."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from gridbot.command_line import pasteable
from gridbot.config.models import OnStop
from supervisor.children.child import Child
from supervisor.children.child_spec import ChildKind
from supervisor.children.fleet import Fleet
from supervisor.children.policy import NOT_IN_TIME
from supervisor.children.policy_types import Stop
from supervisor.store.supervisor_journal import SupervisorJournal

__all__ = ["StopOrder"]

log = logging.getLogger("supervisor")


class StopOrder:
    """Owns whether the supervisor is stopping, what becomes of orders (`mode`), and whether it is by force.

    `alert` hears of each account whose orders were to be cancelled, or positions closed, and are as they were.
    `is_elsewhere` says of an account whether another host of the fleet has it.
    """

    def __init__(
        self,
        fleet: Fleet,
        journal: SupervisorJournal,
        default_mode: str,
        alert: Callable[[Child, str, str, str], bool],
        is_elsewhere: Callable[[str], bool] = lambda account: False,
    ) -> None:
        self._fleet = fleet
        self._journal = journal
        self._default_mode = default_mode
        self._alert = alert
        self._is_elsewhere = is_elsewhere
        self._mode: str | None = None
        self._forced = False
        self._workers_are_gone = False

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
                self._tell_untouched()
                self._journal.end("stopped by force" if self._forced else "stopped")
        return not any(child.state.alive for child in self._fleet)

    def farewell(self) -> dict[str, Any]:
        """For whoever waits for the end: who was killed because it did not stop in time, what the disk did not take,
        and what was left of orders and positions that were to be cancelled and closed."""
        told = [(child.spec.name, text) for child in self._fleet.of_kind(ChildKind.WORKER) for text in child.left or ()]
        return {
            "ok": True,
            "killed": [child.spec.name for child in self._fleet if child.state.killed_for == NOT_IN_TIME],
            "unsaved": [f"{child.spec.name}: {child.unsaved}" for child in self._fleet if child.unsaved],
            "left": [f"{name}: {text}" for name, text in told]
            + [f"{child.spec.name}: {self._not_done(child)}" for child in self._untouched()],
        }

    def _tell_untouched(self) -> None:
        """Once, when the last worker has ended."""
        if not self._workers_are_gone:
            self._workers_are_gone = True
            for child in self._untouched():
                self._alert(child, "ERROR", self._not_done(child), "stop")

    def _untouched(self) -> list[Child]:
        """Workers that did not come to what the stop was to do: they were still starting, or down, or were killed.

        Not those whose account has left this supervisor: what it has is for whoever has it now.
        """
        if self._mode in (None, OnStop.KEEP) or self._forced:
            return []
        workers = self._fleet.of_kind(ChildKind.WORKER)
        return [each for each in workers if each.left is None and not self._has_left(each)]

    def _has_left(self, child: Child) -> bool:
        return child.leaves or self._is_elsewhere(child.spec.account)

    def _not_done(self, child: Child) -> str:
        command = pasteable(f"{self._mode} --direct -c FILE {child.spec.account}")
        cause = "it was killed before its end" if child.state.killed_for else "it was not trading when the stop came"
        return (
            f"{cause}, so `{self._mode}` was not carried out, and orders and positions are as they were; "
            f"`{command}` does it, with the configuration as FILE"
        )
