"""One child process as the supervisor holds it: its spec, the process, its pipes, what it last said, its state.

Processes are spawned, never forked: a forked one would inherit the others' pipe ends and the data directory's lock, and
neither an end of file nor a free lock would tell of a death. The restart policy decides; this module only does.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from supervisor.children.bootstrap import Boot, child_main
from supervisor.children.pipe import ChildPipe, Message
from supervisor.children.policy import ChildState, RestartPolicy
from supervisor.exit_codes import ExitCode

__all__ = ["CONTEXT", "Child", "ChildKind", "ChildSpec", "exit_text"]

CONTEXT = multiprocessing.get_context("spawn")


class ChildKind(StrEnum):
    """What a child is, which decides its pipes and the arguments it gets after those of its spec.

    PAPER:  entry(*args, port, report, life)      port: 0 at first, afterwards the one it had
    WRITER: entry(*args, queues, report, life)    queues: {account: queue}
    WORKER: entry(*args, paper_url, queue, conn)  paper_url: None unless `needs_paper`

    `report` is written by the child, `life` only ever ends (when the supervisor is gone), `conn` is both.
    """

    PAPER = "paper"
    WRITER = "writer"
    WORKER = "worker"


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """A child to be run. `entry` is "package.module:function"; `args` must survive pickling.

    With `ends_session`, its own end with exit code 0 stops everything: a replay is over.
    """

    name: str
    kind: ChildKind
    entry: str
    args: tuple[Any, ...] = ()
    account: str = ""
    needs_paper: bool = False
    ends_session: bool = False
    policy: RestartPolicy = field(default_factory=RestartPolicy)


def exit_text(code: int) -> str:
    """How a process ended, in words. `code` as in `Process.exitcode`: negative is the signal that ended it."""
    if code >= 0:
        return _BY_CODE.get(code, f"ended with exit code {code}")
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return _BY_SIGNAL.get(-code, f"ended by {name}")


_BY_CODE: dict[int, str] = {
    ExitCode.OK: "ended in order (exit code 0)",
    ExitCode.UNEXPECTED: "ended by an unexpected error (exit code 1; see logs/crash.log)",
    ExitCode.CONFIG: "refused its configuration (exit code 4)",
    ExitCode.REFUSED: "refused to start (exit code 7)",
    ExitCode.FORCED: "ended by force (exit code 130)",
}
_BY_SIGNAL: dict[int, str] = {
    signal.SIGKILL: "killed by SIGKILL (kill -9, or the kernel for want of memory: see dmesg)",
    signal.SIGABRT: "aborted (SIGABRT; its stacks are in logs/crash.log)",
    signal.SIGSEGV: "crashed in native code (SIGSEGV; see logs/crash.log)",
    signal.SIGBUS: "crashed in native code (SIGBUS, a full disk is a usual cause; see logs/crash.log)",
    signal.SIGTERM: "ended by SIGTERM before it could stop in order",
}


@contextlib.contextmanager
def _quiet_spawn() -> Iterator[None]:
    """Spawn without the caller's `__main__` (children import what they need) and safe from an early Ctrl-C."""
    main = sys.modules["__main__"]
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class Child:
    """See the module. `on_message(child, message)` and `on_exit(child, code)` are called on the loop."""

    def __init__(
        self,
        spec: ChildSpec,
        loop: asyncio.AbstractEventLoop,
        crash_log: Path,
        on_message: Callable[[Child, Message], None],
        on_exit: Callable[[Child, int], None],
    ) -> None:
        self.spec = spec
        self.state = ChildState()
        self.health: Message = {}
        self.ready: Message = {}
        self.bye = ""
        self.last_exit = ""
        self.queue_clean = False
        self.process: SpawnProcess | None = None
        self._loop = loop
        self._crash_log = crash_log
        self._on_message = on_message
        self._on_exit = on_exit
        self._channel: ChildPipe | None = None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process is not None else None

    def spawn(self, extra: tuple[Any, ...]) -> None:
        """Start a process with the spec's arguments, `extra` and the pipe ends. Raises OSError, nothing left behind."""
        self.health, self.ready, self.bye, self.queue_clean = {}, {}, "", False
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
        for end in theirs:  # or its end of file would never come
            end.close()
        self.process = process
        self._channel = ChildPipe(
            self._loop, ours[0], ours[1], lambda message: self._on_message(self, message), lambda text: None
        )
        self._loop.add_reader(process.sentinel, self._ended)

    def send(self, message: Message) -> bool:
        """False when the child is not there or does not read."""
        return self._channel is not None and self._channel.send(message)

    def signal(self, number: signal.Signals) -> None:
        """To the process, if it is there. The pid cannot be another's: it is not reaped before `_ended`."""
        if self.process is not None and self.process.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    def kill_now(self) -> None:
        """SIGKILL and wait until it is gone. For the last resort, when the loop does not run any more."""
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.join()
            self._forget()

    def _pipes(self) -> tuple[tuple[Connection[Any, Any], Connection[Any, Any]], tuple[Connection[Any, Any], ...]]:
        """Our (incoming, outgoing) ends and the child's ends."""
        if self.spec.kind is ChildKind.WORKER:
            ours, theirs = CONTEXT.Pipe(duplex=True)
            return (ours, ours), (theirs,)
        report_in, report_out = CONTEXT.Pipe(duplex=False)
        life_in, life_out = CONTEXT.Pipe(duplex=False)
        return (report_in, life_out), (report_out, life_in)

    def _ended(self) -> None:
        process = self.process
        if process is None:
            return
        self._loop.remove_reader(process.sentinel)
        code = process.exitcode
        if code is None:  # its descriptors are closed a moment before it can be reaped
            self._loop.call_later(0.005, self._ended)
            return
        if self._channel is not None:
            self._channel.drain()
        self._forget()
        self.last_exit = f"{exit_text(code)}: {self.bye}" if self.bye else exit_text(code)
        self._on_exit(self, code)

    def _forget(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self.process is not None:
            self._loop.remove_reader(self.process.sentinel)
            self.process.close()
            self.process = None
