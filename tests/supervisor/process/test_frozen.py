"""Frozen processes (SIGSTOP): what `status` shows of them, what a command to one says, and what ended them at last."""

from __future__ import annotations

import os
import re
import signal
import sys

import pytest

from supervisor.cli.stop import stop_supervisor
from supervisor.control.control_client import Unanswered
from supervisor.status.model import OVERDUE_S
from tests.supervisor.conftest import wait_for

OUR_WORDS = "no heartbeat (no report for "
ADOPTS = """
import ctypes, os, subprocess, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
subprocess.Popen(sys.argv[1:])
try:
    while True:
        os.wait()
except ChildProcessError:
    pass
"""
"""Runs a command and becomes the parent of all that it leaves, in the same session, as a container's first process
does. Otherwise the kernel itself wakes the stopped processes of a group that has lost its last parent there."""


def test_frozen_processes_are_not_healthy_and_their_kills_are_ours(rig):
    """They stayed healthy until the heartbeat was missed, and were then killed "by the kernel for want of memory"."""
    rig.start(rig.paper(), rig.writer(), rig.worker("a"), rig.worker("b"), heartbeat_timeout=8.0, backoff_initial=0.01)
    wait_for(lambda: rig.status()["health"] == "healthy", "health")
    names = ("a", "writer", "paper")
    frozen = {rig.process_of(name)["pid"] for name in names}
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)

    def silent():
        status = rig.status()
        rows = [row["process"] for row in (*status["accounts"], status["writer"], status["paper"])]
        still = [row for row in rows if row["pid"] in frozen]
        assert len(still) == len(frozen), "nobody has ended them yet"
        if min(row["report_age_s"] for row in still) <= OVERDUE_S + 0.1:
            return None
        assert {row["state"] for row in still} == {"RUNNING"}
        return status

    status = wait_for(silent, "overdue reports")
    assert status["health"] == "degraded"
    assert len(status["reasons"]) == len(frozen)
    assert all(re.search(r"no report for \d s", reason) for reason in status["reasons"]), status["reasons"]
    assert [row["health"] for row in status["accounts"]] == ["degraded", "healthy"]
    wait_for(lambda: {rig.process_of(name)["restarts"] for name in names} == {1}, "other processes")
    for name in names:
        assert rig.process_of(name)["last_exit"].startswith(f"killed by the supervisor: {OUR_WORDS}")
    assert [row["count"] for row in rig.status()["incidents"] if row["key"] == "down"] == [1] * len(frozen)
    assert "kill -9" not in rig.log()
    assert "memory" not in rig.log()
    wait_for(lambda: rig.status()["health"] == "healthy", "health again")


def test_one_that_is_slow_in_a_call_of_duckdb_is_left_alone_and_killed_when_it_is_frozen(rig):
    busy = {"works_in_silence": True, "patience": 1e6, "heartbeat_timeout": 0.5}
    rig.start(rig.writer(entry="long_call", policy=busy), rig.worker("a"))
    writer = rig.process_of("writer")
    wait_for(lambda: "no report for 0.5 s, but it is alive" in rig.log(), "word that it is slow")
    assert [row["key"] for row in rig.status()["incidents"]] == ["slow"]
    rig.notes_path.with_name(rig.notes_path.name + ".go").touch()
    wait_for(lambda: rig.status()["writer"]["process"]["report_age_s"] < 1.0, "its reports")
    assert (rig.process_of("writer")["pid"], rig.process_of("writer")["restarts"]) == (writer["pid"], 0)
    os.kill(writer["pid"], signal.SIGSTOP)
    wait_for(lambda: rig.process_of("writer")["restarts"] == 1, "another process")


def test_a_command_to_a_frozen_worker_is_not_carried_out_when_it_comes_back(rig):
    rig.start(rig.writer(), rig.worker("a"))
    pid = rig.process_of("a")["pid"]
    os.kill(pid, signal.SIGSTOP)
    with rig.client() as client:
        with pytest.raises(Unanswered, match="pause was not carried out: the worker of a did not take it"):
            client.worker("a", "pause", wait_s=0.1)
        os.kill(pid, signal.SIGCONT)
        wait_for(lambda: any(note.startswith("a got command") for note in rig.notes()), "the command to be read")
        assert client.worker("a", "resume")["result"] == "done"
    assert [note for note in rig.notes() if "carries out" in note] == ["a carries out resume"]
    assert rig.process_of("a")["pid"] == pid


def test_who_waits_for_a_worker_that_is_killed_hears_of_it(rig):
    rig.start(rig.writer(), rig.worker("a"), heartbeat_timeout=1.0)
    os.kill(rig.process_of("a")["pid"], signal.SIGSTOP)
    with rig.client() as client, pytest.raises(Exception, match="ended before it answered") as told:
        client.worker("a", "pause", wait_s=20.0)
    assert "no heartbeat" in str(told.value)


def test_force_ends_a_frozen_supervisor_and_the_frozen_child_that_does_not_notice(rig):
    """The child stayed for ever: a stopped process cannot follow its supervisor."""
    rig.start(rig.writer(), rig.worker("a"), rig.worker("b"), within=[sys.executable, "-c", ADOPTS])
    for pid in (rig.process_of("a")["pid"], rig.status()["supervisor"]["pid"]):
        os.kill(pid, signal.SIGSTOP)
    told = stop_supervisor(rig.data_dir, timeout=20.0, force=True, mode=None)
    assert told.startswith("stopped by force")
    rig.nothing_left()
