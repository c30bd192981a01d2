"""A host whose database cannot be reached waits, as one real process; it answers, and ends, like every supervisor."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor.cli.stop import stop_supervisor
from supervisor.control.control_client import ControlClient, ControlError, Denied
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.polling import wait_until
from supervisor.process.directory_lock import DirectoryLock, holder
from tests import warm_python

pytest.importorskip("psycopg")

FILE = """
fleet: {{name: night, host: h1, dsn: "postgresql://nobody@127.0.0.1:1/none"}}
storage: {{data_dir: "{place}"}}
web: {{enabled: false}}
"""


@pytest.fixture
def host(root: Path, tmp_path: Path) -> Iterator[Any]:
    """One that waits for a database that nobody listens for."""
    file = tmp_path / "h1.yaml"
    file.write_text(FILE.format(place=tmp_path / "data"))
    with (tmp_path / "console").open("wb") as out:
        process = warm_python.popen(
            [sys.executable, "-m", "supervisor", "start", "-c", str(file)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(root)},
            stdout=out,
            stderr=out,
        )
    yield process
    process.kill()
    process.wait()


def what_status_says(place: Path) -> str:
    try:
        with ControlClient(place) as client:
            client.status()
    except Denied as denied:
        return str(denied)
    except ControlError:
        return ""
    return "a status"


def test_a_host_that_waits_for_its_database_says_so_and_stops_in_order(host: Any, tmp_path: Path) -> None:
    """`stop` said that none runs, and a second one waited beside it."""
    place = tmp_path / "data"
    said = wait_until(lambda: what_status_says(place), timeout_s=60, every_s=0.05)
    assert wait_until(lambda: "127.0.0.1:1/none" in what_status_says(place), timeout_s=60, every_s=0.05), said
    assert what_status_says(place).startswith("nothing runs here yet: this host waits for the fleet: the fleet's")
    assert holder(place) == host.pid
    with pytest.raises(CommandError, match=rf"another gridbot-supervisor \(pid {host.pid}\) already works in"):
        DirectoryLock(place).acquire()
    assert stop_supervisor(place, timeout=60, force=False, mode=None).startswith("stopped in order")
    assert host.wait(60) == ExitCode.OK
    assert holder(place) is None


def test_sigterm_ends_the_wait(host: Any, tmp_path: Path) -> None:
    assert wait_until(lambda: what_status_says(tmp_path / "data"), timeout_s=60, every_s=0.05)
    os.kill(host.pid, signal.SIGTERM)
    assert host.wait(60) == ExitCode.OK
