"""The open incidents of a fleet, as one host sees them. Pure."""

from __future__ import annotations

from collections.abc import Collection

from gridbot.incidents import Name, Standing
from supervisor.fleet.fleet_section import dead_accounts
from supervisor.fleet.fleet_view import View
from supervisor.fleet.host_placement import Placement

__all__ = ["standing"]

SELF = "supervisor"
NAMED = 5
"""Accounts without a host that are named with the reason."""


def standing(
    view: View, placed: Placement, names: Collection[str], away: str | None, lapsed: Collection[str]
) -> dict[Name, Standing]:
    """`away`: why the database cannot be asked, None when it answers. `lapsed`: accounts whose leases have ended."""
    found: dict[Name, Standing] = {}
    if away is not None:
        text = (
            f"the fleet's database is away ({away}); accounts trade until their leases end, then nothing is sent for "
            "them; they go on by themselves when it is back"
        )
        found[Name("fleet_database", SELF)] = Standing("error", text)
    if lapsed:
        text = f"nothing is sent for {', '.join(sorted(lapsed))}: their leases have ended"
        found[Name("fleet_lease", SELF)] = Standing("critical", text)
    for host, accounts in dead_accounts(view, names).items():
        text = f"host {host} is dead or silent; it had {', '.join(sorted(accounts))}"
        found[Name("fleet_host", SELF, host)] = Standing("error", text)
    homeless = {
        name: why for name, why in sorted(placed.homeless.items()) if name in names and name not in placed.homes
    }
    if homeless:
        text = "; ".join(f"{name}: {why}" for name, why in list(homeless.items())[:NAMED])
        found[Name("fleet_homeless", SELF)] = Standing("error", f"{len(homeless)} without a host: {text}")
    return found
