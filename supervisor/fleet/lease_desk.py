"""Between the leases of this host and its workers: terms to them, their documents to the database, and what the former
holder left to a new one.

    lease machine   Gained ──► `begin`: documents are read and put in place ──► the worker is launched with `term_of`
                    Extended ──► `extended` ──► message `lease_term` to the worker
    worker          message `document` ──► the shelf ──► the database, with the lease's epoch
    release         `DocumentedStore`: the shelf first, then the lease, so that the next holder has the newest
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from gridbot import background
from gridbot.lease.lease_term import LeaseTerm
from supervisor.fleet.document_shelf import DocumentShelf
from supervisor.fleet.fleet_store import Document, FleetAway, FleetStore
from supervisor.fleet.lease_types import Acquire, Extended, Gained, HostId, LeaseRow, LeaseTimes
from supervisor.fleet.takeover import begin_here

__all__ = ["DocumentedStore", "LeaseDesk"]

log = logging.getLogger("supervisor")

AGAIN_S = 0.5


Place = Callable[[Path, HostId, str, int, str, Sequence[Document]], Awaitable[None]]


async def _in_thread(
    data_dir: Path, me: HostId, account: str, epoch: int, previous: str, documents: Sequence[Document]
) -> None:
    """Of a host's death fifty accounts begin at once, each with files that are synced: leases are renewed meanwhile."""
    await asyncio.to_thread(begin_here, data_dir, me, account, epoch, previous, documents)


class LeaseDesk:
    """One per supervisor of a fleet; owns the newest term of each account. `send` passes a message to a worker,
    `place` puts documents where it begins: without it into files, in a thread, as a disk may be slow."""

    def __init__(
        self,
        me: HostId,
        store: FleetStore,
        data_dir: Path,
        send: Callable[[str, dict[str, Any]], object],
        *,
        cancels_when_lost: bool = False,
        place: Place | None = None,
    ) -> None:
        self._place = place or _in_thread
        self._placing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """Of each account: a thread that still writes for a lease that was lost is not written beside."""
        self.shelf = DocumentShelf(me, store)
        self._me = me
        self._store = store
        self._data_dir = data_dir
        self._send = send
        self._cancels = cancels_when_lost
        self._terms: dict[str, LeaseTerm] = {}
        self._epochs: dict[str, int] = {}
        """The newest that each account had here."""
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Bring documents to the database from now on."""
        self._running = background.start(self.shelf.run(), name="the documents for the fleet")

    async def end(self) -> None:
        """The leases are given up."""
        if self._running is not None:
            self._running.cancel()

    async def begin(self, news: Gained) -> None:
        """Put in place what the account's former holder left, as often as it takes. Raises LookupError when the lease
        is lost meanwhile, SetBack."""
        account, epoch = news.account, news.epoch
        self._epochs[account] = epoch
        self._terms[account] = LeaseTerm(epoch, news.sent_ns, news.until_ns)
        while True:
            try:
                documents = await self._store.documents(account) if news.previous else []
                async with self._placing[account]:
                    self._check(account, epoch)
                    await self._place(self._data_dir, self._me, account, epoch, news.previous, documents)
                self._check(account, epoch)
                return
            except (FleetAway, OSError) as error:
                log.warning("%s cannot begin here yet: %s", account, error)
            await asyncio.sleep(AGAIN_S)
            self._check(account, epoch)

    def _check(self, account: str, epoch: int) -> None:
        term = self._terms.get(account)
        if term is None or term.epoch != epoch:
            raise LookupError(f"expected the lease of {account} to be ours until it has begun, got another holder")

    def extended(self, news: Extended) -> None:
        """A renewal: its worker may send until then."""
        self._terms[news.account] = term = LeaseTerm(news.epoch, news.sent_ns, news.until_ns)
        self._send(news.account, term.to_message())

    def gone(self, account: str) -> None:
        """The account is not ours any more; its worker ends by its own clock, if it still runs."""
        self._terms.pop(account, None)

    def epoch(self, account: str) -> int | None:
        """That of our lease of an account; None without one."""
        term = self._terms.get(account)
        return None if term is None else term.epoch

    def of_launch(self, account: str) -> dict[str, Any] | None:
        """What a process of the account is launched with; None when the account is not ours."""
        term = self._terms.get(account)
        return None if term is None else {"term": term, "cancels": self._cancels}

    def at_launch(self, account: str) -> dict[str, Any]:
        """What a process of the account is launched with, whoever has the lease: without ours it may send nothing.

        Never nothing at all, which a process would take for being in no fleet.
        """
        return self.of_launch(account) or {"term": LeaseTerm(self._epochs.get(account, 0), 0, 0), "cancels": False}

    def take(self, account: str, message: Mapping[str, Any]) -> None:
        """A `document` of a worker. What comes after the end of the lease would be refused, and is dropped here."""
        term = self._terms.get(account)
        if term is not None:
            name, body = str(message["name"]), bytes(message["body"])
            self.shelf.offer(account, name, term.epoch, body, urgent=bool(message["urgent"]))


class DocumentedStore:
    """A store whose leases are given up when the database has the account's documents."""

    def __init__(self, store: FleetStore, shelf: DocumentShelf) -> None:
        self._store = store
        self._shelf = shelf

    async def look(self, accounts: AbstractSet[str]) -> tuple[int, list[LeaseRow]]:
        return await self._store.look(accounts)

    async def renew(self, me: HostId, times: LeaseTimes, held: Mapping[str, int]) -> tuple[int, frozenset[str]]:
        return await self._store.renew(me, times, held)

    async def acquire(self, me: HostId, times: LeaseTimes, wish: Acquire) -> tuple[int, LeaseRow | None]:
        return await self._store.acquire(me, times, wish)

    async def release(self, me: HostId, account: str, epoch: int, *, free: bool) -> None:
        await self._shelf.flush(account)
        await self._store.release(me, account, epoch, free=free)
        self._shelf.forget(account)

    async def put_documents(self, me: HostId, documents: Sequence[Document]) -> frozenset[tuple[str, str]]:
        return await self._store.put_documents(me, documents)

    async def documents(self, account: str) -> list[Document]:
        return await self._store.documents(account)
