"""What each role of a fleet may do, as users who have that role and nothing else."""

from __future__ import annotations

import asyncio

import psycopg
from psycopg import conninfo

from supervisor.fleet.command_store import CommandStore
from supervisor.fleet.fleet_store import FleetAway
from supervisor.fleet.host_forgetting import forget
from supervisor.fleet.host_store import HostFacts, HostStore
from supervisor.fleet.lease_types import Acquire, HostId, LeaseTimes
from supervisor.fleet.postgres_link import PostgresLink
from supervisor.fleet.postgres_store import PostgresStore

ME = HostId("h1", "run")
READS = frozenset({"view", "versions", "outcome"})
GIVES = READS | {"push", "force", "drain", "wish", "command", "forget"}
TRADES = GIVES | {"register", "beat", "take", "answer", "acquire", "renew"}


def test_each_role_may_do_what_it_is_for_and_no_more(fleet_dsn):
    async def may(user: str) -> frozenset[str]:
        dsn = conninfo.make_conninfo(fleet_dsn, user=user, password="of-tests")
        link = PostgresLink(dsn, name="roles", limit_s=60)
        hosts, commands, leases = HostStore(link), CommandStore(link), PostgresStore(link, link)
        times = LeaseTimes(ttl_s=1000)
        works = {
            "view": hosts.view, "versions": hosts.versions, "outcome": lambda: commands.look(1),
            "push": lambda: hosts.push("accounts: []", user, ""),
            "force": lambda: hosts.force(1, user, leave_positions=False),
            "drain": lambda: hosts.drain("h1", on=False), "wish": lambda: hosts.wish({"a": "h1"}, user),
            "command": lambda: commands.give("a", {}, user, "h1", 60.0),
            "register": lambda: hosts.register(ME, 1000, 1, "", ""), "beat": lambda: hosts.beat(ME, 1000, HostFacts()),
            "take": lambda: commands.take(ME, ["a"]), "answer": lambda: commands.answered(1, {}),
            "acquire": lambda: leases.acquire(ME, times, Acquire("a", 0, 2**61)),
            "renew": lambda: leases.renew(ME, times, {"a": 1}), "forget": lambda: forget(link, user, (), anyway=True),
        }  # fmt: skip
        able, refused = set(), []
        for name, work in works.items():
            try:
                await work()
            except FleetAway as why:
                refused.append(str(why))
            else:
                able.add(name)
        await link.close()
        assert [why for why in refused if "permission denied" not in why] == []
        return frozenset(able)

    with psycopg.connect(fleet_dsn, autocommit=True) as connection:
        [(database,)] = connection.execute("SELECT current_database()").fetchall()
        users = {role: f"{role}_of_{database}" for role in ("gridbot_host", "gridbot_operator", "gridbot_reader")}
        for role, user in users.items():
            connection.execute(f"CREATE USER {user} PASSWORD 'of-tests' IN ROLE {role}".encode())
            connection.execute("INSERT INTO gridbot.host (name, instance, until) VALUES (%s, 'x', now())", (user,))
    try:
        assert asyncio.run(may(users["gridbot_host"])) == TRADES
        assert asyncio.run(may(users["gridbot_operator"])) == GIVES
        assert asyncio.run(may(users["gridbot_reader"])) == READS
        with psycopg.connect(fleet_dsn) as connection:
            left = {name for (name,) in connection.execute("SELECT name FROM gridbot.host").fetchall()}
        assert left == {"h1", users["gridbot_reader"]}, "the two others were forgotten"
    finally:
        with psycopg.connect(fleet_dsn, autocommit=True) as connection:
            for user in users.values():
                connection.execute(f"DROP USER {user}".encode())
