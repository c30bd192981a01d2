"""Trouble with the database: a restart, an outage, a failover to a synchronous standby, a lost answer."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Final

import psycopg

from supervisor.trials.fault_case import case
from supervisor.trials.host_faults import HOST, again, takeover
from supervisor.trials.real_fleet import Broken, RealFleet
from supervisor.trials.standby_server import Standby

__all__: list[str] = []

ACQUIRE: Final = b"epoch = epoch + 1"
"""What only the statement has that takes a lease over."""


@case("the database's processes are killed, and it starts again after a second")
def restart_database(fleet: RealFleet) -> None:
    again(fleet)
    before = fleet.witness.held()
    fleet.server.stop(at_once=True)
    time.sleep(1)
    fleet.server.run()
    fleet.wait(lambda: fleet.witness.held() == before, "the same hosts with the same leases")


@case("the database is away until every lease has ended")
def long_outage(fleet: RealFleet) -> None:
    _until_leases_end(fleet, lambda: fleet.server.stop(at_once=True), fleet.server.run)


@case("somebody has the table of leases locked until every lease has ended")
def locked_table(fleet: RealFleet) -> None:
    connection = psycopg.connect(fleet.witness.dsn)

    def lock() -> None:
        connection.execute("LOCK TABLE gridbot.lease IN ACCESS EXCLUSIVE MODE")

    _until_leases_end(fleet, lock, connection.close)


@case("the database takes no writes, as with a full disk, until every lease has ended")
def read_only_database(fleet: RealFleet) -> None:
    _until_leases_end(fleet, lambda: _takes_writes(fleet, "on"), lambda: _takes_writes(fleet, "off"))


def _takes_writes(fleet: RealFleet, read_only: str) -> None:
    with psycopg.connect(fleet.witness.dsn, autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {read_only}".encode())
        connection.execute("SELECT pg_reload_conf()")


@case("the database has no connection left for any host until every lease has ended")
def no_connections(fleet: RealFleet) -> None:
    with contextlib.ExitStack() as others:
        _until_leases_end(fleet, lambda: _fill(fleet, others), others.close)


def _fill(fleet: RealFleet, others: contextlib.ExitStack) -> None:
    """Take all that there are, while no host can have one."""
    for host in fleet.hosts.values():
        host.database.cut()
    for _ in range(3):  # a connection that was cut is given back a moment later
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                others.enter_context(psycopg.connect(fleet.witness.dsn))
        time.sleep(1)
    for host in fleet.hosts.values():
        host.database.mend()


@case("every statement of a host takes 3 s: others have its account, and it has what it gets when that is over")
def slow_database(fleet: RealFleet) -> None:
    again(fleet)
    before, began_ms = fleet.witness.held(), time.time() * 1000
    host = fleet.hosts[HOST]
    host.database.delay(1.5)
    takeover(fleet, began_ms, before)
    host.database.mend()
    fleet.whole()
    again(fleet)


def _until_leases_end(fleet: RealFleet, begin: Callable[[], object], end: Callable[[], object]) -> None:
    """Nothing is sent meanwhile; all comes back by itself, each account where it was."""
    again(fleet)
    before = fleet.witness.held()
    begin()
    time.sleep(fleet.ttl_s)
    silent_ms = time.time() * 1000
    time.sleep(4)
    late = [
        f"{account}: {order.link_id}"
        for account in fleet.accounts
        for order in fleet.witness.orders(account, newest=True)
        if order.created_ms > silent_ms
    ]
    if late:
        raise Broken(f"orders without a lease: {late}")
    end()
    fleet.wait(fleet.all_trade, "every account to trade", fleet.told)
    if fleet.at() != {account: host for account, (host, _) in before.items()}:
        raise Broken(f"accounts changed hosts for an outage of all: {before}, {fleet.witness.held()}")


@case("the primary is killed while it is written to, and its synchronous standby is promoted")
def failover(fleet: RealFleet) -> None:
    again(fleet)
    before = fleet.witness.held()
    standby = Standby(fleet.server)
    fleet.server_to_end(standby)
    fleet.wait(standby.is_synchronous, "the standby to be synchronous")
    fleet.stays(lambda: fleet.witness.held() == before, 3, "who has the leases")
    fleet.server.stop(at_once=True)
    standby.promote()
    fleet.moved_to(standby.server)
    fleet.wait(fleet.all_trade, "every account to trade")
    held = fleet.witness.held()
    if forgotten := {name: each for name, each in before.items() if held[name][1] < each[1]}:
        raise Broken(f"epochs were forgotten: {forgotten}, {held}")


@case("the answer to the statement that takes a lease is lost")
def lost_acquire(fleet: RealFleet) -> None:
    """The host finds its own name in the row, and goes on with that epoch: no second one is granted for it."""
    again(fleet)
    before = fleet.witness.held()
    [mine] = fleet.accounts_of(HOST)
    target = next(name for name in fleet.hosts if name != HOST)
    proxy = fleet.hosts[target].database
    known = proxy.lost_answers
    proxy.lose_answer_to(ACQUIRE)
    fleet.move(mine, target)
    fleet.wait(lambda: proxy.lost_answers > known, "the answer to be lost")
    fleet.wait(lambda: fleet.trades_newly(before, [mine]), f"{mine} to trade on {target}")
    if fleet.witness.held()[mine] != (target, before[mine][1] + 1):
        raise Broken(f"expected one more epoch, on {target}: {before[mine]}, {fleet.witness.held()[mine]}")
