"""A process that is forked from a warm Python is what `python -m` would have made."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest

from tests import warm_python

SAYS = """
import json, os, sys, threading
if __name__ == "__main__":
    print(json.dumps({
        "words": sys.argv[1:],
        "file": sys.argv[0],
        "directory": os.getcwd(),
        "first place": sys.path[0],
        "environment": sorted(os.environ),
        "stdin": os.readlink("/proc/self/fd/0"),
        "open": sorted(os.listdir("/proc/self/fd"))[:3],
        "leads its session": os.getsid(0) == os.getpid(),
        "threads": threading.active_count(),
        "ignores": sorted(int(n) for n in range(1, 32) if __import__("signal").getsignal(n) == 1),
    }))
    sys.exit(int(sys.argv[1]))
"""
SLEEPS = "import time; print('asleep', flush=True); time.sleep(600)"
ENVIRONMENT = {"PYTHONPATH": str(warm_python.ROOT), "LC_ALL": "C.UTF-8", "ONLY": "this"}


def start(place: Path, program: str, *words: str, **more: str) -> Any:
    (place / "said.py").write_text(program)
    with (place / "out").open("wb") as out:
        command = [sys.executable, "-m", "said", *words]
        return warm_python.popen(command, cwd=place, env={**ENVIRONMENT, **more}, stdout=out, stderr=out)


def first_line(place: Path) -> str:
    """What comes behind it is DuckDB's, at the end of any process that has imported it."""
    return (place / "out").read_text().splitlines()[0]


def test_it_is_what_a_new_python_is_and_its_exit_code_is_told(tmp_path: Path) -> None:
    process = start(tmp_path, SAYS, "3", "four")
    assert isinstance(process, warm_python.WarmProcess)
    assert (process.wait(60), process.poll(), process.returncode) == (3, 3, 3)
    warm = json.loads(first_line(tmp_path))
    new = start(tmp_path, SAYS, "3", "four", PYTHONPATH=f"{tmp_path}:{warm_python.ROOT}")
    assert isinstance(new, subprocess.Popen)
    assert new.wait(60) == 3
    assert warm == json.loads(first_line(tmp_path))
    assert warm["environment"] == sorted(ENVIRONMENT)


def test_a_signal_ends_it_and_a_wait_has_an_end(tmp_path: Path) -> None:
    process = start(tmp_path, SLEEPS)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    assert process.poll() is None
    process.kill()
    assert process.wait(60) == -signal.SIGKILL
    process.send_signal(signal.SIGTERM)  # nobody's by now
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_an_error_is_told_and_no_module_is_an_error(tmp_path: Path) -> None:
    process = start(tmp_path, "raise RuntimeError('the wheel came off')")
    assert process.wait(60) == 1
    assert "RuntimeError: the wheel came off" in (tmp_path / "out").read_text()
    with (tmp_path / "out").open("wb") as out:
        command = [sys.executable, "-m", "no_such_module"]
        process = warm_python.popen(command, cwd=tmp_path, env=ENVIRONMENT, stdout=out, stderr=out)
    assert process.wait(60) == 1
    assert "no_such_module" in (tmp_path / "out").read_text()


FORKS = """
import os, subprocess, sys
from supervisor.children import launcher
from supervisor.children.fork_server import COMMAND

def served():
    out, into = os.pipe()
    server = launcher.subprocess.Popen(
        [sys.executable, "-c", "import os, sys; os.write(int(sys.argv[1]), b'%d %d %s %s' % ("
         "os.getpid(), os.getpgid(0), os.getcwd().encode(), os.environ['WHOSE'].encode()))"
         "; os._exit(int(len(os.listdir('/proc/self/fd')) != 5))", str(into)],
        pass_fds=[into], stdin=subprocess.DEVNULL, cwd="/", env={"WHOSE": "its own"}, process_group=0)
    os.close(into)
    said = os.read(out, 100).decode()
    assert said == f"{server.pid} {server.pid} / its own", said
    assert server.wait() == 0
    return type(server).__name__

print(served(), served())
"""


def test_the_fork_server_in_waiting_is_asked_once_and_is_what_a_new_one_is(tmp_path: Path) -> None:
    assert start(tmp_path, FORKS).wait(60) == 0, (tmp_path / "out").read_text()
    assert first_line(tmp_path).split() == ["_Waited", "Popen"]


def test_no_other_module_says_what_the_fork_server_of_tests_imports() -> None:
    """The last that says so before its start is obeyed, such as a benchmark that a test imports: then each process of
    the tests imports the program by itself, which is half a second of a core."""
    for name in ("tests.fork_server", "benchmarks.latency", "benchmarks.store"):
        importlib.import_module(name)
    assert forkserver._forkserver._preload_modules == ["tests.preloaded"]  # type: ignore[attr-defined]
