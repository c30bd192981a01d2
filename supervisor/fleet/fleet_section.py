"""The fleet as `status` and `fleet status` show it, from one view of the database. Pure; ages in seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

from supervisor.fleet.fleet_view import HostRow, LeaseSeen, View
from supervisor.fleet.host_placement import HostSeen, Placement, Wanted, placement
from supervisor.fleet.lease_types import HostId, LeaseTimes

__all__ = ["account_rows", "as_before", "dead_accounts", "holders_of", "host_rows", "placed", "seen", "takeover_s"]

Json = dict[str, Any]
TOLD_OF_STRATEGY = (
    *("strat_id", "symbol", "mode", "state", "reason", "open_orders", "wanted", "last_price", "long", "short"),
    *("fills", "realised", "unrealised"),
)


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
        if each.held:
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
            "offers": len(row.offers),
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


def status_rows(status: Mapping[str, Any]) -> list[Json]:
    """What a host tells the others of its accounts, of the rows of its own status."""
    return [
        {
            "account": row["account"],
            "groups": list(row.get("groups", ())),
            "process": row["process"],
            "health": row["health"],
            "freshness": row["freshness"],
            "equity": row["equity"],
            "wallet": row["wallet"],
            "reasons": [str(each)[:200] for each in row.get("reasons", ())][:3],
            "strategies": [{key: each.get(key) for key in TOLD_OF_STRATEGY} for each in row.get("strategies", ())],
        }
        for row in status["accounts"]
    ]
