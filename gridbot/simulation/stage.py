"""The world of one run, and the worker's lives in it."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from gridbot.config.models import GridbotConfig
from gridbot.simulation.lone_sharing import LoneSharing
from gridbot.simulation.memory_files import Disk
from gridbot.simulation.network import Network
from gridbot.simulation.reloads import Reloads
from gridbot.simulation.run_checks import Finding
from gridbot.simulation.run_faults import Fault, Plan
from gridbot.simulation.scene import ACCOUNT, PriceWalk, account_of, exchange_config, says_realised, worker_config
from gridbot.simulation.trace import Trace
from gridbot.simulation.venue import Venue
from gridbot.simulation.virtual_loop import VirtualLoop
from gridbot.simulation.virtual_time import SimulatedClock
from gridbot.simulation.wires import Wires
from gridbot.simulation.worker_life import Life, World
from gridbot.worker.spec import WorkerSpec

__all__ = ["Judge", "Result", "Stage"]

RESTART_S = 2.0
SUPERVISOR_DIES = 0.7
"""How often a worker's supervisor dies with it, and what it had been told."""


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


class Judge(Protocol):
    """Who hears what happens on the stage (`verdict`)."""

    def find(self, invariant: str, text: str) -> None:
        """A broken invariant."""

    def told(self, life: Life, message: dict[str, Any]) -> None:
        """A worker's message to its supervisor."""

    def life_is_over(self, life: Life) -> None:
        """A life has ended, however; its files are as it left them, and not damaged yet."""

    def commanded(self, name: str) -> None:
        """A command was carried out."""


class Stage:
    """The world of one plan. `life` is the worker that runs now, if any; set `judge` before anything happens."""

    judge: Judge

    def __init__(self, plan: Plan, directory: Path, trace: Trace) -> None:
        self.plan = plan
        self.directory = directory
        self.trace = trace
        config = worker_config(plan, directory)
        self.shadows = frozenset[str]()
        """Those that are or were shadows: what they made is nobody's money."""
        self.symbols: list[str] = []
        """Those with orders on the exchange."""
        self.moving: list[str] = []
        """Those whose prices anybody looks at."""
        self._follow(config)
        self.loop = VirtualLoop()  # type: ignore[abstract]  # what it lacks would reach outside
        self.clock = SimulatedClock(self.loop)
        self.network = Network(plan, self.loop)
        paper = exchange_config(plan)
        self.venue = Venue(paper, account_of(config), self.clock.exchange_ms, f"{plan.seed:08x}")
        self.venue.says_realised = says_realised(plan)
        self.wires = Wires(self.loop, self.network, self.venue)
        self.walk = PriceWalk(plan)
        self.life: Life | None = None
        self.result = Result(plan)
        disk = Disk(self.loop, self.network)
        spec = WorkerSpec(
            ACCOUNT, config, directory, f"{plan.seed:08x}run", "http://192.0.2.9:80", console=False, shares=True
        )
        self.sharing = LoneSharing(config.supervisor.share_of(paper.limits.ip_requests))
        self.world = World(self.loop, self.clock, self.network, self.wires, disk, spec)
        self.reloads = Reloads(self)
        self._lives = 0
        self.away_until_s = 0.0
        """When a worker that was killed is started again."""
        self.is_stopping = False
        self.held: dict[str, Any] = {}
        """What stops orders, as workers have told their supervisor."""
        self._takes_over = False
        """Whether the next life takes over from one that was killed at work, on files that nothing else has damaged."""
        self._supervisor_dies = random.Random(f"supervisor:{plan.seed}")
        self.context = contextvars.copy_context()

    def _follow(self, config: GridbotConfig) -> None:
        self.shadows |= {strategy.strat_id for strategy in config.strategies if strategy.shadow_mode}
        self.symbols = [strategy.symbol for strategy in config.strategies if not strategy.shadow_mode]
        self.moving = [strategy.symbol for strategy in config.strategies]

    def reloaded(self, config: GridbotConfig) -> None:
        """A worker has applied another configuration: it is what the next life begins by."""
        self.trace.note(f"reloaded: {', '.join(each.strat_id for each in config.strategies)}")
        self.world.spec = replace(self.world.spec, settings=config)
        self._follow(config)

    # ------------------------------------------------------------------ life and death of the worker

    def begin_life(self) -> None:
        """Start a worker on the files as they are."""
        if self.is_stopping or self.life is not None:
            return
        self._lives += 1
        self.trace.note(f"life {self._lives} begins")
        takes_over, self._takes_over = self._takes_over, False
        self.life = life = Life(self.world, self._lives, self._on_message, self.held, takes_over=takes_over)
        self.result.counts["takeovers"] += takes_over
        self.result.counts["lives"] += 1
        life.task.add_done_callback(lambda task: self._ended(life, task), context=self.context)

    def die(self, life: Life, fault: Fault) -> None:
        """The worker's process is killed, unless it has ended already; another starts later, on damaged files maybe."""
        if life is not self.life:
            return
        self.trace.note(f"life {life.number} dies")
        self._takes_over = life.trades and not fault.what.get("spoils")
        if self._supervisor_dies.random() < SUPERVISOR_DIES:
            self.held.clear()
            self._takes_over = False
        life.torn = int(fault.what["torn"])
        life.die()
        self.sharing.life_is_over(self.clock.monotonic_s())
        self.judge.life_is_over(life)
        for name in self.world.disk.spoil(str(fault.what.get("spoils", "")), str(fault.what.get("how", ""))):
            self.trace.note(f"{name} is {fault.what['how']}")
            self.result.counts["spoiled files"] += 1
        self.life = None
        self.result.counts["deaths"] += 1
        away_s = float(fault.what["away_s"])
        self.away_until_s = self.loop.now_s + away_s
        self.loop.call_later(away_s, self.begin_life, context=self.context)

    def ask_to_stop(self) -> bool:
        """SIGTERM; another worker starts when this one has ended."""
        life = self.life
        if life is None or life.is_over:
            return False
        self.loop.call_soon(life.session.stop, context=life.context)
        return True

    def _ended(self, life: Life, task: asyncio.Task[int]) -> None:
        """A worker ended by itself: the supervisor starts another."""
        if task.cancelled() or (failure := task.exception()) is None:
            code = None if task.cancelled() else task.result()
            self.trace.note(f"life {life.number} ends with {code}")
        else:
            self.trace.note(f"life {life.number} ends by {failure!r}")
            self.judge.find("bounded", f"the worker ended by {type(failure).__name__}: {failure}")
        self.judge.life_is_over(life)
        self.sharing.life_is_over(self.clock.monotonic_s())
        self.life = None
        self.result.counts["ends"] += 1
        self.loop.call_later(1.0, self._look_for_tasks, life, context=self.context)
        if not self.is_stopping:
            self.loop.call_later(RESTART_S, self.begin_life, context=self.context)

    def _look_for_tasks(self, life: Life) -> None:
        left = [task.get_name() for task in self.loop.tasks_of(life)]
        if left:
            self.judge.find("bounded", f"tasks that outlive the stop: {', '.join(sorted(left))}")

    def command(self, name: str, args: dict[str, Any]) -> bool:
        """Give an operator's command; False when there is no worker that could take it."""
        life = self.life
        if life is None or life.orchestrator is None:
            return False
        message = {"type": "command", "id": name, "name": name, "args": args}
        self.loop.call_soon(life.session.on_message, message, context=life.context)
        return True

    def _on_message(self, life: Life, message: dict[str, Any]) -> None:
        if message["type"] == "answer":
            self.reloads.answered(life, message)
        if message["type"] == "answer" and message["ok"]:
            self.judge.commanded(str(message["id"]))
        if message["type"] == "held":
            self.held[message["name"]] = message["document"]
        if message["type"] == "restart":
            self.trace.note(f"life {life.number} asks for another start: {message['reason']}")
            self.result.counts["restarts asked for"] += 1
            self.loop.call_soon(life.session.on_message, {"type": "stop"}, context=life.context)
        if (answer := self.sharing.answer(message, self.clock.monotonic_s())) is not None:
            self.loop.call_soon(life.session.on_message, answer, context=life.context)
        self.judge.told(life, message)
