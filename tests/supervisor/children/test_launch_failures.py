"""Launches of which nothing comes: no fork server, one that cannot fork, no descriptor; each is told, nothing stays."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from gridbot.pipe_frames import FrameReader
from supervisor.children import fork_server, program_files
from supervisor.children import launcher as launcher_module
from supervisor.children.exit_text import UNKNOWN_CODE, exit_text
from supervisor.children.policy import step
from supervisor.children.policy_types import ChildState, LaunchFailed, ProcessState, RestartPolicy, Start, Stop
from tests.supervisor.children.launch_place import Place, run


def test_a_fork_server_that_cannot_begin_is_told_with_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher_module, "SHORTEST_PAUSE_S", 600.0)

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
    """After a `git pull` it and the writer had the new modules, under a supervisor with the old ones."""
    monkeypatch.setattr(launcher_module, "SHORTEST_PAUSE_S", 0.0)
    for package in ("gridbot", "supervisor"):
        (tmp_path / package).mkdir()
    monkeypatch.setattr(program_files, "ROOT", tmp_path)
    monkeypatch.setattr(program_files, "_at_start", [])

    async def work(place: Place) -> None:
        place.launcher.look()
        assert place.launcher.pids == set(), "before the first start there is nothing to keep"
        place.launcher.start()
        first = place.server
        os.kill(first, signal.SIGKILL)
        await place.until(lambda: place.lost, "its end")
        place.launcher.look()
        assert place.server != first
        assert place.launcher._wanted() == ["json"], "what it can do without may have been the cause"
        (tmp_path / "gridbot" / "new.py").write_text("")
        child = place.launch("a", "looks")
        await place.until(lambda: place.messages, "a report")
        assert place.messages[0]["changed"], "its supervisor's files count, whatever its fork server has read"
        os.kill(place.server, signal.SIGKILL)
        await place.until(lambda: len(place.lost) == 2, "the end of one that has forked")
        assert fork_server.REHEARSAL in place.launcher._wanted()
        place.launcher.look()
        assert place.lost[2:] == [launcher_module.OTHER_FILES]
        child.send({"type": "end"})

    run(tmp_path, work, preload=("json", fork_server.REHEARSAL))


def test_a_rehearsal_that_fails_is_told_and_all_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_server, "REHEARSAL", "tests.supervisor.no_such_module:rehearse")
    fork_server._rehearse(str(tmp_path / "crash.log"))
    text = (tmp_path / "crash.log").read_text()
    assert "the rehearsal of a worker, without which workers take more memory" in text
    assert "No module named 'tests.supervisor.no_such_module'" in text


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
    state, _ = step(2.0, state, [LaunchFailed("no room", short=True)], policy=RestartPolicy())
    assert (state.process, state.alive) == (ProcessState.STOPPED, False)
    assert state.reason == "could not be started: no room"


def test_the_child_finds_the_modules_that_we_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "only_here.py").write_text("def entry(account, url, queue, held, conn): conn.send({'type': 'here'})\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])

    async def work(place: Place) -> None:
        child = place.child("a", "ends")
        object.__setattr__(child.spec, "entry", "only_here:entry")
        object.__setattr__(child.spec, "args", ("a",))
        child.launch((None, None, {}))
        await place.until(lambda: place.messages, "a word of it")

    run(tmp_path, work)
