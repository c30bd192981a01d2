"""Gets and keeps the leases of this host: carries out what the lease machine (`lease.py`) asks of the database.

One per supervisor of a fleet. All that it hears goes into the machine, one event after the other on the loop; its news
go to whoever starts and ends workers. The end of a term is by CLOCK_BOOTTIME, read before the request was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from gridbot import background
from gridbot.system_ports import boot_ns
from supervisor.fleet.fleet_store import FleetAway, FleetStore
from supervisor.fleet.lease import Leases, step
from supervisor.fleet.lease_types import (
    Acquire,
    Answer,
    Asked,
    Away,
    Barred,
    Event,
    Extended,
    Gained,
    HostId,
    Lapsed,
    LeaseTimes,
    Leave,
    Look,
    Looked,
    Lost,
    Quiet,
    Release,
    Released,
    Renew,
    Renewed,
    Tick,
    Want,
)

__all__ = ["LeaseKeeper", "News"]

TICK_S: Final = 0.1
News = Gained | Extended | Lapsed | Leave | Lost
_Request = Look | Renew | Acquire | Release


class LeaseKeeper:
    """`news` hears, on the loop, what has become of leases. `clock_ns` is CLOCK_BOOTTIME."""

    def __init__(
        self,
        store: FleetStore,
        me: HostId,
        times: LeaseTimes,
        news: Callable[[News], object],
        clock_ns: Callable[[], int] = boot_ns,
    ) -> None:
        self._store = store
        self._news = news
        self._clock_ns = clock_ns
        self._leases = Leases(me, times)
        self._ticking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """On the loop."""
        self._ticking = background.start(self._tick(), name="keeping leases")

    def want(self, accounts: frozenset[str]) -> None:
        """All the accounts that this host is to have; of others that it has the workers are let go."""
        if accounts != self._leases.wanted:
            self._step(Want(accounts))

    def quiet(self, account: str, *, answered: bool) -> None:
        """An account's worker has ended; `answered`: in order, and nothing that it sent is without an answer."""
        self._step(Quiet(account, answered))

    def bar(self, account: str) -> None:
        """A later holder's orders were seen at the exchange: leave it alone until it was not wanted here for once."""
        self._step(Barred(account))

    async def given_up(self) -> None:
        """Until the database knows that this host has nothing any more."""
        while self._leases.accounts:
            await asyncio.sleep(TICK_S / 2)

    async def end(self) -> None:
        """Renew nothing any more."""
        if self._ticking is not None:
            self._ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticking

    async def _tick(self) -> None:
        while True:
            self._step(Tick())
            await asyncio.sleep(TICK_S)

    def _step(self, event: Event) -> None:
        for effect in step(self._leases, event, self._clock_ns()):
            match effect:
                case Look() | Renew() | Acquire() | Release():
                    background.start(self._ask(effect), name="a question about leases")
                case _:
                    self._news(effect)

    async def _ask(self, request: _Request) -> None:
        sent_ns = self._clock_ns()
        me, times = self._leases.me, self._leases.times
        event: Event
        try:
            match request:
                case Look(accounts):
                    now_us, rows = await self._store.look(accounts)
                    event = Looked(Asked(sent_ns, now_us), accounts, tuple(rows))
                case Renew(held):
                    now_us, renewed = await self._store.renew(me, times, held)
                    event = Renewed(Asked(sent_ns, now_us), held, renewed)
                case Acquire(account):
                    now_us, row = await self._store.acquire(me, times, request)
                    event = Answer(Asked(sent_ns, now_us), account, row)
                case Release(account, epoch, free):
                    await self._store.release(me, account, epoch, free=free)
                    event = Released(account, epoch)
        except FleetAway:
            event = Away(request)
        self._step(event)
