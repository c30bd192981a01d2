"""All children: passes events to the policy of the child they concern, and carries out the actions it returns.

Each child, each alert and each action is by itself: what raises goes to `FleetEvents.fault`, and the rest goes on. A
process that cannot be launched, for whatever reason, has failed. Every change of a child's state comes through
`Fleet.advance`.
"""

from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from supervisor.children.child import Child, ChildEvents
from supervisor.children.child_spec import ChildKind, ChildSpec
from supervisor.children.fork_server import is_short
from supervisor.children.launch_arguments import LaunchArguments
from supervisor.children.launcher import Launcher
from supervisor.children.pipe import Message
from supervisor.children.policy_types import Alert, Do, Event, LaunchFailed, ProcessState

__all__ = ["Fleet", "FleetEvents"]

log = logging.getLogger("supervisor")


@dataclass(frozen=True, slots=True)
class FleetEvents:
    """Callbacks for what happens to a child.

    `alert` returns whether it was told, which a repetition is not; `stop_mode` gives the mode for the stop message to a
    worker; `fault` hears of a fault of ours, with the part's name.
    """

    message: Callable[[Child, Message], None]
    exit: Callable[[Child, int], None]
    alert: Callable[[Child, str, str, str], bool]
    stop_mode: Callable[[], str]
    fault: Callable[[str, BaseException], None]


class Fleet:
    """The children in the order of the plan."""

    def __init__(
        self,
        specs: Iterable[ChildSpec],
        launcher: Launcher,
        launch: LaunchArguments,
        events: FleetEvents,
        *,
        clock: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        of_child = ChildEvents(events.message, events.exit, self._unborn)
        self._make = partial(Child, launcher=launcher, events=of_child)
        self._children = [self._make(spec) for spec in specs]
        self._launch = launch
        self._events = events
        self._clock = clock
        self._jitter = jitter

    def __iter__(self) -> Iterator[Child]:
        return iter(self._children)

    def add(self, spec: ChildSpec) -> Child:
        """One more child; a paper exchange comes first. `StartOrder` starts it."""
        child = self._make(spec)
        at = 0 if spec.kind is ChildKind.PAPER else len(self._children)
        self._children = [*self._children[:at], child, *self._children[at:]]
        return child

    def remove(self, child: Child) -> None:
        """A child whose process has ended is none of ours any more."""
        self._children = [each for each in self._children if each is not child]

    def of_kind(self, kind: ChildKind) -> list[Child]:
        return [child for child in self._children if child.spec.kind is kind]

    def first(self, kind: ChildKind) -> Child | None:
        return next(iter(self.of_kind(kind)), None)

    def find(self, name: str) -> Child | None:
        """The child of this name, or the worker of this account."""
        return next((c for c in self._children if name and name in (c.spec.name, c.spec.account)), None)

    def pids(self) -> set[int]:
        """Of the processes that are started and not yet known to have ended."""
        return {child.pid for child in self._children if child.pid is not None}

    def advance(self, child: Child, *events: Event) -> None:
        """Pass events (none: only the time) to the child's policy and carry out its actions."""
        before, restarts, has_run = child.state.process, child.state.restarts, child.has_run
        actions = child.advance(self._clock(), events, jitter=self._jitter())
        alerts = [action for action in actions if isinstance(action, Alert)]
        told = False
        for alert in alerts:
            with self._contained(f"{child.spec.name}: an alert"):
                told |= self._events.alert(child, alert.level, alert.text, alert.key)
        if child.state.process is not before and not told:
            _log_change(child)
        # Of two deaths in a row the second may be due to what the fleet knows: then it reads everything itself. So does
        # one whose start failed: the fleet may have read what it needs long before an operator had it started.
        takes_over = has_run and child.state.restarts > restarts and child.state.failures == 1
        for action in actions:
            if isinstance(action, Do):
                with self._contained(f"{child.spec.name}: {action.value}"):
                    self._do(child, action, takes_over=takes_over)

    def advance_all(self, *events: Event) -> None:
        """The same for every child."""
        for child in self._children:
            with self._contained(f"{child.spec.name}: looking after it"):
                self.advance(child, *events)

    def catch_up(self) -> None:
        """Take in what the children have said so far, so that what is shown of them is the newest."""
        for child in self._children:
            with self._contained(f"{child.spec.name}: reading its messages"):
                child.catch_up()

    def kill_now(self) -> None:
        """SIGKILL every process that still runs, and wait for its end."""
        for child in self._children:
            with self._contained(f"{child.spec.name}: killing it"):
                child.kill_now()

    @contextlib.contextmanager
    def _contained(self, part: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - reported with its traceback
            self._events.fault(part, error)

    def _do(self, child: Child, action: Do, *, takes_over: bool) -> None:
        match action:
            case Do.LAUNCH:
                self._start(child, takes_over=takes_over)
            case Do.ASK_STOP:
                child.withdraw()
                message = {"type": "stop", "mode": "keep" if child.leaves else self._events.stop_mode()}
                if child.spec.kind is not ChildKind.WORKER or not child.send(message):
                    child.signal(signal.SIGTERM)
            case Do.TERMINATE:
                child.signal(signal.SIGTERM)
            case Do.ABORT:
                child.signal(signal.SIGABRT)
            case Do.KILL:
                child.signal(signal.SIGKILL)

    def _start(self, child: Child, *, takes_over: bool) -> None:
        try:
            child.launch(self._launch.of(child.spec, takes_over=takes_over))
        except Exception as error:  # noqa: BLE001 - it has failed, and whoever is no OSError is a fault of ours
            if not isinstance(error, OSError):
                self._events.fault(f"{child.spec.name}: launching it", error)
            with self._contained(f"{child.spec.name}: ending what was begun"):
                child.kill_now()
            self.advance(child, LaunchFailed(str(error), short=is_short(error)))

    def _unborn(self, child: Child, why: LaunchFailed) -> None:
        self.advance(child, why)


def _log_change(child: Child) -> None:
    text = child.state.reason
    if child.state.process is ProcessState.STARTING and child.state.failures:
        text = f"restart {child.state.restarts}"
    suffix = f" ({text})" if text else ""
    log.info("%s: %s%s", child.spec.name, child.state.process, suffix, extra={"account": child.spec.account})
