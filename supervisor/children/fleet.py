"""All children: gives events to the policy of the child they concern, and does what the policy wants done.

Every change of a child's state comes through `Fleet.advance`.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from supervisor.children.child import Child
from supervisor.children.child_spec import ChildKind, ChildSpec
from supervisor.children.launch_arguments import LaunchArguments
from supervisor.children.pipe import Message
from supervisor.children.policy import Alert, Do, Event, ProcessState, SpawnFailed

__all__ = ["Fleet", "FleetEvents"]

log = logging.getLogger("supervisor")


@dataclass(frozen=True, slots=True)
class FleetEvents:
    """Who takes what happens to a child. `stop_mode` is the mode a worker that is asked to stop gets to know."""

    message: Callable[[Child, Message], None]
    exit: Callable[[Child, int], None]
    alert: Callable[[Child, str, str], None]
    stop_mode: Callable[[], str]


class Fleet:
    """The children in the order of the plan."""

    def __init__(
        self,
        specs: Iterable[ChildSpec],
        crash_log: Path,
        launch: LaunchArguments,
        events: FleetEvents,
        *,
        clock: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self._children = [Child(spec, crash_log, events.message, events.exit) for spec in specs]
        self._launch = launch
        self._events = events
        self._clock = clock
        self._jitter = jitter

    def __iter__(self) -> Iterator[Child]:
        return iter(self._children)

    def of_kind(self, kind: ChildKind) -> list[Child]:
        return [child for child in self._children if child.spec.kind is kind]

    def first(self, kind: ChildKind) -> Child | None:
        return next(iter(self.of_kind(kind)), None)

    def find(self, name: str) -> Child | None:
        """The child of this name, or the worker of this account."""
        return next((c for c in self._children if name and name in (c.spec.name, c.spec.account)), None)

    def advance(self, child: Child, *events: Event) -> None:
        """Give events (none: only the time) to the child's policy and do what it says."""
        before = child.state.process
        actions = child.advance(self._clock(), events, jitter=self._jitter())
        alerts = [action for action in actions if isinstance(action, Alert)]
        if child.state.process is not before and not alerts:
            _log_change(child)
        for alert in alerts:
            self._events.alert(child, alert.level, alert.text)
        for action in actions:
            if isinstance(action, Do):
                self._do(child, action)

    def advance_all(self, *events: Event) -> None:
        for child in self._children:
            self.advance(child, *events)

    def kill_now(self) -> None:
        """SIGKILL to whatever still runs, and wait for it."""
        for child in self._children:
            child.kill_now()

    def _do(self, child: Child, action: Do) -> None:
        match action:
            case Do.SPAWN:
                self._spawn(child)
            case Do.ASK_STOP:
                message = {"type": "stop", "mode": self._events.stop_mode()}
                if child.spec.kind is not ChildKind.WORKER or not child.send(message):
                    child.signal(signal.SIGTERM)
            case Do.TERMINATE:
                child.signal(signal.SIGTERM)
            case Do.ABORT:
                child.signal(signal.SIGABRT)
            case Do.KILL:
                child.signal(signal.SIGKILL)

    def _spawn(self, child: Child) -> None:
        try:
            child.spawn(self._launch.of(child.spec))
        except OSError as error:
            self._launch.ended(child.spec, in_order=True)
            self.advance(child, SpawnFailed(str(error)))


def _log_change(child: Child) -> None:
    text = child.state.reason
    if child.state.process is ProcessState.STARTING and child.state.failures:
        text = f"restart {child.state.restarts}"
    suffix = f" ({text})" if text else ""
    log.info("%s: %s%s", child.spec.name, child.state.process, suffix, extra={"account": child.spec.account})
