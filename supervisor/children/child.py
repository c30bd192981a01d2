"""One child process as the supervisor holds it: its spec, the process, its pipes, its last reports, its state.

Processes come from the fork server (`launcher`), not from this process: a fork of this one would inherit the others'
pipe ends and the data directory's lock, so the death of a process would neither end a pipe nor free the lock, and it
would know all secrets. The restart policy decides; this module only acts.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Final

from supervisor.children.bootstrap import Boot
from supervisor.children.child_spec import ChildKind, ChildSpec
from supervisor.children.exit_text import exit_text
from supervisor.children.fork_server import BORN, UNBORN, is_short
from supervisor.children.launcher import Launcher
from supervisor.children.life_counts import added_up
from supervisor.children.pipe import ChildPipe, Message
from supervisor.children.policy import is_silent, step
from supervisor.children.policy_types import Action, ChildState, Event, LaunchFailed, ProcessState, Stalled
from supervisor.children.process_handle import ProcessHandle
from supervisor.children.vital_signs import vital_signs

__all__ = ["Child", "ChildEvents"]

KILL_WAIT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class ChildEvents:
    """Callbacks, on the loop, after the child has stored what happened.

    `unborn(child, why)`: no process came of a launch.
    """

    message: Callable[[Child, Message], None]
    exit: Callable[[Child, int], None]
    unborn: Callable[[Child, LaunchFailed], None]


class Child:
    """One child: its spec, its process, its last reports, and its state under the restart policy."""

    def __init__(self, spec: ChildSpec, launcher: Launcher, events: ChildEvents) -> None:
        self.spec = spec
        self.leaves = False
        """Whether its account is removed: its orders are cancelled by then, and its position stays."""
        self.staged: Callable[[], None] | None = None
        """To be called when an operator restarts it: puts in force what a reload could not."""
        self.holds_nothing = False
        """Of the writer: whether it has said that its database is new, so that no worker has to wait for it."""
        self.has_run = False
        """Whether its process, or the last one, was ready: it has not died at its start."""
        self.last_exit = ""
        """How the newest process ended, in words; "" before the first end."""
        self.last_code: int | None = None
        """Its exit code; None before the first end."""
        self.launches = 0
        """How many processes it has had; each goes by the spec of its launch."""
        self._state = ChildState()
        self._said = _Said()
        self._counted: Any = {}
        """What its processes before this one have counted."""
        self._launcher = launcher
        self._events = events
        self._process: ProcessHandle | None = None
        self._pipe: ChildPipe | None = None

    @property
    def state(self) -> ChildState:
        """Changed by `advance` only."""
        return self._state

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def health(self) -> Message:
        """The newest health report of the current process; {} before the first."""
        return self._said.health

    @property
    def counts(self) -> dict[str, Any]:
        """What all its processes have counted since our start, by their newest reports."""
        total: dict[str, Any] = added_up(self._counted, self._said.counts)
        return total

    @property
    def left(self) -> list[str] | None:
        """What a worker could not cancel or close at its stop, by its last words; None when it has not tried."""
        return self._said.left

    @property
    def unsaved(self) -> str:
        """What the disk did not take of the current process, or the last one, by its last words."""
        return self._said.unsaved

    def advance(self, now: float, events: Iterable[Event], *, jitter: float) -> list[Action]:
        """Apply events, then the time, to the state. Returns the actions that the caller has to do."""
        policy = self.spec.policy
        if self.pid is not None and is_silent(now, self._state, policy):
            signs = vital_signs(self.pid)
            events = (*events, signs) if signs is not None else events
        elif self._process is not None and self._process.is_behind:
            events = (*events, Stalled())  # it cannot say anything before its turn
        self._state, actions = step(now, self._state, events, policy=policy, jitter=jitter)
        process = self._state.process
        self.has_run = process is ProcessState.RUNNING or (self.has_run and process is not ProcessState.STARTING)
        return actions

    def launch(self, extra: tuple[Any, ...]) -> None:
        """Launch a process with the spec's arguments, `extra` and the pipe ends. After an OSError nothing is left."""
        self._counted, self._said = self.counts, _Said()
        loop = asyncio.get_running_loop()
        ours, theirs = self._pipes()
        boot = Boot(self.spec.name, self.spec.entry, self._launcher.crash_log, os.getpid())
        try:
            begins = self.spec.kind is ChildKind.WORKER
            launch = self._launcher.launch(boot, (*self.spec.args, *extra), theirs, begins=begins)
        except BaseException:
            for end in set(ours):
                end.close()
            raise
        self.launches += 1
        self._process = ProcessHandle(self._launcher, launch, self._ended)
        self._pipe = ChildPipe(loop, ours[0], ours[1], self._take, self._pipe_closed)

    def send(self, message: Message) -> bool:
        """False when there is no process or it does not read."""
        return self._pipe is not None and self._pipe.send(message)

    def withdraw(self) -> None:
        """A process that waits for its turn is not wanted any more; any other one has to be asked to stop."""
        if self._process is not None:
            self._process.withdraw()

    def catch_up(self) -> None:
        """Take in what it has said and the loop has not read yet."""
        if self._pipe is not None:
            self._pipe.drain()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if there is one; to one that is not born yet, at its birth."""
        if self._process is not None:
            self._process.signal(number)

    def kill_now(self) -> None:
        """SIGKILL, and wait until it is gone. The last resort, for when the loop no longer turns.

        Raises TimeoutError when the kernel does not let go of it, as with a process that waits for a dead disk.
        """
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.give_up_now()
        deadline = time.monotonic() + KILL_WAIT_S
        while self._process is not None and self._process.pid is None and self._pipe is not None:
            if time.monotonic() > deadline:  # it ends by itself: its pipe is closed, and who it is told to have no more
                break
            self._pipe.wait(0.05)
            self._pipe.drain()
        if self._process is not None:
            if not self._process.wait(max(0.0, deadline - time.monotonic())):
                raise TimeoutError(f"pid {self._process.pid} does not end although it was killed")
            self._forget()

    def _take(self, message: Message) -> None:
        match message.get("type"):
            case word if word == BORN and self._process is not None:
                self._process.born(int(message["pid"]))
            case "assembled" if self._process is not None:
                self._process.assembled()
            case word if word == UNBORN:
                self._never_born(LaunchFailed(str(message["reason"]), short=bool(message["short"])))
            case _:
                self._said.note(message)
                self._events.message(self, message)

    def _pipe_closed(self, text: str) -> None:
        """Without a reason it has closed its end; otherwise nothing that it says is read any more."""
        if self._process is not None and self._process.pid is None:
            problem = self._process.problem
            if problem is not None:
                self._never_born(LaunchFailed(str(problem), short=is_short(problem)))
            else:
                self._never_born(LaunchFailed(text or "the process that forks the others has ended", server_died=True))
        elif text:
            end = f"its messages cannot be read any more, so it will be killed for its silence: {text}"
            self._events.message(self, {"type": "alert", "level": "error", "text": end})

    def _never_born(self, why: LaunchFailed) -> None:
        self._forget()
        self._events.unborn(self, why)

    def _pipes(self) -> tuple[tuple[Connection[Any, Any], Connection[Any, Any]], tuple[Connection[Any, Any], ...]]:
        """Our (incoming, outgoing) ends and the child's ends."""
        if self.spec.kind in (ChildKind.WORKER, ChildKind.RESCUE):
            ours, theirs = multiprocessing.Pipe(duplex=True)
            return (ours, ours), (theirs,)
        report_in, report_out = multiprocessing.Pipe(duplex=False)
        life_in, life_out = multiprocessing.Pipe(duplex=False)
        return (report_in, life_out), (report_out, life_in)

    def _ended(self, code: int) -> None:
        if self._pipe is not None:
            self._pipe.drain()
        self._forget()
        bye = self._said.bye
        text = exit_text(code, self._state.killed_for)
        self.last_exit, self.last_code = f"{text}: {bye}" if bye else text, code
        self._events.exit(self, code)

    def _forget(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        if self._process is not None:
            self._process.close()
            self._process = None


@dataclass(slots=True)
class _Said:
    """What the current process has said about itself."""

    health: Message = field(default_factory=dict)
    counts: Message = field(default_factory=dict)
    """The newest that it has told: a report of one that begins or ends has none."""
    bye: str = ""
    unsaved: str = ""
    left: list[str] | None = None

    def note(self, message: Message) -> None:
        match message.get("type"):
            case "health":
                self.health = message
                self.counts = message.get("counts") or self.counts
            case "bye" | "refused":
                self.bye = str(message.get("reason") or "")
                self.unsaved = str(message.get("unsaved") or "")
                self.left = message.get("left")
