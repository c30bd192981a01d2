"""What a host makes of the fleet's rows."""

from __future__ import annotations

from dataclasses import replace

from supervisor.fleet.fleet_section import as_before, placed
from supervisor.fleet.fleet_view import HostRow, LeaseSeen, View
from supervisor.fleet.host_placement import Wanted

ACCOUNTS = [Wanted("ann"), Wanted("ben"), Wanted("cleo")]
HERE = HostRow("h1", "i1", "up", 9, "", "", frozenset({"ann", "ben", "cleo"}), {}, False, 1, "", 8.0, 0.1)


def test_after_an_outage_of_the_database_nobody_is_dead_for_having_been_silent() -> None:
    """Registrations and leases of all hosts end when nobody can renew them; the first one back had taken everything."""
    silent = replace(HERE, name="h2", instance="i2", left_s=-40.0)
    ended = replace(silent, name="h3", instance="i3", state="down")
    leases = tuple(
        LeaseSeen(account, 1, host, instance, state, "", -40.0, 90.0)
        for account, host, instance, state in (
            *(("ann", "h1", "i1", "held"), ("ben", "h2", "i2", "held")),
            *(("cleo", "h3", "i3", "held"),),
        )
    )
    view = View((HERE, silent, ended), leases)
    assert dict(placed(view, ACCOUNTS).homes) == dict.fromkeys(("ann", "ben", "cleo"), "h1")
    assert dict(placed(as_before(view), ACCOUNTS).homes) == {"ann": "h1", "ben": "h2", "cleo": "h1"}
