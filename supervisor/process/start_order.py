"""The order of the start: paper exchange and writer, then the workers; on paper once the exchange has an address."""

from __future__ import annotations

import logging
from collections.abc import Callable

from supervisor.children.child import Child
from supervisor.children.child_spec import ChildKind
from supervisor.children.fleet import Fleet
from supervisor.children.launch_arguments import LaunchArguments
from supervisor.children.policy_types import ProcessState, Start, Wait

__all__ = ["StartOrder"]

log = logging.getLogger("supervisor")


class StartOrder:
    """Starts what may start; `kept_down` names accounts whose worker may not.

    Owns two facts that stay true: the writer has settled once, everything has once.
    """

    def __init__(
        self, fleet: Fleet, launch: LaunchArguments, kept_down: Callable[[str], bool] = lambda account: False
    ) -> None:
        self._fleet = fleet
        self._kept_down = kept_down
        self._launch = launch
        self._writer_settled = False
        self._all_settled = False

    @property
    def complete(self) -> bool:
        """Whether every child has started or failed at least once."""
        return self._all_settled

    @property
    def in_words(self) -> str:
        """How many processes run, for who looks from outside."""
        states = [child.state.process for child in self._fleet]
        return f"{states.count(ProcessState.RUNNING)} of {len(states)} processes run"

    def start_due(self) -> None:
        """Start each stopped child that need not wait."""
        for child in self._fleet:
            if child.state.process is ProcessState.STOPPED:
                reason = self._waits_for(child)
                self._fleet.advance(child, Wait(f"waits for {reason}") if reason else Start())
        if not self._all_settled and all(self._has_settled(child) for child in self._fleet):
            self._all_settled = True
            self._log_outcome()

    def _waits_for(self, child: Child) -> str:
        if child.spec.kind is ChildKind.WORKER and self._kept_down(child.spec.account):
            return "the rescue of its account"
        if child.spec.needs_paper and self._launch.paper_url is None:
            return "the paper exchange"
        if child.spec.kind is ChildKind.WORKER and not self._writer_has_settled():
            return "the writer"
        return ""

    def _writer_has_settled(self) -> bool:
        """The writer has noted beside the journals what the database holds, it holds nothing, or that cannot be noted:
        trading waits no longer."""
        writer = self._fleet.first(ChildKind.WRITER)
        self._writer_settled |= writer is None or writer.holds_nothing or self._has_settled(writer)
        return self._writer_settled

    def _has_settled(self, child: Child) -> bool:
        """It runs (a worker: and has reported its health), or has failed, or waits for an exchange that has failed."""
        if child.state.process is ProcessState.FATAL or child.state.failures > 0:
            return True
        if child.state.process is ProcessState.RUNNING:
            return child.spec.kind is not ChildKind.WORKER or "health" in child.health
        paper = self._fleet.first(ChildKind.PAPER)
        waits = child.spec.needs_paper and self._launch.paper_url is None
        return waits and paper is not None and self._has_settled(paper)

    def _log_outcome(self) -> None:
        children = list(self._fleet)
        down = [child.spec.name for child in children if child.state.process is not ProcessState.RUNNING]
        text = f"; not running: {', '.join(down)}" if down else ""
        log.info("%d of %d processes run%s", len(children) - len(down), len(children), text)
