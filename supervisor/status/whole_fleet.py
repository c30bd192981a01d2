"""The status model of a host as that of its whole fleet: accounts and alerts of the other hosts among its own. Pure.

What another host has told is shown as old as it is: of one that is silent its figures are the last known ones, and its
accounts are not healthy. Without a fleet it is the model itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["SILENT_S", "is_silent", "silent_hosts", "whole_fleet"]

Json = dict[str, Any]
SILENT_S: Final = 15.0
"""A host tells each quarter of a lease; one that has not for so long is silent."""


def whole_fleet(status: Mapping[str, Any]) -> Json:
    """The model with the rows of all hosts; those of others have their `host`, and `age_s` of what they say."""
    if not status.get("fleet"):
        return dict(status)
    accounts = [*status["accounts"], *map(_as_now, status.get("elsewhere", ()))]
    incidents = [*status["incidents"], *status.get("incidents_elsewhere", ())]
    return {**status, "accounts": accounts, "incidents": incidents}


def is_silent(row: Mapping[str, Any]) -> bool:
    """Whether the host of a row of `elsewhere` has not told anything for a while, or is dead."""
    return row["age_s"] is None or row["age_s"] > SILENT_S or not row["host_alive"]


def silent_hosts(status: Mapping[str, Any]) -> list[str]:
    """The hosts of whose own processes nobody knows what is open there: dead ones, and those that say nothing."""
    hosts = (status.get("fleet") or {}).get("hosts", ())
    return [
        str(row["host"])
        for row in hosts
        if not row["here"] and (row["state"] in ("dead", "down") or row["lag_s"] is None or row["lag_s"] > SILENT_S)
    ]


def _as_now(row: Mapping[str, Any]) -> Json:
    if not is_silent(row):
        return dict(row)
    told = "nothing was told of it yet" if row["age_s"] is None else f"what is shown was told {row['age_s']:.0f} s ago"
    where = f"host {row['host']} is dead or silent" if row["host"] else "no host has it now"
    return {**row, "health": None, "freshness": "offline", "reasons": [f"{where}; {told}", *row["reasons"]]}
