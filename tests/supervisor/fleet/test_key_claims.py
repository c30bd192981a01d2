"""Two accounts with one key are never traded at one time, on whichever hosts, in whichever order they are asked for:
with PostgreSQL and in memory alike, which is what the lease machine and the simulator are tried with."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import psycopg
import pytest

from gridbot.config.models import GridbotConfig
from supervisor.fleet.fleet_store import FleetStore
from supervisor.fleet.host_store import HostStore
from supervisor.fleet.key_claims import MARK, AskedKeys
from supervisor.fleet.lease_types import Acquire, HostId, LeaseTimes
from supervisor.fleet.memory_store import MemoryStore, Tables
from supervisor.fleet.postgres_link import PostgresLink
from supervisor.fleet.postgres_store import PostgresStore

A, B = HostId("a", "1"), HostId("b", "1")
TIMES = LeaseTimes(ttl_s=1000, recv_window_s=300)  # no test is that slow
FAR = 2**61


@pytest.mark.parametrize("in_memory", [True, False], ids=["memory", "postgres"])
def test_one_key_is_traded_by_one_account_at_a_time(request, in_memory):
    said: list[str] = []
    fleet_dsn = "" if in_memory else request.getfixturevalue("fleet_dsn")
    tables = Tables(lambda: 1_800_000_000_000_000)

    def age(seconds):
        if in_memory:
            aged = {name: replace(row, until_us=row.until_us - seconds * 10**6) for name, row in tables.leases.items()}
            tables.leases.update(aged)
            return
        with psycopg.connect(fleet_dsn) as connection:
            connection.execute("UPDATE gridbot.lease SET until = until - make_interval(secs => %s)", (seconds,))

    async def main():
        keys = {"ann": "@key:1", "anna": "@key:1", "eve": "@key:2"}
        links = [] if in_memory else [PostgresLink(fleet_dsn, name=f"keys {n}", limit_s=60) for n in range(2)]
        store: FleetStore = MemoryStore(tables, claim=lambda account: keys[account])
        if links:
            store = PostgresStore(*links, claim=lambda account: keys[account], refused=said.append)

        async def acquired(me, account, epoch=0):
            _, row = await store.acquire(me, TIMES, Acquire(account, epoch, FAR))
            return None if row is None else row.epoch

        assert await acquired(A, "ann") == 1
        assert await acquired(B, "anna") is None
        assert await acquired(B, "anna") is None
        assert await acquired(B, "eve") == 1, "another key"
        assert len(said) == len(links[:1]), "once"
        assert not said or "anna is not traded: its API key is that of ann, which host a trades" in said[0]
        # Given up in order: at once. And back again, the same.
        await store.release(A, "ann", 1, free=True)
        assert await acquired(B, "anna") == 1
        assert await acquired(A, "ann", 1) is None
        # Its host is dead: when its lease is over for good. It cannot renew it then.
        age(1200)
        assert await acquired(A, "ann", 1) is None, "over, and not yet over for others"
        age(1200)
        assert await acquired(A, "ann", 1) == 2
        assert (await store.renew(B, TIMES, {"anna": 1, "eve": 1}))[1] == {"eve"}
        if links:
            view = await HostStore(links[0]).view()
            assert {each.account for each in view.leases} == {"ann", "anna", "eve"}
        # With another key it lets go of the one that it had.
        await store.release(A, "ann", 2, free=True)
        keys["ann"] = "@key:4"
        assert await acquired(A, "ann", 2) == 3
        assert await acquired(B, "anna", 1) == 2
        # Two that exchange their keys: neither before the other one was let go.
        await store.release(A, "ann", 3, free=True)
        keys.update(ann="@key:2", eve="@key:4")
        assert await acquired(A, "ann", 3) is None
        await store.release(B, "eve", 1, free=True)
        assert await acquired(A, "eve", 1) == 2
        assert await acquired(B, "ann", 3) == 4
        if not links:
            return
        # All at one time: one of them.
        many = [PostgresStore(link, link, claim=lambda account: "@key:3") for link in links]
        both = await asyncio.gather(*(each.acquire(A, TIMES, Acquire(f"x{n}", 0, FAR)) for n, each in enumerate(many)))
        assert sum(row is not None for _, row in both) == 1
        for link in links:
            await link.close()

    asyncio.run(main())


def test_an_account_whose_key_was_exchanged_is_asked_for_anew():
    def config(**keys: str) -> GridbotConfig:
        accounts = [{"name": each, "api_key": key, "api_secret": "s" * 20} for each, key in keys.items()]
        strategies = [{"strat_id": each, "account": each, "symbol": "BTCUSDT", "amount": "q1"} for each in keys]
        return GridbotConfig.model_validate({"environment": "testnet", "accounts": accounts, "strategies": strategies})

    asked, before, after = AskedKeys(), config(ann="key-1", bob="key-2"), config(ann="key-2", bob="key-1")
    first = asked.claim(before, "ann")
    assert first.startswith(MARK)
    assert "key-1" not in first
    assert not asked.is_another(before, "ann")
    assert asked.is_another(after, "ann")
    assert not asked.is_another(after, "bob"), "it was not asked for"
    assert not asked.is_another(config(bob="key-1"), "ann"), "a reload ends it"
    assert asked.claim(after, "ann") != first
    assert not asked.is_another(after, "ann")
