"""A supervisor that systemd has started says what it is doing, and `ping` tells any other watchdog the same."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import wait_for

pytestmark = pytest.mark.system

CONFIG = """
environment: paper
accounts: [{name: alice, balance: 1000}]
strategies: [{strat_id: alice-btc, account: alice, symbol: BTCUSDT, grid_count: 4, grid_step: 0.5, amount: "50"}]
"""


def test_systemd_and_ping_hear_how_it_is(gridbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        heard: list[str] = []

        def hears(line: str) -> bool:
            try:
                while True:
                    heard.extend(manager.recv(4096).decode().splitlines())
            except BlockingIOError:
                return line in heard

        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "200000")
        session = gridbot.start(CONFIG)
        for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC"):
            monkeypatch.delenv(name)
        assert heard == [], "only what follows is asked for"
        wait_for(lambda: hears("STATUS=3 of 3 processes run"), "the state in words", lambda: str(heard))
        assert heard[0] == "READY=1", "once commands are answered, whatever the exchange does"
        heard.clear()
        wait_for(lambda: hears("WATCHDOG=1"), "a sign of life")

        answered = session.run("ping", "--healthy")
        assert (answered.returncode, answered.stdout.split(":")[0]) == (0, "running")
        session.kill("worker-alice", signal.SIGSTOP)
        session.wait(lambda status: status["health"] != "healthy", "an account that is not healthy")
        assert session.run("ping").returncode == 0, "the supervisor is at work on it"
        degraded = session.run("ping", "--healthy")
        assert degraded.returncode == 6
        assert "alice" in degraded.stdout

        session.supervisor.send_signal(signal.SIGSTOP)
        assert session.run("ping", "--timeout", "0.3").returncode == 5
        session.supervisor.send_signal(signal.SIGCONT)
        hears("")  # the system drops what nobody reads, after ten
        session.stop()
        assert hears("STOPPING=1")
    assert session.run("ping").returncode == 3
