"""A supervisor that is the first process of a container: it reaps what it adopts, and SIGTERM ends everything."""

from __future__ import annotations

import signal
import subprocess
import sys

import psutil
import pytest

from tests.supervisor.conftest import ROOT, wait_for

FIRST = ["unshare", "--pid", "--fork", "--mount-proc"]
"""Runs a command as pid 1 of processes of its own, as a container does."""
SUBREAPER = "import ctypes, os, sys; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])"
"""PR_SET_CHILD_SUBREAPER: runs a command that adopts the orphans below it, without being pid 1."""
EARLY = """
import os, signal
from supervisor.process.adopted import end_at_sigterm
end_at_sigterm(0)
os.kill(os.getpid(), signal.SIGTERM)
print("the signal was ignored")
"""


def as_first() -> list[str]:
    tried = subprocess.run([*FIRST, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"not allowed here: {' '.join(FIRST)}: {tried.stderr.strip()}")
    return FIRST


@pytest.mark.parametrize("first", [True, False], ids=["pid 1", "subreaper"])
def test_what_a_dead_child_leaves_is_reaped_and_exit_codes_are_still_seen(rig, first):
    """The dead orphan stayed in the table of processes for as long as the supervisor ran."""
    within = as_first() if first else [sys.executable, "-c", SUBREAPER]
    started = rig.launch(
        rig.writer(), rig.worker("a", "orphaning"), rig.worker("b", "exits", args=[4]), within=within
    )  # b: 4 is the one code that is never tried again
    wait_for(lambda: any(note.startswith("a orphan gone") for note in rig.notes()), "the orphan to be reaped")
    wait_for(lambda: "not tried again before" in rig.log(), "the end of b")
    assert "exit code 3" in rig.log()
    if first:
        assert any(note.endswith("adopted by 1") for note in rig.notes())
        [supervisor] = psutil.Process(started.pid).children()
    else:
        supervisor = psutil.Process(started.pid)
    below = supervisor.children(recursive=True)
    assert below
    supervisor.send_signal(signal.SIGTERM)
    assert started.wait(20) == 0, rig.log()
    wait_for(lambda: not any(process.is_running() for process in below), "the end of all below")
    assert "a end" in rig.notes(), "in order"


def test_sigterm_ends_a_first_process_that_has_no_loop_yet():
    """The kernel ignores it: `docker stop` in the first second waited ten, then killed."""
    command = [*as_first(), sys.executable, "-c", EARLY]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
