"""Which modules the processes of a session import after their fork: what the fork server has imported is shared, what a
child imports is its own memory, and time of its start. Jobs that are due each minute are due each few seconds here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.conftest import Session

FINDER = '''
import os, sys

class Finder:
    """Notes which modules a forked process looks for; finds none."""

    def find_spec(self, name, path=None, target=None):
        with open("/proc/self/comm") as comm, open(os.environ["IMPORTED"], "a") as imported:
            imported.write(comm.read().strip() + " " + name + "\\n")

os.register_at_fork(after_in_child=lambda: sys.meta_path.insert(0, Finder()))
if "-c" in sys.orig_argv:  # the process that all workers are forked from, and which imports it anyway
    from gridbot.worker import schedule

    schedule.APART_S = dict.fromkeys(schedule.APART_S, 1.0)
'''
OFTEN = """
position_check_interval: 2
order_sync_interval: 2
wallet_cache_interval: 2
"""
"""Of a configuration: each kind of reading comes soon."""


class ImportFinder:
    """To be made before the session is launched."""

    def __init__(self, session: Session, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (home / "sitecustomize.py").write_text(FINDER)
        self._noted = home / "imported"
        environment = session.environment()
        own = {"PYTHONPATH": f"{home}:{environment['PYTHONPATH']}", "IMPORTED": str(self._noted)}
        monkeypatch.setattr(session, "environment", lambda: {**environment, **own})

    def assert_nothing_by_workers(self) -> None:
        """Once the session has ended."""
        noted = self._noted.read_text()
        found = [line for line in noted.splitlines() if not line.startswith("gb:writer ")]
        assert found == [], "add them to `PRELOADED` (supervisor/children/launch_plan.py), or import them at the top"
        assert "gb:writer duckdb" in noted, "it would have been seen"
