"""A launcher with its children on one loop, for tests with a real fork server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from supervisor.children.child import Child, ChildEvents
from supervisor.children.child_spec import ChildKind, ChildSpec
from supervisor.children.launcher import ForkServer, Launcher
from supervisor.children.pipe import Message

__all__ = ["DEADLINE_S", "PROGRAMS", "Place", "run"]

PROGRAMS = "tests.supervisor.child_programs"
DEADLINE_S = 30.0


class Place:
    """A launcher and children of one loop, and what was heard of them."""

    def __init__(self, home: Path, preload: tuple[str, ...] = (), begun: ForkServer | None = None) -> None:
        self.lost: list[str] = []
        self.messages: list[Message] = []
        self.exits: list[tuple[str, int, str]] = []
        self.unborn: list[tuple[str, str, bool]] = []
        self.crash_log = home / "logs" / "crash.log"
        self.launcher = Launcher(self.crash_log, preload, self.lost.append, begun)
        self.children: list[Child] = []

    def child(self, name: str, entry: str, *args: object, kind: ChildKind = ChildKind.WORKER) -> Child:
        events = ChildEvents(
            lambda _, message: self.messages.append(message),
            lambda child, code: self.exits.append((child.spec.name, code, child.last_exit)),
            lambda child, why: self.unborn.append((child.spec.name, why.text, why.short)),
        )
        spec = ChildSpec(name, kind, f"{PROGRAMS}:{entry}", (name, *args), account=name)
        child = Child(spec, self.launcher, events)
        self.children.append(child)
        return child

    def launch(
        self,
        name: str,
        entry: str,
        *args: object,
        extra: tuple[Any, ...] = (None, None, {}),
        kind: ChildKind = ChildKind.WORKER,
    ) -> Child:
        child = self.child(name, entry, *args, kind=kind)
        child.launch(extra)
        return child

    @property
    def server(self) -> int:
        [pid] = self.launcher.pids
        return pid

    async def until(self, condition: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + DEADLINE_S
        while not (answer := condition()):
            assert time.monotonic() < deadline, f"waited in vain for {what}; {self.lost} {self.unborn} {self.exits}"
            await asyncio.sleep(0.01)
        return answer


def run(
    home: Path, work: Callable[[Place], Any], preload: tuple[str, ...] = (), begun: ForkServer | None = None
) -> Place:
    """Run `work` on a loop with a launcher; leaves no process behind."""

    async def session() -> Place:
        place = Place(home, preload, begun)
        try:
            await work(place)
        finally:
            for child in place.children:
                child.kill_now()
            place.launcher.close()
        return place

    return asyncio.run(session())
