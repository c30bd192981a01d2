"""Several troubles at once: drains, moves, a spread, a configuration and commands, while hosts die under them."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

from supervisor.trials.fault_case import case
from supervisor.trials.host_faults import HOST, again
from supervisor.trials.real_fleet import Broken, RealFleet, shared_document

__all__: list[str] = []


@case("a drain, a move, a spread, a new configuration and a pause at one time; the drain is undone at once")
def all_at_once(fleet: RealFleet) -> None:
    again(fleet)
    [mine] = fleet.accounts_of(HOST)
    others = [name for name in fleet.hosts if name != HOST]
    paused = fleet.accounts_of(others[0])[0]
    document: dict[str, Any] = copy.deepcopy(shared_document(fleet.accounts))
    document["defaults"]["strategies"]["grid_count"] = 10
    _together(
        lambda: fleet.ask(lambda store: store.drain(HOST, on=True)),
        lambda: fleet.move(mine, others[1]),
        lambda: fleet.push(document),
        lambda: _paused(fleet, others[1], paused),
        lambda: fleet.ask(lambda store: store.wish(dict.fromkeys(fleet.accounts, others[1]), "the trial")),
    )
    fleet.ask(lambda store: store.drain(HOST, on=False))
    fleet.move(paused, HOST)
    fleet.wait(lambda: fleet.at().get(paused) == HOST, f"{paused} on {HOST}", fleet.told)
    fleet.wait(lambda: fleet.states(paused) == {"paused"}, f"{paused} to be paused there, too", fleet.told)
    fleet.hosts[HOST].command(paused, "resume")
    fleet.whole()
    fleet.wait(lambda: len({row.applied for row in _hosts(fleet)}) == 1, "one version on every host", fleet.told)


@case("a host drains while the one that gets its account is killed, and its own account is moved there as well")
def drain_to_the_dying(fleet: RealFleet) -> None:
    again(fleet)
    before = fleet.witness.held()
    [mine] = fleet.accounts_of(HOST)
    dying = next(name for name in fleet.hosts if name != HOST)
    fleet.move(mine, dying)
    fleet.ask(lambda store: store.drain(HOST, on=True))
    fleet.wait(lambda: fleet.witness.held() != before, f"{mine} to be given up by {HOST}")
    fleet.hosts[dying].kill()
    theirs = [account for account, (host, _) in before.items() if host in (HOST, dying)]
    fleet.trades_newly(before, theirs)
    left = next(name for name in fleet.hosts if name not in (HOST, dying))
    fleet.wait(
        lambda: {fleet.at().get(account) for account in theirs} == {left},
        f"{theirs} on {left}, which neither drains nor is dead",
        fleet.told,
    )
    fleet.ask(lambda store: store.drain(HOST, on=False))


@case("the host of an account is killed while it carries a command out that another host has given")
def command_to_the_dying(fleet: RealFleet) -> None:
    again(fleet)
    [mine] = fleet.accounts_of(HOST)
    asker = next(host for name, host in fleet.hosts.items() if name != HOST)
    fleet.hosts[HOST].exchange.delay(0.5)  # so that it takes a while
    said: list[str] = []
    asking = threading.Thread(target=lambda: said.append(asker.command(mine, "flatten", takes_s=120)))
    asking.start()
    fleet.wait(lambda: fleet.witness.is_taken(mine), "the command to be taken")
    fleet.hosts[HOST].kill()
    asking.join(240)
    if not said or "refused" not in said[0]:
        raise Broken(f"a command whose host died under it was answered by: {said}")
    fleet.wait(lambda: fleet.at().get(mine, HOST) != HOST, f"{mine} elsewhere", fleet.told)
    where = fleet.hosts[fleet.at()[mine]]
    fleet.wait(lambda: fleet.states(mine) == {"paused"}, f"{mine} to be held there: {said}", fleet.told)
    fleet.wait(lambda: not fleet.witness.resting(mine), f"{mine} to be without orders: {said}", fleet.told)
    where.command(mine, "flatten", takes_s=120)
    fleet.wait(lambda: fleet.witness.is_flat(mine), f"{mine} to be flat")
    where.command(mine, "resume")


@case("a host is started with --paused: what it takes is paused once, what others have is not")
def start_paused(fleet: RealFleet) -> None:
    again(fleet)
    before, [mine] = fleet.witness.held(), fleet.accounts_of(HOST)
    fleet.hosts[HOST].kill()
    fleet.trades_newly(before, [mine])
    fleet.hosts[HOST].start("--paused")
    fleet.wait(lambda: (fleet.hosts[HOST].status() or {}).get("fleet"), f"{HOST} to be in the fleet")
    fleet.move(mine, HOST)
    fleet.wait(lambda: fleet.at().get(mine) == HOST, f"{mine} on {HOST}")
    fleet.wait(lambda: fleet.states(mine) == {"paused"}, f"{mine} to be paused on {HOST}", fleet.told)
    fleet.hosts[HOST].command(mine, "resume")
    other = next(name for name in fleet.hosts if name != HOST)
    fleet.move(mine, other)
    fleet.wait(lambda: fleet.at().get(mine) == other and fleet.all_trade(), f"{mine} to trade on {other}")
    fleet.move(mine, HOST)
    fleet.wait(lambda: fleet.at().get(mine) == HOST and fleet.all_trade(), f"{mine} to trade on {HOST}, once resumed")
    if (states := fleet.states(mine)) != {"active"}:
        raise Broken(f"{mine} was paused again: {states}")


@case(
    "a host of whose data directory an older copy is put back, in the time of one holder: a pause stays",
    nobody_can=True,
)
def older_copy(fleet: RealFleet) -> None:
    again(fleet)
    host, [mine] = fleet.hosts[HOST], fleet.accounts_of(HOST)
    for name, each in fleet.hosts.items():
        if name != HOST:
            each.stop()
    host.freeze()
    put_back = host.copied()
    host.thaw()
    fleet.wait(lambda: mine in host.trades(), f"{mine} to trade")
    said = host.command(mine, "pause", {"reason": "after the copy"})
    fleet.wait(lambda: fleet.states(mine) == {"paused"}, f"{mine} to be paused ({said})")
    host.kill()
    put_back()
    epoch = fleet.witness.held()[mine][1]
    host.start()
    fleet.wait(lambda: fleet.witness.held().get(mine, ("", 0))[1] > epoch, f"{mine} to have its next epoch")
    fleet.wait(lambda: fleet.states(mine) - {"None"}, f"{mine} to begin", fleet.told)
    if (states := fleet.states(mine)) != {"paused"}:
        raise Broken(f"the older copy undid the pause: {states}")
    host.command(mine, "resume")


@case("configurations that cannot be: a strategy removed while it has positions, an account that nobody has keys of")
def bad_configuration(fleet: RealFleet) -> None:
    again(fleet)
    before, [mine] = fleet.witness.held(), fleet.accounts_of(HOST)
    fleet.wait(lambda: not fleet.witness.is_flat(mine), f"{mine} to have a position")
    good: dict[str, Any] = shared_document(fleet.accounts)
    bad = copy.deepcopy(good)
    next(each for each in bad["accounts"] if each["name"] == mine)["strategies"] = {}
    bad["accounts"].append({"name": "zoe", "environment": "testnet", "strategies": good["accounts"][0]["strategies"]})
    version = fleet.push(bad)
    others = {name for name in fleet.hosts if name != HOST}
    fleet.wait(
        lambda: {row.name for row in _hosts(fleet) if row.applied == version} == others,
        f"version {version} on all hosts but that of {mine}, whose positions would stay with nobody",
        fleet.told,
    )
    fleet.wait(
        lambda: all("zoe" in str((fleet.hosts[name].status() or {}).get("incidents")) for name in others),
        "an alert about the account that nobody has keys of",
        fleet.told,
    )
    fleet.stays(lambda: fleet.witness.held() == before, 5, "who has the leases")
    version = fleet.push(good)
    fleet.wait(lambda: {row.applied for row in _hosts(fleet)} == {version}, f"version {version} on all", fleet.told)
    fleet.wait(lambda: not any(row.trouble for row in _hosts(fleet)), "no host in trouble", fleet.told)


def _together(*works: Callable[[], object]) -> None:
    """All at one time. Raises Broken for those that failed."""
    failed: list[BaseException] = []

    def tried(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [threading.Thread(target=tried, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise Broken(f"done at one time: {failed}")


def _paused(fleet: RealFleet, by: str, account: str) -> None:
    said = fleet.hosts[by].command(account, "pause", {"reason": "for the trial"}, takes_s=60)
    if "refused" in said:
        raise Broken(f"pause of {account} by {by}: {said}")


def _hosts(fleet: RealFleet) -> list[Any]:
    return list(fleet.ask(lambda store: store.view()).hosts)
