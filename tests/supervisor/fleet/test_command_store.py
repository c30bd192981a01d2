"""Commands as rows: only the holder of an account's lease takes one, once, in time."""

from __future__ import annotations

import asyncio

import psycopg

from supervisor.fleet.command_store import CommandStore
from supervisor.fleet.lease_types import Acquire, HostId, LeaseTimes
from supervisor.fleet.postgres_link import PostgresLink
from supervisor.fleet.postgres_store import PostgresStore

A, A2, B = HostId("a", "1"), HostId("a", "2"), HostId("b", "1")


def test_a_host_that_stood_still_takes_no_command_of_an_account_that_it_has_lost(fleet_dsn: str) -> None:
    link = PostgresLink(fleet_dsn, name="commands", limit_s=60)
    store = CommandStore(link)
    leases = PostgresStore(PostgresLink(fleet_dsn, name="renewals", limit_s=60), link)

    async def taken(me: HostId, *accounts: str) -> list[tuple[str, str]]:
        return [(each.account, each.request["op"]) for each in await store.take(me, accounts)]

    def lease(change: str) -> None:
        with psycopg.connect(fleet_dsn) as connection:
            connection.execute(f"UPDATE gridbot.lease SET {change}".encode())

    async def main() -> None:
        await leases.acquire(A, LeaseTimes(ttl_s=1000), Acquire("x", 0, 0))
        await store.give("x", {"op": "pause"}, "sam", "c", 600)
        await store.give("x", {"op": "late"}, "sam", "c", 0)
        await store.give(A.addressee, {"op": "all"}, "sam", "c", 600)
        assert await taken(A2, "x") == await taken(B, "x") == [], "another run, another host"
        lease("until = until - interval '1 day'")
        assert await taken(A, "x") == [], "it may be another's at any moment"
        lease("until = until + interval '1 day', state = 'free'")
        assert await taken(A, "x") == []
        lease("state = 'held'")
        assert await taken(A, "x", A.addressee) == [("x", "pause"), (A.addressee, "all")]
        assert await taken(A, "x", A.addressee) == []
        await leases.close()

    asyncio.run(main())
