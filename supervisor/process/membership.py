"""Accounts that come and go while the others trade: every part of the supervisor that knows accounts is told.

    comes   a queue of records, a place among those that share requests and caps, an account on the paper exchange where
            it trades there; then its worker starts as any other
    goes    its worker stops (orders were cancelled before), then nobody knows of it any more

Until `commit` nothing of it counts: what `begin` has made is harmless where the reload fails.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from gridbot.config.models import GridbotConfig
from gridbot.config.reload_plan import ReloadPlan, Word
from supervisor.caps.answer_times import Stage
from supervisor.caps.caps_keeper import CapsKeeper
from supervisor.caps.own_caps import Member
from supervisor.children.child import Child
from supervisor.children.child_spec import ChildKind, ChildSpec
from supervisor.children.entry_points import paper_spec
from supervisor.children.fleet import Fleet
from supervisor.children.launch_arguments import LaunchArguments
from supervisor.children.launch_plan import Plan
from supervisor.children.policy_types import Hung, ProcessState, Stop
from supervisor.children.rescues import Rescues
from supervisor.leases.sharing import BYBIT, PAPER, Sharing

__all__ = ["Membership"]

log = logging.getLogger("supervisor")

OPENED_S: Final = 5.0
POLL_S: Final = 0.05
STOP_S: Final = 60.0
"""A worker that stops takes less: it is killed after `stop_timeout`."""
RESCUE_S: Final = 15.0
"""How long a rescue may go on when its account leaves, before it is asked to end."""
ENDS_S: Final = 5.0
"""How long it may take for that, before it is killed."""


class Membership:
    """One per supervisor. `workers` is by account; `remade` hears of the plan that counts from now on."""

    def __init__(
        self,
        plan: Plan,
        fleet: Fleet,
        launch: LaunchArguments,
        sharing: Sharing,
        caps: CapsKeeper,
        workers: dict[str, Child],
        rescues: Rescues,
        remade: Callable[[Plan], None],
    ) -> None:
        self._plan = plan
        self._fleet = fleet
        self._launch = launch
        self._sharing = sharing
        self._caps = caps
        self._workers = workers
        self._rescues = rescues
        self._remade = remade
        self._leaving: dict[str, None] = {}

    def keeps_down(self, account: str) -> bool:
        """Whether the worker of an account may not start: a rescue has it, or it is on its way out."""
        return account in self._leaving or self._rescues.keeps_down(account)

    def worker(self, account: str) -> Child:
        """Raises KeyError."""
        return self._workers[account]

    def is_staged(self, account: str) -> bool:
        """Whether an account still waits for its operator to restart it."""
        worker = self._workers.get(account)
        return worker is not None and worker.staged is not None

    def stage(self, account: str) -> Stage:
        """How the process of a worker is, for the caps; of an account that is gone it is not looked at."""
        worker = self._workers.get(account)
        if worker is None or (worker.state.process is not ProcessState.RUNNING and worker.pid is not None):
            return Stage.BEGINS
        return Stage.TRADES if worker.state.process is ProcessState.RUNNING else Stage.DOWN

    def beside_their_caps(self) -> list[Member]:
        """The accounts whose worker watches their own caps, or would if it were there, and what it has said of them."""
        return [
            Member(
                account,
                worker.launches,
                max(worker.state.last_report, worker.state.listening_since),
                worker.health.get("caps") or (),
            )
            for account, worker in self._workers.items()
            if not self.keeps_down(account) and self.stage(account) is not Stage.BEGINS
        ]

    def end(self, account: str) -> bool:
        """Kill a worker that did not go back: the next one begins by what counts. False where none trades."""
        worker = self._workers.get(account)
        if worker is None or worker.state.process is not ProcessState.RUNNING:
            return False
        self._fleet.advance(worker, Hung("it did not go back to the configuration of before"))
        return True

    async def begin(self, change: ReloadPlan) -> None:
        """Have the new accounts ready to start. OSError without room, or when the paper exchange does not answer."""
        for name in change.names(Word.ADDED):
            self._launch.add(name)
        self._tell_paper(change.in_force, change.names(Word.ADDED))
        await self._until_open(change)

    def commit(self, change: ReloadPlan) -> None:
        """This is in force, for every process that begins from now on. `let_go` has to follow."""
        plan = self._made_anew(change.in_force)
        self._remade(plan)
        specs = {spec.name: spec for spec in plan.children}
        for child in self._fleet:
            if child.spec.name in specs:
                child.spec, child.staged = specs[child.spec.name], None
        self._stage(change)
        for name, account in ((name, change.in_force.account(name)) for name in change.names(Word.ADDED)):
            self._sharing.join(name, PAPER if account.environment == "paper" else BYBIT)
        self._caps.join(plan.caps)
        for spec in plan.children:
            if self._fleet.find(spec.name) is None:
                self._add(spec)

    async def let_go(self, change: ReloadPlan) -> dict[str, bool]:
        """Stop those that went; of each whether its worker ended in order, so that nothing it sent is unanswered."""
        names = change.names(Word.REMOVED)
        return dict(zip(names, await asyncio.gather(*(self._remove(name) for name in names)), strict=True))

    def _add(self, spec: ChildSpec) -> None:
        child = self._fleet.add(spec)
        if spec.kind is not ChildKind.WORKER:
            return
        self._workers[spec.account] = child
        writer = self._fleet.first(ChildKind.WRITER)
        if writer is not None:
            writer.send({"type": "account", "account": spec.account})  # one that does not run finds the journal itself
        log.info("%s: its account is new, it starts", spec.name)

    async def _remove(self, account: str) -> bool:
        child = self._workers[account]
        self._leaving[account] = None
        child.leaves = True
        try:
            for _ in range(int(STOP_S / POLL_S)):
                self._fleet.advance(child, Stop())
                if not child.state.alive and child.pid is None:
                    break
                await asyncio.sleep(POLL_S)
            await self._rescue_over(account)
            self._fleet.remove(child)
            if self._plan.config is not None and self._plan.config.fleet.is_host:
                self._caps.part(account)
            else:
                self._caps.leave(account)
            del self._workers[account]
            self._launch.remove(account)
            log.info("%s: its account is removed, it has ended", child.spec.name)
            return child.pid is None and (child.launches == 0 or child.last_code == 0)
        finally:
            del self._leaving[account]

    async def _rescue_over(self, account: str) -> None:
        """A rescue finishes what an operator was promised, or leaves it to whoever has the account next: then its
        process is over before anybody can have it."""
        for seconds, insists in ((RESCUE_S, self._rescues.end), (ENDS_S, self._rescues.kill)):
            for _ in range(int(seconds / POLL_S)):
                if not self._rescues.keeps_down(account):
                    return
                await asyncio.sleep(POLL_S)
            insists(account)
        while self._rescues.keeps_down(account):  # killed, and the kernel has not said so yet
            await asyncio.sleep(POLL_S)

    def _stage(self, change: ReloadPlan) -> None:
        """What an account gets only when an operator restarts it."""
        for name, account in change.after_restart.items():
            accounts = tuple(account if each.name == name else each for each in change.in_force.accounts)
            plan = self._made_anew(change.in_force.model_copy(update={"accounts": accounts}))
            spec = next(spec for spec in plan.children if spec.account == name)
            exchange = PAPER if account.environment == "paper" else BYBIT
            child = self._workers[name]
            child.staged = partial(self._take_staged, child, spec, exchange)

    def _take_staged(self, child: Child, spec: ChildSpec, exchange: str) -> None:
        child.spec, child.staged = spec, None
        self._sharing.join(spec.account, exchange)

    def _made_anew(self, config: GridbotConfig) -> Plan:
        assert self._plan.remake is not None
        return self._plan.remake(config)

    def _tell_paper(self, config: GridbotConfig, names: list[str]) -> None:
        """Without a paper exchange that runs, its next process knows them from its start."""
        child = self._fleet.first(ChildKind.PAPER)
        if child is None or child.state.process is not ProcessState.RUNNING:
            return
        for account in paper_spec(config).accounts:
            if account.name in names:
                child.send({"type": "account", "account": account})

    async def _until_open(self, change: ReloadPlan) -> None:
        child = self._fleet.first(ChildKind.PAPER)
        on_paper: Mapping[str, None] = dict.fromkeys(
            name for name in change.names(Word.ADDED) if change.in_force.account(name).environment == "paper"
        )
        if child is None or child.state.process is not ProcessState.RUNNING:
            return
        for _ in range(int(OPENED_S / POLL_S)):
            if on_paper.keys() <= self._launch.on_paper.keys():
                return
            await asyncio.sleep(POLL_S)
        raise OSError(f"the paper exchange has not opened {', '.join(on_paper)} within {OPENED_S:g} s")
