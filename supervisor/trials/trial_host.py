"""One host of a trial: the real keeper and desk of its supervisor, its worker, its clocks, its disk."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from gridbot import background
from gridbot.lease.record_floor import first_number
from gridbot.simulation.memory_files import Disk
from gridbot.simulation.network import Network
from gridbot.simulation.venue import Venue
from gridbot.simulation.virtual_loop import LIFE, VirtualLoop
from gridbot.simulation.virtual_time import SimulatedClock
from gridbot.simulation.wires import Wires
from gridbot.simulation.worker_life import Life, World
from gridbot.state.brought_state import brought
from gridbot.worker.spec import WorkerSpec
from supervisor.fleet.fleet_store import Document
from supervisor.fleet.lease_desk import DocumentedStore, LeaseDesk
from supervisor.fleet.lease_keeper import LeaseKeeper
from supervisor.fleet.lease_types import Extended, Gained, HostId, Lapsed, LeaseTimes, Leave, Lost
from supervisor.trials.trial_store import TrialDatabase, TrialStore

__all__ = ["TrialHost"]

AGAIN_S: Final = 2.0
POLL_S: Final = 0.05
ORPHAN_S: Final = 1.5
"""So long after its supervisor a worker notices that it is alone."""
STOP_S: Final = 20.0


class _Run:
    """One life of a supervisor, to the loop."""


class TrialHost:
    """`find` notes a broken invariant. `account` is the only one, with this `key`; `spec` what its worker is
    started with."""

    def __init__(
        self,
        name: str,
        loop: VirtualLoop,
        clock: SimulatedClock,
        network: Network,
        venue: Venue,
        database: TrialDatabase,
        spec: WorkerSpec,
        draw: random.Random,
        find: Callable[[str, str], None],
        *,
        rate: float,
        cancels: bool,
        key: str,
    ) -> None:
        self.name = name
        self.account = spec.account
        self.network = network
        self.life: Life | None = None
        self.store: TrialStore | None = None
        self.directory = spec.data_dir
        self.lives = 0
        self.epoch = 0
        """Of the newest worker."""
        self._loop, self._clock, self._venue, self._database = loop, clock, venue, database
        self._wires = Wires(loop, network, venue)
        self._disk = Disk(loop, network)
        self._spec, self._draw, self._find, self._rate, self._cancels = spec, draw, find, rate, cancels
        self._key = key
        self._skipped_ns = 0
        self._offset_ns = draw.randrange(10**14)
        self._run: _Run | None = None
        self._runs = 0
        self._leaving = False
        self._outside = contextvars.copy_context()

    def boot_ns(self) -> int:
        """CLOCK_BOOTTIME of this machine: a rate and a beginning of its own, without what a pause has swallowed."""
        return self._offset_ns + round(self._loop.now_s * 1e9 * self._rate) - self._skipped_ns

    # ------------------------------------------------------------------ what happens to it

    def start(self, *, wanted: bool = True) -> None:
        """Its supervisor begins."""
        if self._run is not None:
            return
        self._run, self._leaving = run, _ = _Run(), False
        self._runs += 1
        context = self._outside.copy()
        context.run(LIFE.set, run)
        context.run(self._begin, wanted)

    def _begin(self, wanted: bool) -> None:
        me = HostId(self.name, f"run{self._runs}")
        self.store = TrialStore(self._database, self._draw, lambda account: self._key)
        self.desk = LeaseDesk(
            me, self.store, self.directory, self._send, cancels_when_lost=self._cancels, place=self._place
        )
        store = DocumentedStore(self.store, self.desk.shelf)
        self.keeper = LeaseKeeper(store, me, LeaseTimes(), self._on_news, self.boot_ns)
        self.desk.start()
        self.keeper.start()
        self.want(wanted=wanted)

    def want(self, *, wanted: bool) -> None:
        """What placement says."""
        if self._run is not None:
            self.keeper.want(frozenset({self.account} if wanted else ()))

    def kill(self, *, worker: bool) -> None:
        """kill -9 of the supervisor, and of the worker at the same time or (by itself) a moment later."""
        run, self._run = self._run, None
        if run is None:
            return
        self._loop.kill(run)
        life = self.life
        if life is None:
            return
        if worker:
            life.die()
            self.life = None
        else:
            self._loop.call_later(ORPHAN_S, self._orphan, life, context=self._outside)

    def _orphan(self, life: Life) -> None:
        if not life.is_over:
            life.context.run(life.session.on_supervisor_gone)

    def freeze(self, seconds: float, *, counted: bool) -> None:
        """SIGSTOP of everything; not `counted`: the virtual machine is paused, and its boot clock with it."""
        if not counted:
            self._skipped_ns += round(seconds * 1e9)
        for each in (self._run, self.life):
            if each is not None:
                self._loop.stall(each, seconds)

    # ------------------------------------------------------------------ its supervisor

    async def _place(
        self, data_dir: Path, me: HostId, account: str, epoch: int, previous: str, found: Sequence[Document]
    ) -> None:
        """As `takeover.begin_here`, on a disk in memory."""
        if previous not in ("", me.name):
            floor = first_number(epoch)
            self._disk.documents = {each.name: brought(each.name, each.body, floor) for each in found}

    def _on_news(self, news: Gained | Extended | Lapsed | Leave | Lost) -> None:
        match news:
            case Gained():
                background.start(self._bring(news), name="bring")
            case Extended():
                self.desk.extended(news)
            case Leave() | Lost():
                if isinstance(news, Lost):
                    self.desk.gone(self.account)
                background.start(self._remove(), name="remove")
            case Lapsed():
                pass

    async def _bring(self, news: Gained) -> None:
        try:
            await self.desk.begin(news)
        except LookupError:
            return
        self._leaving = False
        while self.life is not None:  # one that an earlier supervisor has left behind
            await asyncio.sleep(POLL_S)
        self._launch()

    def _launch(self) -> None:
        leased = self.desk.of_launch(self.account)
        if leased is None or self._leaving or self.life is not None or self._run is None:
            return
        spec = replace(self._spec, lease=leased["term"], cancels_when_lost=leased["cancels"])
        world = World(self._loop, self._clock, self.network, self._wires, self._disk, spec)
        world.boot_ns = self.boot_ns
        self.lives += 1
        self.epoch = leased["term"].epoch
        self.life = life = self._outside.run(Life, world, self.lives, self._on_message, {})
        life.task.add_done_callback(lambda task: self._ended(life, task), context=self._outside.copy())

    def _ended(self, life: Life, task: asyncio.Task[int]) -> None:
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._find("bounded", f"the worker on {self.name} ended by {type(failure).__name__}: {failure}")
        if self.life is life:
            self.life = None
        if self._run is not None and not self._leaving:
            context = self._outside.copy()
            context.run(LIFE.set, self._run)
            self._loop.call_later(AGAIN_S, self._launch, context=context)

    async def _remove(self) -> None:
        self._leaving = True
        life, answered = self.life, True
        if life is not None:
            self._loop.call_soon(life.session.stop, context=life.context)
            end_s = self._loop.now_s + STOP_S
            while not life.task.done() and self._loop.now_s < end_s:
                await asyncio.sleep(POLL_S)
            if life.task.done():
                answered = not life.task.cancelled() and life.task.exception() is None and life.task.result() == 0
            else:
                life.die()
                self.life, answered = None, False
        self.desk.gone(self.account)
        self.keeper.quiet(self.account, answered=answered)

    def _send(self, account: str, message: dict[str, Any]) -> None:
        life = self.life
        if life is not None:
            self._loop.call_soon(life.session.on_message, message, context=life.context)

    def _on_message(self, life: Life, message: dict[str, Any]) -> None:
        if self._run is None or life is not self.life:
            return
        match message["type"]:
            case "document":
                self.desk.take(self.account, message)
            case "superseded" if not self._skipped_ns:  # a clock that stood still takes the lease for alive
                self._find("one-epoch", f"{self.name}: {message['reason']}")
            case "restart":
                self._loop.call_soon(life.session.on_message, {"type": "stop"}, context=life.context)
