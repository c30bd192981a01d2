"""One life of a worker: a real `WorkerSession` on simulated ports, from its start to its end or death."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gridbot.background import awaited
from gridbot.bybit.rest import BybitRest
from gridbot.bybit.session import RestTransport
from gridbot.bybit.socket_line import LineListener, LineSettings
from gridbot.bybit.stream_settings import StreamSettings
from gridbot.bybit.streams import StreamSet
from gridbot.bybit.trade_socket import TradeSocket
from gridbot.records.journal import JournalBusy
from gridbot.simulation.memory_files import Disk, MemoryFiles
from gridbot.simulation.network import Network
from gridbot.simulation.rest_link import RestLink
from gridbot.simulation.socket_link import SocketLink
from gridbot.simulation.trade_link import TradeLink
from gridbot.simulation.virtual_loop import LIFE, VirtualLoop
from gridbot.simulation.virtual_time import SimulatedClock, SimulatedIds, SimulatedProcess
from gridbot.simulation.wires import Wires
from gridbot.worker.orchestrator import Orchestrator
from gridbot.worker.outside import Outside
from gridbot.worker.spec import KNOWN, WorkerSpec
from gridbot.worker.startup import StartRefused
from gridbot.worker.worker_session import WorkerSession

__all__ = ["Life", "World", "ended"]


class World:
    """What all lives of a worker share."""

    def __init__(
        self, loop: VirtualLoop, clock: SimulatedClock, network: Network, wires: Wires, disk: Disk, spec: WorkerSpec
    ) -> None:
        self.loop, self.clock, self.network, self.wires, self.disk, self.spec = loop, clock, network, wires, disk, spec
        self.boot_ns = clock.monotonic_ns
        """CLOCK_BOOTTIME of the machine that its lives are on."""


class Life:
    """`task` is the worker's main task; its result is the exit code. `held` is what its supervisor hands it, and
    `takes_over` as in `WorkerSpec`."""

    def __init__(
        self,
        world: World,
        number: int,
        on_message: Callable[[Life, dict[str, Any]], None],
        held: Mapping[str, Any],
        *,
        takes_over: bool = False,
    ) -> None:
        self.number = number
        self.rest: RestLink | None = None
        self.is_over = False
        self.torn = 0
        """So many bytes of the journal's last write are lost with it."""
        world.disk.has_refused = False
        self._world = world
        self._on_message = on_message
        self.context = contextvars.copy_context()
        self.context.run(LIFE.set, self)
        outside = Outside(
            rest=self._make_rest,
            streams=self._make_streams,
            trade_socket=self._make_trade_socket,
            files=self._make_files,
            journal_disk=world.disk.journal(),
            boot_ns=world.boot_ns,
        )
        documents = dict(held)
        known = documents.pop(KNOWN, {})  # a supervisor gives it apart, too: it is no document of the state
        seed = f"ids:{number}:{world.spec.run_id}"
        self.session = WorkerSession(
            replace(world.spec, held=documents, known=known, takes_over=takes_over),
            None,
            self._send,
            clock=world.clock,
            ids=SimulatedIds(seed),
            process=SimulatedProcess(),
            outside=outside,
        )
        self.task: asyncio.Task[int] = self.context.run(awaited, self._run(), name="worker")

    @property
    def orchestrator(self) -> Orchestrator | None:
        """The running account, once it has been put together."""
        return self.session._account()

    @property
    def trades(self) -> bool:
        """Whether its start has ended."""
        orchestrator = self.orchestrator
        return orchestrator is not None and orchestrator._reconciled

    @property
    def is_quiet(self) -> bool:
        """Whether nothing of its requests is under way or waits, and it is going to ask for no order by its id."""
        orchestrator = self.orchestrator
        return (
            orchestrator is not None
            and (self.rest is None or self.rest.is_idle)
            and orchestrator.context.executor.idle
            and len(orchestrator.context.retry) == 0
            and not orchestrator.reconciler._state.looking
        )

    @property
    def loses_records(self) -> bool:
        """Whether the disk may lack what this life has recorded."""
        return self.torn > 0 or self._world.disk.has_refused

    @property
    def has_unwritten(self) -> bool:
        """Whether records are in its memory alone: those of the turn that a death strikes go with it."""
        orchestrator = self.orchestrator
        return orchestrator is not None and orchestrator.recorder.stats.backlog_bytes > 0

    def newest_of(self, name: str) -> int:
        """Number of the newest document of that name that it has kept; 0 when there is none."""
        assembly = self.session._assembly
        document = assembly.disk.states._newest.get(name) if assembly is not None else None
        return 0 if document is None else int(document.get("seq", 0))

    def die(self) -> None:
        """kill -9, now."""
        self.is_over = True
        self._on_message = lambda life, message: None  # what it says when it is buried, it never said
        self._world.loop.kill(self)
        self._world.wires.forget(self)
        self._world.disk.die(self.torn)

    # ------------------------------------------------------------------ inside

    async def _run(self) -> int:
        """As the process's entry does it: a refused start is no crash."""
        try:
            code = await self.session.run()
        except (JournalBusy, StartRefused) as refusal:
            code = self.session.refuse(str(refusal))
        finally:
            self.is_over = True
            self._world.wires.forget(self)
            self._world.disk.die(0)
        return code

    def _send(self, message: dict[str, Any]) -> None:
        self._on_message(self, message)

    def _make_rest(self, *args: Any, **options: Any) -> BybitRest:
        world = self._world
        self.rest = RestLink(world.loop, world.network, world.wires.venue)
        return BybitRest(*args, transport=functools.partial(RestTransport, carrier=self.rest), **options)

    def _make_streams(self, *args: Any, settings: StreamSettings, **options: Any) -> StreamSet:
        world = self._world
        settings = replace(settings, jitter=world.network.jitter)
        dial = functools.partial(SocketLink, world.wires)
        return StreamSet(*args, settings=settings, dial=dial, **options)

    def _make_trade_socket(self, url: str, *args: Any, settings: StreamSettings, **options: Any) -> TradeSocket:
        world = self._world
        settings = replace(settings, jitter=world.network.jitter)

        def dial(_: str, listener: LineListener, line_settings: LineSettings) -> TradeLink:
            return TradeLink(world.wires, listener, line_settings)

        return TradeSocket(url, *args, settings=settings, dial=dial, **options)

    def _make_files(self, directory: Path) -> MemoryFiles:
        return MemoryFiles(self._world.disk, directory)


async def ended(life: Life, seconds: float, clock: SimulatedClock) -> bool:
    """Wait until a life has ended, at most so long."""
    deadline_s = clock.monotonic_s() + seconds
    while not life.task.done() and clock.monotonic_s() < deadline_s:
        await asyncio.sleep(0.05)
    return life.task.done()
