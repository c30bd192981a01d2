"""One seed, from its plan to what was found: trouble for a while, then rest, then the checks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from gridbot.simulation.checks import Finding
from gridbot.simulation.forbidden import forbid
from gridbot.simulation.happenings import HAPPENINGS
from gridbot.simulation.life import Life, World, assembly_of_this_life, ended
from gridbot.simulation.memory_files import Disk
from gridbot.simulation.network import Network
from gridbot.simulation.plan import Fault, FaultKind, Plan
from gridbot.simulation.scene import ACCOUNT, PriceWalk, account_of, exchange_config, worker_config
from gridbot.simulation.socket_link import Wires
from gridbot.simulation.tape import taped
from gridbot.simulation.trace import Trace
from gridbot.simulation.venue import Venue
from gridbot.simulation.verdict import Verdict
from gridbot.simulation.virtual_loop import Stuck, VirtualLoop
from gridbot.simulation.virtual_time import SimulatedClock
from gridbot.worker import worker_session
from gridbot.worker.spec import WorkerSpec

__all__ = ["Result", "Run", "run_plan"]

CALM_STEP_S = 1.0
CALM_MOST_S = 900.0
STOP_MOST_S = 40.0
RESTART_S = 2.0
MEMORY = Path("/dev/shm")


@dataclass
class Result:
    """What a run did and what it found."""

    plan: Plan
    simulated_s: float = 0.0
    steps: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    journal: bytes = b""
    """Every byte of the journal, in order, but for the name of its directory."""


class Run:
    """The world of one plan. `life` is the worker that runs now, if any."""

    def __init__(self, plan: Plan, directory: Path, trace: Trace) -> None:
        self.plan = plan
        self.directory = directory
        self.trace = trace
        config = worker_config(plan, directory)
        self.symbols = [strategy.symbol for strategy in config.strategies]
        self.loop = VirtualLoop()  # type: ignore[abstract]  # what it lacks would reach outside
        self.clock = SimulatedClock(self.loop)
        self.network = Network(plan, self.loop)
        paper = exchange_config(plan)
        self.venue = Venue(paper, account_of(config), self.clock.true_ms, f"{plan.seed:08x}")
        self.wires = Wires(self.loop, self.network, self.venue)
        self.walk = PriceWalk(plan)
        self.life: Life | None = None
        self.result = Result(plan)
        disk = Disk(self.loop, self.network)
        spec = WorkerSpec(ACCOUNT, config, directory, f"{plan.seed:08x}run", "http://192.0.2.9:80", console=False)
        self._world = World(self.loop, self.clock, self.network, self.wires, disk, spec)
        self._lives = 0
        self._stopping = False
        self.verdict = Verdict(self)

    # ------------------------------------------------------------------ life and death of the worker

    def begin_life(self) -> None:
        """Start a worker on the files as they are."""
        if self._stopping:
            return
        self._lives += 1
        self.trace.note(f"life {self._lives} begins")
        self.life = life = Life(self._world, self._lives, self._on_message)
        self.result.counts["lives"] += 1
        life.task.add_done_callback(lambda task: self._ended(life, task), context=self.verdict.context)

    def die(self, life: Life, torn: int, away_s: float) -> None:
        """The worker's process is killed; another starts later."""
        self.trace.note(f"life {life.number} dies")
        self.verdict.life_is_over(life)
        life.die(torn)
        self.life = None
        self.result.counts["deaths"] += 1
        self.loop.call_later(away_s, self.begin_life, context=self.verdict.context)

    def _ended(self, life: Life, task: asyncio.Task[int]) -> None:
        """A worker ended by itself: the supervisor starts another."""
        if task.cancelled() or (failure := task.exception()) is None:
            code = None if task.cancelled() else task.result()
            self.trace.note(f"life {life.number} ends with {code}")
        else:
            self.trace.note(f"life {life.number} ends by {failure!r}")
            self.verdict.find("bounded", f"the worker ended by {type(failure).__name__}: {failure}")
        self.verdict.life_is_over(life)
        self.life = None
        self.result.counts["ends"] += 1
        if not self._stopping:
            self.loop.call_later(RESTART_S, self.begin_life)

    def command(self, name: str, args: dict[str, Any]) -> bool:
        """Give an operator's command; False when there is no worker that could take it."""
        life = self.life
        if life is None or life.orchestrator is None:
            return False
        message = {"type": "command", "id": name, "name": name, "args": args}
        life.context.run(life.session.on_message, message)
        return True

    def _on_message(self, life: Life, message: dict[str, Any]) -> None:
        if message["type"] == "answer" and message["ok"]:
            self.verdict.commanded(str(message["id"]))
        self.verdict.told(life, message)

    # ------------------------------------------------------------------ the run

    async def main(self) -> None:
        """Trouble, rest, checks, stop, the last checks."""
        self.begin_life()
        for fault in self.plan.faults:
            self.loop.call_later(fault.at_s, self._happen, fault)
        end_s = self.loop.now_s + self.plan.length_s
        while self.loop.now_s < end_s:
            await asyncio.sleep(min(self.walk.step_s(), max(0.001, end_s - self.loop.now_s)))
            for symbol in self.symbols:
                self.venue.move(symbol, self.walk.next(symbol))
            self.verdict.watch()
        self.loop.fuse = 0
        await self._come_to_rest()
        self.verdict.at_rest()
        await self._stop()
        self.verdict.at_the_end()

    def _happen(self, fault: Fault) -> None:
        self.trace.note(str(fault))
        act = HAPPENINGS.get(fault.kind)
        if fault.kind is FaultKind.SKEW:
            self.clock.wall_error_ms += int(fault.what["ms"])
            self.loop.call_later(fault.for_s, self._unskew, int(fault.what["ms"]))
            self.network.strike(fault)
        elif act is not None and act(self, fault):
            self.network.strike(fault)

    def _unskew(self, ms: int) -> None:
        self.clock.wall_error_ms -= ms

    async def _come_to_rest(self) -> None:
        """Nothing goes wrong any more and the price trembles, until the worker has twice compared with the exchange."""
        start_s, passes, last_s, up = self.loop.now_s, 0, 0.0, False
        self.trace.note("rest")
        while True:
            await asyncio.sleep(CALM_STEP_S)
            if passes >= 2 and self._is_quiet():
                return
            if self.loop.now_s - start_s > CALM_MOST_S:
                self.verdict.find("standstill-is-told", f"no rest within {CALM_MOST_S:.0f} s: {self._state()}")
                return
            up = not up
            for symbol in self.symbols:
                self.venue.move(symbol, self.walk.price(symbol, 0.00001 if up else -0.00001))
            orchestrator = self.life.orchestrator if self.life is not None else None
            if orchestrator is None or self.loop.now_s - start_s < 6.0:
                continue
            done_s = orchestrator.reconciler.last_s or 0.0
            if done_s > last_s and done_s > start_s + 6.0:
                passes += last_s > 0
                last_s = done_s
            last_s = max(last_s, start_s)
            if passes < 2:
                self.command("reconcile", {})

    def _is_quiet(self) -> bool:
        return self.life is not None and self.life.is_quiet and self.wires.under_way == 0

    def _state(self) -> str:
        life = self.life
        if life is None or life.orchestrator is None:
            return "no worker trades"
        context = life.orchestrator.context
        return f"requests idle {context.executor.idle}, retries {len(context.retry)}, frames {self.wires.under_way}"

    async def _stop(self) -> None:
        self._stopping = True
        life = self.life
        if life is None:
            return
        life.context.run(life.session.stop)
        if not await ended(life, STOP_MOST_S, self.clock):
            self.verdict.find("bounded", f"the worker did not stop within {STOP_MOST_S:.0f} s")
        await asyncio.sleep(1.0)
        left = [task.get_name() for task in self.loop.tasks_of(life)]
        if left:
            self.verdict.find("bounded", f"tasks that outlive the stop: {', '.join(sorted(left))}")


def run_plan(plan: Plan, *, trace: Trace | None = None) -> Result:
    """Run a plan in a directory of its own."""
    trace = trace or Trace(on=False)
    directory = Path(tempfile.mkdtemp(prefix="gridbot-sim-", dir=MEMORY if MEMORY.is_dir() else None))
    try:
        run = Run(plan, directory, trace)
        with _quiet_logs(run), forbid(run.clock) as used, _assembly(), taped(run.verdict.tapes):
            try:
                run.loop.run(run.main())
            except Stuck as stuck:
                run.verdict.find("bounded", str(stuck))
        result = run.result
        result.findings += run.verdict.findings
        result.findings += [Finding("bounded", f"a simulated run used {what}") for what in dict.fromkeys(used)]
        result.findings += [Finding("bounded", text) for text in dict.fromkeys(run.loop.failures)]
        result.simulated_s = run.network.at_s()
        result.steps = run.loop.steps
        result.counts.update({f"fault {kind}": count for kind, count in run.network.struck.items()})
        return result
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _assembly() -> contextlib.AbstractContextManager[Any]:
    return patch.object(worker_session, "Assembly", assembly_of_this_life)


@contextlib.contextmanager
def _quiet_logs(run: Run) -> Iterator[None]:
    """Only what the trace wants, and errors with a traceback, which nobody may swallow."""
    handler = _Watching(run)
    root = logging.getLogger()
    level, handlers, disabled = root.level, root.handlers[:], logging.root.manager.disable
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO if run.trace.on else logging.ERROR)
    logging.disable(logging.NOTSET if run.trace.on else logging.WARNING)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.disable(disabled)


class _Watching(logging.Handler):
    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        self._run.trace.note(f"{record.levelname.lower()} {record.name.rpartition('.')[2]}: {text}")
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            self._run.verdict.find("bounded", f"swallowed: {text}: {type(error).__name__}: {error}")
