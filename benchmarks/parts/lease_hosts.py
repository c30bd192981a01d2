"""Many hosts of a fleet in one process, their leases alone: the real keepers on a real PostgreSQL, without workers.

A child of `bin/bench fleet-scale`, spoken to by lines of JSON. The first has the connection string, which is in no
argument; each other has one command, and each is answered with one line:

    want    the accounts that each named host is to have
    kill    that host renews nothing any more and closes nothing, as if its machine had died
    figures what was measured since the last time

Times are of CLOCK_MONOTONIC, which all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from supervisor.fleet.lease_keeper import LeaseKeeper, News
from supervisor.fleet.lease_types import Extended, Gained, HostId, Lapsed, LeaseTimes, Leave, Lost
from supervisor.fleet.postgres_link import PostgresLink
from supervisor.fleet.postgres_store import PostgresStore

__all__ = ["Hosts"]

LIMIT_S: Final = 2.0


class _TimedStore(PostgresStore):
    """Notes how long each renewal took, from the call to the answer, in milliseconds."""

    def __init__(self, renewals: PostgresLink, other: PostgresLink, renewals_ms: list[float]) -> None:
        super().__init__(renewals, other)
        self._renewals_ms = renewals_ms

    async def renew(self, me: HostId, times: LeaseTimes, held: Mapping[str, int]) -> tuple[int, frozenset[str]]:
        began = time.monotonic()
        answer = await super().renew(me, times, held)
        self._renewals_ms.append((time.monotonic() - began) * 1000)
        return answer


class Hosts:
    """The hosts of this process."""

    def __init__(self, dsn: str, times: LeaseTimes) -> None:
        self._dsn = dsn
        self._times = times
        self._keepers: dict[str, LeaseKeeper] = {}
        self._stores: dict[str, PostgresStore] = {}
        self._renewals_ms: list[float] = []
        self._gained: dict[str, float] = {}
        """By account when it was gained last."""
        self._lapsed = 0
        self._extended: dict[str, float] = {}

    def want(self, accounts: Mapping[str, list[str]]) -> None:
        """Hosts that are not here yet begin."""
        for host, names in accounts.items():
            if host not in self._keepers:
                self._begin(host)
            self._keepers[host].want(frozenset(names))

    def _begin(self, host: str) -> None:
        renewals, other = (
            PostgresLink(self._dsn, name=f"{host} {what}", limit_s=LIMIT_S) for what in ("leases", "other")
        )
        self._stores[host] = store = _TimedStore(renewals, other, self._renewals_ms)
        me = HostId(host, f"{host}-{time.monotonic_ns()}")
        self._keepers[host] = keeper = LeaseKeeper(store, me, self._times, lambda news: self._hear(host, news))
        keeper.start()

    async def kill(self, host: str) -> None:
        """Its connections are cut; what it held is its own until the leases end."""
        await self._keepers.pop(host).end()
        await self._stores.pop(host).close()

    def _hear(self, host: str, news: News) -> None:
        now = time.monotonic()
        match news:
            case Gained(account):
                self._gained[account] = now
            case Extended(account):
                self._extended[account] = now
            case Lapsed():
                self._lapsed += 1
            case Leave(account) | Lost(account):
                asyncio.get_running_loop().call_soon(self._quiet, host, account)

    def _quiet(self, host: str, account: str) -> None:
        if host in self._keepers:
            self._keepers[host].quiet(account, answered=True)

    def figures(self) -> dict[str, Any]:
        """Since the last time: renewals in ms, leases that ended without one; by account when it was gained, renewed
        last, both in seconds."""
        found = {
            "renewals_ms": list(self._renewals_ms),
            "lapsed": self._lapsed,
            "gained": dict(self._gained),
            "renewed": dict(self._extended),
            "cpu_s": time.process_time(),
        }
        self._renewals_ms.clear()
        self._lapsed = 0
        return found

    async def end(self) -> None:
        for host in list(self._keepers):
            await self.kill(host)


async def main() -> None:
    loop = asyncio.get_running_loop()
    first = json.loads(sys.stdin.readline())
    hosts = Hosts(first["dsn"], LeaseTimes(**first["times"]))
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command = json.loads(line)
        answer: dict[str, Any] = {}
        match command["do"]:
            case "want":
                hosts.want(command["accounts"])
            case "kill":
                await hosts.kill(command["host"])
            case "figures":
                answer = hosts.figures()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    await hosts.end()


if __name__ == "__main__":
    asyncio.run(main())
