"""Hosts of a fleet with one cap, and the database's rows by the rules of `fleet_scope`, without a network."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from gridbot.config.fleet_models import FleetCaps
from gridbot.config.models import GridbotConfig
from gridbot.risk.fleet_share import FleetShare
from supervisor.caps.answer_times import Stage
from supervisor.caps.caps_keeper import CapsKeeper
from supervisor.caps.fleet_scope import ScopeLook, ScopeSeen, Told, UseRow, look, taken
from supervisor.caps.host_caps import HostCaps
from tests.execution.support import ManualClock

D = Decimal
SCOPE = "fleet/paper"
ZERO = Decimal(0)


def config_of(names: Sequence[str], **caps: Any) -> GridbotConfig:
    accounts = [{"name": name} for name in names]
    return GridbotConfig.model_validate({"environment": "paper", "accounts": accounts, "fleet": {"caps": caps}})


class CapTables:
    """`leases`: by account who holds it (host, run, epoch)."""

    def __init__(self) -> None:
        self.leases: dict[str, tuple[str, str, int]] = {}
        self.rows: dict[tuple[str, str], UseRow] = {}
        self.bodies: dict[str, dict[str, Any]] = {}
        self.seen: dict[str, ScopeSeen] = {}
        self.now_ms = 1_800_000_000_000

    def tell(self, host: str, instance: str, told: Sequence[Told]) -> None:
        for each in told:
            if self.leases.get(each.account) == (host, instance, each.epoch):
                row = taken(self.rows.get((each.scope, each.account)), each, host, instance)
                if row is not None:
                    self.rows[each.scope, each.account] = row

    def look(self, scope: str, caps: FleetCaps, accounts: Sequence[str]) -> ScopeLook:
        rows = [row for (name, _), row in sorted(self.rows.items()) if name == scope]
        done = look(scope, caps, accounts, self.bodies.get(scope), rows, self.now_ms)
        self.bodies[scope] = done.body
        for account, (share, number, reserved) in done.granted.items():
            row = self.rows[scope, account]
            self.rows[scope, account] = UseRow(row.told, row.host, row.instance, reserved, share, number)
        before = self.seen.get(scope)
        holds = 0 if before is None else before.holds + (before.held != done.held)
        self.seen[scope] = ScopeSeen(scope, 1, holds, done.held, done.shown, 0.0)
        return done

    def read(self, host: str, instance: str, seq: int) -> list[UseRow]:
        return [row for row in self.rows.values() if (row.host, row.instance, row.told.seq) == (host, instance, seq)]


class CapHost:
    """One supervisor with the workers of the accounts that it has; words to them wait in `to_worker`."""

    def __init__(self, name: str, instance: str, tables: CapTables, config: GridbotConfig) -> None:
        self.name, self.instance, self.tables, self.config = name, instance, tables, config
        self.clock = ManualClock()
        self.over = HostCaps(name)
        self.epochs: dict[str, int] = {}
        self.workers: dict[str, FleetShare] = {}
        self.to_worker: dict[str, list[dict[str, Any]]] = {}
        self.killed: list[str] = []
        self.keeper = CapsKeeper(
            {},
            self._send,
            lambda _: Stage.TRADES,
            lambda account, action, why: self.killed.append(f"{account}: {action}"),
            clock=self.clock.monotonic_s,
            wall_ms=self.clock.wall_ms,
        )
        self.keeper.over_hosts(self.over)

    def _send(self, account: str, word: dict[str, Any]) -> None:
        if account in self.workers:
            self.to_worker[account].append(word)

    def take_over(self, account: str) -> None:
        """Its lease is ours now, and its worker begins."""
        _, _, epoch = self.tables.leases.get(account, ("", "", 0))
        self.tables.leases[account] = (self.name, self.instance, epoch + 1)
        self.epochs[account] = epoch + 1
        here = [each for each in self.config.accounts if each.name in self.epochs]
        self.keeper.join(self.config.model_copy(update={"accounts": tuple(here)}).cap_scopes())
        self.begin(account)

    def begin(self, account: str) -> None:
        """A process of the account."""
        _, (caps, _) = next(iter(self.config.cap_scopes().items()))
        self.workers[account] = FleetShare({SCOPE: caps.max_notional is not None})
        self.to_worker[account] = []
        word = self.keeper.word_for(account)
        assert word is not None
        self.workers[account].hear(word, D(0), 0.0)

    def let_go(self, account: str) -> None:
        self.epochs.pop(account, None)
        if self.workers.pop(account, None) is not None:
            self.keeper.gone(account)
        self.keeper.part(account)

    def share(self, account: str) -> Decimal:
        worker = self.workers.get(account)
        return D(0) if worker is None else worker.share(0.0) or D(0)

    def read(self, account: str, used: Decimal) -> None:
        """Its worker reads all that was said to it."""
        while self.to_worker.get(account):
            self.workers[account].hear(self.to_worker[account].pop(0), used, 0.0)

    def says(self, account: str, used: Decimal, short: Decimal = ZERO, *, equity: object = 1000, result: object = 0,
             counted_from: str = "0") -> None:  # fmt: skip
        self.keeper.take(
            account,
            {
                "type": "caps",
                **self.workers[account].said(),
                "used": str(used),
                "short": str(short),
                "wallet": "1000",
                "equity": [str(equity)] * 2,
                "result": str(result),
                "counted_from": counted_from,
            },
        )

    def tells(self) -> list[Told]:
        return self.keeper.told(self.epochs.get)

    def hears(self, told: Sequence[Told]) -> None:
        rows = self.tables.read(self.name, self.instance, self.over.seq)
        self.keeper.hear(told, rows, list(self.tables.seen.values()))

    def round(self) -> None:
        """All of it, with nothing lost."""
        told = self.tells()
        self.tables.tell(self.name, self.instance, told)
        for scope, (caps, accounts) in self.config.cap_scopes().items():
            self.tables.look(scope, caps, accounts)
        self.hears(told)
