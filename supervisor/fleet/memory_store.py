"""The fleet's store in memory, with a clock of the caller: what PostgreSQL does, for tests and the simulator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from supervisor.fleet.fleet_store import Document
from supervisor.fleet.lease_types import Acquire, HostId, LeaseRow, LeaseState, LeaseTimes

__all__ = ["MemoryStore", "Tables"]


@dataclass(slots=True)
class Tables:
    """Rows and rules, without a network. `now_us` is the database's clock."""

    now_us: Callable[[], int]
    leases: dict[str, LeaseRow] = field(default_factory=dict)
    documents: dict[tuple[str, str], Document] = field(default_factory=dict)
    claims: dict[str, str] = field(default_factory=dict)
    """By key the account that has claimed it last (`key_claims`)."""

    def look(self, accounts: AbstractSet[str]) -> tuple[int, list[LeaseRow]]:
        return self.now_us(), [self.leases[name] for name in sorted(accounts) if name in self.leases]

    def renew(self, me: HostId, times: LeaseTimes, held: Mapping[str, int]) -> tuple[int, frozenset[str]]:
        now = self.now_us()
        ours = frozenset(name for name, epoch in held.items() if self._is_ours(me, name, epoch))
        for name in ours:
            self.leases[name] = replace(self.leases[name], until_us=now + times.ttl_us)
        return now, ours

    def acquire(self, me: HostId, times: LeaseTimes, wish: Acquire, claim: str = "") -> tuple[int, LeaseRow | None]:
        """With the account's key, unless `claim` is empty."""
        now, row = self.now_us(), self.leases.get(wish.account)
        if claim and not self._has_key(times, wish, claim, now):
            return now, None
        if (row.epoch if row else 0) != wish.epoch:
            return now, None
        if row is not None and row.state is not LeaseState.FREE:
            over = row.until_us + times.wait_us < now
            if not over or now > wish.latest_us:
                return now, None
        previous = row.holder.name if row else ""
        new = LeaseRow(wish.account, wish.epoch + 1, me, LeaseState.HELD, now + times.ttl_us, previous)
        self.leases[wish.account] = new
        if claim:
            self.claims = {key: account for key, account in self.claims.items() if account != wish.account}
            self.claims[claim] = wish.account
        return now, new

    def _has_key(self, times: LeaseTimes, wish: Acquire, claim: str, now: int) -> bool:
        """Whether nobody trades another account with it; the lease of that one has ended then."""
        other = self.leases.get(self.claims.setdefault(claim, wish.account))
        if other is None or other.account == wish.account or other.state is LeaseState.FREE:
            return True
        if not (other.until_us + times.wait_us < now <= wish.latest_us):
            return False
        self.leases[other.account] = replace(other, state=LeaseState.ENDED)
        return True

    def release(self, me: HostId, account: str, epoch: int, *, free: bool) -> None:
        if self._is_ours(me, account, epoch):
            row = self.leases[account]
            state = LeaseState.FREE if free else LeaseState.ENDED
            self.leases[account] = replace(row, state=state, until_us=min(row.until_us, self.now_us()))

    def put_documents(self, me: HostId, documents: Sequence[Document]) -> frozenset[tuple[str, str]]:
        kept = set()
        for document in documents:
            if not self._is_ours(me, document.account, document.epoch):
                continue
            key = (document.account, document.name)
            there = self.documents.get(key)
            if there is None or (there.epoch, there.seq) < (document.epoch, document.seq):
                self.documents[key] = document
            kept.add(key)
        return frozenset(kept)

    def of_account(self, account: str) -> list[Document]:
        return [self.documents[key] for key in sorted(self.documents) if key[0] == account]

    def _is_ours(self, me: HostId, account: str, epoch: int) -> bool:
        row = self.leases.get(account)
        return row is not None and (row.epoch, row.holder, row.state) == (epoch, me, LeaseState.HELD)


class MemoryStore:
    """`Tables` as a `FleetStore` that always answers. `claim` as that of `PostgresStore`."""

    def __init__(self, tables: Tables, claim: Callable[[str], str] = lambda account: "") -> None:
        self.tables = tables
        self._claim = claim

    async def look(self, accounts: AbstractSet[str]) -> tuple[int, list[LeaseRow]]:
        return self.tables.look(accounts)

    async def renew(self, me: HostId, times: LeaseTimes, held: Mapping[str, int]) -> tuple[int, frozenset[str]]:
        return self.tables.renew(me, times, held)

    async def acquire(self, me: HostId, times: LeaseTimes, wish: Acquire) -> tuple[int, LeaseRow | None]:
        return self.tables.acquire(me, times, wish, self._claim(wish.account))

    async def release(self, me: HostId, account: str, epoch: int, *, free: bool) -> None:
        self.tables.release(me, account, epoch, free=free)

    async def put_documents(self, me: HostId, documents: Sequence[Document]) -> frozenset[tuple[str, str]]:
        return self.tables.put_documents(me, documents)

    async def documents(self, account: str) -> list[Document]:
        return self.tables.of_account(account)
