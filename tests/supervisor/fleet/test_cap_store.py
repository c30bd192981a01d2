"""The caps over hosts in PostgreSQL: the same rows as the rules of `fleet_scope` make in memory."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import psycopg

from gridbot.core.limits import OnBreach
from gridbot.risk.fleet_share import CapHold
from supervisor.caps.cap_scope import Figures
from supervisor.caps.fleet_scope import Told, UseRow
from supervisor.fleet.cap_store import CapStore
from supervisor.fleet.lease_types import Acquire, HostId, LeaseTimes
from supervisor.fleet.postgres_link import PostgresLink
from supervisor.fleet.postgres_store import PostgresStore
from tests.supervisor.caps.cap_world import SCOPE, CapTables, config_of

D = Decimal
A, A2, B = HostId("a", "1"), HostId("a", "2"), HostId("b", "1")
CAPS, NAMES = config_of(("ann", "ben"), max_notional="1000", max_drawdown="10%").cap_scopes()[SCOPE]


def told(account: str, epoch: int, seq: int, used: int, *, short: int = 0, kept: int | None = None, number: int = 0,
         equity: int | None = None, hold: CapHold | None = None, lifts: int = 0) -> Told:  # fmt: skip
    figures = None if equity is None else Figures(D(equity), D(equity), D(1000), D(0), "0")
    kept = used if kept is None else kept
    return Told(SCOPE, account, epoch, seq, D(used), D(short), D(kept), number, figures, hold, lifts)


class Both:
    """Each step in PostgreSQL and by the rules in memory; what comes of it is compared."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.tables = CapTables()
        self.store = CapStore(PostgresLink(dsn, name="caps", limit_s=60))
        self.leases = PostgresStore(
            PostgresLink(dsn, name="renewals", limit_s=60), PostgresLink(dsn, name="other", limit_s=60)
        )

    async def has(self, host: HostId, account: str) -> None:
        """The lease goes to that host."""
        _, _, epoch = self.tables.leases.get(account, ("", "", 0))
        if epoch:
            former = HostId(*self.tables.leases[account][:2])
            await self.leases.release(former, account, epoch, free=True)
        _, row = await self.leases.acquire(host, LeaseTimes(), Acquire(account, epoch, 0))
        assert row is not None
        self.tables.leases[account] = (host.name, host.instance, row.epoch)

    async def tell(self, host: HostId, *told: Told) -> None:
        await self.store.tell(host, told)
        self.tables.tell(host.name, host.instance, told)
        await self.same()

    async def look(self) -> None:
        done = await self.store.look(SCOPE, CAPS, NAMES, 1, urgent=True)
        expected = self.tables.look(SCOPE, CAPS, NAMES)
        assert done is not None
        assert (done.granted, set(done.held), done.shown) == (expected.granted, set(expected.held), expected.shown)
        await self.same()

    async def same(self) -> None:
        for host in (A, A2, B):
            found = []
            for seq in sorted({row.told.seq for row in self.tables.rows.values()}):
                rows, _ = await self.store.read(host, NAMES, seq, [], {})
                found += [replace(row, age_s=0.0) for row in rows]
            expected = [
                row for row in self.tables.rows.values() if (row.host, row.instance) == (host.name, host.instance)
            ]

            def key(row: UseRow) -> str:
                return row.told.account

            assert sorted(found, key=key) == sorted(expected, key=key)


def test_postgres_keeps_the_rows_by_the_same_rules(fleet_dsn: str) -> None:
    async def main() -> None:
        both = Both(fleet_dsn)
        await both.has(A, "ann")
        await both.has(B, "ben")
        await both.tell(A, told("ann", 1, 1, 0, short=600, equity=1000), told("ben", 1, 1, 9))
        assert len(both.tables.rows) == 1, "ben is another host's"
        await both.tell(A2, told("ann", 1, 2, 5))
        await both.look()  # an even part of 500 stays for ben, of whom nobody has said anything
        assert both.tables.rows[SCOPE, "ann"].share == 500
        await both.tell(B, told("ben", 1, 1, 0, equity=1000))
        await both.look()
        grown = both.tables.rows[SCOPE, "ann"]
        assert (grown.share, grown.number) == (D(630), 2), "what it wants, and a little ahead"
        await both.tell(B, told("ben", 1, 2, 0, short=700))
        await both.tell(A, told("ann", 1, 2, 100, kept=0, number=0))  # it has not heard of it: nothing shrinks
        assert both.tables.rows[SCOPE, "ann"].reserved == grown.reserved
        await both.tell(A, told("ann", 1, 1, 999))  # older
        await both.look()
        asked = both.tables.rows[SCOPE, "ann"]
        assert asked.share < asked.reserved
        await both.tell(A, told("ann", 1, 3, 100, kept=int(asked.share), number=asked.number))
        await both.look()
        await both.has(B, "ann")
        await both.tell(A, told("ann", 1, 9, 1, number=asked.number))  # not ours any more
        await both.tell(B, told("ann", 2, 1, 100, equity=None))
        assert both.tables.rows[SCOPE, "ann"].told.figures is not None, "what is not known again counts as before"
        hold = CapHold("x", 5, OnBreach.CANCEL)
        await both.tell(B, told("ann", 2, 2, 100, hold=hold, lifts=3), told("ben", 1, 3, 0, equity=100))
        await both.look()
        await both.tell(B, told("ann", 2, 3, 100, lifts=0))  # a count of lifts never goes back
        assert both.tables.rows[SCOPE, "ann"].told.lifts == 3
        assert set(both.tables.seen[SCOPE].held) == {"ann", "ben"}
        await both.tell(B, told("ben", 1, 4, 0, equity=100, lifts=1))
        await both.look()
        _, [seen] = await both.store.read(A, (), 0, [SCOPE], {})
        assert (set(seen.held), seen.holds) == ({"ann"}, 2)
        _, [again] = await both.store.read(A, (), 0, [SCOPE], {SCOPE: replace(seen, held={"kept": hold})})
        assert again.held == {"kept": hold}, "what has not changed is not read again"
        await both.store.close()
        await both.leases.close()

    asyncio.run(main())


def test_one_looks_at_a_time_when_it_is_due_and_by_the_newest_configuration(fleet_dsn: str) -> None:
    async def main() -> None:
        store = CapStore(PostgresLink(fleet_dsn, name="caps", limit_s=60))
        assert await store.look(SCOPE, CAPS, NAMES, 3, urgent=False) is not None, "nobody has yet"
        assert await store.look(SCOPE, CAPS, NAMES, 2, urgent=True) is None, "an older configuration"
        async with await psycopg.AsyncConnection.connect(fleet_dsn) as other:
            await other.execute("UPDATE gridbot.cap_scope SET at = clock_timestamp() + interval '1 hour'")
            assert await store.look(SCOPE, CAPS, NAMES, 4, urgent=True) is None, "somebody is at it, nobody waits"
            await other.commit()
        assert await store.look(SCOPE, CAPS, NAMES, 4, urgent=False) is None, "not due"
        assert await store.look(SCOPE, CAPS, NAMES, 4, urgent=True) is not None
        async with await psycopg.AsyncConnection.connect(fleet_dsn) as other:
            await other.execute("UPDATE gridbot.cap_scope SET body = '{\"accounts\": 5}'")
            await other.commit()
        done = await store.look(SCOPE, CAPS, NAMES, 4, urgent=True)
        assert done is not None
        assert "cannot be read" in done.held["ann"].reason
        await store.close()

    asyncio.run(main())
