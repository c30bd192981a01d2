"""Trouble with hosts: killed, frozen, cut off from database or exchange, two of one name, clocks that step."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Final

from supervisor.trials.fault_case import case
from supervisor.trials.fleet_faketime import faked, library, step
from supervisor.trials.real_fleet import Broken, RealFleet

__all__ = ["HOST", "again", "takeover"]

HOST: Final = "h2"
OVER: Final = 8.0
"""So much longer than the lease lives trouble lasts that is to end it."""


def takeover(fleet: RealFleet, began_ms: float, before: Mapping[str, tuple[str, int]]) -> None:
    """Wait until the accounts of `HOST` trade elsewhere, and note how long each did not."""
    mine = [account for account, (host, _) in before.items() if host == HOST]
    if not mine:
        raise Broken(f"{HOST} has no account: {before}")
    first = fleet.trades_newly(before, mine)
    fleet.measured += [(first[account] - began_ms) / 1000 for account in mine]
    for account in mine:
        if fleet.at().get(account) == HOST:
            raise Broken(f"{account} is still on {HOST}")


def again(fleet: RealFleet) -> None:
    """Each host has its account again, and trades it."""
    fleet.whole()
    fleet.spread()
    fleet.whole()


@case("kill -9 of a host: supervisor, workers, writer")
def kill(fleet: RealFleet) -> None:
    again(fleet)
    before = fleet.witness.held()
    began_ms = time.time() * 1000
    fleet.hosts[HOST].kill()
    takeover(fleet, began_ms, before)


@case("a whole host stands still for longer than its lease lives, and goes on")
def freeze(fleet: RealFleet) -> None:
    again(fleet)
    before = fleet.witness.held()
    began_ms = time.time() * 1000
    fleet.hosts[HOST].freeze()
    takeover(fleet, began_ms, before)
    fleet.hosts[HOST].thaw()
    _sends_nothing(fleet, before)


@case("only the supervisor of a host stands still: its workers have no lease any more, and send nothing")
def freeze_supervisor(fleet: RealFleet) -> None:
    again(fleet)
    before = fleet.witness.held()
    began_ms = time.time() * 1000
    fleet.hosts[HOST].freeze(children=False)
    takeover(fleet, began_ms, before)
    fleet.hosts[HOST].thaw()
    _sends_nothing(fleet, before)


def _sends_nothing(fleet: RealFleet, before: Mapping[str, tuple[str, int]]) -> None:
    """The woken host has none of its former accounts, soon and without hands."""
    mine = {account for account, (host, _) in before.items() if host == HOST}
    fleet.wait(lambda: not mine & fleet.hosts[HOST].trades(), f"{HOST} to let go of {mine}")


@case("nothing passes between a host and the database; connections stay open")
def partition_database(fleet: RealFleet) -> None:
    _cut_off(fleet, database=True, exchange=False)


@case("nothing passes between a host and database or exchange")
def partition_both(fleet: RealFleet) -> None:
    _cut_off(fleet, database=True, exchange=True)


def _cut_off(fleet: RealFleet, *, database: bool, exchange: bool) -> None:
    again(fleet)
    host, before, began_ms = fleet.hosts[HOST], fleet.witness.held(), time.time() * 1000
    if database:
        host.database.hold()
    if exchange:
        host.exchange.hold()
    takeover(fleet, began_ms, before)
    host.database.mend()
    host.exchange.mend()
    _sends_nothing(fleet, before)


@case("every connection of a host to the database ends, and new ones are refused")
def cut_database(fleet: RealFleet) -> None:
    again(fleet)
    host, before, began_ms = fleet.hosts[HOST], fleet.witness.held(), time.time() * 1000
    host.database.cut()
    takeover(fleet, began_ms, before)
    host.database.mend()
    _sends_nothing(fleet, before)


@case("nothing passes between a host and the exchange for 15 s: it keeps its lease, and trades again")
def partition_exchange(fleet: RealFleet) -> None:
    again(fleet)
    host, before = fleet.hosts[HOST], fleet.witness.held()
    host.exchange.hold()
    fleet.stays(lambda: fleet.witness.held() == before, 15, "who has the leases")
    mended_ms = time.time() * 1000
    host.exchange.mend()
    [mine] = fleet.accounts_of(HOST)
    fleet.wait(
        lambda: any(order.created_ms > mended_ms for order in fleet.witness.orders(mine, newest=True)),
        f"{mine} to trade again",
    )


@case("what a host hears of database and exchange is 0.7 s late")
def slow_ways(fleet: RealFleet) -> None:
    again(fleet)
    host, before = fleet.hosts[HOST], fleet.witness.held()
    host.database.delay(0.35)
    host.exchange.delay(0.35)
    fleet.stays(lambda: fleet.witness.held() == before, fleet.ttl_s + OVER, "who has the leases")


@case(
    "a host loses the database for longer than its lease, with `on_lease_lost: cancel`",
    cancels=frozenset({HOST}),
    nobody_can=True,
)
def cancel_when_lost(fleet: RealFleet) -> None:
    """With the others stopped: nobody else withdraws or adopts the orders."""
    again(fleet)
    [mine] = fleet.accounts_of(HOST)
    for name, host in fleet.hosts.items():
        if name != HOST:
            host.freeze()
    fleet.hosts[HOST].database.hold()
    fleet.wait(lambda: not fleet.witness.resting(mine), f"every order of {mine} to be withdrawn")


@case("two hosts with one name: the second is refused while the first lives, and has it when that is silent")
def one_name(fleet: RealFleet) -> None:
    again(fleet)
    first, before = fleet.hosts[HOST], fleet.witness.held()
    twin = fleet.twin(HOST)
    twin.start()
    if (code := twin.waits_for_its_end()) != 7:
        raise Broken(f"the twin of a living {HOST} ended with {code}, expected 7")
    first.freeze()
    twin.start()
    mine = [account for account, (host, _) in before.items() if host == HOST]
    fleet.trades_newly(before, mine)
    fleet.wait(lambda: (twin.status() or {}).get("fleet"), "the twin to have the name")
    first.thaw()
    if (code := first.waits_for_its_end()) is None:
        raise Broken(f"the first {HOST}, whose name another one has, goes on")
    twin.stop()


@case(
    "the wall clock of every host steps by a second, a minute and an hour, to and fro",
    needs=lambda: "" if library() else "no libfaketime here: pip install libfaketime, or apt install libfaketime",
    environment=faked,
)
def clock_steps(fleet: RealFleet) -> None:
    """Of all hosts at once: their processes alone see it; database and exchange keep the true time."""
    again(fleet)
    before = fleet.witness.held()
    place = fleet.ground.place.parent
    for offset_s in (1, -1, 60, -60, 3600, -3600, 0):
        step(place, offset_s)
        stepped_ms = time.time() * 1000 + 1000
        fleet.wait(partial(_all_order, fleet, stepped_ms), f"orders after a step to {offset_s} s", fleet.told)
    if fleet.witness.held() != before:
        raise Broken(f"a step of the clock changed the holders: {before}, {fleet.witness.held()}")


def _all_order(fleet: RealFleet, since_ms: float) -> bool:
    return all(
        any(order.created_ms > since_ms for order in fleet.witness.orders(account, newest=True))
        for account in fleet.accounts
    )
