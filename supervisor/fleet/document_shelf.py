"""Documents of this host's accounts on their way to the database: the newest of each name, what stops orders at once.

The database takes one only from the account's holder, with the holder's epoch, so a host that has lost an account
cannot overwrite what its successor wrote.
"""

from __future__ import annotations

import asyncio
import itertools
import logging

from gridbot import background
from supervisor.fleet.fleet_store import Document, FleetAway, FleetStore
from supervisor.fleet.lease_types import HostId

__all__ = ["DocumentShelf"]

log = logging.getLogger("supervisor")

EVERY_S = 1.0
AGAIN_S = 0.5


class DocumentShelf:
    """One per supervisor of a fleet. Owns what waits; `run` brings it there until cancelled."""

    def __init__(self, me: HostId, store: FleetStore) -> None:
        self._me = me
        self._store = store
        self._waiting: dict[tuple[str, str], Document] = {}
        self._numbers = itertools.count(1)
        self._urgent = asyncio.Event()

    @property
    def waiting(self) -> int:
        """So many documents the database does not have yet."""
        return len(self._waiting)

    def offer(self, account: str, name: str, epoch: int, body: bytes, *, urgent: bool) -> None:
        """A newer document; one of the same name that waits is not needed any more."""
        self._waiting[account, name] = Document(account, name, epoch, next(self._numbers), body)
        if urgent:
            self._urgent.set()

    def forget(self, account: str) -> None:
        """The account is another host's: what waits of it would be refused."""
        for key in [key for key in self._waiting if key[0] == account]:
            del self._waiting[key]

    async def flush(self, account: str) -> None:
        """Bring everything of an account there now. Raises FleetAway."""
        await self._put([each for each in self._waiting.values() if each.account == account])

    async def run(self) -> None:
        """Bring there what waits: at once what is urgent, everything else once a second."""
        while True:
            try:
                async with asyncio.timeout(EVERY_S):
                    await self._urgent.wait()
            except TimeoutError:
                pass
            self._urgent.clear()
            try:
                await self._put(list(self._waiting.values()))
            except FleetAway as error:
                log.debug("%d documents wait for the fleet's database: %s", len(self._waiting), error)
                await asyncio.sleep(AGAIN_S)
            except Exception as error:  # noqa: BLE001 - reported; the next ones have to go on
                background.report("bringing documents to the fleet's database", error)
                await asyncio.sleep(AGAIN_S)

    async def _put(self, documents: list[Document]) -> None:
        if not documents:
            return
        kept = await self._store.put_documents(self._me, documents)
        for each in documents:
            key = (each.account, each.name)
            if self._waiting.get(key) is not each:
                continue  # a newer one waits
            del self._waiting[key]
            if key not in kept:
                log.warning("%s of %s is not kept for the fleet: this host has no lease of it", each.name, each.account)
