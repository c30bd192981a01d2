"""The warm Python itself, which forks the processes that `tests/warm_python.py` asks for."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["NUMBER", "serve", "serve_all"]

ROOT = Path(__file__).resolve().parent.parent
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
MOST = 1 << 17
"""Bytes of a request, at most: its environment is the largest part."""


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
