"""Rescues of accounts whose worker does not trade or does not answer (`gridbot.rescue`): one process each, at most.

::

    begin ──► the worker is kept down, killed where it lives ──► whoever holds the key's lock is looked at
          ──► a rescue is forked, which waits for the lock ──► its end: the worker may start again

A lock may be held by a worker that an earlier supervisor has left behind, frozen: one of our account without a living
parent of ours is killed by the pid that the lock names. Any other holder is somebody else's, and refuses the rescue.

A rescue reports each second like every child, and one that is silent for too long is ended by the same policy: it
hangs, and while it is there the worker may not start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from gridbot.state.key_lock import key_holder
from supervisor.children.child import Child, ChildEvents
from supervisor.children.child_spec import ChildKind, ChildSpec
from supervisor.children.fleet import Fleet
from supervisor.children.launch_arguments import LaunchArguments
from supervisor.children.launcher import Launcher
from supervisor.children.pipe import Message
from supervisor.children.policy_types import Event, LaunchFailed, ProcessState, Start, Stop

__all__ = ["NoRescue", "RescueUnderWay", "Rescues", "left_behind"]

log = logging.getLogger("supervisor")

POLL_S: Final = 0.02
GONE_WITHIN_S: Final = 8.0
"""A killed process that is there for so long hangs in the kernel; its lock is held."""


class NoRescue(Exception):
    """There can be none; the text says why and what to do."""


class RescueUnderWay(NoRescue):
    """There is one already, of another command."""


class Rescues:
    """`on_message` and `on_exit` hear of a rescue like of every child."""

    def __init__(
        self,
        fleet: Fleet,
        launcher: Launcher,
        launch: LaunchArguments,
        on_message: Callable[[Child, Message], None],
        on_exit: Callable[[Child, int], None],
        *,
        clock: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._fleet = fleet
        self._launcher = launcher
        self._launch = launch
        self._on_message = on_message
        self._on_exit = on_exit
        self._running: dict[str, Child | None] = {}
        """By account; None while its worker is ended."""

    def keeps_down(self, account: str) -> bool:
        """Whether the worker of this account may not start now."""
        return account in self._running

    def of(self, account: str) -> Child | None:
        """The rescue of an account, while there is one."""
        return self._running.get(account)

    def pids(self) -> set[int]:
        """Of the rescues that run."""
        return {child.pid for child in self._running.values() if child is not None and child.pid is not None}

    def look(self, *events: Event) -> None:
        """Let events and time pass for each, with all that it has said so far: one that hangs is ended."""
        for child in list(self._running.values()):
            if child is not None:
                child.catch_up()
                self._fleet.advance(child, *events)

    def end(self, account: str) -> None:
        """Ask the rescue of an account to end, where there is one: what it has not done it leaves to the next one."""
        child = self._running.get(account)
        if child is not None:
            child.signal(signal.SIGTERM)

    def kill(self, account: str) -> None:
        """End the rescue of an account where it is, where there is one."""
        child = self._running.get(account)
        if child is not None:
            child.signal(signal.SIGKILL)

    async def begin(self, worker: Child) -> Child:
        """End the worker, and start a rescue of its account. Raises NoRescue."""
        spec = worker.spec
        if not spec.rescue:
            raise NoRescue(f"the worker of {spec.account} cannot be rescued: its plan names no rescue")
        if spec.account in self._running:
            raise RescueUnderWay(
                f"a rescue of {spec.account} is under way already; look at status, and ask again when it ends"
            )
        self._running[spec.account] = None
        try:
            await self._end(worker)
            return self._start(spec)
        except BaseException:
            del self._running[spec.account]
            raise

    def stop(self) -> None:
        """The supervisor ends: so do they."""
        for child in self._running.values():
            if child is not None:
                child.signal(signal.SIGTERM)

    def kill_now(self) -> None:
        """SIGKILL each that still runs, and wait for its end."""
        for child in list(self._running.values()):
            if child is not None:
                with contextlib.suppress(TimeoutError):
                    child.kill_now()
        self._running.clear()

    async def _end(self, worker: Child) -> None:
        if worker.state.process not in (ProcessState.STOPPED, ProcessState.FATAL):
            self._fleet.advance(worker, Stop(force=True))
        await _until(lambda: worker.pid is None)
        if worker.pid is not None:
            raise NoRescue(
                f"expected pid {worker.pid}, the worker of {worker.spec.account}, to end, but it hangs in the kernel; "
                "it holds the account's lock"
            )
        spec = worker.spec
        if not spec.lock[0]:
            return
        scope = (self._launch.paper_url if spec.needs_paper else None) or spec.lock[1]
        holder = key_holder(spec.lock[0], scope, spec.share)
        if holder.isdecimal() and left_behind(int(holder), spec.name):
            log.warning("%s: pid %s was left behind and holds the key; it is killed", spec.name, holder)
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(holder), signal.SIGKILL)
            await _until(lambda: key_holder(spec.lock[0], scope, spec.share) != holder)

    def _start(self, spec: ChildSpec) -> Child:
        rescue = replace(
            spec, name=f"rescue-{spec.account}", kind=ChildKind.RESCUE, entry=spec.rescue, ends_session=False
        )
        child = Child(rescue, self._launcher, ChildEvents(self._on_message, self._ended, self._unborn))
        try:
            child.launch(self._launch.of(rescue))
        except OSError as error:
            raise NoRescue(f"expected to start a process for the rescue of {spec.account}, got: {error}") from error
        child.advance(self._clock(), [Start()], jitter=0.0)  # it is launched already
        log.info("%s: begun", rescue.name, extra={"account": spec.account})
        self._running[spec.account] = child
        return child

    def _ended(self, child: Child, code: int) -> None:
        self._running.pop(child.spec.account, None)
        log.info("%s: ended (%s)", child.spec.name, child.last_exit, extra={"account": child.spec.account})
        self._on_exit(child, code)

    def _unborn(self, child: Child, why: LaunchFailed) -> None:
        child.last_exit = f"could not be started: {why.text}"
        self._ended(child, 1)


def left_behind(pid: int, name: str) -> bool:
    """Whether this process is a worker of that name, of our user, whose supervisor is gone."""
    place = Path("/proc") / str(pid)
    try:
        status = dict(line.split(":\t", 1) for line in (place / "status").read_text().splitlines() if ":\t" in line)
        comm = (place / "comm").read_text().strip()
        parent = int(status["PPid"])
        of_parent = (Path("/proc") / str(parent) / "comm").read_text().strip() if parent > 1 else ""
        uid = int(status["Uid"].split()[0])
    except (OSError, KeyError, ValueError):
        return False
    is_orphan = parent in (1, os.getpid()) or of_parent in ("systemd", "init")
    return uid == os.geteuid() and comm == f"gb:{name}"[:15] and is_orphan


async def _until(true: Callable[[], bool]) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + GONE_WITHIN_S
    while not true() and loop.time() < deadline:
        await asyncio.sleep(POLL_S)
