"""Which caps of fleet and groups a host of a fleet has after a reload: the database counts by the newest version. Pure.

A limit that changes counts at once, for all hosts. One that comes or goes does so with the next start of each
supervisor: workers that began without a limit say nothing of what they use.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gridbot.config.fleet_models import FleetCaps, FleetConfig
from gridbot.config.reload_keys import Applies, KeyRule

__all__ = ["OVER_HOSTS", "caps_in_force", "fleet_in_force", "live_keys"]

OVER_HOSTS: Final = KeyRule(Applies.LIVE, "caps over hosts are counted in the fleet's database, by the newest version")


def live_keys(before: FleetCaps, after: FleetCaps) -> Iterator[str]:
    """The keys whose change counts at once."""
    for key in FleetCaps.model_fields:
        if (getattr(before, key) is None) == (getattr(after, key) is None):
            yield key


def caps_in_force(before: FleetCaps, after: FleetCaps) -> FleetCaps:
    """The caps from the reload on."""
    return before.model_copy(update={key: getattr(after, key) for key in live_keys(before, after)})


def fleet_in_force(before: FleetConfig, after: FleetConfig) -> FleetConfig:
    """The section from the reload on; without a fleet it stays as it is until the supervisor starts again."""
    if not before.is_host:
        return before
    groups = {
        name: group.model_copy(update={"caps": caps_in_force(group.caps, after.groups[name].caps)})
        if name in after.groups
        else group
        for name, group in before.groups.items()
    }
    return before.model_copy(update={"caps": caps_in_force(before.caps, after.caps), "groups": groups})
