"""The fleet as `status` and `fleet status` show it, from one view of the database. Pure; ages in seconds."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from typing import Any

from supervisor.fleet.fleet_services import is_service
from supervisor.fleet.fleet_view import HostRow, LeaseSeen, View
from supervisor.fleet.host_placement import HostSeen, Placement, Wanted, placement
from supervisor.fleet.lease_types import HostId, LeaseTimes

__all__ = [
    "account_rows",
    "as_before",
    "dead_accounts",
    "holders_of",
    "host_rows",
    "incidents_elsewhere",
    "placed",
    "seen",
    "status_facts",
    "takeover_s",
    "untold_s",
    "with_commands_for",
]

Json = dict[str, Any]
_DATA_DIR = re.compile(r" --data-dir (?:'[^']*'|\S+)")
TOLD_OF_ACCOUNT = (
    *("environment", "health", "freshness", "equity", "wallet", "available", "margin_ratio", "last_reconcile_age_s"),
    *("last_tick_age_s", "caps"),
)
TOLD_OF_PROCESS = ("name", "state", "restarts", "reason", "last_exit", "next_start_s", "report_age_s")
TOLD_OF_STRATEGY = (
    *("strat_id", "symbol", "mode", "state", "reason", "open_orders", "wanted", "waiting", "last_price"),
    *("long", "short", "fills", "realised", "fees", "funding", "unrealised"),
)
MOST_INCIDENTS = 100
LONGEST = 400
"""Characters of a text that a host tells the others."""


def takeover_s(times: LeaseTimes) -> float:
    """From a host's death to when another may have its accounts, at most: the lease, and what a successor waits."""
    return times.ttl_s + times.wait_us / 1e6


def seen(hosts: Iterable[HostRow]) -> list[HostSeen]:
    """The hosts as placement wants them."""
    return [HostSeen(row.name, row.capacity, row.offers, row.alive, row.draining) for row in hosts]


def holders_of(view: View) -> dict[str, str]:
    """By account the host that has its lease and lives; of one that is dead its accounts are free for others."""
    living = {(row.name, row.instance) for row in view.hosts if row.alive}
    return {each.account: each.host for each in view.leases if each.held and (each.host, each.instance) in living}


def as_before(view: View) -> View:
    """The view with hosts and leases that have only run out taken for alive: nobody could renew while the database was
    away, so that says nothing about a host."""
    hosts = tuple(row if row.alive or row.state == "down" else replace(row, left_s=0.1) for row in view.hosts)
    leases = tuple(row if row.state != "held" or row.held else replace(row, left_s=0.1) for row in view.leases)
    return replace(view, hosts=hosts, leases=leases)


def placed(view: View, accounts: Iterable[Wanted]) -> Placement:
    """Which host is to have which account."""
    return placement(seen(view.hosts), accounts, holders_of(view), view.wishes)


def dead_accounts(view: View, names: Iterable[str]) -> dict[str, list[str]]:
    """By host that is dead, the accounts it had last and nobody has taken over."""
    living = {row.name for row in view.hosts if row.alive}
    known, found = set(names), dict[str, list[str]]()
    for each in view.leases:
        if each.account in known and each.host not in living and each.state == "held":
            found.setdefault(each.host, []).append(each.account)
    return found


def host_rows(view: View, me: HostId | None) -> list[Json]:
    """A row for each host that was ever registered; `lag_s` is the age of what it has told last."""
    held: dict[str, int] = {}
    for each in view.leases:
        if each.held and not is_service(each.account):
            held[each.host] = held.get(each.host, 0) + 1
    return [
        {
            "host": row.name,
            "here": me is not None and row.instance == me.instance,
            "state": "dead" if not row.alive and row.state != "down" else "down" if not row.alive else
                     "drains" if row.draining else "up",
            "seen_s": round(-row.left_s, 1) if not row.alive else 0.0,
            "lag_s": None if row.status_age_s is None else round(row.status_age_s, 1),
            "accounts": held.get(row.name, 0),
            "capacity": row.capacity,
            "address": row.address,
            "offers": sum(not is_service(name) for name in row.offers),
            "configuration": row.applied,
            "program": row.program,
            "trouble": row.trouble,
        }
        for row in view.hosts
    ]  # fmt: skip


def account_rows(view: View, accounts: Iterable[Wanted], found: Placement) -> list[Json]:
    """A row for each account of the configuration: who has it, since when, and where it is to go."""
    leases = {each.account: each for each in view.leases}
    living = {(row.name, row.instance) for row in view.hosts if row.alive}
    rows = []
    for account in sorted(accounts, key=lambda each: each.name):
        lease = leases.get(account.name)
        host = "" if lease is None or lease.state == "free" else lease.host
        home = found.homes.get(account.name, "")
        rows.append(
            {
                "account": account.name,
                "host": host,
                "state": _state(lease, living),
                "epoch": 0 if lease is None else lease.epoch,
                "left_s": None if lease is None or lease.state == "free" else round(lease.left_s, 1),
                "held_s": None if lease is None else round(lease.held_s, 1),
                "previous": "" if lease is None else lease.previous,
                "goes_to": home if home != host else "",
                "why": found.homeless.get(account.name, ""),
            }
        )
    return rows


def _state(lease: LeaseSeen | None, living: AbstractSet[tuple[str, str]]) -> str:
    """held, ends (its time is over, or its host is dead), free."""
    if lease is None or lease.state == "free":
        return "free"
    return "held" if lease.held and (lease.host, lease.instance) in living else "ends"


def status_facts(status: Mapping[str, Any]) -> Json:
    """What a host tells the others of its own status: its accounts, what is open there, and how it is."""
    return {
        "accounts": status_rows(status),
        "incidents": [{**row, "text": str(row["text"])[:LONGEST]} for row in status.get("incidents", ())][
            :MOST_INCIDENTS
        ],
        "health": status.get("health"),
        "lag_s": (status.get("writer") or {}).get("lag_s"),
        "untold_s": untold_s(status),
    }


def untold_s(status: Mapping[str, Any]) -> float:
    """For how long an address of this host has not taken what people are to be told, the worst of them; 0: all do."""
    routes = (status.get("notify") or {}).get("routes") or ()
    return max((float(row.get("failing_s") or 0.0) for row in routes), default=0.0)


def status_rows(status: Mapping[str, Any]) -> list[Json]:
    """What a host tells the others of its accounts, of the rows of its own status."""
    return [
        {
            "account": row["account"],
            "groups": list(row.get("groups", ())),
            **{key: row.get(key) for key in TOLD_OF_ACCOUNT},
            "process": {key: (row["process"] or {}).get(key) for key in TOLD_OF_PROCESS},
            "reasons": [str(each)[:LONGEST] for each in row.get("reasons", ())][:3],
            "strategies": [
                {key: each[key] for key in TOLD_OF_STRATEGY if key in each} for each in row.get("strategies", ())
            ],
        }
        for row in status["accounts"]
    ]


def incidents_elsewhere(
    status: Mapping[str, Any], told: Mapping[str, Mapping[str, Any]], holders: Mapping[str, str]
) -> list[Json]:
    """The open incidents of the other hosts, each with its `host`; `told`: what those that live have told last.

    Of an account its holder's word counts. What every host sees is shown once.
    """
    seen = {row["id"] for row in status.get("incidents", ())}
    found = []
    for host, document in sorted(told.items()):
        for row in document.get("incidents", ()):
            is_theirs = not row["account"] or holders.get(row["account"]) == host
            if is_theirs and row["id"] not in seen:
                seen.add(row["id"])
                found.append({**row, "host": host})
    return found


def with_commands_for(answer: Any, place: Path) -> Any:
    """An answer of another host, its commands to be pasted (`lifted_by`) made for the data directory of this one."""
    if isinstance(answer, list):
        return [with_commands_for(each, place) for each in answer]
    if not isinstance(answer, dict):
        return answer
    return {
        key: _DATA_DIR.sub(lambda _: f" --data-dir {shlex.quote(str(place))}", value)
        if key == "lifted_by" and isinstance(value, str)
        else with_commands_for(value, place)
        for key, value in answer.items()
    }
