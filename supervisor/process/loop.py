"""The supervisor's loop: keeps the children as the plan says and does no work of its own.

Everything is an event on one asyncio loop: a message or the end of a child, a signal, a request on the control socket,
and a tick five times a second. Each goes to the part that owns what it changes; what is here is the loop itself and
the putting together of the parts:

    children.Fleet      the processes and their states        children.LaunchArguments  queues, paper exchange's address
    StartOrder          what may start, and in which order    StopOrder                 how and in which order it ends
    ChildMessages       what a message leads to               CommitRelay               what the database holds
    Alerts              log, status, records                  control.Operations        requests of the control socket
    Faults              what raised, once per cause

Nothing that raises ends the loop or is silent (`Faults`, as alerts of the child "supervisor"):

    one child's turn, alert or signal      the other children have theirs (`Fleet`)
    the rest of a tick                     the next tick comes later each time, 30 s at most
    a child's message, a request           it is dropped, or refused; the next one counts
    the end of a child                     its policy hears of it whatever else fails
    a stop by force                        ends the loop within seconds, and every process is killed
    anything else: a timer, a thread       the loop goes on (`gridbot.background.watch`)
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gridbot import background
from gridbot.state.data_formats import note_formats
from supervisor.caps.caps_keeper import CapsKeeper
from supervisor.children.child import Child
from supervisor.children.child_spec import ChildKind
from supervisor.children.fleet import Fleet, FleetEvents
from supervisor.children.launch_arguments import LaunchArguments
from supervisor.children.launch_plan import Plan
from supervisor.children.launcher import ForkServer, Launcher
from supervisor.children.policy_types import Exited, ProcessState, Stalled
from supervisor.children.rescues import Rescues
from supervisor.control.control_server import ControlServer
from supervisor.control.operations import Operations, no_settings
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.leases.sharing import BYBIT, PAPER, Sharing
from supervisor.process.adopted import reap_adopted
from supervisor.process.alert_desk import AlertDesk
from supervisor.process.alert_feed import AlertFeed
from supervisor.process.beside import Beside
from supervisor.process.cap_rescues import CapRescues
from supervisor.process.child_alerts import Alerts, failed_children
from supervisor.process.child_messages import ChildMessages
from supervisor.process.commit_relay import CommitRelay
from supervisor.process.directory_lock import DirectoryLock
from supervisor.process.fleet_part import FleetPart
from supervisor.process.fleet_reload import Hands, reload_of
from supervisor.process.membership import Membership
from supervisor.process.own_faults import Faults
from supervisor.process.reachable import Reachable
from supervisor.process.service_notify import ServiceManager
from supervisor.process.start_order import StartOrder
from supervisor.process.stop_order import StopOrder
from supervisor.process.stop_signals import StopSignals
from supervisor.status.collection import status_of, supervisor_facts
from supervisor.store.store_watch import StoreWatch
from supervisor.store.supervisor_journal import JournalBusy, SupervisorJournal

__all__ = ["Supervisor"]

log = logging.getLogger("supervisor")

TICK_S = 0.2
LONGEST_PAUSE_S = 30.0
"""Longest pause between two ticks while each of them fails."""
STALL_S = 3.0
"""A tick later than this means that we did not run: the silence of children in that time is not their fault."""
FORCE_S = 3.0
"""How long a forced stop waits for the ends of what it has killed, before the loop ends without them."""


def _wall_us() -> int:
    return time.time_ns() // 1000


class Supervisor:
    """Runs a plan until it is asked to stop. One per process; `run` must be called in the main thread."""

    def __init__(
        self,
        plan: Plan,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        service: ServiceManager | None = None,
        begun: object | None = None,
        lock: DirectoryLock | None = None,
        forks: ForkServer | None = None,
    ) -> None:
        """`begun`: of a host of a fleet, what it has begun with (`supervisor.fleet.fleet_begin`), under `lock`.
        `forks`: a fork server that was begun; who has begun it ends it if `run` raises."""
        self.plan = plan
        self._service = service or ServiceManager({})
        self._clock = clock
        self._started_at = self._last_tick = clock()
        self._pause = TICK_S
        self._force_until: float | None = None
        self._finished = asyncio.Event()
        self._lock = lock or DirectoryLock(plan.data_dir)
        self._journal = SupervisorJournal(plan.data_dir, plan.run_id, keep_journal=plan.keep_journal)
        self._feed = AlertFeed(plan.run_id, lambda: self._desk.marks, self._state, _wall_us, plan.host)
        self._alerts = Alerts(self._journal, clock, _wall_us, self._feed.add)
        self._faults = Faults(self._alerts)
        self._launch = LaunchArguments(plan.accounts, plan.paused, plan.paper_url, pauses_new=begun is not None)
        events = FleetEvents(
            message=lambda child, message: self._messages.take(child, message),
            exit=self._on_exit,
            alert=self._alerts.add,
            stop_mode=lambda: self._stopping.mode,
            fault=self._faults.report,
        )
        crash_log = plan.data_dir / "logs" / "crash.log"
        self._launcher = Launcher(crash_log, plan.preload, lambda text: self._alerts.own("ERROR", text), forks)
        self._fleet = Fleet(plan.children, self._launcher, self._launch, events, clock=clock, jitter=jitter)
        self._rescues = Rescues(
            self._fleet,
            self._launcher,
            self._launch,
            lambda child, message: self._messages.take(child, message),
            self._on_rescue_end,
            clock=clock,
        )
        self._beside = Beside(
            *(plan, self._launcher, self._launch, self._faults, clock, jitter),
            lambda process: self._hosting.may_run(process),
        )
        self._starting = StartOrder(self._fleet, self._launch, lambda account: self._membership.keeps_down(account))
        self._stopping = StopOrder(
            *(self._fleet, self._journal, plan.on_stop, self._alerts.add),
            lambda account: self._hosting.is_elsewhere(account),
        )
        self._desk = AlertDesk(self.status, self._journal.document, _wall_us)
        self._hosting = FleetPart(
            begun,
            lambda: self._reload,
            lambda: self._caps,
            lambda request, who: self._operations.handle(request, who),
            self.status,
            self._alerts.own,
            self._faults,
            self.stop,
            lambda: self._stopping.begun,
            clock,
            lambda process, within_s: self._beside.end_one(process, within_s),
            lambda process: self._beside.fails(process),
        )
        self._operations = Operations(
            self._fleet,
            self.status,
            self.stop,
            self._journal.command,
            self._alerts.own,
            self._rescues,
            clock=clock,
            data_dir=plan.data_dir,
            permits=self._lend,
            reload=self._hosting.reload,
            elsewhere=self._hosting,
            running=lambda: self.plan.snapshot,
            settings=lambda: self._reload.settings(lambda: self.plan.snapshot) if self._reload else no_settings(),
            desk=self._desk.handlers,
            feed=self._feed,
        )
        self._workers = {child.spec.account: child for child in self._fleet.of_kind(ChildKind.WORKER)}
        self._sharing = Sharing(
            {name: PAPER if child.spec.needs_paper else BYBIT for name, child in self._workers.items()},
            {BYBIT: plan.bybit_requests, PAPER: plan.paper_requests},
            self._send_to,
            clock=clock,
            wall_ms=lambda: time.time_ns() // 1_000_000,
            spare={BYBIT: plan.bybit_spare, PAPER: plan.paper_spare},
        )
        self._caps = CapsKeeper(
            plan.caps,
            self._send_to,
            lambda account: self._membership.stage(account),
            lambda account, action, why: self._cap_rescues.enforce(account, action, why),
            clock=clock,
            wall_ms=lambda: time.time_ns() // 1_000_000,
        )
        self._launch.caps = self._caps.word_for
        parts = (self._fleet, self._launch, self._sharing, self._caps, self._workers, self._rescues)
        self._membership = Membership(plan, *parts, self._follow)
        by_rescue = (self._caps, self._operations.capped, self._alerts, lambda: self._stopping.begun)
        self._cap_rescues = CapRescues(self._fleet, self._workers, self._membership, *by_rescue)
        hands = Hands(lambda: self._stopping.begun, self._alerts.own, self._journal.command)
        self._reload = reload_of(plan, self._operations.commands, self._membership, hands)
        self._signals = StopSignals(
            clock,
            lambda: self._stopping.begun,
            lambda name: self._journal.command("stop", {"signal": name}, {"ok": True}),
            self.stop,
            self._on_hangup,
        )
        commits = CommitRelay(self._fleet, self._journal, self._alerts, StoreWatch(plan.lag_alert))
        self._messages = ChildMessages(
            self._fleet,
            self._launch,
            self._alerts,
            commits,
            self._sharing,
            self._caps,
            self._operations.on_answer,
            self._operations.on_taken,
            lambda: self._tend(),
            self._faults.report,
        )

    async def run(self) -> ExitCode:
        """Start, supervise, stop. Raises CommandError when the data directory is taken, OSError without a socket
        though there is room."""
        self._lock.acquire()
        try:
            self._journal.open(self.plan.snapshot)
        except JournalBusy as error:
            self._lock.release()
            raise CommandError(
                f"{error}: another gridbot-supervisor, whose lock file was removed", ExitCode.REFUSED
            ) from error
        try:
            note_formats(self.plan.data_dir)
        except OSError as error:
            self._alerts.own("WARNING", f"the disk does not take the formats of this data directory: {error}")
        if (kept := self._journal.document("address.json")) is not None:
            self._sharing.open(kept)
        if (held := self._journal.stop_document("fleet_caps.json")) is not None:
            self._caps.open(held)
        self._desk.open()
        for text in self.plan.warnings:
            self._alerts.own("WARNING", text)
        loop = asyncio.get_running_loop()
        answers = (self._operations.handle, self._stopping.farewell, self._sharing.left)
        control = ControlServer(self.plan.data_dir, *answers)
        reachable = Reachable(control, self._lock, self._alerts.own, self._faults.report)
        with background.watch(loop, self._faults.report), self._signals:
            try:
                self._faults.attempt("starting the process that forks", self._launcher.start)
                await reachable.open()
                self._signals.install(loop, self._launcher.crash_log)
                self._service.ready()
                self._tick(loop)
                self._hosting.start(self._launch, self._send_to)
                keeping = background.start(reachable.keep(), name="the watch over the control socket")
                await self._finished.wait()
                keeping.cancel()
                forced = self._stopping.forced
                await asyncio.gather(self._beside.end(forced=forced), self._hosting.end(forced=forced))
            finally:
                for those in (self._fleet, self._rescues, self._beside):
                    those.kill_now()
                await control.close()
                for part in (
                    self._service.close,
                    self._launcher.close,
                    self._sharing.close,
                    self._journal.close,
                    self._launch.close,
                    self._lock.release,
                ):
                    self._faults.attempt("the end", part)
        log.info("stopped%s", " by force" if self._stopping.forced else "")
        return ExitCode.FORCED if self._stopping.forced else ExitCode.OK

    def stop(self, mode: str | None = None, *, force: bool = False) -> None:
        """Begin the end. `mode` is keep, cancel or flatten (default: as configured); `force` kills everything now."""
        self._service.stopping()
        self._stopping.begin(mode, force=force)
        self._rescues.stop()
        done = self._faults.attempt("stopping", self._tend)
        if force and not done:
            self._finished.set()  # `run` kills whatever is left
        elif force:
            self._force_until = self._force_until or self._clock() + FORCE_S

    def status(self) -> dict[str, Any]:
        """The model of `supervisor.status.model`, with all that the children have said up to this moment."""
        self._fleet.catch_up()
        now = self._clock()
        own = supervisor_facts(self.plan, self._state(), now - self._started_at, self._alerts.newest, self._alerts.open)
        own = replace(own, requests=self._sharing.rows(), caps=self._caps.rows(), marks=self._desk.marks)
        reasons = self._sharing.reasons() + self._caps.reasons() + self._hosting.reasons()
        own = replace(own, reasons=reasons, fleet=self._hosting.section(), wall_us=_wall_us())
        own = replace(own, configuration=self._reload.facts() if self._reload else {})
        return status_of(now, own, self._fleet, self.plan, self._launch, *self._beside.children)

    def _state(self) -> str:
        return "stopping" if self._stopping.begun else "running" if self._starting.complete else "starting"

    def _follow(self, plan: Plan) -> None:
        self.plan = self._beside.follow(self.plan, plan)

    def _on_hangup(self) -> None:
        log.info("SIGHUP received%s", " and ignored: there is no file to read again" if self._reload is None else "")
        if self._reload is not None:
            background.start(self._reload.by_signal(), name="a reload by SIGHUP")

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            self._turn()
        finally:
            if not self._finished.is_set():
                loop.call_later(self._pause, self._tick, loop)

    def _turn(self) -> None:
        now = self._clock()
        gone, self._last_tick = now - self._last_tick, now
        done = [
            self._faults.attempt("looking for a stall", lambda: self._allow_for_stall(gone)),
            self._faults.attempt("looking after the children", self._tend),
            self._faults.attempt("looking after the rescues", self._rescues.look),
            self._faults.attempt("looking beside", lambda: self._beside.look(self._starting, self._stopping)),
            self._faults.attempt("sharing requests", self._sharing.look),
            self._faults.attempt("the caps of groups and fleet", self._caps.look),
            self._faults.attempt("the caps of accounts", lambda: self._cap_rescues.look(now)),
            self._faults.attempt("looking for incidents", self._look),
            self._faults.attempt("recording the state of all", lambda: self._sample(now, gone)),
            self._faults.attempt("looking after the process that forks", self._launcher.look),
            self._faults.attempt("reaping what we adopted", self._reap),
            self._faults.attempt("a sign of life", lambda: self._service.turned(now, self._starting.in_words)),
        ]
        # The accounts trade on without us for a while; silence would be worse than a late tick.
        self._pause = TICK_S if all(done) else min(LONGEST_PAUSE_S, max(1.0, 2 * self._pause))

    def _reap(self) -> None:
        if not self._launcher.expects:  # a dead process may be a child that has not said its pid yet
            reap_adopted(self._fleet.pids() | self._launcher.pids | self._rescues.pids() | self._beside.pids())

    def _allow_for_stall(self, gone: float) -> None:
        if gone > self._pause + STALL_S:
            log.warning("this process did not run for %.1f s; children get that time on top", gone)
            self._fleet.advance_all(Stalled())
            self._rescues.look(Stalled())
            self._beside.stalled()

    def _look(self) -> None:
        standing = self._sharing.standing() | self._caps.standing() | self._hosting.standing() | self._beside.standing()
        self._alerts.look(failed_children(self._fleet) | standing)
        self._desk.look()

    def _lend(self, exchange: str, message: dict[str, Any]) -> dict[str, Any]:
        return self._sharing.ask(PAPER if exchange == "paper" else BYBIT, message)

    def _send_to(self, account: str, message: dict[str, Any]) -> None:
        child = self._rescues.of(account) or self._workers.get(account)
        if child is not None:  # else its account was removed
            child.send(message)

    def _sample(self, now: float, gone: float) -> None:
        self._journal.sample(now, max(0.0, gone - self._pause), self.plan.health_interval, self.status)

    def _tend(self) -> None:
        """Let time pass for every child, and start or stop what is due."""
        self._fleet.advance_all()
        if not self._stopping.begun:
            self._starting.start_due()
        elif self._stopping.stop_due() or (self._force_until is not None and self._clock() >= self._force_until):
            self._finished.set()

    def _on_exit(self, child: Child, code: int) -> None:
        """Whatever else fails: the policy hears of the end, or the child would count as alive for ever."""
        self._faults.attempt(f"{child.spec.name}: what its end means", lambda: self._note_end(child, code))
        self._faults.attempt(
            f"{child.spec.name}: its end", lambda: self._fleet.advance(child, Exited(code, child.last_exit))
        )
        self._faults.attempt("looking after the children", self._tend)

    def _on_rescue_end(self, child: Child, code: int) -> None:
        self._sharing.gone(child.spec.account)
        self._operations.on_exit(child)
        if code != ExitCode.OK:
            self._alerts.add(child, "ERROR", f"ended and something is left: {child.last_exit}", "rescue")
        self._faults.attempt("looking after the children", self._tend)

    def _note_end(self, child: Child, code: int) -> None:
        if child.spec.kind is ChildKind.WORKER:
            self._sharing.gone(child.spec.account)
            self._caps.gone(child.spec.account)
        self._operations.on_exit(child)
        if child.spec.ends_session and code == ExitCode.OK and not self._stopping.begun:
            log.info("%s has ended in order, and with it this session", child.spec.name)
            self.stop()
        elif not (child.spec.keeps_state or self._stopping.begun or child.state.process is ProcessState.STARTING):
            text = "is gone, and with it the orders, positions and balances of its accounts"
            self._alerts.add(child, "CRITICAL", text, "lost")
