"""The section `fleet` of the status model as text: hosts, then who has which account. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["fleet_text"]

Json = Mapping[str, Any]


def fleet_text(fleet: Json) -> str:
    """A line on the fleet, a table of hosts, one of accounts, and a sentence for each that is dead."""
    head = (
        f"fleet {fleet['name']}: configuration {fleet['in_force'] or 'none yet'}; a lease lives {fleet['ttl_s']:g} s, "
        f"and a dead host's accounts are taken over after {fleet['takeover_s']:g} s and a start"
    )
    hosts = [
        (
            str(row["host"]) + (" (here)" if row.get("here") else ""),
            str(row["state"]) + (f" for {_age(row['seen_s'])}" if row["state"] == "dead" else ""),
            f"{row['accounts']}/{row['capacity']}",
            str(row["offers"]),
            "-" if row["lag_s"] is None or row["state"] in ("dead", "down") else _age(row["lag_s"]),
            str(row["configuration"] or "-"),
            str(row["address"] or "-"),
            str(row["trouble"]),
        )
        for row in fleet["hosts"]
    ]
    accounts = [
        (
            str(row["account"]),
            str(row["host"] or "-"),
            str(row["state"]),
            str(row["epoch"] or "-"),
            "-" if row["left_s"] is None else _age(max(0.0, row["left_s"])),
            "-" if row["held_s"] is None else _age(row["held_s"]),
            f"goes to {row['goes_to']}" if row["goes_to"] else str(row["why"]),
        )
        for row in fleet["accounts"]
    ]
    parts = [
        head,
        _table(("HOST", "STATE", "ACCOUNTS", "KEYS", "LAG", "CONFIG", "ADDRESS", ""), hosts),
        _table(("ACCOUNT", "HOST", "LEASE", "EPOCH", "ENDS IN", "HELD FOR", ""), accounts),
    ]
    dead = (fleet.get("dead") or {}).items()
    parts += [f"! host {host} is dead or silent; it had {', '.join(sorted(names))}" for host, names in dead]
    return "\n\n".join(filter(None, parts))


def _age(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, *rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(titles))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
