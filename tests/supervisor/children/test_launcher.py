"""Launching with a real fork server: births, ends, and what becomes of both when that process is killed or frozen."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from supervisor.children import launcher as launcher_module
from supervisor.children.child_spec import ChildKind
from supervisor.children.launcher import ForkServer
from supervisor.children.policy_types import Do, ProcessState, Start
from tests.supervisor.children.launch_place import DEADLINE_S, Place, run


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


def test_one_that_was_begun_before_is_the_first_and_ends_with_the_launcher(tmp_path: Path) -> None:
    begun = ForkServer(tmp_path / "crash.log", ())

    async def work(place: Place) -> None:
        place.launch("first", "ends", 3)
        await place.until(lambda: place.children[0].pid, "a birth")
        assert place.server == begun.process.pid
        assert place.children[0].send({"type": "end"})
        await place.until(lambda: place.exits, "the end")

    assert run(tmp_path, work, begun=begun).lost == []
    assert begun.process.returncode == -signal.SIGKILL
    unused = ForkServer(tmp_path / "crash.log", ())
    assert unused.end() == -signal.SIGKILL


def test_one_whose_supervisor_ended_meanwhile_imports_nothing_more(tmp_path: Path) -> None:
    """It held the terminal, or whoever read the output, for as long as its imports took."""
    begin = "from supervisor.children.launcher import ForkServer; ForkServer(Path(sys.argv[1]), ['no_such_module'])"
    program = f"import os, sys; from pathlib import Path; {begin}; os._exit(3)"
    crash_log = tmp_path / "crash.log"
    ended = subprocess.run([sys.executable, "-c", program, str(crash_log)], capture_output=True, timeout=DEADLINE_S)
    assert (ended.returncode, ended.stdout, ended.stderr, crash_log.exists()) == (3, b"", b"", False)


def test_a_fresh_child_has_one_thread_its_own_descriptors_and_randomness_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A test that acted as another user has closed the memory of this very process: the kernel does that.
    monkeypatch.setattr(launcher_module, "memory_is_closed", lambda: False)

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
            assert not message["draws"]
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
    monkeypatch.setattr(launcher_module, "IMPORTING_S", 0.0)

    async def work(place: Place) -> None:
        place.launcher.start()
        os.kill(place.server, signal.SIGSTOP)
        place.launch("a", "ends", 0)
        place.launcher.look()
        await place.until(lambda: place.unborn, "the end of a launch that nobody heard")
        assert place.unborn == [("a", "the process that forks the others has ended", False)]
        monkeypatch.setattr(launcher_module, "IMPORTING_S", 60.0)
        child = place.launch("a", "ends", 0)
        await place.until(lambda: child.pid, "a birth by the next one")

    place = run(tmp_path, work)
    assert place.lost == [
        "the process that forks the others killed by the supervisor: it forked nothing for 0 s; they go on without it"
    ]


def test_one_that_has_forked_just_now_is_not_frozen_however_long_it_has_imported(tmp_path: Path) -> None:
    """On a full machine imports took half a minute, and it was killed as soon as the first of all had been born."""

    async def work(place: Place) -> None:
        first = place.launch("a", "ends", 0)
        await place.until(lambda: first.pid, "a birth")
        os.kill(place.server, signal.SIGSTOP)
        second = place.launch("b", "ends", 0)
        [launch] = place.launcher._asked
        assert launch.asked_at is not None
        launch.asked_at -= launcher_module.FROZEN_S + 1  # as those that were asked for at once, before the imports
        place.launcher.look()
        os.kill(place.server, signal.SIGCONT)
        await place.until(lambda: second.pid, "the next birth")

    assert run(tmp_path, work).lost == []


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


def test_a_worker_begins_when_one_before_it_is_assembled_or_over_or_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty that computed at once on two cores were all done at the end; nobody else waits for them."""
    monkeypatch.setattr(launcher_module, "BEGINNING_PER_CORE", 1)
    monkeypatch.setattr(launcher_module, "BEGINS_S", 60.0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})

    async def work(place: Place) -> None:
        first, second, third, fourth = [place.launch(name, "begins") for name in ("first", "second", "third", "fourth")]
        rescue = place.launch("rescue", "begins", kind=ChildKind.RESCUE)
        await place.until(lambda: first.pid and rescue.pid, "the births of a worker and of one that waits for none")
        assert (second.pid, third.pid, fourth.pid) == (None, None, None)
        for child in (first, fourth):
            assert child.advance(0.0, [Start()], jitter=0.0) == [Do.LAUNCH]
        assert (fourth.advance(1e4, [], jitter=0.0), fourth.state.process) == ([], ProcessState.STARTING)
        assert Do.ABORT in first.advance(1e4, [], jitter=0.0), "silent is who could have said something"
        unwanted = place.launch("unwanted", "begins")
        for child in (first, unwanted):
            child.withdraw()
        await place.until(lambda: place.unborn, "the end of the one that waits")
        assert place.unborn == [("unwanted", "it is not wanted any more", False)], "a stop of forty bore thirty first"
        first.send({"type": "go on"})
        await place.until(lambda: second.pid, "the birth of the second, as the first is assembled")
        assert (third.pid, fourth.pid) == (None, None)
        monkeypatch.setattr(launcher_module, "BEGINS_S", 0.0)
        second.signal(signal.SIGKILL)
        await place.until(lambda: third.pid, "the birth of the third, as the second is over")
        await place.until(lambda: fourth.pid, "the birth of the fourth, as the third takes long")

    run(tmp_path, work)


def test_who_is_killed_before_its_birth_costs_nobody_else_theirs(tmp_path: Path) -> None:
    """The fork server was ended for it, and with it a neighbour's rescue: its `flatten` was not carried out."""

    async def work(place: Place) -> None:
        place.launcher.start()
        server = place.server
        os.kill(server, signal.SIGSTOP)
        killed, neighbour = place.launch("killed", "deaf", None), place.launch("neighbour", "ends", 0)
        killed.signal(signal.SIGKILL)
        place.launcher.look()
        os.kill(server, signal.SIGCONT)
        await place.until(lambda: place.exits and neighbour.pid, "the end of one and the birth of the other")
        assert [(name, code) for name, code, _ in place.exits] == [("killed", -signal.SIGKILL)]
        assert (place.server, place.unborn) == (server, [])

    run(tmp_path, work)


def test_a_fork_server_that_still_imports_is_not_ended_for_a_child_that_was_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine without CPU to spare each start that took too long ended the fork server, which began anew."""

    async def work(place: Place) -> None:
        place.launcher.start()
        server = place.server
        os.kill(server, signal.SIGSTOP)
        place.launch("too late", "ends", 0).signal(signal.SIGKILL)
        monkeypatch.setattr(launcher_module, "GIVEN_UP_S", 0.0)
        monkeypatch.setattr(launcher_module, "FROZEN_S", 0.0)
        place.launcher.look()
        os.kill(server, signal.SIGCONT)
        await place.until(lambda: place.exits, "the end of who was born to be killed")
        assert place.server == server
        os.kill(server, signal.SIGSTOP)
        place.launch("next", "ends", 0)
        place.launcher.look()
        await place.until(lambda: place.unborn, "the end of a fork server that has forked before, and does no more")

    run(tmp_path, work)


def test_signals_before_the_birth_come_at_the_birth_and_a_kill_ends_what_is_not_born(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(place: Place) -> None:
        place.launcher.start()
        os.kill(place.server, signal.SIGSTOP)
        asked, killed = place.launch("asked", "stays"), place.launch("killed", "ends", 0)
        asked.signal(signal.SIGTERM)
        assert asked.send({"type": "stop"})
        os.kill(place.server, signal.SIGCONT)
        await place.until(lambda: place.exits, "the end of the first")
        assert place.exits == [("asked", -signal.SIGTERM, "ended by SIGTERM before it could stop in order")]
        await place.until(lambda: killed.pid, "the birth of the other")
        os.kill(place.server, signal.SIGSTOP)
        never = place.launch("never", "ends", 0)
        never.signal(signal.SIGKILL)
        monkeypatch.setattr(launcher_module, "GIVEN_UP_S", 0.0)
        place.launcher.look()
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
