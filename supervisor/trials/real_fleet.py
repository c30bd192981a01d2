"""Three hosts of real processes, a real PostgreSQL, a paper exchange, and a proxy before both ways out of a host."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Final

import yaml
from psycopg.conninfo import conninfo_to_dict

from gridbot.config.models import GridbotConfig
from gridbot.config.paper_secrets import with_paper_secrets
from gridbot.private_files import open_private
from supervisor.fleet import fleet_schema
from supervisor.fleet.demo_ground import FLEET, DemoGround
from supervisor.fleet.embedded_server import EmbeddedServer
from supervisor.fleet.fleet_section import takeover_s
from supervisor.fleet.host_store import HostStore
from supervisor.fleet.lease_types import LeaseTimes
from supervisor.fleet.postgres_link import PostgresLink
from supervisor.polling import wait_until
from supervisor.trials.fleet_witness import Witness
from supervisor.trials.real_host import Begin, RealHost, Started
from supervisor.trials.standby_server import Standby
from supervisor.trials.tcp_proxy import Proxies

__all__ = ["Broken", "RealFleet", "shared_document"]

PATIENCE_S: Final = 240.0
"""Ends only what has failed, also where twenty others want the cores."""
FAST: Final = ("fsync = off", "full_page_writes = off", "shared_buffers = 32MB")


class Broken(AssertionError):
    """Something that was waited for did not come; the text says what."""


def shared_document(accounts: Sequence[str]) -> dict[str, Any]:
    """What the hosts of a trial share: so many accounts on paper, each with a lively grid."""
    symbol = {"swing_period_s": 12}
    return {
        "environment": "paper",
        "paper": {"market": {"symbols": {"BTCUSDT": symbol}}},
        "defaults": {"strategies": {"grid_count": 8, "grid_step": 0.15}},
        "accounts": [
            {"name": name, "strategies": {"btc": {"symbol": "BTCUSDT", "amount": "q0.001"}}} for name in accounts
        ],
    }


class RealFleet:
    """One fleet below `place`. `environ` is for its processes, which `begin` starts; `of_hosts`: further
    variables of hosts alone. `own`: further lines of the section `fleet` of all hosts, `cancels`: hosts with
    `on_lease_lost: cancel`. `dsn`: of an empty database, in place of a PostgreSQL of its own, which some cases need."""

    def __init__(
        self,
        place: Path,
        environ: Mapping[str, str],
        *,
        accounts: Sequence[str] = ("ann", "ben", "cleo"),
        hosts: int = 3,
        own: Mapping[str, Any] | None = None,
        cancels: AbstractSet[str] = frozenset(),
        settings: Sequence[str] = FAST,
        of_hosts: Mapping[str, str] | None = None,
        begin: Begin = subprocess.Popen,
        dsn: str = "",
    ) -> None:
        document = shared_document(accounts)
        self.ground = DemoGround(place, hosts, document=document, settings=settings, dsn=dsn, begin=self._begin_ground)
        self.accounts = tuple(accounts)
        self._of_hosts = {**environ, **(of_hosts or {})}
        self._environ, self._own, self._cancels, self._begin = dict(environ), dict(own or {}), cancels, begin
        self._proxies = Proxies()
        self.hosts: dict[str, RealHost] = {}
        self.witness: Witness
        self.ttl_s = float(self._own.get("ttl", 10))
        self.takeover_s = takeover_s(LeaseTimes(ttl_s=self.ttl_s))
        """What the documents say: the lease, and what a successor waits."""
        self.measured: list[float] = []
        """Seconds that accounts went without an order, as cases note them."""
        self._others: list[RealHost] = []
        self._of_ground: list[Started] = []
        self._standbys: list[Standby] = []
        self._moved: EmbeddedServer | None = None

    # ------------------------------------------------------------------ life

    def __enter__(self) -> RealFleet:
        self._proxies.__enter__()
        try:
            self._lay()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        self.end()

    def _lay(self) -> None:
        self.ground.lay(self._environ)
        place = self.ground.place
        dsn = (place / "dsn").read_text().strip()
        for name in self.ground.names:
            self._host(name, dsn)
        seed = bytes.fromhex((place / "paper" / "paper.seed").read_text().strip())
        config = with_paper_secrets(GridbotConfig.model_validate(self._flat(self.ground.document or {})), seed)
        exchange = next(iter(self.hosts.values())).exchange.server
        self.witness = Witness(dsn, exchange, config)
        asyncio.run(self._make(dsn))
        self.witness.begin()

    @staticmethod
    def _flat(document: Mapping[str, Any]) -> dict[str, Any]:
        """The accounts alone, for their keys."""
        return {
            "environment": "paper",
            "accounts": [{"name": each["name"]} for each in document["accounts"]],
            "strategies": [
                {"strat_id": "btc", "account": each["name"], "symbol": "BTCUSDT", "amount": "q0.001"}
                for each in document["accounts"]
            ],
        }

    def _host(self, name: str, dsn: str) -> None:
        file = self.ground.file(name)
        document = yaml.safe_load(file.read_text())
        known, host = conninfo_to_dict(dsn), document["fleet"]
        port = int(str(host["paper_url"]).rpartition(":")[2])
        database = self._proxies.to("127.0.0.1", int(str(known["port"])))
        exchange = self._proxies.to("127.0.0.1", port)
        of_host = file.parent / f"{name}.dsn"
        with open_private(of_host, "w") as out:
            out.write(dsn.replace(f":{known['port']}/", f":{database.port}/") + "\n")
        host.update(self._own, dsn_file=str(of_host), paper_url=f"http://127.0.0.1:{exchange.port}")
        document["storage"] |= {"flush_interval": 2, "ticker_interval": 0}  # no case is about what that would cost
        if name in self._cancels:
            host["on_lease_lost"] = "cancel"
        with open_private(file, "w") as out:
            yaml.safe_dump(document, out)
        data_dir = Path(document["storage"]["data_dir"])
        self.hosts[name] = RealHost(name, file, data_dir, database, exchange, self._of_hosts, self._begin)

    async def _make(self, dsn: str) -> None:
        link = PostgresLink(dsn, name="trial", limit_s=30)
        await link.run(lambda connection: fleet_schema.make(connection, FLEET))
        await HostStore(link).push(self.ground.shared.read_text(), "the trial", "")
        await link.close()

    def end(self) -> None:
        """All processes end; the files stay."""
        for host in (*self.hosts.values(), *self._others):
            with contextlib.suppress(Exception):  # whatever state it is in, it ends
                host.thaw()
            host.kill()
        self.ground.end()
        for process in self._of_ground:  # the ground knows them by their command line, which a warm start does not have
            if process.poll() is None:
                process.terminate()
                process.wait(PATIENCE_S)
        for standby in self._standbys:
            standby.end()
        self._proxies.__exit__(None, None, None)

    def _begin_ground(self, *command: Any, **ways: Any) -> Started:
        self._of_ground.append(self._begin(*command, **ways))
        return self._of_ground[-1]

    @property
    def server(self) -> EmbeddedServer:
        """Its PostgreSQL, as it is now."""
        return self._moved or EmbeddedServer.attach(
            Path(json.loads((self.ground.place / "postgres.json").read_text())["directory"])
        )

    def server_to_end(self, standby: Standby) -> None:
        """One more PostgreSQL, which ends with the fleet."""
        self._standbys.append(standby)

    def moved_to(self, server: EmbeddedServer) -> None:
        """From now on that PostgreSQL is the fleet's: the hosts' connections end, and new ones lead there."""
        self._moved = server
        self.witness.dsn = server.dsn()
        for host in self.hosts.values():
            host.database.server = ("127.0.0.1", server.port)
            host.database.cut()
            host.database.mend()

    # ------------------------------------------------------------------ what is done to it

    def ask(self, work: Callable[[HostStore], Any]) -> Any:
        """What an operator does, past every proxy: `work` makes a coroutine of the store."""

        async def asked() -> Any:
            link = PostgresLink(self.witness.dsn, name="operator", limit_s=30)
            try:
                return await work(HostStore(link))
            finally:
                await link.close()

        return asyncio.run(asked())

    def move(self, account: str, host: str) -> None:
        """Have that host have it."""
        self.ask(lambda store: store.wish({account: host}, "the trial"))

    def spread(self) -> None:
        """One account after the other on each host, in the order of their names."""
        names = list(self.hosts)
        wanted = {account: names[number % len(names)] for number, account in enumerate(self.accounts)}
        self.ask(lambda store: store.wish(wanted, "the trial"))
        self.wait(lambda: self.at() == wanted, f"the accounts where they are wanted: {wanted}")

    def push(self, document: Mapping[str, Any]) -> int:
        """A new version of what the hosts share, in force at once; its number."""

        async def work(store: HostStore) -> int:
            version, _ = await store.push(yaml.safe_dump(dict(document)), "the trial", "")
            await store.force(version, "the trial", leave_positions=False)
            return version

        return int(self.ask(work))

    def twin(self, name: str) -> RealHost:
        """Another host with the name of that one."""
        self._others.append(self.hosts[name].another(f"{name}-twin{len(self._others)}"))
        return self._others[-1]

    def whole(self) -> None:
        """All proxies pass, all hosts run, and every account trades somewhere."""
        for host in self.hosts.values():
            host.database.mend()
            host.exchange.mend()
            host.thaw()
            if not host.runs:
                host.start()
        self.wait(self.all_trade, "every account to trade", self.told)

    # ------------------------------------------------------------------ what is looked at

    def at(self) -> dict[str, str]:
        """By account the host that has its lease."""
        return {account: host for account, (host, _) in self.witness.held().items()}

    def accounts_of(self, host: str) -> list[str]:
        """The accounts whose leases that host has."""
        return sorted(account for account, at in self.at().items() if at == host)

    def strategies(self, account: str) -> list[dict[str, Any]]:
        """As the host that has it shows them."""
        holder = self.at().get(account)
        status = (self.hosts[holder].status() or {}) if holder else {}
        rows = [row for row in status.get("accounts", ()) if row["account"] == account]
        return [] if not rows else list(rows[0]["strategies"])

    def states(self, account: str) -> set[str]:
        """Those of its strategies, there."""
        return {str(row["state"]) for row in self.strategies(account)}

    def all_trade(self) -> bool:
        """Whether the host of each account says that it is healthy, and each host that should run is in the fleet."""
        held = self.at()
        if set(held) != set(self.accounts):
            return False
        return all(
            {account for account, at in held.items() if at == name} <= host.trades()
            for name, host in self.hosts.items()
            if name in held.values()
        )

    def first_order(self, account: str, epoch: int) -> int | None:
        """When the exchange took the first order of that epoch or a later one: ms since 1970."""
        found = [order.created_ms for order in self.witness.orders(account) if order.epoch >= epoch]
        return min(found, default=None)

    def trades_newly(self, before: Mapping[str, tuple[str, int]], accounts: Sequence[str]) -> dict[str, int]:
        """Wait until these accounts have new holders and orders of theirs; when the first of each was taken (ms)."""

        def look() -> bool:
            held = self.witness.held()
            for account in accounts:
                if account in first or account not in held or held[account][1] <= before[account][1]:
                    continue
                newest = self.witness.orders(account, newest=True)
                if any(order.epoch > before[account][1] for order in newest):
                    first[account] = self.first_order(account, before[account][1] + 1) or 0
            return len(first) == len(accounts)

        first: dict[str, int] = {}
        self.wait(look, f"orders of the next holders of {list(accounts)}", self.told)
        return first

    def wait(self, look: Callable[[], object], what: str, told: Callable[[], str] = lambda: "") -> None:
        """Until `look` says so. Raises Broken."""
        if not wait_until(look, timeout_s=PATIENCE_S, every_s=0.5):
            raise Broken(f"waited {PATIENCE_S:g} s in vain for {what}\n{told()}")

    def stays(self, look: Callable[[], object], seconds: float, what: str) -> None:
        """That `look` says so all the time. Raises Broken."""
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            if not look():
                raise Broken(f"{what} did not stay so")
            time.sleep(0.25)

    def told(self) -> str:
        """What hosts say now, and said last, for people who look for a fault."""
        lines = [f"held: {self.witness.held()}"]
        for name, host in self.hosts.items():
            status = host.status() or {}
            rows = [(row["account"], row["health"], row.get("reasons")) for row in status.get("accounts", ())]
            lines.append(f"{name}: runs {host.runs}, {rows}, {status.get('reasons')}")
            with contextlib.suppress(OSError):
                lines += (host.data_dir / "logs" / "supervisor.jsonl").read_text().splitlines()[-15:]
        return "\n".join(lines)
