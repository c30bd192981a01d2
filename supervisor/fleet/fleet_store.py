"""What a host asks the fleet's database for, as a protocol: leases and documents.

`postgres_store.py` has it with PostgreSQL, `memory_store.py` in memory for tests and for the simulator. Both are held
to the same tests. Every call raises `FleetAway` when the database cannot be reached or does not answer in time; then it
is unknown whether it was carried out. Nothing else is raised for a fault of network or database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol

from supervisor.fleet.lease_types import Acquire, HostId, LeaseRow, LeaseTimes

__all__ = ["Document", "FleetAway", "FleetStore", "NeedsHands", "OtherTables"]


class FleetAway(Exception):
    """The fleet's database cannot be used now. The text is for people and has no secret in it.

    `by_hand`: waiting does not mend it, somebody has to do what the text says.
    """

    by_hand = False


class NeedsHands(FleetAway):
    """It answers, and is not what this host can join."""

    by_hand = True


class OtherTables(NeedsHands):
    """It has no tables of a fleet, or those of another version of the program. `init_helps`: `fleet init` mends it."""

    def __init__(self, text: str, *, init_helps: bool) -> None:
        super().__init__(text)
        self.init_helps = init_helps


@dataclass(frozen=True, slots=True)
class Document:
    """A small document of an account that its next holder begins with.

    `epoch` and `seq` say which of two is the newer. `body` is the document as the worker wrote it.
    """

    account: str
    name: str
    epoch: int
    seq: int
    body: bytes


class FleetStore(Protocol):
    """Leases and documents. Times of the database are microseconds UTC by its own clock."""

    async def look(self, accounts: AbstractSet[str]) -> tuple[int, list[LeaseRow]]:
        """The database's time, and the rows of these accounts that exist."""

    async def renew(self, me: HostId, times: LeaseTimes, held: Mapping[str, int]) -> tuple[int, frozenset[str]]:
        """The database's time, and those of these leases (account -> epoch) that are ours until then + TTL."""

    async def acquire(self, me: HostId, times: LeaseTimes, wish: Acquire) -> tuple[int, LeaseRow | None]:
        """The database's time, and the row as it is now ours; None when the lease is not to be had."""

    async def release(self, me: HostId, account: str, epoch: int, *, free: bool) -> None:
        """Give a lease up; nothing happens when it is not ours."""

    async def put_documents(self, me: HostId, documents: Sequence[Document]) -> frozenset[tuple[str, str]]:
        """Keep documents of accounts whose lease is ours with the document's epoch, each when it is newer than what is
        there. Returns (account, name) of those that the database now has, or had newer."""

    async def documents(self, account: str) -> list[Document]:
        """What there is of an account, by name."""
