"""The open incidents of a fleet, as one host sees them. Pure."""

from __future__ import annotations

from collections.abc import Collection

from gridbot.incidents import Name, Standing
from supervisor.fleet.fleet_section import dead_accounts
from supervisor.fleet.fleet_view import View
from supervisor.fleet.host_placement import Placement

__all__ = ["standing"]

SELF = "supervisor"
FORGOTTEN_S = 86_400.0
"""A host that was silent for so long, and has nothing, is no news any more; `fleet status` goes on to show it."""
NAMED = 5
"""Accounts without a host that are named with the reason."""


def standing(
    view: View, placed: Placement, names: Collection[str], away: str | None, lapsed: Collection[str]
) -> dict[Name, Standing]:
    """`away`: why the database cannot be asked, None when it answers. `lapsed`: accounts whose leases have ended."""
    found: dict[Name, Standing] = {}
    if away is not None:
        text = (
            "the fleet's database is away: accounts trade until their leases end, then nothing is sent for them; they "
            f"go on by themselves when it is back ({away})"
        )
        found[Name("fleet_database", SELF)] = Standing("error", text)
    if lapsed:
        text = f"nothing is sent for {', '.join(sorted(lapsed))}: their leases have ended"
        found[Name("fleet_lease", SELF)] = Standing("critical", text)
    having = dead_accounts(view, names)
    for row in view.hosts:
        if row.alive or row.state == "down":
            continue
        if (accounts := having.get(row.name)) is not None:
            text = f"host {row.name} is dead or silent; it had {', '.join(sorted(accounts))}"
            found[Name("fleet_host", SELF, row.name)] = Standing("error", text)
        elif row.left_s > -FORGOTTEN_S:
            text = f"host {row.name} is dead or silent; other hosts have all its accounts"
            found[Name("fleet_host", SELF, row.name)] = Standing("warning", text)
    if any(row.alive and row.status_age_s is None for row in view.hosts):
        return found  # a host that has just come has not said yet whose keys it has
    homeless = {
        name: why for name, why in sorted(placed.homeless.items()) if name in names and name not in placed.homes
    }
    if homeless:
        text = "; ".join(f"{name}: {why}" for name, why in list(homeless.items())[:NAMED])
        found[Name("fleet_homeless", SELF)] = Standing("error", f"{len(homeless)} without a host: {text}")
    return found
