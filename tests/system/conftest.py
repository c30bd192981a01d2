"""The real thing for tests: `gridbot-supervisor start` on a data directory and configuration of its own.

    def test_something(gridbot):
        session = gridbot.start(config_text)         # waits until every process runs
        session.wait(lambda status: fills(status) > 3, "three fills")
        pid = session.kill("worker-alice")            # SIGKILL by the name `status` shows
        session.wait_replaced("worker-alice", pid)
        session.sql("SELECT count(*) FROM fills")     # rows as dicts, read as a user would
        session.stop()                                # in order; fails when anything is left running

Every test ends with the check that no process of its sessions is left, whatever it did.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
import pytest
from click.testing import CliRunner, Result

from benchmarks.parts.own_supervisor import ROOT, OwnSupervisor, Status, child_rows
from supervisor.cli.main import cli
from supervisor.cli.sql import sql as sql_command
from supervisor.cli.stop import processes_of
from supervisor.control.control_client import ControlClient, ControlError
from tests import warm_python

DEADLINE_S = 180.0
"""Ends only tests that have failed, also where twenty others want the two cores."""
DEMO = (ROOT / "conf" / "demo.yaml").read_text(encoding="utf-8")
"""The demo configuration, to be written elsewhere or to be changed by a test."""

NO_PAGE = "web: {enabled: false}\n"
"""Many sessions run side by side, and the port of the page is one."""


def without_a_page(config: str) -> str:
    """`config`, YAML or JSON, with no page where it does not say so."""
    if config.startswith("{"):
        return json.dumps({"web": {"enabled": False}, **json.loads(config)})
    return config if "\nweb:" in config else f"{config}\n{NO_PAGE}"


def wait_for(condition: Callable[[], Any], what: str, detail: Callable[[], str] = lambda: "") -> Any:
    """The first truthy answer. The deadline is generous: it only ends tests that have failed.

    Between two looks it rests for four times as long as a look took: what is looked at needs the cores, too.
    """
    deadline = time.monotonic() + DEADLINE_S
    while True:
        looked_s = time.monotonic()
        if answer := condition():
            return answer
        now_s = time.monotonic()
        if now_s > deadline:
            pytest.fail(f"waited {DEADLINE_S:g} s in vain for {what}\n{detail()}")
        time.sleep(max(0.05, min(4 * (now_s - looked_s), 1.0)))


def is_gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Session(OwnSupervisor):
    """One supervisor with its data directory. `launch` starts it without waiting, `start` waits for it."""

    def __init__(self, data_dir: Path, config: Path) -> None:
        super().__init__(data_dir, config, data_dir.parent / f"{data_dir.name}.console")
        self._seen: set[psutil.Process] = set()

    # --- start and stop -----------------------------------------------------------------------------------------

    def start(self) -> Status:
        """Launch and wait until every process runs and every account is healthy and fresh."""
        process = self.launch()
        wait_for(lambda: process.poll() is not None or self.peek(), "the supervisor to answer", self.tail)
        assert process.poll() is None, f"the supervisor ended with {process.returncode}\n{self.tail()}"
        return self.wait(lambda status: status["health"] == "healthy", "every account healthy")

    def stop(self, *arguments: str) -> str:
        """`stop`, in this process: what it said. Fails unless it ends in order and leaves no process."""
        self.peek()
        done = self.ask("stop", *arguments)
        assert done.exit_code == 0, f"stop: {done.output}{done.exception!r}\n{self.tail()}"
        if self.supervisor is not None:
            assert self.supervisor.wait(DEADLINE_S) == 0, self.tail()
        self.assert_nothing_left()
        return done.stdout

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> int:
        """A signal to the foreground supervisor, as from a terminal; its exit code."""
        assert self.supervisor is not None
        self.peek()
        self.supervisor.send_signal(number)
        return self.supervisor.wait(DEADLINE_S)

    def kill_supervisor(self, *, wait: bool = True) -> None:
        """SIGKILL, nothing in order; with `wait`, returns when all its children are gone too."""
        assert self.supervisor is not None
        self.peek()
        self.supervisor.kill()
        self.supervisor.wait()
        if wait:
            self.assert_nothing_left()

    # --- look ---------------------------------------------------------------------------------------------------

    def client(self) -> ControlClient:
        return ControlClient(self.data_dir, timeout=DEADLINE_S)

    def status(self) -> Status:
        """The status model; every process in it is remembered for the check at the end."""
        with self.client() as client:
            status = client.status()
        self._seen.update(processes_of(status))
        return status

    def peek(self) -> Status | None:
        """The status, or None when nobody answers."""
        with contextlib.suppress(ControlError):
            return self.status()
        return None

    def wait(self, condition: Callable[[Status], Any], what: str) -> Status:
        """The first status that fulfils the condition."""
        found: list[Status] = []

        def check() -> bool:
            status = self.peek()
            if status is None:
                return False
            found[:] = [status]
            return bool(condition(status))

        wait_for(check, what, lambda: json.dumps(found, indent=1)[-4000:] + self.tail())
        return found[0]

    def account(self, name: str) -> Status:
        return next(row for row in self.status()["accounts"] if row["account"] == name)

    def strategy(self, strat_id: str) -> Status:
        rows = (row for account in self.status()["accounts"] for row in account["strategies"])
        return next(row for row in rows if row["strat_id"] == strat_id)

    def process(self, name: str) -> Status:
        """The process axis of a child by its name in `status`, such as worker-alice, writer or paper."""
        return child_rows(self.status())[name]

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a child, once it has a process; its pid. After SIGKILL the supervisor has noticed it."""
        pid = int(wait_for(lambda: self.process(name)["pid"], f"a process of {name}", self.tail))
        os.kill(pid, number)
        if number is signal.SIGKILL:
            wait_for(lambda: self.process(name)["pid"] != pid, f"the end of {name}", self.tail)
        return pid

    def wait_replaced(self, name: str, pid: int) -> Status:
        """Wait until this child runs again, as another process than `pid`."""

        def back() -> Status | None:
            row = self.process(name)
            return row if row["pid"] != pid and row["state"] == "RUNNING" else None

        found: Status = wait_for(back, f"the return of {name}", self.tail)
        return found

    # --- use ----------------------------------------------------------------------------------------------------

    def run(self, *arguments: str, within_s: float | None = 2 * DEADLINE_S) -> subprocess.CompletedProcess[str]:
        """A command of `gridbot-supervisor`, as a user would give it. Raises TimeoutExpired."""
        env = {**self.environment(), "GRIDBOT_CONFIG_PATH": str(self.config)}
        return warm_python.run(self._command(*arguments), cwd=self.data_dir.parent, env=env, timeout=within_s)

    def ask(self, *words: str) -> Result:
        """As `run`, but in this process: a start of Python each time is half a second of a core.

        An error of the program, such as a database that the writer has just now, is exit code 1, and `exception` of
        what is returned: its words and its own exit code are a process's.
        """
        with patch.dict(os.environ, {**self.environment(), "GRIDBOT_CONFIG_PATH": str(self.config)}):
            return CliRunner().invoke(cli, list(words))

    def sql(self, statement: str) -> list[dict[str, Any]]:
        """Rows of one statement by the `sql` command, in this process: tests ask again and again."""
        done = CliRunner().invoke(sql_command, ["--data-dir", str(self.data_dir), "--format", "json", statement])
        assert done.exit_code == 0, f"{statement}: {done.output}"
        rows: list[dict[str, Any]] = json.loads(done.stdout)
        return rows

    def tail(self, lines: int = 60) -> str:
        """The end of the console, and of crash.log, for a failing test."""
        text = ""
        for path in (self.console, self.data_dir / "logs" / "stderr.log", self.data_dir / "logs" / "crash.log"):
            if path.exists():
                kept = path.read_text(errors="replace").splitlines()[-lines:]
                text += f"--- {path.name}\n" + "\n".join(kept) + "\n"
        return text

    # --- the end ------------------------------------------------------------------------------------------------

    def assert_nothing_left(self) -> None:
        """No process that this session ever showed is alive."""
        wait_for(lambda: all(is_gone(process) for process in self._seen), "the end of all processes", self.tail)

    def clean_up(self) -> None:
        self.peek()
        if self.supervisor is not None and self.supervisor.poll() is None:
            self.supervisor.kill()
            self.supervisor.wait()
        elif self.peek() is not None:
            self.run("stop", "--force")
        self.assert_nothing_left()


class Sessions:
    """Makes sessions below one directory and ends them all."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._sessions: list[Session] = []

    def prepare(self, config: str = DEMO, name: str = "data") -> Session:
        """A session that is not started yet; `config` is YAML. It has no page where it does not say so."""
        path = self._home / f"{name}.yaml"
        path.write_text(without_a_page(config), encoding="utf-8")
        session = Session(self._home / name, path)
        self._sessions.append(session)
        return session

    def start(self, config: str = DEMO, name: str = "data") -> Session:
        """A session that runs and is healthy."""
        session = self.prepare(config, name)
        session.start()
        return session

    def clean_up(self) -> None:
        for session in self._sessions:
            session.clean_up()


@pytest.fixture(autouse=True)
def _supervisors_are_forks_of_a_warm_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OwnSupervisor, "popen", staticmethod(warm_python.popen))


@pytest.fixture
def gridbot(tmp_path: Path) -> Iterator[Sessions]:
    """See the module."""
    sessions = Sessions(tmp_path)
    yield sessions
    sessions.clean_up()
