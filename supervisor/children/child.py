"""One child process as the supervisor holds it: its spec, the process, its pipes, its last reports, its state.

Processes are spawned, never forked: a forked one would inherit the others' pipe ends and the data directory's lock, so
the death of a process would neither end a pipe nor free the lock. The restart policy decides; this module only acts.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Final

from supervisor.children.bootstrap import Boot, child_main
from supervisor.children.child_spec import ChildKind, ChildSpec
from supervisor.children.exit_text import exit_text
from supervisor.children.pipe import ChildPipe, Message
from supervisor.children.policy import step
from supervisor.children.policy_types import Action, ChildState, Event

__all__ = ["CONTEXT", "Child"]

CONTEXT = multiprocessing.get_context("spawn")
KILL_WAIT_S: Final = 5.0


@contextlib.contextmanager
def _quiet_spawn() -> Iterator[None]:
    """Spawn without the caller's `__main__` (children import what they need) and safe from an early Ctrl-C.

    A child is sent into our working directory. When that has been deleted, we leave it: all our paths are absolute.
    glibc would give each thread of a child a heap of its own, none of which shrinks: 5 MB a worker, 45 MB the writer.
    """
    os.environ.setdefault("MALLOC_ARENA_MAX", "1")
    try:
        os.getcwd()
    except OSError:
        os.chdir("/")
    main = sys.modules["__main__"]
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class Child:
    """One child: its spec, its process, its last reports, and its state under the restart policy.

    `on_message(child, message)` and `on_exit(child, code)` are called on the loop, after the child has stored
    what the message says about itself.
    """

    def __init__(
        self,
        spec: ChildSpec,
        crash_log: Path,
        on_message: Callable[[Child, Message], None],
        on_exit: Callable[[Child, int], None],
    ) -> None:
        self.spec = spec
        self.last_exit = ""
        """How the newest process ended, in words; "" before the first end."""
        self._state = ChildState()
        self._said = _Said()
        self._crash_log = crash_log
        self._on_message = on_message
        self._on_exit = on_exit
        self._process: SpawnProcess | None = None
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
    def unsaved(self) -> str:
        """What the disk did not take of the current process, or the last one, by its last words."""
        return self._said.unsaved

    def advance(self, now: float, events: Iterable[Event], *, jitter: float) -> list[Action]:
        """Apply events, then the time, to the state. Returns the actions that the caller has to do."""
        self._state, actions = step(now, self._state, events, policy=self.spec.policy, jitter=jitter)
        return actions

    def spawn(self, extra: tuple[Any, ...]) -> None:
        """Start a process with the spec's arguments, `extra` and the pipe ends. After an OSError nothing is left."""
        self._said = _Said()
        loop = asyncio.get_running_loop()
        ours, theirs = self._pipes()
        boot = Boot(self.spec.name, self.spec.entry, self._crash_log, os.getpid())
        process = CONTEXT.Process(
            target=child_main, args=(boot, (*self.spec.args, *extra), theirs), name=self.spec.name
        )
        try:
            with _quiet_spawn():
                process.start()
        except BaseException:
            for end in {*ours, *theirs}:
                end.close()
            raise
        for end in theirs:  # with a copy open here we would never see its end of file
            end.close()
        self._process = process
        self._pipe = ChildPipe(loop, ours[0], ours[1], self._take, self._pipe_closed)
        loop.add_reader(process.sentinel, self._ended, loop)

    def send(self, message: Message) -> bool:
        """False when there is no process or it does not read."""
        return self._pipe is not None and self._pipe.send(message)

    def catch_up(self) -> None:
        """Take in what it has said and the loop has not read yet."""
        if self._pipe is not None:
            self._pipe.drain()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if there is one. Its pid cannot have been reused: `_ended` reaps it."""
        if self._process is not None and self._process.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def kill_now(self) -> None:
        """SIGKILL, and wait until it is gone. The last resort, for when the loop no longer turns.

        Raises TimeoutError when the kernel does not let go of it, as with a process that waits for a dead disk.
        """
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.join(KILL_WAIT_S)
            if self._process.exitcode is None:
                raise TimeoutError(f"pid {self._process.pid} does not end although it was killed")
            self._forget(asyncio.get_running_loop())

    def _take(self, message: Message) -> None:
        self._said.note(message)
        self._on_message(self, message)

    def _pipe_closed(self, text: str) -> None:
        """Without a reason it has closed its end; otherwise nothing that it says is read any more."""
        if text:
            end = f"its messages cannot be read any more, so it will be killed for its silence: {text}"
            self._on_message(self, {"type": "alert", "level": "error", "text": end})

    def _pipes(self) -> tuple[tuple[Connection[Any, Any], Connection[Any, Any]], tuple[Connection[Any, Any], ...]]:
        """Our (incoming, outgoing) ends and the child's ends."""
        if self.spec.kind is ChildKind.WORKER:
            ours, theirs = CONTEXT.Pipe(duplex=True)
            return (ours, ours), (theirs,)
        report_in, report_out = CONTEXT.Pipe(duplex=False)
        life_in, life_out = CONTEXT.Pipe(duplex=False)
        return (report_in, life_out), (report_out, life_in)

    def _ended(self, loop: asyncio.AbstractEventLoop) -> None:
        process = self._process
        if process is None:
            return
        loop.remove_reader(process.sentinel)
        code = process.exitcode
        if code is None:  # its descriptors are closed a moment before it can be reaped
            loop.call_later(0.005, self._ended, loop)
            return
        if self._pipe is not None:
            self._pipe.drain()
        self._forget(loop)
        bye = self._said.bye
        text = exit_text(code, self._state.killed_for)
        self.last_exit = f"{text}: {bye}" if bye else text
        self._on_exit(self, code)

    def _forget(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        if self._process is not None:
            loop.remove_reader(self._process.sentinel)
            self._process.close()
            self._process = None


@dataclass(slots=True)
class _Said:
    """What the current process has said about itself."""

    health: Message = field(default_factory=dict)
    bye: str = ""
    unsaved: str = ""

    def note(self, message: Message) -> None:
        match message.get("type"):
            case "health":
                self.health = message
            case "bye" | "refused":
                self.bye = str(message.get("reason") or "")
                self.unsaved = str(message.get("unsaved") or "")
