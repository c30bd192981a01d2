"""The section `fleet` of the status model as text: hosts, then who has which account. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from supervisor.status.caps_text import caps_lines
from supervisor.status.whole_fleet import is_silent

__all__ = ["fleet_lines", "fleet_text", "whose"]

Json = Mapping[str, Any]
NOBODY = "no host has joined yet: start one"


def fleet_text(fleet: Json) -> str:
    """A line on the fleet, a table of hosts, one of accounts, and a sentence for each that is dead."""
    head = (
        f"fleet {fleet['name']}: configuration {fleet['in_force'] or 'none yet'}{_waits(fleet)}; "
        f"a lease lives {fleet['ttl_s']:g} s, "
        f"and a dead host's accounts are taken over after {fleet['takeover_s']:g} s and a start"
    )
    hosts = [
        (
            str(row["host"]) + (" (here)" if row.get("here") else ""),
            str(row["state"]) + (f" for {_age(row['seen_s'])}" if row["state"] == "dead" else ""),
            f"{row['accounts']}/{row['capacity']}",
            str(row["offers"]),
            "-" if row["lag_s"] is None or row["state"] in ("dead", "down") else _age(row["lag_s"]),
            _records(row),
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
        _table(("HOST", "STATE", "ACCOUNTS", "KEYS", "LAG", "RECORDS", "CONFIG", "ADDRESS", ""), hosts)
        if hosts
        else NOBODY,
        _table(("ACCOUNT", "HOST", "LEASE", "EPOCH", "ENDS IN", "HELD FOR", ""), accounts),
    ]
    parts.append("\n".join(caps_lines({"caps": fleet.get("caps") or (), "accounts": ()})))
    dead = (fleet.get("dead") or {}).items()
    parts += [f"! host {host} is dead or silent; it had {', '.join(sorted(names))}" for host, names in dead]
    return "\n\n".join(filter(None, parts))


def fleet_lines(status: Json) -> list[str]:
    """What `status` says of a fleet on PostgreSQL: a line on it, and one for each account that another host has."""
    fleet = status.get("fleet")
    if not fleet:
        return []
    hosts = ", ".join(
        f"{row['host']} {row['state']} {row['accounts']}/{row['capacity']}" + (" (here)" if row["here"] else "")
        for row in fleet["hosts"]
    )
    away = f"; as of {_age(fleet['away_s'])} ago: its database is away" if fleet.get("away_s") else ""
    lines = [f"fleet {fleet['name']}: configuration {fleet['configuration']}; {hosts or 'no host'}{away}"]
    if fleet["in_force"] not in (0, fleet["configuration"]):
        lines.append(f"  version {fleet['in_force']} of the configuration is in force, and not applied here")
    lines += [f"  {name}: not offered here: {why}" for name, why in sorted(fleet["not_offered"].items())]
    rows = [
        (
            f"  {row['account']}",
            str(row["host"] or "no host"),
            str((row["process"] or {}).get("state") or "-"),
            "silent" if row["age_s"] is not None and is_silent(row) else str(row["health"] or "-"),
            f"lease {row['lease']}",
            "not heard of" if row["age_s"] is None else f"{_age(row['age_s'])} ago",
            ", ".join(f"{each['strat_id']} {each.get('state') or '-'}" for each in row["strategies"]),
        )
        for row in status.get("elsewhere", ())
    ]
    return [*lines, *_table((), rows).splitlines()] if rows else lines


def _waits(fleet: Json) -> str:
    newest = fleet.get("newest", 0)
    return f" ({newest} was pushed, and counts after a reload on any host)" if newest > fleet["in_force"] else ""


def whose(row: Json) -> str:
    """Which host has an account, of a row of `elsewhere`."""
    return f"host {row['host']} has it" if row["host"] else "no host has it now"


def _records(row: Json) -> str:
    """Since when not all of a host's records are there; of one that has ended in order whether all of them are."""
    seconds = row.get("records_s")
    if seconds is None:
        return "-"
    return "all shipped" if row["state"] == "down" and not seconds else _age(seconds)


def _age(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, *rows] if titles else [*rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
