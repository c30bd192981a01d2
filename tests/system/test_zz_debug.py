"""The fleet as a user runs it: start, status, sql, deaths, stop. Real processes on the paper exchange."""

from __future__ import annotations

import contextlib
import resource
import signal
import socket
import subprocess

import pytest

from tests.store.kit import hold

from .conftest import DEMO

pytestmark = pytest.mark.system


def fills(status):
    return {row["strat_id"]: row.get("fills") or 0 for account in status["accounts"] for row in account["strategies"]}


def test_deaths_on_a_full_disk_are_a_wait_and_everything_runs_again_when_there_is_room(gridbot, tmp_path):
    """A disk of its own: with a death on it, `alice FATAL`, `writer FATAL` for ever."""
    disk = tmp_path / "data"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"not allowed here: {' '.join(command)}: {mounted.stderr.strip()}")
    try:
        quick = "\nsupervisor: {restart: {backoff_initial: 0.1, backoff_max: 0.1, max_restarts: 1}}\n"
        session = gridbot.start(DEMO.replace("paper:\n", "paper:\n  state_file: exchange.json\n", 1) + quick)
        session.wait(lambda status: all(count > 0 for count in fills(status).values()), "fills of every strategy")
        filler = disk / "filler"

        def tried(status):
            """What those who were killed leave free is taken, too."""
            with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * 512)
            return status["accounts"][0]["process"]["restarts"] > 2

        assert not tried(session.status())
        for name in ("worker-alice", "writer", "paper"):
            session.kill(name)
        session.wait(tried, "more tries than are allowed")
        rows = [session.process(name) for name in ("worker-alice", "worker-bob", "writer", "paper")]
        assert not [row["name"] for row in rows if row["state"] == "FATAL"]
        assert rows[1]["restarts"] == 0
        texts = [alert["text"] for alert in session.status()["alerts"] if alert["child"] == "worker-alice"]
        assert len([text for text in texts if "it waits until there is room" in text]) == 1
        filler.unlink()
        session.wait(lambda status: status["health"] == "healthy", "health")
        session.stop()
        [gaps] = session.sql("SELECT count(*) AS n FROM ingest_gaps")
        assert gaps["n"] == 0
        checked = session.run("ledger", "check")
        if checked.returncode:
            import shutil, time
            to = f"/tmp/cm/fail-{time.time():.0f}"
            shutil.copytree(disk, to, ignore=lambda d, names: [n for n in names if n.endswith("sock")])
            open(to + "/out.txt", "w").write(checked.stdout + checked.stderr)
        assert checked.returncode == 0, checked.stdout
    finally:
        session.clean_up()
        subprocess.run(["umount", "-l", str(disk)], check=True)


