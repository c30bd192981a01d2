"""Keeps a process that is none of the fleet: started when trading is, restarted by the policy of every child, and never
a reason for anything.

Whether it runs says nothing about accounts. What goes wrong with it is a line in the log, and in `status` beside it;
where people rely on it and it stays away, an open alert, too, which is no reason against health.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from gridbot.incidents import Name, Standing
from supervisor.children.child import Child
from supervisor.children.child_spec import ChildSpec
from supervisor.children.fleet import Fleet, FleetEvents
from supervisor.children.launch_arguments import LaunchArguments
from supervisor.children.launcher import Launcher
from supervisor.children.pipe import Message
from supervisor.children.policy import SLOW
from supervisor.children.policy_types import Exited, ProcessState, Ready, Report, Restart, Stalled, Start, Stop
from supervisor.process.start_order import StartOrder
from supervisor.process.stop_order import StopOrder

__all__ = ["SideKeeper"]

log = logging.getLogger("supervisor")

PATIENCE_S: Final = 5.0
"""Workers are started before it; when one takes longer than that, somebody may want to look why."""
POLL_S: Final = 0.02
AWAY_S: Final = 15.0
"""A process that fails and runs again within so many seconds is a line in the log, and no alert."""


class SideKeeper:
    """Owns the child; without a `spec` there is none. The clock in seconds."""

    name = "aside"
    missing = "it is not there"
    alerts = True
    """Whether its absence is an alert."""

    def __init__(
        self,
        spec: ChildSpec | None,
        launcher: Launcher,
        launch: LaunchArguments,
        on_fault: Callable[[str, BaseException], None],
        clock: Callable[[], float],
        jitter: Callable[[], float],
        may_run: Callable[[str], bool] = lambda name: True,
    ) -> None:
        """`may_run`: whether the process of that name may run here, where one host does it for a whole fleet."""
        self._may_run = may_run
        self._down_since_s: float | None = None
        events = FleetEvents(self._take, self._ended, self._tell, lambda: "keep", on_fault)
        specs = () if spec is None else (spec,)
        self._fleet = Fleet(specs, launcher, launch, events, clock=clock, jitter=jitter)
        self._launch = launch
        self._clock = clock
        self._began_s = clock()
        self._told = ""
        self._leaves = False
        """A reload has taken it out of the configuration."""

    @property
    def child(self) -> Child | None:
        return next(iter(self._fleet), None)

    def pids(self) -> set[int]:
        """Of its process, while there is one."""
        return self._fleet.pids()

    def look(self, starting: StartOrder, stopping: StopOrder) -> None:
        """Let time pass; start it when it is its turn, which is after all that trades."""
        self._fleet.catch_up()
        self._fleet.advance_all()
        its_turn = starting.complete or self._clock() - self._began_s > PATIENCE_S
        child = self.child
        self._note_down(child)
        if child is not None and self._leaves:
            self._let_go(child)
        elif child is not None and not self._may_run(self.name):
            self._rest(child)
        elif child is not None and its_turn and not stopping.begun and child.state.process is ProcessState.STOPPED:
            self._fleet.advance(child, Start())

    def follow(self, spec: ChildSpec | None) -> None:
        """After a reload: what is there gives way to a process that begins by `spec`; None: there is to be none."""
        child, self._told, self._leaves = self.child, "", spec is None
        if spec is None:
            self._fleet.advance_all(Stop())
        elif child is None:
            self._fleet.add(spec)
        else:
            child.spec = spec
            if child.state.process is not ProcessState.STOPPED:  # one that is stopped starts when it is its turn
                self._fleet.advance(child, Restart("other settings"))

    def _rest(self, child: Child) -> None:
        """Another host does it: none is wanted here, and one that is here ends."""
        if child.state.process not in (ProcessState.STOPPED, ProcessState.STOPPING):
            self._fleet.advance(child, Stop())

    def _note_down(self, child: Child | None) -> None:
        is_down = child is not None and child.state.process in (ProcessState.BACKOFF, ProcessState.FATAL)
        runs = child is None or child.state.process in (ProcessState.RUNNING, ProcessState.STOPPED)
        if is_down and self._down_since_s is None:
            self._down_since_s = self._clock()
        elif runs:
            self._down_since_s = None

    @property
    def is_away(self) -> bool:
        """Whether it is wanted, does not run, and does not come back by itself soon."""
        return self._down_since_s is not None and self._clock() - self._down_since_s >= AWAY_S

    def standing(self) -> dict[Name, Standing]:
        """The incident that it is away, where somebody relies on it."""
        child = self.child
        if child is None or not self.alerts or not self.is_away:
            return {}
        text = f"{self.missing}: the process {self.name} does not run ({child.last_exit or child.state.reason})"
        return {Name("untold", self.name): Standing("warning", f"{text}; trading does not need it")}

    def _let_go(self, child: Child) -> None:
        if not child.state.alive and child.pid is None:
            self._fleet.remove(child)
            log.info("%s: it is taken out of the configuration, and has ended", self.name)

    def stalled(self) -> None:
        """The supervisor did not run for a while: nobody heard what it said."""
        self._fleet.advance_all(Stalled())

    async def let_end(self, within_s: float) -> None:
        """Ask it to end, and wait while it puts in order what it has, so many seconds at most."""
        if not self.pids():
            return
        self._fleet.advance_all(Stop())
        until_s = self._clock() + within_s
        while self.pids() and self._clock() < until_s:
            await asyncio.sleep(POLL_S)
            self._fleet.advance_all()

    def kill_now(self) -> None:
        """What it has not put in order is lost."""
        self._fleet.kill_now()

    def is_ready(self, message: Message) -> None:
        """It works; `message` says how it is reached."""
        log.info("%s: it works", self.name)

    def _take(self, child: Child, message: Message) -> None:
        match message.get("type"):
            case "ready":
                self._told = ""
                self.is_ready(message)
                self._fleet.advance(child, Ready())
            case "health":
                self._fleet.advance(child, Report())

    def _ended(self, child: Child, code: int) -> None:
        self._fleet.advance(child, Exited(code, child.last_exit))

    def _tell(self, child: Child, level: str, text: str, key: str) -> bool:
        """A warning at most, and the same one once."""
        if text != self._told:
            self._told = text
            missing = "it is slow" if key == SLOW else self.missing
            log.warning("%s: %s: %s; trading does not need it", self.name, missing, text)
        return True
