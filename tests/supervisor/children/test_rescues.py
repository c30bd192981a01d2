"""A rescue of an account: the worker is ended first, and whoever holds the key is looked at."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from gridbot.state.key_lock import key_holder
from supervisor.children.child_spec import ChildKind, ChildSpec
from supervisor.children.policy_types import ProcessState, Stop
from supervisor.children.rescues import NoRescue, Rescues, left_behind
from supervisor.polling import wait_until

KEY, SCOPE = "a key of these tests", "paper"
HOLDER = """
import sys, time
from gridbot.state.key_lock import key_lock
from supervisor.children.bootstrap import name_process
name_process("worker-zoe")
with key_lock(sys.argv[1], sys.argv[2]):
    print("held", flush=True)
    time.sleep(60)
"""
LEAVES = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', *sys.argv[1:]])"


@contextlib.contextmanager
def holder(*, orphan: bool) -> Iterator[int]:
    """The pid of a process that looks like the worker of zoe and holds the key."""
    words = [HOLDER, KEY, SCOPE]
    start = [sys.executable, "-c", LEAVES, *words] if orphan else [sys.executable, "-c", *words]
    begun = subprocess.Popen(start)
    try:
        pid = wait_until(lambda: key_holder(KEY, SCOPE), timeout_s=30, every_s=0.05)
        assert pid
        if orphan:
            begun.wait(10)
        yield int(pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(key_holder(KEY, SCOPE) or begun.pid), signal.SIGKILL)
        begun.wait(10)


def a_worker(state: ProcessState = ProcessState.FATAL, rescue: str = "nowhere:nothing") -> Any:
    spec = ChildSpec("worker-zoe", ChildKind.WORKER, "", account="zoe", rescue=rescue, lock=(KEY, SCOPE))
    return SimpleNamespace(spec=spec, state=SimpleNamespace(process=state), pid=None)


class Launched(Exception):
    """As far as these tests go."""


def rescues(events: list[Any]) -> Rescues:
    class Fleet:
        def advance(self, child: Any, event: Any) -> None:
            events.append(event)
            child.pid = None

    class Launch:
        paper_url = None

        def of(self, spec: ChildSpec) -> Any:
            events.append((spec.name, spec.kind, spec.entry))
            raise Launched

    nobody: Any = None
    fleet: Any = Fleet()
    launch: Any = Launch()
    return Rescues(fleet, nobody, launch, lambda child, message: None, lambda child, code: None, clock=lambda: 0.0)


def test_the_worker_is_ended_before_its_rescue_is_started() -> None:
    events: list[Any] = []
    worker = a_worker(ProcessState.RUNNING)
    worker.pid = 17
    rescue = rescues(events)
    with pytest.raises(Launched):
        asyncio.run(rescue.begin(worker))
    assert events == [Stop(force=True), ("rescue-zoe", ChildKind.RESCUE, "nowhere:nothing")]
    assert not rescue.keeps_down("zoe"), "what could not be started keeps nobody down"


def test_a_plan_without_a_rescue_has_none() -> None:
    with pytest.raises(NoRescue, match="names no rescue"):
        asyncio.run(rescues([]).begin(a_worker(rescue="")))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="it reads /proc")
def test_who_holds_the_key_is_killed_only_when_its_supervisor_is_gone() -> None:
    assert not left_behind(os.getpid(), "worker-zoe")
    assert not left_behind(2**22 - 1, "worker-zoe")
    with holder(orphan=False) as pid:
        assert key_holder(KEY, SCOPE) == str(pid)
        with pytest.raises(Launched):
            asyncio.run(rescues([]).begin(a_worker()))
        assert psutil.pid_exists(pid), "it has a living parent: somebody else's"
    with holder(orphan=True) as pid:
        if psutil.Process(pid).ppid() not in (1, os.getpid()):
            pytest.skip("orphans have another parent on this machine")
        with pytest.raises(Launched):
            asyncio.run(rescues([]).begin(a_worker()))
        assert key_holder(KEY, SCOPE) == ""
