"""The store's rules, with PostgreSQL and in memory alike; and what PostgreSQL alone can do."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from supervisor.fleet import fleet_schema
from supervisor.fleet.embedded_server import EmbeddedServer, start
from supervisor.fleet.fleet_store import Document, FleetAway, FleetStore
from supervisor.fleet.host_store import HostFacts, HostStore
from supervisor.fleet.lease_types import Acquire, HostId, LeaseState, LeaseTimes
from supervisor.fleet.memory_store import MemoryStore, Tables
from supervisor.fleet.postgres_link import PostgresLink
from supervisor.fleet.postgres_store import PostgresStore
from supervisor.trials.tcp_proxy import Proxies
from tests.fleet_database import new_database

A, A2, B = HostId("a", "1"), HostId("a", "2"), HostId("b", "1")
TIMES = LeaseTimes(ttl_s=1000, recv_window_s=300)  # no test is that slow
FAR = 2**61


@dataclass
class Place:
    """A store, and a hand on its lease rows: `age` has all leases end so much earlier."""

    dsn: str
    tables: Tables = field(default_factory=lambda: Tables(lambda: 1_800_000_000_000_000))

    @asynccontextmanager
    async def store(self):
        if not self.dsn:
            yield MemoryStore(self.tables)
            return
        store = PostgresStore(
            PostgresLink(self.dsn, name="renewals", limit_s=60), PostgresLink(self.dsn, name="other", limit_s=60)
        )
        try:
            yield store
        finally:
            await store.close()

    def age(self, seconds: float) -> None:
        if not self.dsn:
            for name, row in self.tables.leases.items():
                self.tables.leases[name] = replace(row, until_us=row.until_us - round(seconds * 1e6))
            return
        with psycopg.connect(self.dsn) as connection:
            connection.execute("UPDATE gridbot.lease SET until = until - make_interval(secs => %s)", (seconds,))


@pytest.fixture(params=["memory", "postgres"])
def place(request) -> Place:
    return Place(request.getfixturevalue("fleet_dsn") if request.param == "postgres" else "")


def told(place: Place, talk: Any) -> None:
    async def main():
        async with place.store() as store:
            await talk(store)

    asyncio.run(main())


def test_a_lease_from_its_first_holder_to_its_third(place):
    async def talk(store: FleetStore) -> None:
        now, rows = await store.look({"x", "y"})
        assert (rows, now > 0) == ([], True)
        _, row = await store.acquire(A, TIMES, Acquire("x", 0, 0))
        assert row is not None
        assert (row.account, row.epoch, row.holder, row.state, row.previous) == ("x", 1, A, LeaseState.HELD, "")
        now, rows = await store.look({"x", "y"})
        assert rows == [row]
        assert 0 <= row.until_us - now <= TIMES.ttl_us
        # A second one that saw no row, one that saw it held, and another run of the same host are refused.
        for other, seen in ((B, 0), (B, 1), (A2, 1)):
            assert (await store.acquire(other, TIMES, Acquire("x", seen, FAR)))[1] is None
        # Renewed are those that are ours, with our run and our epoch.
        assert (await store.renew(A, TIMES, {"x": 1, "y": 1}))[1] == {"x"}
        for other, epoch in ((B, 1), (A2, 1), (A, 2)):
            assert (await store.renew(other, TIMES, {"x": epoch}))[1] == frozenset()
        # It ran out, and its successor waits for TTL, recv_window and a second.
        place.age(1250)
        assert (await store.acquire(B, TIMES, Acquire("x", 1, FAR)))[1] is None
        place.age(52)
        now, _ = await store.look(set())
        assert (await store.acquire(B, TIMES, Acquire("x", 1, now - 1)))[1] is None  # past the latest that B expects
        _, row = await store.acquire(B, TIMES, Acquire("x", 1, now + 600_000_000))
        assert row is not None
        assert (row.epoch, row.holder, row.previous) == (2, B, "a")
        assert (await store.renew(A, TIMES, {"x": 1}))[1] == frozenset()
        # Given up with an open request: as after its end; in order: at once, whatever the clock says.
        await store.release(A, "x", 1, free=True)
        await store.release(B, "x", 1, free=True)
        assert (await store.look({"x"}))[1][0].state is LeaseState.HELD
        await store.release(B, "x", 2, free=False)
        assert (await store.look({"x"}))[1][0].state is LeaseState.ENDED
        assert (await store.renew(B, TIMES, {"x": 2}))[1] == frozenset()
        assert (await store.acquire(A, TIMES, Acquire("x", 2, FAR)))[1] is None
        place.age(302)
        _, row = await store.acquire(A, TIMES, Acquire("x", 2, FAR))
        assert row is not None
        assert (row.epoch, row.previous) == (3, "b")
        await store.release(A, "x", 3, free=True)
        _, row = await store.acquire(B, TIMES, Acquire("x", 3, 0))
        assert row is not None
        assert (row.epoch, row.previous) == (4, "a")

    told(place, talk)


def test_a_lease_that_ran_out_and_that_nobody_took_is_renewed(place):
    async def talk(store: FleetStore) -> None:
        await store.acquire(A, TIMES, Acquire("x", 0, 0))
        place.age(1100)
        assert (await store.renew(A, TIMES, {"x": 1}))[1] == {"x"}
        assert (await store.acquire(B, TIMES, Acquire("x", 1, FAR)))[1] is None

    told(place, talk)


def test_documents_are_kept_from_the_holder_alone_and_the_newest_wins(place):
    def document(epoch: int, seq: int, body: bytes = b"{}", name: str = "holds") -> Document:
        return Document("x", name, epoch, seq, body)

    async def talk(store: FleetStore) -> None:
        assert await store.put_documents(A, [document(1, 1)]) == frozenset()
        await store.acquire(A, TIMES, Acquire("x", 0, 0))
        written = [document(1, 5, b"five"), document(1, 1, b"\x00grid", "grid")]
        assert await store.put_documents(A, written) == {("x", "holds"), ("x", "grid")}
        assert await store.documents("x") == [written[1], written[0]]
        # An older one changes nothing, and is done with all the same.
        assert await store.put_documents(A, [document(1, 4, b"four")]) == {("x", "holds")}
        assert (await store.documents("x"))[1] == written[0]
        await store.release(A, "x", 1, free=True)
        await store.acquire(B, TIMES, Acquire("x", 1, 0))
        # The former holder writes nothing any more, and counts of the new one begin anew under its epoch.
        assert await store.put_documents(A, [document(1, 9, b"nine")]) == frozenset()
        assert await store.put_documents(B, [document(1, 9, b"nine")]) == frozenset()
        assert await store.put_documents(B, [document(2, 1, b"one")]) == {("x", "holds")}
        assert [each.body for each in await store.documents("x")] == [b"\x00grid", b"one"]
        assert await store.documents("y") == []

    told(place, talk)


def test_of_many_who_ask_at_once_one_has_the_lease(fleet_dsn):
    async def one(number: int) -> bool:
        async with Place(fleet_dsn).store() as store:
            row = (await store.acquire(HostId(f"h{number}", "1"), TIMES, Acquire("x", 0, 0)))[1]
            return row is not None

    async def main() -> list[bool]:
        return await asyncio.gather(*(one(number) for number in range(8)))

    assert sum(asyncio.run(main())) == 1


def test_the_tables_are_made_once_and_are_one_fleets(postgres):
    dsn = new_database(postgres, template="template1")

    async def main() -> None:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            assert await fleet_schema.version(connection) == 0
            assert await fleet_schema.make(connection, "mine") == 0
            assert await fleet_schema.make(connection, "mine") == fleet_schema.VERSION
            with pytest.raises(FleetAway, match="expected a database of the fleet 'other', got one of 'mine'"):
                await fleet_schema.make(connection, "other")
            await connection.execute("UPDATE gridbot.fleet SET version = 99")
            with pytest.raises(FleetAway, match="got 99: install the newer program"):
                await fleet_schema.make(connection, "mine")

    asyncio.run(main())


def test_tables_of_an_earlier_version_are_brought_up_to_date_and_keep_what_they_have(postgres, monkeypatch):
    dsn = new_database(postgres, template="template1")

    async def main() -> None:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            with monkeypatch.context() as earlier:  # the first version that landed
                earlier.setattr(fleet_schema, "STEPS", fleet_schema.STEPS[:3])
                earlier.setattr(fleet_schema, "VERSION", 3)
                await fleet_schema.make(connection, "mine")
            await connection.execute(
                "INSERT INTO gridbot.lease (account, epoch, host, instance, state, until)"
                " VALUES ('ann', 7, 'h1', '1', 'free', now())"
            )
            assert await fleet_schema.make(connection, "mine") == 3
            assert await fleet_schema.version(connection) == fleet_schema.VERSION > 3
            found = await (await connection.execute("SELECT account, epoch FROM gridbot.lease")).fetchall()
            assert found == [("ann", 7)]
            assert await (await connection.execute("SELECT count(*) FROM gridbot.cap_use")).fetchone() == (0,)

    asyncio.run(main())


def test_a_database_that_dies_or_is_not_there_is_away_and_what_was_granted_stays():
    """A server of its own, as it is killed. The texts name the server and no secret."""
    directory = Path(tempfile.mkdtemp(prefix="gridbot-test-postgres-"))
    server = start(directory)
    try:
        asyncio.run(_dies(server))
    finally:
        server.stop(at_once=True)
        shutil.rmtree(directory)
    assert server.pid is None


async def _dies(server: EmbeddedServer) -> None:
    async with await psycopg.AsyncConnection.connect(server.dsn(), autocommit=True) as connection:
        await fleet_schema.make(connection, "mine")
    async with Place(server.dsn()).store() as store:
        assert (await store.acquire(A, TIMES, Acquire("x", 0, 0)))[1] is not None
        server.stop(at_once=True)
        for _ in range(2):
            with pytest.raises(FleetAway) as away:
                await store.renew(A, TIMES, {"x": 1})
            assert f"127.0.0.1:{server.port}" in str(away.value)
            assert server.password not in str(away.value)
        server.run()
        assert (await store.renew(A, TIMES, {"x": 1}))[1] == {"x"}


def test_what_a_host_offers_is_read_again_when_it_has_changed(fleet_dsn):
    async def main() -> None:
        link = PostgresLink(fleet_dsn, name="t", limit_s=60)
        store = HostStore(link)
        for host in (A, B):
            assert await store.register(host, 60, 9, "", "1") is None

        async def offered(name: str, *names: str) -> set[frozenset[str]]:
            await store.beat(A if name == A.name else B, 60, HostFacts(offers=frozenset(names)))
            seen = [
                {row.name: row.offers for row in (await each.view()).hosts}[name]
                for each in (store, store, HostStore(link))
            ]
            return set(seen)

        assert await offered(A.name, "x", "y") == {frozenset("xy")}
        assert await offered(B.name, "x", "y") == {frozenset("xy")}
        assert await offered(A.name, "y") == {frozenset("y")}
        assert await offered(A.name) == {frozenset()}

        async def older(connection: Any) -> None:
            """A program that knows nothing of the mark."""
            await connection.execute(
                "UPDATE gridbot.host SET offers = '{z}', offers_mark = '' WHERE name = %s", (A.name,)
            )

        await link.run(older)
        assert {row.name: row.offers for row in (await store.view()).hosts}[A.name] == frozenset("z")
        await link.close()

    asyncio.run(main())


def test_an_answer_that_does_not_come_is_away_in_time_and_the_next_question_has_its_own(fleet_dsn):
    async def main() -> None:
        link = PostgresLink(fleet_dsn, name="t", limit_s=60)
        server = link.server

        async def sleep(connection: Any) -> None:
            await connection.execute("SELECT pg_sleep(60)")

        async def one(connection: Any) -> int:
            return int((await (await connection.execute("SELECT 1")).fetchone())[0])

        assert await link.run(one) == 1
        with pytest.raises(FleetAway, match=r"expected an answer of 127.0.0.1:.* within 0.1 s, got none"):
            await link.run(sleep, limit_s=0.1)
        assert await link.run(one) == 1
        assert "gridbot:" not in server
        await link.close()

    asyncio.run(main())


def test_a_connection_string_that_is_none_is_not_repeated():
    with pytest.raises(FleetAway) as away:
        PostgresLink("password=geheim nonsense", name="t")
    assert "geheim" not in str(away.value)


def test_a_link_follows_another_dsn_and_a_question_under_way_is_answered_where_it_was_asked(postgres):
    """`reload` after another `fleet.dsn_file`: no connection stays with the database of before."""
    asyncio.run(_follows(postgres))


async def _follows(postgres):
    first, second = new_database(postgres), new_database(postgres)
    link = PostgresLink(first, name="test", limit_s=60)
    begun = asyncio.Event()

    async def where(connection):
        return (await (await connection.execute("SELECT current_database()")).fetchone())[0]

    async def slowly(connection):
        begun.set()
        await connection.execute("SELECT pg_sleep(0.2)")
        return await where(connection)

    try:
        slow = asyncio.create_task(link.run(slowly))
        await begun.wait()
        assert link.goes_to(PostgresLink(first, name="other", limit_s=1))
        assert not link.goes_to(other := PostgresLink(second, name="other", limit_s=1))
        link.follow(second)
        assert link.goes_to(other)
        assert second.endswith(f"/{await link.run(where)}")
        assert first.endswith(f"/{await slow}")
        assert second.endswith(f"/{await link.run(where)}")
        kept = link._connection
        link.follow(second)
        assert link._connection is kept, "the same place: nothing is opened anew"
        with pytest.raises(FleetAway, match="libpq URI"):
            link.follow("nonsense")
    finally:
        await link.close()


def test_a_connection_that_takes_longer_to_open_than_a_question_waits_is_opened_all_the_same(fleet_dsn):
    """A far database, or one that has just begun and is asked by every host at once."""
    place = psycopg.conninfo.conninfo_to_dict(fleet_dsn)

    async def main():
        refused = 0
        with Proxies() as proxies:
            proxy = proxies.to(str(place["host"]), int(str(place["port"])))
            proxy.delay(0.1)  # opening takes four ways there and back, a question one
            dsn = psycopg.conninfo.make_conninfo(fleet_dsn, host="127.0.0.1", port=proxy.port)
            link = PostgresLink(dsn, name="far", limit_s=0.6)
            while True:
                try:
                    await link.run(lambda connection: connection.execute("SELECT 1"))
                    break
                except FleetAway:
                    refused += 1
            await link.close()
        return refused

    assert asyncio.run(asyncio.wait_for(main(), 120)) > 0


def test_a_database_without_a_connection_left_says_what_to_do(fleet_dsn):
    role = f"few_{os.getpid()}"
    with psycopg.connect(fleet_dsn, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'few-words' CONNECTION LIMIT 0".encode())
        try:
            link = PostgresLink(make_conninfo(fleet_dsn, user=role, password="few-words"), name="few", limit_s=60)
            with pytest.raises(FleetAway, match=r"too many connections .*; raise max_connections") as failed:
                asyncio.run(link.run(lambda connection: connection.execute("SELECT 1")))
            assert "few-words" not in str(failed.value)
        finally:
            connection.execute(f"DROP ROLE {role}".encode())
