"""Launching with a real fork server: births, ends, and what becomes of both when that process is killed or frozen."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from supervisor.children import fork_server
from supervisor.children import launcher as launcher_module
from supervisor.children.child import Child, ChildEvents
from supervisor.children.child_spec import ChildKind, ChildSpec
from supervisor.children.exit_text import UNKNOWN_CODE, exit_text
from supervisor.children.launcher import Launcher
from supervisor.children.pipe import FrameReader, Message
from supervisor.children.policy import step
from supervisor.children.policy_types import ChildState, ProcessState, RestartPolicy, SpawnFailed, Start, Stop

PROGRAMS = "tests.supervisor.child_programs"
DEADLINE_S = 30.0


class Place:
    """A launcher and children of one loop, and what was heard of them."""

    def __init__(self, home: Path, preload: tuple[str, ...] = ()) -> None:
        self.lost: list[str] = []
        self.messages: list[Message] = []
        self.exits: list[tuple[str, int, str]] = []
        self.unborn: list[tuple[str, str, bool]] = []
        self.crash_log = home / "logs" / "crash.log"
        self.launcher = Launcher(self.crash_log, preload, self.lost.append)
        self.children: list[Child] = []

    def child(self, name: str, entry: str, *args: object) -> Child:
        events = ChildEvents(
            lambda _, message: self.messages.append(message),
            lambda child, code: self.exits.append((child.spec.name, code, child.last_exit)),
            lambda child, reason, short: self.unborn.append((child.spec.name, reason, short)),
        )
        spec = ChildSpec(name, ChildKind.WORKER, f"{PROGRAMS}:{entry}", (name, *args), account=name)
        child = Child(spec, self.launcher, events)
        self.children.append(child)
        return child

    def launch(self, name: str, entry: str, *args: object, extra: tuple[Any, ...] = (None, None, {})) -> Child:
        child = self.child(name, entry, *args)
        child.spawn(extra)
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


def run(home: Path, work: Callable[[Place], Any], preload: tuple[str, ...] = ()) -> Place:
    """Run `work` on a loop with a launcher; leaves no process behind."""

    async def session() -> Place:
        place = Place(home, preload)
        try:
            await work(place)
        finally:
            for child in place.children:
                child.kill_now()
            place.launcher.close()
        return place

    return asyncio.run(session())


def test_each_end_is_told_as_the_kernel_saw_it_whichever_process_forked_it(tmp_path: Path) -> None:
    """A fork server's children are not ours: multiprocessing's reports 255 for whoever outlives it."""

    async def work(place: Place) -> None:
        ends = {"three": 3, "none": 0, "room": 10, "segv": -signal.SIGSEGV, "kill": -signal.SIGKILL}
        for name, end in ends.items():
            place.launch(name, "ends", end)
        old = [child.pid for child in place.children]
        await place.until(lambda: all(child.pid for child in place.children), "all births")
        first = place.server
        os.kill(first, signal.SIGKILL)
        await place.until(lambda: place.lost, "the news of its end")
        assert place.exits == []
        assert old == [None] * 5
        place.launch("later", "ends", 7)
        assert place.server != first
        await place.until(lambda: place.children[-1].pid, "a birth by the next one")
        for child in place.children:
            assert child.send({"type": "end"})
        await place.until(lambda: len(place.exits) == 6, "all ends")
        assert {name: code for name, code, _ in place.exits} == {**ends, "later": 7}
        texts = {name: text for name, _, text in place.exits}
        assert texts["kill"].startswith("killed by SIGKILL (kill -9")
        assert texts["three"] == "ended with exit code 3"

    place = run(tmp_path, work)
    assert place.lost == [
        "the process that forks the others killed by SIGKILL (kill -9, or the kernel for want of memory: see dmesg); "
        "they go on without it"
    ]
    assert place.unborn == []


def test_a_fresh_child_has_one_thread_its_own_descriptors_and_randomness_of_its_own(tmp_path: Path) -> None:
    async def work(place: Place) -> None:
        queue, other = socket.socketpair()
        for name in ("a", "b"):
            place.launch(name, "looks", extra=(None, queue, {}))
        await place.until(lambda: len(place.messages) == 2, "two reports")
        for message in place.messages:
            assert message["threads"] == ["MainThread", "parent-watch"]
            kinds = sorted(kind.split(":")[0].split("/")[-1] for kind in message["descriptors"].values())
            assert kinds == ["anon_inode", "crash.log", "socket", "socket"], "watch, crash log, queue and pipe"
            assert message["parent"] == os.getpid()
            assert message["group"] == message["pid"] != os.getpgid(0)
            assert message["stdin"] == "/dev/null"
            assert message["collects"]
            assert message["core"] == 0
            assert not message["closed"]
        for what in ("random", "uuid", "secret"):
            assert len({message[what] for message in place.messages}) == 2, what
        forks = psutil.Process(place.server)
        assert forks.num_threads() == 1
        names = [os.readlink(f"/proc/{forks.pid}/fd/{fd}").split(":")[0] for fd in os.listdir(f"/proc/{forks.pid}/fd")]
        assert names.count("socket") - (os.readlink("/proc/self/fd/1").split(":")[0] == "socket") <= 2
        assert not any("memfd" in name for name in names)
        queue.close()
        other.close()

    run(tmp_path, work)


def test_memory_is_closed_from_the_first_moment_where_the_supervisor_s_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker with real keys closed its own once it ran; its fork server must not be a way in before that."""
    monkeypatch.setattr(launcher_module, "memory_is_closed", lambda: True)

    async def work(place: Place) -> None:
        queue, other = socket.socketpair()
        place.launch("a", "looks", extra=(None, queue, {}))
        await place.until(lambda: place.messages, "a report")
        assert place.messages[0]["closed"]
        queue.close()
        other.close()

    run(tmp_path, work)


def test_the_environment_is_that_of_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that was removed before the first child is in none of them."""
    monkeypatch.setenv("SECRET_OF_ANNA", "sesame-of-anna")
    os.environ.pop("SECRET_OF_ANNA")

    async def work(place: Place) -> None:
        child = place.launch("a", "ends", 0)
        await place.until(lambda: child.pid, "the birth")
        for pid in (child.pid, place.server):
            assert b"sesame-of-anna" not in Path(f"/proc/{pid}/environ").read_bytes()
            assert b"MALLOC_ARENA_MAX=1" in Path(f"/proc/{pid}/environ").read_bytes()

    run(tmp_path, work)


def test_a_frozen_fork_server_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher_module, "FROZEN_S", 0.0)

    async def work(place: Place) -> None:
        place.launcher.start()
        os.kill(place.server, signal.SIGSTOP)
        place.launch("a", "ends", 0)
        place.launcher.look()
        await place.until(lambda: place.unborn, "the end of a launch that nobody heard")
        assert place.unborn == [("a", "the process that forks the others has ended", False)]
        monkeypatch.setattr(launcher_module, "FROZEN_S", 60.0)
        child = place.launch("a", "ends", 0)
        await place.until(lambda: child.pid, "a birth by the next one")

    place = run(tmp_path, work)
    assert place.lost == [
        "the process that forks the others killed by the supervisor: it forked nothing for 0 s; they go on without it"
    ]


def test_what_waits_its_turn_is_born_by_the_next_fork_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher_module, "UNDER_WAY", 1)

    async def work(place: Place) -> None:
        place.launcher.start()
        os.kill(place.server, signal.SIGSTOP)
        place.launch("first", "ends", 0)
        second, third = place.launch("second", "ends", 0), place.launch("third", "ends", 0)
        third.signal(signal.SIGKILL)
        await place.until(lambda: place.unborn, "the end of what was dropped")
        assert [name for name, _, _ in place.unborn] == ["third"]
        os.kill(place.server, signal.SIGKILL)
        await place.until(lambda: second.pid, "the birth of the second")
        assert [name for name, _, _ in place.unborn] == ["third", "first"]

    run(tmp_path, work)


def test_signals_before_the_birth_come_at_the_birth_and_a_kill_ends_what_is_not_born(tmp_path: Path) -> None:
    async def work(place: Place) -> None:
        place.launcher.start()
        os.kill(place.server, signal.SIGSTOP)
        asked, killed = place.launch("asked", "ends", 0), place.launch("killed", "ends", 0)
        asked.signal(signal.SIGTERM)
        assert asked.send({"type": "stop"})
        os.kill(place.server, signal.SIGCONT)
        await place.until(lambda: place.exits, "the end of the first")
        assert place.exits == [("asked", -signal.SIGTERM, "ended by SIGTERM before it could stop in order")]
        await place.until(lambda: killed.pid, "the birth of the other")
        os.kill(place.server, signal.SIGSTOP)
        never = place.launch("never", "ends", 0)
        never.signal(signal.SIGKILL)
        await place.until(lambda: place.unborn, "the end of what was never born")
        assert [name for name, _, _ in place.unborn] == ["never"]
        assert killed.pid is not None

    run(tmp_path, work)


def test_an_end_by_force_waits_neither_for_the_loop_nor_for_a_birth(tmp_path: Path) -> None:
    async def work(place: Place) -> None:
        born = place.launch("born", "deaf", None)
        await place.until(lambda: born.pid, "the birth")
        pid = born.pid
        os.kill(place.server, signal.SIGSTOP)
        unborn = place.launch("unborn", "deaf", None)
        for child in (born, unborn):
            child.kill_now()
            assert child.pid is None
        assert pid is not None
        assert not psutil.pid_exists(pid)

    run(tmp_path, work)


def test_an_end_of_the_launcher_ends_the_fork_server_and_no_child(tmp_path: Path) -> None:
    async def work(place: Place) -> None:
        child = place.launch("a", "ends", 9)
        await place.until(lambda: child.pid, "the birth")
        server = place.server
        place.launcher.close()
        assert not psutil.pid_exists(server)
        assert place.launcher.pids == set()
        assert child.send({"type": "end"})
        await place.until(lambda: place.exits, "its own end")
        assert [code for _, code, _ in place.exits] == [9]
        place.launcher.look()
        assert place.launcher.pids == set(), "nothing is started any more"

    assert run(tmp_path, work).lost == []


def test_a_fork_server_that_cannot_begin_is_told_with_its_traceback(tmp_path: Path) -> None:
    async def work(place: Place) -> None:
        place.launch("a", "ends", 0)
        await place.until(lambda: place.unborn and place.lost, "both ends")
        assert place.launcher.pids == set()
        place.launcher.look()
        assert place.launcher.pids == set(), "not at once again"

    place = run(tmp_path, work, preload=("no_such_module_anywhere",))
    assert place.unborn == [("a", "the process that forks the others has ended", False)]
    assert "ended by an unexpected error (exit code 1; see logs/crash.log)" in place.lost[0]
    assert "No module named 'no_such_module_anywhere'" in place.crash_log.read_text()


def test_one_that_is_kept_ready_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher_module, "SHORTEST_PAUSE_S", 0.0)

    async def work(place: Place) -> None:
        place.launcher.look()
        assert place.launcher.pids == set(), "before the first start there is nothing to keep"
        place.launcher.start()
        first = place.server
        os.kill(first, signal.SIGKILL)
        await place.until(lambda: place.lost, "its end")
        place.launcher.look()
        assert place.server != first

    run(tmp_path, work)


def test_threads_before_the_first_fork_are_refused(tmp_path: Path) -> None:
    """A fork copies one thread; what the others held stays held."""

    async def work(place: Place) -> None:
        place.launch("a", "ends", 0)
        await place.until(lambda: place.lost, "its end")

    place = run(tmp_path, work, preload=("tests.supervisor.starts_a_thread",))
    assert "expected one thread before the first fork, got 2" in place.crash_log.read_text()


def test_more_descriptors_than_a_message_can_have(tmp_path: Path) -> None:
    async def work(place: Place) -> None:
        pairs = [socket.socketpair() for _ in range(300)]
        place.launch("a", "counts", extra=(None, [theirs for _, theirs in pairs], {}))
        await place.until(lambda: place.messages, "the count")
        assert place.messages[0]["count"] == 300
        assert [ours.recv(9) for ours, _ in pairs] == [str(number).encode() for number in range(300)]
        for ours, theirs in pairs:
            ours.close()
            theirs.close()

    run(tmp_path, work)


@pytest.mark.parametrize(
    ("number", "short"),
    [(errno.EAGAIN, True), (errno.ETOOMANYREFS, True), (errno.ENOMEM, True), (errno.EPERM, False)],
)
def test_a_fork_that_fails_is_told_by_the_pipe_of_the_child(
    monkeypatch: pytest.MonkeyPatch, number: int, short: bool
) -> None:
    def fails() -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fork", fails)
    heard, report = os.pipe()
    assert not fork_server._fork(report, os.getpid())
    [message] = FrameReader().feed(os.read(heard, 1 << 16))
    assert (message["type"], message["short"]) == ("unborn", short)
    assert os.strerror(number) in message["reason"]
    os.close(heard)
    assert not fork_server._tell(report, {"type": "born", "pid": 1}), "nobody listens"
    os.close(report)


def test_no_fork_server_is_an_error_of_the_launch_and_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> Any:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    async def work(place: Place) -> None:
        before = len(os.listdir("/proc/self/fd"))
        monkeypatch.setattr(subprocess, "Popen", fails)
        with pytest.raises(OSError, match="Cannot allocate memory"):
            place.launch("a", "ends", 0)
        assert len(os.listdir("/proc/self/fd")) == before

    run(tmp_path, work)


def test_a_launch_for_which_there_is_no_descriptor_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    async def work(place: Place) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, "memfd_create", fails)
            place.launch("a", "ends", 0)
            await place.until(lambda: place.unborn, "its end")
        assert place.unborn == [("a", "[Errno 24] Too many open files", True)]
        child = place.launch("b", "ends", 0)
        await place.until(lambda: child.pid, "the birth of the next")

    run(tmp_path, work)


def test_an_end_that_somebody_else_was_told_is_not_made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supervisor.children.process_handle.OURS_WITHIN_S", 0.05)

    async def work(place: Place) -> None:
        child = place.launch("a", "ends", 5)
        await place.until(lambda: child.pid, "the birth")
        assert child.pid is not None
        await place.until(lambda: psutil.Process(child.pid).ppid() == os.getpid(), "its go-between to end")
        child.send({"type": "end"})
        os.waitpid(child.pid, 0)
        await place.until(lambda: place.exits, "its end")
        assert place.exits == [("a", UNKNOWN_CODE, exit_text(UNKNOWN_CODE))]
        assert "not known" in exit_text(UNKNOWN_CODE)

    run(tmp_path, work)


def test_who_is_stopped_while_it_cannot_be_born_is_stopped() -> None:
    """Only a starting one had an end: the stop waited for ever."""
    state, _ = step(0.0, ChildState(), [Start()], policy=RestartPolicy())
    state, _ = step(1.0, state, [Stop()], policy=RestartPolicy())
    assert state.process is ProcessState.STOPPING
    state, _ = step(2.0, state, [SpawnFailed("no room", short=True)], policy=RestartPolicy())
    assert (state.process, state.alive) == (ProcessState.STOPPED, False)
    assert state.reason == "could not be started: no room"


def test_the_child_finds_the_modules_that_we_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "only_here.py").write_text("def entry(account, url, queue, held, conn): conn.send({'type': 'here'})\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])

    async def work(place: Place) -> None:
        child = place.child("a", "ends")
        object.__setattr__(child.spec, "entry", "only_here:entry")
        object.__setattr__(child.spec, "args", ("a",))
        child.spawn((None, None, {}))
        await place.until(lambda: place.messages, "a word of it")

    run(tmp_path, work)
