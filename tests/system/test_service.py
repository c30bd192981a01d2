"""A supervisor that systemd has started says what it is doing, and `ping` tells any other watchdog the same. In the
same session no worker imports anything after its fork."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import DEMO, wait_for
from tests.system.import_finder import OFTEN, ImportFinder

pytestmark = pytest.mark.system


class Manager:
    """What listens as systemd does: it reads at once, or the system would drop what comes after ten messages."""

    def __init__(self, path: Path) -> None:
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while text := self._socket.recv(4096):
            self.heard.extend(text.decode().splitlines())

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    listening = Manager(tmp_path / "notify")
    yield listening
    listening.close()


def test_systemd_and_ping_hear_how_it_is_and_no_worker_imports_anything(
    gridbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manager: Manager
) -> None:
    def hears(line: str) -> None:
        wait_for(lambda: line in manager.heard, line, lambda: str(manager.heard[-20:]))

    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    session = gridbot.prepare(DEMO + OFTEN + "supervisor: {heartbeat_timeout: 60}\n")  # who is frozen stays so
    finder = ImportFinder(session, tmp_path, monkeypatch)
    session.start()
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC"):
        monkeypatch.delenv(name)
    wait_for(lambda: any(line.endswith("processes run") for line in manager.heard), "the state in words")
    assert manager.heard[0] == "READY=1", "once commands are answered, whatever the exchange does"
    hears("WATCHDOG=1")

    reconciles = "SELECT account FROM reconciles GROUP BY account HAVING count(*) > 3"
    session.wait(lambda _: len(session.sql(reconciles)) == 2, "comparisons with the exchange")
    session.wait(lambda _: len(session.sql("SELECT DISTINCT account FROM fills")) == 2, "fills")
    for command in ("pause", "resume"):
        assert session.ask(command, "alice").exit_code == 0

    def is_healthy() -> bool:  # a busy machine makes a report late, and `ping` says so
        answered = session.run("ping", "--healthy")
        return (answered.returncode, answered.stdout.split(":")[0]) == (0, "running")

    wait_for(is_healthy, "a ping that says that all is well", session.tail)
    frozen = session.kill("worker-alice", signal.SIGSTOP)
    session.wait(lambda status: status["health"] != "healthy", "an account that is not healthy")
    assert session.run("ping").returncode == 0, "the supervisor is at work on it"
    degraded = session.run("ping", "--healthy")
    assert degraded.returncode == 6
    assert "alice" in degraded.stdout

    os.kill(frozen, signal.SIGCONT)
    session.supervisor.send_signal(signal.SIGSTOP)
    assert session.run("ping", "--timeout", "0.3").returncode == 5
    session.supervisor.send_signal(signal.SIGCONT)
    session.stop()
    hears("STOPPING=1")
    assert session.run("ping").returncode == 3
    finder.assert_nothing_by_workers()
