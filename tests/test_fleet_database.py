"""The PostgreSQL of a test run ends with it, also when the whole run is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from supervisor.polling import wait_until
from tests import fleet_database

SERVER = "import signal; signal.signal(signal.SIGQUIT, signal.SIG_DFL); print('up', flush=True); signal.pause()"


def test_a_server_ends_when_the_last_of_its_users_is_gone(tmp_path: Path) -> None:
    """`kill -9` of pytest left it, and its memory, until somebody noticed."""
    directory = tmp_path / "server"
    (directory / "data").mkdir(parents=True)
    server = subprocess.Popen([sys.executable, "-S", "-c", SERVER], stdout=subprocess.PIPE)
    assert server.stdout is not None
    assert server.stdout.readline() == b"up\n"
    (directory / "data" / "postmaster.pid").write_text(f"{server.pid}\n/data\n")
    watcher = fleet_database.watch(directory)
    fleet_database.hold_open(directory)
    first, second = _pipes(directory)
    os.close(first)
    assert not wait_until(lambda: watcher.poll() is not None, timeout_s=0.05, every_s=0.01), "one is left"
    os.close(second)
    assert server.wait(60) == -signal.SIGQUIT
    assert watcher.wait(60) == 0
    assert not directory.exists()


def _pipes(directory: Path) -> list[int]:
    def leads_there(number: str) -> bool:
        try:
            return os.readlink(f"/proc/self/fd/{number}") == str(directory / fleet_database.PIPE)
        except OSError:
            return False

    return [int(number) for number in os.listdir("/proc/self/fd") if leads_there(number)]
