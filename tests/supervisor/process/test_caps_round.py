"""The round of caps over hosts: rows in PostgreSQL, real keepers, and what another program has written there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal

import psycopg

from gridbot.config.host_config import FleetSettings
from gridbot.config.models import GridbotConfig
from supervisor.fleet.cap_store import CapStore
from supervisor.fleet.lease_types import Acquire, HostId, LeaseTimes
from supervisor.fleet.postgres_link import PostgresLink
from supervisor.fleet.postgres_store import PostgresStore
from supervisor.process.caps_round import CapsRound
from tests.supervisor.caps.cap_world import SCOPE, CapHost, CapTables

D = Decimal
NAMES = ("ann", "ben")
CAPS = {"max_notional": "1000", "max_drawdown": "30%"}
CONFIG = GridbotConfig.model_validate(
    {
        "environment": "paper",
        "accounts": [{"name": name, "groups": ["night"]} for name in NAMES],
        "fleet": {"caps": CAPS, "groups": {"night": {"caps": {"max_drawdown": "40%"}}}},
    }
)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.02)


class Hosts:
    """Two hosts with an account each and their rounds; `faults` are what those could not do."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.version = 1
        self.config = CONFIG
        self.faults: list[str] = []
        self.hosts = {name: CapHost(name, "1", CapTables(), CONFIG) for name in ("a", "b")}
        self.rounds: dict[str, CapsRound] = {}

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        store = PostgresStore(*(PostgresLink(self.dsn, name=name, limit_s=60) for name in ("renewals", "other")))
        try:
            for (name, host), account in zip(self.hosts.items(), NAMES, strict=True):
                me = HostId(name, "1")
                await store.acquire(me, LeaseTimes(), Acquire(account, 0, 0))
                host.take_over(account)
                host.says(account, D(0), D(400))
                caps = CapStore(PostgresLink(self.dsn, name=f"{name} caps", limit_s=60))
                self.rounds[name] = CapsRound(
                    me,
                    caps,
                    host.keeper,
                    lambda: FleetSettings(self.version, self.config),
                    host.epochs.get,
                    lambda part, error: self.faults.append(f"{part}: {error}"),
                )
                self.rounds[name].start()
            yield
        finally:
            for each in self.rounds.values():
                await each.end()
            await store.close()

    def share(self, host: str, account: str) -> Decimal:
        """After its worker has read all that was said to it, and answered."""
        self.hosts[host].read(account, D(0))
        self.hosts[host].says(account, D(0), max(D(0), D(400) - self.hosts[host].share(account)))
        return self.hosts[host].share(account)

    def held(self, host: str, account: str) -> set[str]:
        """By which caps its worker is held."""
        self.hosts[host].read(account, D(0))
        return set(self.hosts[host].workers[account].held)

    def run(self, statement: str, *values: object) -> None:
        with psycopg.connect(self.dsn) as connection:
            connection.execute(statement.encode(), values)


def test_shares_are_dealt_over_hosts_and_what_cannot_be_read_ends_no_cap(fleet_dsn: str) -> None:
    it = Hosts(fleet_dsn)

    async def main() -> None:
        async with it.at_work():
            await until(lambda: it.share("a", "ann") >= 400 and it.share("b", "ben") >= 400)
            # A row of a newer program, with one figure more; amounts that are none; a hold without a reason.
            newer = json.dumps(["1", "2", "3", "4", "0", "more"])
            bad = (
                "UPDATE gridbot.cap_use SET figures = %s, hold = '{}', used = 'NaN', short = -5, reserved = 'Infinity'"
            )
            it.run(bad + ", seq = 2 ^ 40, epoch = 9 WHERE account = 'ben' AND scope = %s", newer, SCOPE)
            # What ann has lost holds all accounts of the fleet, though ben's row says nothing any more.
            it.hosts["a"].says("ann", D(0), equity=100)
            it.rounds["a"].announced()
            await until(lambda: SCOPE in it.held("a", "ann") and SCOPE in it.held("b", "ben"))
            assert it.faults == []

    asyncio.run(main())
