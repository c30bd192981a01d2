"""Trouble while something is under way: a flattening, a configuration, a command, a pause that has to go along."""

from __future__ import annotations

import copy
import time
from typing import Any

from supervisor.trials.fault_case import case
from supervisor.trials.host_faults import HOST, again, takeover
from supervisor.trials.real_fleet import Broken, RealFleet, shared_document

__all__: list[str] = []


@case("a host drains while an account of it is being flattened")
def drain_while_flattening(fleet: RealFleet) -> None:
    again(fleet)
    [mine] = fleet.accounts_of(HOST)
    fleet.hosts[HOST].exchange.delay(0.2)  # so that it takes a while
    fleet.ask(lambda store: store.drain(HOST, on=True))
    said = fleet.hosts[HOST].command(mine, "flatten", takes_s=120)
    fleet.wait(lambda: fleet.at().get(mine, HOST) != HOST, f"{mine} to leave {HOST}")
    fleet.hosts[HOST].exchange.mend()
    where = fleet.hosts[fleet.at()[mine]]
    fleet.wait(lambda: fleet.witness.is_flat(mine) and not fleet.witness.resting(mine), f"{mine} to be flat ({said})")
    fleet.wait(lambda: fleet.states(mine) == {"paused"}, f"{mine} to be held on {where.name} ({said})", fleet.told)
    fleet.ask(lambda store: store.drain(HOST, on=False))
    where.command(mine, "resume")


@case("an account is moved in order; how long it is from the wish to the first order of the next host")
def move(fleet: RealFleet) -> None:
    again(fleet)
    before = fleet.witness.held()
    [mine] = fleet.accounts_of(HOST)
    target = next(name for name in fleet.hosts if name != HOST)
    asked_ms = time.time() * 1000
    fleet.move(mine, target)
    fleet.measured.append((fleet.trades_newly(before, [mine])[mine] - asked_ms) / 1000)


@case("a configuration is pushed while a dead host's accounts are taken over")
def push_during_takeover(fleet: RealFleet) -> None:
    again(fleet)
    before, began_ms = fleet.witness.held(), time.time() * 1000
    fleet.hosts[HOST].kill()
    document: dict[str, Any] = copy.deepcopy(shared_document(fleet.accounts))
    document["defaults"]["strategies"]["grid_count"] = 10
    version = fleet.push(document)
    takeover(fleet, began_ms, before)
    fleet.whole()
    fleet.wait(
        lambda: {row.applied for row in fleet.ask(lambda store: store.view()).hosts} == {version},
        f"version {version} on every host",
    )


@case("a command for an account of a dead host: it is named, and nothing is carried out later")
def command_to_the_dead(fleet: RealFleet) -> None:
    again(fleet)
    before, began_ms = fleet.witness.held(), time.time() * 1000
    [mine] = fleet.accounts_of(HOST)
    other = next(host for name, host in fleet.hosts.items() if name != HOST)
    fleet.hosts[HOST].kill()
    said = other.command(mine, "pause", {"reason": "too late"})
    if "was not carried out" not in said:
        raise Broken(f"a command for an account of a dead host was answered by: {said}")
    takeover(fleet, began_ms, before)
    if fleet.states(mine) != {"active"}:
        raise Broken(f"it was carried out later: {fleet.strategies(mine)}")


@case("a paused account's host is killed: the pause and the grid go along")
def pause_goes_along(fleet: RealFleet) -> None:
    again(fleet)
    [mine] = fleet.accounts_of(HOST)
    said = fleet.hosts[HOST].command(mine, "pause", {"reason": "for the trial"})
    before = fleet.witness.held()
    grid = _grid(fleet, mine)
    if not grid:
        raise Broken(f"the fleet has no grid of {mine}")
    fleet.hosts[HOST].kill()
    fleet.wait(lambda: fleet.witness.held().get(mine, before[mine])[1] > before[mine][1], f"{mine} elsewhere ({said})")
    fleet.wait(lambda: fleet.states(mine) == {"paused"}, f"{mine} to be paused there")
    if "for the trial" not in str(fleet.strategies(mine)):
        raise Broken(f"the reason is gone: {fleet.strategies(mine)}")
    if _grid(fleet, mine) != grid:
        raise Broken(f"the grid of {mine} changed: {grid}, {_grid(fleet, mine)}")
    fleet.hosts[fleet.at()[mine]].command(mine, "resume")


def _grid(fleet: RealFleet, account: str) -> dict[str, Any]:
    """The ladders of its strategies, as the next holder would find them."""
    return fleet.witness.documents(account, "grids")
