"""No worker imports anything after its fork: what the fork server has imported is shared, what a child imports is its
own memory, and time of its start. Real processes; jobs that are due each minute are due each few seconds here."""

from __future__ import annotations

import pytest

from .conftest import DEMO

pytestmark = pytest.mark.system

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


def test_no_worker_imports_anything_after_its_fork(gridbot, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(FINDER)
    imported = tmp_path / "imported"
    session = gridbot.prepare(DEMO + OFTEN)
    environment = session.environment()
    path = f"{tmp_path}:{environment['PYTHONPATH']}"
    monkeypatch.setattr(session, "environment", lambda: {**environment, "PYTHONPATH": path, "IMPORTED": str(imported)})
    status = session.start()
    accounts = len(status["accounts"])
    reconciles = "SELECT account FROM reconciles GROUP BY account HAVING count(*) > 3"
    session.wait(lambda _: len(session.sql(reconciles)) == accounts, "comparisons with the exchange")
    session.wait(lambda _: len(session.sql("SELECT DISTINCT account FROM fills")) == accounts, "fills")
    session.run("pause", "alice")
    session.run("resume", "alice")
    session.stop()
    found = [line for line in imported.read_text().splitlines() if not line.startswith("gb:writer ")]
    assert found == [], "add them to `PRELOADED` (supervisor/children/launch_plan.py), or import them at the top"
    assert "gb:writer duckdb" in imported.read_text(), "it would have been seen"
