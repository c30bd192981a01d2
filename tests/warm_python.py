"""Warm starts: processes of the program that tests start by the dozen are forked from one that has imported it.

A new Python takes most of a second of a core to import the supervisor, and its fork server as long again. Nothing that
these tests look at happens before the imports are done, and the tests that do look there (`tests/test_packaging.py`,
the README's, those of services and arguments) start a new Python each.

    test ── SOCK_SEQPACKET: what to run, where; stdin, stdout, stderr, a pipe ──▶ warm Python
                                                                                    │ fork
    test ◀── the pipe: its pid when it is born, its status when it has ended ── its process
                                                                                    │ fork, before it runs anything
                                                                                 a fork server in waiting

- Each process is one of its own as `python -m MODULE` makes it: its environment, directory, arguments, streams and
  session, `__main__` by `runpy`, and an interpreter that ends in the ordinary way.
- The warm Python (`tests/warm_server.py`) has one thread, no loop and no connection; it only forks and waits. It ends
  with the tests, and what they have left with it.
- Workers of xdist have one each, which is a fork of one that they share (`shared`): that imports when the first asks.
- The first fork server that a supervisor asks for is the one in waiting, its own child as any other, with everything
  closed that it was not given. Those after it are new Pythons, so each start of one is still tested.
- What needs modules of its own (another PYTHONPATH than the checkout's) starts a new Python; but the faults of the kill
  matrix change modules that are there already.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.warm_server import NUMBER

__all__ = ["WarmProcess", "popen", "prepare", "run", "shared"]

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = "import sys; from tests.warm_server import {entry}; {entry}(int(sys.argv[1]))()"
SHARED = "GRIDBOT_TEST_WARM_PYTHON"
"""Variable of the environment with the socket of the warm Python that the workers of a run share."""
PROBES = (str(ROOT / "benchmarks" / "parts" / "fault_probe"),)
"""Places of a `sitecustomize` that also changes modules which are imported already."""


class WarmProcess:
    """As `subprocess.Popen`, of which it has what tests of supervisors use."""

    def __init__(self, args: Sequence[str], status: int) -> None:
        self.args = args
        self.returncode: int | None = None
        self._status = status
        self.pid = NUMBER.unpack(os.read(status, NUMBER.size))[0]

    def poll(self) -> int | None:
        """Its exit code, or minus the signal that ended it; None while it runs."""
        if self.returncode is None and _has_news(self._status, 0.0):
            self._ended()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises `subprocess.TimeoutExpired`."""
        if self.returncode is None:
            if not _has_news(self._status, timeout):
                raise subprocess.TimeoutExpired(list(self.args), timeout or 0.0)
            self._ended()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self) -> None:
        said = os.read(self._status, NUMBER.size)
        if len(said) != NUMBER.size:
            raise RuntimeError(f"expected the end of {self.args}, but the warm Python that would tell it is gone")
        self.returncode = os.waitstatus_to_exitcode(NUMBER.unpack(said)[0])
        os.close(self._status)


def popen(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdout: Any,
    stderr: Any,
    stdin: int = subprocess.DEVNULL,
    start_new_session: bool = True,
) -> WarmProcess | subprocess.Popen[bytes]:
    """A process of `[python, "-m", module, ...]` in a session of its own; `stdin` is empty.

    A new Python where `env` has modules come from elsewhere than the checkout.
    """
    assert (stdin, start_new_session) == (subprocess.DEVNULL, True)
    *places, checkout = env.get("PYTHONPATH", "").split(os.pathsep)
    if checkout != str(ROOT) or not set(places) <= {*PROBES}:
        return subprocess.Popen(
            command, cwd=cwd, env=env, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True
        )
    assert list(command[:2]) == [sys.executable, "-m"], f"expected python -m, got {command}"
    ours, theirs = os.pipe()
    with open(os.devnull, "rb") as nothing:
        try:
            wanted = {"argv": list(command[2:]), "cwd": str(cwd), "env": dict(env), "places": places}
            given = [nothing.fileno(), stdout.fileno(), stderr.fileno(), theirs]
            socket.send_fds(_warm(), [json.dumps(wanted).encode()], given)
        finally:
            os.close(theirs)
    return WarmProcess(command, ours)


def run(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float | None = None
) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run` that captures the output as text, by `popen`. Raises `subprocess.TimeoutExpired`."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = popen(command, cwd=cwd, env=env, stdout=out, stderr=err)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode())
    return subprocess.CompletedProcess(command, code, *said)


def prepare() -> None:
    """Have the warm Python begin to import, beside what the test does until it wants a process."""
    _warm()


@functools.cache
def _warm() -> socket.socket:
    """The way to the warm Python of this process, which begins to import by the first call."""
    from tests.new_databases import PLACE  # DuckDB, which the process that starts the workers does not need

    if place := os.environ.get(SHARED):
        asked = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        asked.connect(place)
        asked.send(json.dumps({PLACE: "", **os.environ}).encode())
        atexit.register(asked.close)
        return asked
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    databases = None if PLACE in os.environ else tempfile.mkdtemp(prefix="gridbot-new-databases-")
    with theirs:
        process = _new_python("serve", theirs, {PLACE: databases or ""})

    def end() -> None:
        ours.close()
        process.wait()
        if databases:
            shutil.rmtree(databases)

    atexit.register(end)
    return ours


@contextlib.contextmanager
def shared() -> Iterator[None]:
    """One warm Python for all workers that are started meanwhile. It ends with this process, however that ends."""
    with (
        tempfile.TemporaryDirectory(prefix="gridbot-warm-") as directory,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening,
    ):
        os.environ[SHARED] = f"{directory}/socket"
        listening.bind(os.environ[SHARED])
        listening.listen()
        alive = subprocess.PIPE  # it reads this to its end
        process = _new_python("serve_all", listening, {}, stdin=alive)
        try:
            yield
        finally:
            del os.environ[SHARED]
            process.communicate()


def _new_python(
    entry: str, passed: socket.socket, more: Mapping[str, str], stdin: int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(entry=entry), str(passed.fileno())],
        cwd=ROOT,
        env={
            **more,
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "MALLOC_ARENA_MAX": "1",
        },  # the last as a fork server has it
        pass_fds=[passed.fileno()],
        stdin=stdin,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def _has_news(descriptor: int, within_s: float | None) -> bool:
    """Not by `select`, which takes no descriptor beyond 1024."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(None if within_s is None else within_s * 1000))
