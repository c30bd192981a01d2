"""A host whose database cannot be reached waits, as one real process; it answers, and ends, like every supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from supervisor.cli import detached_start
from supervisor.cli.stop import stop_supervisor
from supervisor.control.control_client import ControlClient, ControlError, Denied
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.polling import wait_until
from supervisor.process.directory_lock import DirectoryLock, holder
from tests import warm_python
from tests.fleet_database import FLEET, new_database

pytest.importorskip("psycopg")

from psycopg import AsyncConnection

from supervisor.fleet import fleet_schema

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
    with ControlClient(place) as client:
        answer = client.ping()
    assert (answer["state"], answer["pid"]) == ("joining", host.pid), "`ping` said that it expected a state"
    with pytest.raises(CommandError, match=rf"another gridbot-supervisor \(pid {host.pid}\) already works in"):
        DirectoryLock(place).acquire()
    assert stop_supervisor(place, timeout=60, force=False, mode=None).startswith("stopped in order")
    assert host.wait(60) == ExitCode.OK
    assert holder(place) is None


def test_sigterm_ends_the_wait(host: Any, tmp_path: Path) -> None:
    assert wait_until(lambda: what_status_says(tmp_path / "data"), timeout_s=60, every_s=0.05)
    os.kill(host.pid, signal.SIGTERM)
    assert host.wait(60) == ExitCode.OK


def test_a_detached_start_before_the_fleet_was_made_says_at_once_what_to_do(
    tmp_path: Path, postgres: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waited for 90 s and said that not everything had started. The host goes on by itself."""
    dsn, file, place = new_database(postgres, template="template1"), tmp_path / "h1.yaml", tmp_path / "data"
    file.write_text(
        FILE.format(place=place).replace("postgresql://nobody@127.0.0.1:1/none", dsn).replace("night", FLEET)
    )
    popen = partial(warm_python.popen, cwd=tmp_path)
    monkeypatch.setattr(detached_start, "subprocess", SimpleNamespace(Popen=popen, DEVNULL=subprocess.DEVNULL))

    async def make() -> None:
        async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
            await fleet_schema.make(connection, FLEET)

    try:
        with pytest.raises(CommandError) as told:
            detached_start.start_detached(str(file), None, 600.0)
        assert told.value.code is ExitCode.DEGRADED
        first, second, command = told.value.text.splitlines()
        assert first.endswith("expected the fleet's tables in the database, got none: make them once with fleet init")
        assert second == f"it goes on by itself when that is done (pid {holder(place)})"
        assert command.endswith(f" fleet init -c {file}")
        asyncio.run(make())
        assert wait_until(lambda: "no configuration yet" in what_status_says(place), timeout_s=60, every_s=0.05)
    finally:
        stop_supervisor(place, timeout=60, force=False, mode=None)
