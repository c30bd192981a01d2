"""A process ends with its parent, also when it hears nothing: real processes, and the time that it takes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

GRANDCHILD_DEAF = """
import os, signal, sys, time
from gridbot.process_guard import ask_to_stop_with_parent, exit_with_parent
signal.signal(signal.SIGTERM, signal.SIG_IGN)
ask_to_stop_with_parent()
exit_with_parent(os.getppid(), exit_code=130)
exit_with_parent(os.getppid(), exit_code=130)
print(os.getpid(), flush=True)
time.sleep(60)
"""
GRANDCHILD_OBEDIENT = GRANDCHILD_DEAF.replace("signal.SIG_IGN", "signal.SIG_DFL")
SPAWNED = """
import multiprocessing, os, sys, time
sys.path.insert(0, {here!r})
import test_process_guard
if __name__ == "__main__":
    child = multiprocessing.get_context("spawn").Process(target=test_process_guard.deaf)
    child.start()
    time.sleep(60)
"""
PARENT = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', sys.argv[1]]); time.sleep(60)"


def deaf() -> None:
    """Entry of a spawned process that ignores the signal."""
    from gridbot.process_guard import exit_with_parent

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    exit_with_parent(os.getppid(), exit_code=130)
    print(os.getpid(), flush=True)
    assert multiprocessing.parent_process() is not None
    time.sleep(60)


def seconds_until_gone(parent: subprocess.Popen[str]) -> float:
    """Kill the parent of the process whose pid it prints; the time until that process is gone too."""
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    started = time.monotonic()
    while _lives(pid) and time.monotonic() - started < 10:
        time.sleep(0.01)
    took = time.monotonic() - started
    parent.wait()
    return took


def _lives(pid: int) -> bool:
    """False also for one that has ended and waits for the machine's init to notice."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("program", "at_least", "at_most"),
    [(GRANDCHILD_OBEDIENT, 0.0, 1.0), (GRANDCHILD_DEAF, 1.4, 3.0)],
    ids=["obedient", "deaf"],
)
def test_a_process_ends_with_its_parent(program: str, at_least: float, at_most: float) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, program], stdout=subprocess.PIPE, text=True)
    assert at_least < seconds_until_gone(parent) < at_most


def test_a_spawned_process_notices_by_its_sentinel(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(SPAWNED.format(here=str(Path(__file__).parent)))
    parent = subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, text=True)
    assert 1.4 < seconds_until_gone(parent) < 3.0


def test_a_parent_that_is_gone_already_ends_the_process_at_once() -> None:
    program = (
        "from gridbot.process_guard import exit_with_parent; exit_with_parent(1 << 30, exit_code=7); print('lives')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (7, "")


def test_a_hanging_end_is_cut_off() -> None:
    program = (
        "import time; from gridbot.process_guard import exit_within; exit_within(0.1, exit_code=5); time.sleep(60)"
    )
    done = subprocess.run([sys.executable, "-c", program], timeout=30, check=False)
    assert done.returncode == 5


HOLDER = """
import ctypes, os, sys, time
from gridbot.process_guard import close_memory, leave_no_core, memory_is_closed
secret = os.environ["A_SECRET"]
if os.geteuid() == 0:
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as a process that was this user's from the beginning
if sys.argv[1] == "closed":
    close_memory()
leave_no_core()
print(os.getpid(), memory_is_closed(), flush=True)
time.sleep(60)
"""
READER = """
import os, re, sys
pid = sys.argv[1]
if os.geteuid() == 0:
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
def told(read):
    try:
        return "secret" if b"s3cret" in read() else "nothing"
    except OSError as error:
        return type(error).__name__
def memory():
    found = b""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            if "[heap]" in line or "[stack]" in line:
                first, last = (int(part, 16) for part in line.split()[0].split("-"))
                mem.seek(first)
                found += mem.read(last - first)
    return found
def environment():
    with open(f"/proc/{pid}/environ", "rb") as file:
        return file.read()
limits = open(f"/proc/{pid}/limits").read()
no_core = re.search(r"Max core file size +0 +0 ", limits) is not None
print(told(environment), told(memory), "Name" in open(f"/proc/{pid}/status").read(), no_core)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is closed on Linux only")
@pytest.mark.parametrize(
    ("how", "seen"), [("open", "secret secret True True"), ("closed", "PermissionError PermissionError True True")]
)
def test_memory_that_is_closed_is_read_by_no_other_process_of_its_user(how: str, seen: str) -> None:
    """Of the same user, which is why both become another one when this runs as root: root may read everything."""
    environment = {**os.environ, "A_SECRET": "s3cret"}
    command = [sys.executable, "-c", HOLDER, how]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        try:
            pid, is_closed = holder.stdout.readline().split()
            assert is_closed == str(how == "closed")
            reader = subprocess.run(
                [sys.executable, "-c", READER, pid], capture_output=True, text=True, check=False, timeout=30
            )
            assert reader.stderr == ""
            assert reader.stdout.strip() == seen
        finally:
            holder.kill()
