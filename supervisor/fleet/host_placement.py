"""Which host has which account: one pure function that every host computes from the same rows. No host is special.

    runs somewhere it may stay      it stays, whoever else has room: nothing is moved for the sake of order
    an operator wants it elsewhere  that host, while it may have it and has room
    runs on a host that drains, or  one account of that host at a time is handed over, the first by name, as soon as
    may not have it any more        another host has room
    runs nowhere                    the host that is the least full of those that may have it

A host may have an account when it is alive, does not drain, has its keys and is among the account's `hosts`. One that
is dead keeps its accounts until their leases end: that is the lease's business, and not looked at here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["HostSeen", "Placement", "Wanted", "evened", "placement"]


@dataclass(frozen=True, slots=True)
class HostSeen:
    """A host as its row shows it; `alive` when it has been heard of lately. `offers` are accounts whose keys it has."""

    name: str
    capacity: int
    offers: frozenset[str]
    alive: bool = True
    draining: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """An account of the configuration, and the hosts that may have it; none named: all."""

    name: str
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Placement:
    """`homes`: by account the host that is to have it. `moves`: those that their holder has to hand over now, with
    where they are to go. `homeless`: why an account has no host, or stays where it may not."""

    homes: Mapping[str, str] = field(default_factory=dict)
    moves: Mapping[str, str] = field(default_factory=dict)
    homeless: Mapping[str, str] = field(default_factory=dict)

    def of(self, host: str) -> frozenset[str]:
        """What that host is to have: what is to stay, and what is to come."""
        return frozenset(name for name, home in self.homes.items() if home == host)


def placement(
    hosts: Iterable[HostSeen],
    accounts: Iterable[Wanted],
    holders: Mapping[str, str],
    wishes: Mapping[str, str],
) -> Placement:
    """`holders`: by account the host that has its lease. `wishes`: where operators want it."""
    known = {host.name: host for host in hosts}
    wanted = {account.name: account for account in sorted(accounts, key=lambda each: each.name)}
    homes: dict[str, str] = {}
    homeless: dict[str, str] = {}
    leaving: list[str] = []
    for name, account in wanted.items():
        holder = known.get(holders.get(name, ""))
        if holder is None or not holder.alive:
            continue
        homes[name] = holder.name
        target = wishes.get(name, holder.name)
        if target != holder.name or holder.draining or not _may(holder, account, even_draining=True):
            leaving.append(name)
    load = _load(known, homes)
    free = [name for name in wanted if name not in homes]
    for name in sorted(free, key=lambda each: (len(_open_to(known, wanted[each], load)), each)):
        home = _home(known, wanted[name], load, wishes.get(name, ""))
        if home is None:
            homeless[name] = _why(known, wanted[name])
        else:
            homes[name] = home
            load[home] += 1
    moves = _moves(known, wanted, homes, load, wishes, leaving, homeless)
    return Placement({**homes, **moves}, moves, homeless)


def evened(hosts: Sequence[HostSeen], accounts: Sequence[Wanted], holders: Mapping[str, str]) -> dict[str, str]:
    """The fewest moves, by account the host it goes to, after which no host has two accounts more than another that
    may have one of them. For an operator who asks for it: nothing is moved by itself."""
    known = {host.name: host for host in hosts}
    wanted = {account.name: account for account in accounts}
    at = {name: host for name, host in holders.items() if name in wanted and host in known and known[host].alive}
    load = _load(known, at)
    moves: dict[str, str] = {}
    while True:
        best: tuple[int, str, str] | None = None
        for name in sorted(at):
            for target in _open_to(known, wanted[name], load):
                gain = load[at[name]] - load[target]
                if gain >= 2 and (best is None or gain > best[0]):
                    best = gain, name, target
        if best is None:
            return moves
        _, name, target = best
        load[at[name]] -= 1
        load[target] += 1
        at[name] = moves[name] = target


def _moves(
    known: Mapping[str, HostSeen],
    wanted: Mapping[str, Wanted],
    homes: Mapping[str, str],
    load: dict[str, int],
    wishes: Mapping[str, str],
    leaving: Iterable[str],
    homeless: dict[str, str],
) -> dict[str, str]:
    """One of each host."""
    found: dict[str, str] = {}
    busy: set[str] = set()
    for name in leaving:
        holder = homes[name]
        others = {key: host for key, host in known.items() if key != holder}
        target = _home(others, wanted[name], load, wishes.get(name, ""))
        stays = name in wishes and wishes[name] != target and not _must_go(known[holder], wanted[name])
        if target is None or stays:
            if not stays:
                homeless[name] = f"it stays on {holder}: {_why(others, wanted[name])}"
        elif holder not in busy:
            found[name] = target
            load[target] += 1
            load[holder] -= 1
            busy.add(holder)
    return found


def _must_go(holder: HostSeen, account: Wanted) -> bool:
    return holder.draining or not _may(holder, account, even_draining=True)


def _may(host: HostSeen, account: Wanted, *, even_draining: bool = False) -> bool:
    allowed = not account.hosts or host.name in account.hosts
    return host.alive and allowed and account.name in host.offers and (even_draining or not host.draining)


def _load(known: Mapping[str, HostSeen], homes: Mapping[str, str]) -> dict[str, int]:
    return {**dict.fromkeys(known, 0), **Counter(home for home in homes.values() if home in known)}


def _open_to(known: Mapping[str, HostSeen], account: Wanted, load: Mapping[str, int]) -> list[str]:
    """The hosts that may take it now, the least full first."""
    able = [host for host in known.values() if _may(host, account) and load[host.name] < host.capacity]
    return [host.name for host in sorted(able, key=lambda host: (load[host.name], host.name))]


def _home(known: Mapping[str, HostSeen], account: Wanted, load: Mapping[str, int], wish: str) -> str | None:
    able = _open_to(known, account, load)
    return wish if wish in able else next(iter(able), None)


def _why(known: Mapping[str, HostSeen], account: Wanted) -> str:
    alive = [host for host in known.values() if host.alive]
    allowed = [host for host in alive if not account.hosts or host.name in account.hosts]
    offering = [host for host in allowed if account.name in host.offers]
    if not alive:
        return "no host is alive"
    if not allowed:
        return f"none of its hosts ({', '.join(account.hosts)}) is alive"
    if not offering:
        return f"no host has its keys ({', '.join(sorted(host.name for host in allowed))})"
    if all(host.draining for host in offering):
        return f"the hosts that may have it drain ({', '.join(sorted(host.name for host in offering))})"
    return f"the hosts that may have it are full ({', '.join(sorted(host.name for host in offering))})"
