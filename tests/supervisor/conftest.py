"""A rig that runs a supervisor with small children as a real process, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from supervisor.children.child import Child, ChildEvents
from supervisor.children.launcher import Launcher
from supervisor.children.stack_signal import NO_ENDS
from supervisor.control.control_client import ControlClient, ControlError
from tests import warm_python

ROOT = Path(__file__).resolve().parents[2]
FAST = {
    "backoff_initial": 0.05,
    "backoff_max": 0.2,
    "heartbeat_timeout": 20.0,
    "stop_timeout": 10.0,
    "abort_grace": 5.0,
}
DEADLINE_S = 60.0


def wait_for(condition, what):
    """The first truthy answer. The deadline is only for a test that has failed.

    Between two looks it rests for four times as long as a look took: what is looked at needs the cores, too.
    """
    deadline = time.monotonic() + DEADLINE_S
    while True:
        looked_s = time.monotonic()
        answer = condition()
        if answer:
            return answer
        now_s = time.monotonic()
        assert now_s < deadline, f"waited in vain for {what}"
        time.sleep(max(0.03, min(4 * (now_s - looked_s), 0.5)))


def is_gone(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def unheard_child(spec):
    """A child that is never launched, and whose news go nowhere."""
    return Child(spec, Launcher(Path("crash.log")), ChildEvents(*[lambda *_: None] * 3))


@pytest.fixture(autouse=True)
def _signals_are_as_before():
    """A supervisor that runs within a test ignores these to its end, and so would all that later tests start."""
    before = [(number, signal.getsignal(number)) for number in NO_ENDS]
    yield
    for number, handler in before:
        signal.signal(number, handler)


class Rig:
    """One supervisor in its own data directory."""

    def __init__(self, home):
        self.data_dir = home / "data"
        self.notes_path = home / "notes"
        self.log_path = home / "log"
        self.plan_path = home / "plan.json"
        self.processes = []
        self.seen = set()

    def worker(self, account, entry="worker", args=None, **more):
        args = [account, str(self.notes_path)] if args is None else [account, *args]
        return {"name": f"worker-{account}", "kind": "worker", "entry": entry, "args": args, "account": account, **more}

    def writer(self, **more):
        return {"name": "writer", "kind": "writer", "entry": "writer", "args": [str(self.notes_path)], **more}

    def paper(self, entry="paper", **more):
        own = {"name": "paper", "kind": "paper", "entry": entry, "args": [str(self.notes_path)], "keeps_state": False}
        return {**own, **more}

    def launch(self, *children, cwd=ROOT, within=(), is_new=False, warnings=(), **policy):
        """Start without waiting; `within`: a command that runs it, such as `unshare`. A new Python where `is_new`."""
        plan = {
            "data_dir": str(self.data_dir),
            "children": children,
            "policy": {**FAST, **policy},
            "warnings": warnings,
        }
        self.plan_path.write_text(json.dumps(plan))
        command = [sys.executable, "-m", "tests.supervisor.run_plan", str(self.plan_path)]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        with self.log_path.open("ab") as log:
            how = {"cwd": cwd, "env": env, "stdout": log, "stderr": log, "start_new_session": True}
            new = bool(within or is_new)
            process = subprocess.Popen([*within, *command], **how) if new else warm_python.popen(command, **how)
        self.processes.append(process)
        return process

    def start(self, *children, **how):
        """Start as by `launch` and wait until every child has started or failed."""
        process = self.launch(*children, **how)
        wait_for(lambda: self.status_or_none() or process.poll() is not None, "the control socket")
        wait_for(lambda: self.status()["supervisor"]["state"] == "running", "all children")
        return process

    def client(self):
        return ControlClient(self.data_dir, timeout=DEADLINE_S)

    def status(self):
        with self.client() as client:
            status = client.status()
        rows = [row["process"] for row in (*status["accounts"], status["writer"], status["paper"]) if row]
        self.seen.update(row["pid"] for row in rows if row["pid"])
        return status

    def status_or_none(self):
        with contextlib.suppress(ControlError):
            return self.status()
        return None

    def process_of(self, name):
        status = self.status()
        rows = [row["process"] for row in (*status["accounts"], status["writer"], status["paper"]) if row]
        return next(row for row in rows if row["name"] in (name, f"worker-{name}"))

    def account(self, name):
        return next(row for row in self.status()["accounts"] if row["account"] == name)

    def notes(self):
        if not self.notes_path.exists():
            return []
        return [line.split(" ", 1)[1] for line in self.notes_path.read_text().splitlines() if " " in line]

    def log(self):
        return self.log_path.read_text()

    def fork_server(self):
        """The pid of the process that all children are forked from."""
        below = psutil.Process(self.status()["supervisor"]["pid"]).children()
        pid = wait_for(lambda: [process.pid for process in below if process.name() == "gb:forks"], "it")[0]
        self.seen.add(pid)
        return pid

    def nothing_left(self):
        wait_for(lambda: all(is_gone(pid) for pid in self.seen), "the end of all children")

    def clean_up(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        wait_for(lambda: all(is_gone(pid) for pid in self.seen), "children to follow their supervisor")


@pytest.fixture
def rig(tmp_path):
    rig = Rig(tmp_path)
    yield rig
    rig.clean_up()
