"""The way from a host to the database: latency, loss, partitions; a restart; a clock that somebody sets.

A request that was given up may be carried out all the same, later: nobody can tell, as in a real network.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TypeVar

from gridbot.simulation.virtual_loop import VirtualLoop
from supervisor.fleet.fleet_store import Document, FleetAway
from supervisor.fleet.lease_types import Acquire, HostId, LeaseRow, LeaseTimes
from supervisor.fleet.memory_store import Tables

__all__ = ["TrialDatabase", "TrialStore"]

T = TypeVar("T")
LIMIT_S = 2.0
EPOCH_US = 1_760_000_000_000_000
LATE_CHANCE = 0.05
LATE_S = 3.0


@dataclass
class TrialDatabase:
    """One for all hosts. `away_until_s` is the end of a restart, `set_us` by how much its clock was set."""

    loop: VirtualLoop
    away_until_s: float = 0.0
    set_us: int = 0
    tables: Tables = field(init=False)

    def __post_init__(self) -> None:
        self.tables = Tables(lambda: EPOCH_US + self.set_us + round(self.loop.now_s * 1e6))

    @property
    def is_away(self) -> bool:
        return self.loop.now_s < self.away_until_s


class TrialStore:
    """A `FleetStore` of one host. `cut_until_s` is the end of a partition, drawn ways each by `draw`. `claim` as that
    of `PostgresStore`."""

    def __init__(
        self, database: TrialDatabase, draw: random.Random, claim: Callable[[str], str] = lambda account: ""
    ) -> None:
        self.cut_until_s = 0.0
        self._database = database
        self._draw = draw
        self._claim = claim

    async def _ask(self, work: Callable[[Tables], T]) -> T:
        loop, outside = self._database.loop, contextvars.Context()
        answer: asyncio.Future[T] = loop.create_future()

        def arrive(result: T) -> None:
            if not answer.done() and loop.now_s >= self.cut_until_s:
                answer.set_result(result)

        def carry_out() -> None:
            if self._database.is_away or loop.now_s < self.cut_until_s:
                return
            result = work(self._database.tables)
            loop.call_later(self._way_s(), arrive, result, context=outside)

        loop.call_later(self._way_s(), carry_out, context=outside)
        try:
            async with asyncio.timeout(LIMIT_S):
                return await answer
        except TimeoutError:
            raise FleetAway("no answer in time") from None

    def _way_s(self) -> float:
        late_s = LATE_S * self._draw.random() if self._draw.random() < LATE_CHANCE else 0.0
        return self._draw.uniform(0.0005, 0.01) + late_s

    async def look(self, accounts: AbstractSet[str]) -> tuple[int, list[LeaseRow]]:
        return await self._ask(lambda tables: tables.look(accounts))

    async def renew(self, me: HostId, times: LeaseTimes, held: Mapping[str, int]) -> tuple[int, frozenset[str]]:
        return await self._ask(lambda tables: tables.renew(me, times, held))

    async def acquire(self, me: HostId, times: LeaseTimes, wish: Acquire) -> tuple[int, LeaseRow | None]:
        claim = self._claim(wish.account)
        return await self._ask(lambda tables: tables.acquire(me, times, wish, claim))

    async def release(self, me: HostId, account: str, epoch: int, *, free: bool) -> None:
        await self._ask(lambda tables: tables.release(me, account, epoch, free=free))

    async def put_documents(self, me: HostId, documents: Sequence[Document]) -> frozenset[tuple[str, str]]:
        return await self._ask(lambda tables: tables.put_documents(me, documents))

    async def documents(self, account: str) -> list[Document]:
        return await self._ask(lambda tables: tables.of_account(account))
