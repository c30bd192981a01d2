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
- The warm Python has one thread, no loop and no connection; it only forks and waits. It ends with the tests, and what
  they have left with it.
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
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["WarmProcess", "popen", "prepare", "run", "shared"]

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = "import sys; from tests.warm_python import {entry}; {entry}(int(sys.argv[1]))()"
SHARED = "GRIDBOT_TEST_WARM_PYTHON"
"""Variable of the environment with the socket of the warm Python that the workers of a run share."""
IMPORTED = (
    "supervisor.children.config_source",
    "supervisor.cli.start",
    "supervisor.control.operator_name",
    "supervisor.process.file_rights",
    "supervisor.process.loop",
    "supervisor.process.service_notify",
    "supervisor.store.left_behind",
    "gridbot.config.secret_files",
)
"""What a supervisor imports; what its fork server does, `PRELOADED` says."""
NUMBER = struct.Struct("!i")
PROBES = (str(ROOT / "benchmarks" / "parts" / "fault_probe"),)
"""Places of a `sitecustomize` that also changes modules which are imported already."""
MOST = 1 << 17
"""Bytes of a request, at most: its environment is the largest part."""


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


# ---------------------------------------------------------------------------------------------- in the warm Python


def serve_all(number: int) -> Callable[[], object]:
    """For each worker that connects a fork that serves it, until nobody holds the other end of stdin any more."""
    listening = socket.socket(fileno=number)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    is_warm = False
    while True:
        readable, _, _ = select.select([listening.fileno(), 0], [], [])
        if 0 in readable:
            os._exit(0)
        control, _ = listening.accept()
        if not is_warm:
            _import_all()
            is_warm = True
        if not os.fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            listening.close()
            with open(os.devnull, "rb") as nothing:
                os.dup2(nothing.fileno(), 0)
            _settle(str(ROOT), json.loads(control.recv(MOST)))
            return _serve(control)
        control.close()


def serve(number: int) -> Callable[[], object]:
    """Fork what is asked for until nobody asks any more. In each process: what it has to run."""
    _import_all()
    return _serve(socket.socket(fileno=number))


def _import_all() -> None:
    for name in IMPORTED:
        importlib.import_module(name)
    from supervisor.children.launch_plan import PRELOADED

    for name in PRELOADED:
        importlib.import_module(name.partition(":")[0])


def _serve(control: socket.socket) -> Callable[[], object]:
    from tests.new_databases import copy_new_databases

    copy_new_databases()
    gc.collect()
    gc.freeze()
    running: dict[int, int] = {}
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        readable, _, _ = select.select([control.fileno(), woken], [], [])
        if woken in readable:
            os.read(woken, 1024)
            _tell_ends(running)
        if control.fileno() not in readable:
            continue
        message, given, _, _ = socket.recv_fds(control, MOST, 4)
        if not message:
            for left in running:  # the tests were killed: nobody else would end them
                os.kill(left, signal.SIGKILL)
            os._exit(0)
        pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            control.detach()  # its number will be another's
            return _begin(json.loads(message), given[:3])
        for each in given[:3]:
            os.close(each)
        running[pid] = given[3]
        _tell(given[3], pid)


def _tell_ends(running: dict[int, int]) -> None:
    """Reap, and tell each how its process has ended."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            end = running.pop(pid)
            _tell(end, status)
            os.close(end)


def _tell(end: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(end, NUMBER.pack(number))


def _begin(wanted: Mapping[str, Any], streams: Sequence[int]) -> Callable[[], object]:
    """In the new process: become what `python -m` would be, and leave a fork server in waiting."""
    os.setsid()
    for number, each in enumerate(streams):
        os.dup2(each, number)
    os.closerange(3, 1 << 16)
    _settle(wanted["cwd"], wanted["env"])
    sys.path[0] = wanted["cwd"]
    sys.path[1:1] = wanted["places"]
    if wanted["places"]:
        sys.modules.pop("sitecustomize", None)
        importlib.import_module("sitecustomize")
    module, *words = wanted["argv"]
    if module != "supervisor" or words[:1] == ["start"]:  # other commands fork nothing
        asks, hears = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        waiting = os.fork()  # now, as later it has threads
        if not waiting:
            asks.close()
            return _wait_as_fork_server(hears)
        hears.close()
        from supervisor.children import launcher

        launcher.subprocess = _Subprocess(waiting, asks)  # type: ignore[attr-defined, assignment]
    sys.argv[:] = [module, *words]
    return functools.partial(runpy.run_module, module, run_name="__main__", alter_sys=True)


def _settle(cwd: str, env: Mapping[str, str]) -> None:
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()


class _Subprocess:
    """What stands for the module `subprocess` in the launcher: its first `Popen` is the fork server in waiting."""

    DEVNULL = subprocess.DEVNULL

    def __init__(self, waiting: int, asks: socket.socket) -> None:
        self._waiting: int | None = waiting
        self._asks = asks

    def Popen(self, command: Sequence[str], **how: Any) -> Any:
        pid, self._waiting = self._waiting, None
        if pid is None:
            return subprocess.Popen(command, **how)
        [passed] = how["pass_fds"]
        wanted = {"argv": command[1:], "cwd": how["cwd"], "env": how["env"], "number": passed}
        with self._asks:
            os.setpgid(pid, pid)
            socket.send_fds(self._asks, [json.dumps(wanted).encode()], [passed])
        return _Waited(pid)


class _Waited:
    """A child of this process, as `subprocess.Popen` has it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self) -> int:
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


def _wait_as_fork_server(hears: socket.socket) -> Callable[[], object]:
    """Until the supervisor asks for a fork server, which this process then is; its end when nobody asks."""
    message, given, _, _ = socket.recv_fds(hears, MOST, 1)
    if not message:
        os._exit(0)
    wanted = json.loads(message)
    number = int(wanted["number"])
    hears.detach()
    os.dup2(given[0], number)
    os.closerange(3, number)
    os.closerange(number + 1, 1 << 16)
    _settle(wanted["cwd"], wanted["env"])
    _, program, *words = wanted["argv"]
    sys.argv[:] = ["-c", *words]
    return functools.partial(exec, program, {"__name__": "__main__"})
