"""Two accounts with one key are never traded at one time, on whichever hosts, in whichever order they are asked for."""

from __future__ import annotations

import asyncio

import psycopg

from supervisor.fleet.host_store import HostStore
from supervisor.fleet.lease_types import Acquire, HostId, LeaseTimes
from supervisor.fleet.postgres_link import PostgresLink
from supervisor.fleet.postgres_store import PostgresStore

A, B = HostId("a", "1"), HostId("b", "1")
TIMES = LeaseTimes(ttl_s=1000, recv_window_s=300)  # no test is that slow
FAR = 2**61


def test_one_key_is_traded_by_one_account_at_a_time(fleet_dsn):
    said: list[str] = []

    async def main():
        links = [PostgresLink(fleet_dsn, name=f"keys {number}", limit_s=60) for number in range(2)]
        keys = {"ann": "@key:1", "anna": "@key:1", "eve": "@key:2"}
        store = PostgresStore(*links, claim=lambda account: keys[account], refused=said.append)

        async def acquired(me, account, epoch=0):
            _, row = await store.acquire(me, TIMES, Acquire(account, epoch, FAR))
            return None if row is None else row.epoch

        assert await acquired(A, "ann") == 1
        assert await acquired(B, "anna") is None
        assert await acquired(B, "anna") is None
        assert await acquired(B, "eve") == 1, "another key"
        assert len(said) == 1, "once"
        assert "anna is not traded: its API key is that of ann, which host a trades" in said[0]
        # Given up in order: at once. And back again, the same.
        await store.release(A, "ann", 1, free=True)
        assert await acquired(B, "anna") == 1
        assert await acquired(A, "ann", 1) is None
        # Its host is dead: when its lease is over for good. It cannot renew it then.
        with psycopg.connect(fleet_dsn) as connection:
            connection.execute("UPDATE gridbot.lease SET until = until - interval '1200 seconds'")
        assert await acquired(A, "ann", 1) is None, "over, and not yet over for others"
        with psycopg.connect(fleet_dsn) as connection:
            connection.execute("UPDATE gridbot.lease SET until = until - interval '1200 seconds'")
        assert await acquired(A, "ann", 1) == 2
        assert (await store.renew(B, TIMES, {"anna": 1, "eve": 1}))[1] == {"eve"}
        view = await HostStore(links[0]).view()
        assert {each.account for each in view.leases} == {"ann", "anna", "eve"}
        # With another key it lets go of the one that it had.
        await store.release(A, "ann", 2, free=True)
        keys["ann"] = "@key:4"
        assert await acquired(A, "ann", 2) == 3
        assert await acquired(B, "anna", 1) == 2
        # All at one time: one of them.
        many = [PostgresStore(link, link, claim=lambda account: "@key:3") for link in links]
        both = await asyncio.gather(*(each.acquire(A, TIMES, Acquire(f"x{n}", 0, FAR)) for n, each in enumerate(many)))
        assert sum(row is not None for _, row in both) == 1
        for link in links:
            await link.close()

    asyncio.run(main())
