"""The supervisor's loop: it holds the children to the plan and does no work of its own.

Everything is an event on one asyncio loop: a message or the end of a child, a signal, a request on the control socket,
and a tick five times a second. Each is given to the pure policy of the child it concerns (`process.policy`), and
what that wants done is done here.

Start: paper exchange, then the writer, then the workers; those that trade on the paper exchange when it has told its
address. Stop: workers, then the writer when the last of them is gone (so that it commits everything), then the paper
exchange. Record queues: see `supervisor.children.queues`.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psutil

from gridbot.version import __version__
from supervisor.children.child import CONTEXT, Child, ChildKind
from supervisor.children.launch_plan import Plan
from supervisor.children.pipe import Message
from supervisor.children.policy import (
    Alert,
    Do,
    Event,
    Exited,
    ProcessState,
    Ready,
    Report,
    Restart,
    SpawnFailed,
    Start,
    Stop,
    step,
)
from supervisor.children.queues import QueueLedger, close_queue
from supervisor.control.control_server import ControlServer
from supervisor.control.operations import Operations
from supervisor.exit_codes import ExitCode
from supervisor.process.directory_lock import DirectoryLock
from supervisor.status.collection import status_of
from supervisor.status.model import SupervisorFacts
from supervisor.store.store_watch import StoreWatch
from supervisor.store.supervisor_journal import SUPERVISOR, SupervisorJournal

__all__ = ["Supervisor"]

log = logging.getLogger("supervisor")

TICK_S = 0.2
LONGEST_PAUSE_S = 30.0
"""Between two looks while each of them fails."""
QUEUE_SIZE = 1000
RECYCLE_PAUSE_S = 5.0
"""Least time between two orderly restarts of the writer for the sake of new queues."""
STALL_S = 3.0
SAME_SIGNAL_S = 0.3
"""A terminal or `timeout` may deliver one request twice, to the process and to its group; nobody types that fast."""
"""A tick later than this means that we did not run: the silence of children in that time is not their fault."""


class Supervisor:
    """Runs a plan until it is told to stop. One per process; `run` must be called in the main thread."""

    def __init__(
        self,
        plan: Plan,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        on_settled: Callable[[], None] = lambda: None,
    ) -> None:
        self.plan = plan
        self.children: list[Child] = []
        self.journal = SupervisorJournal(plan)
        self._clock = clock
        self._jitter = jitter
        self._on_settled = on_settled
        self._lock = DirectoryLock(plan.data_dir)
        self._queues = QueueLedger(plan.accounts, lambda: CONTEXT.Queue(maxsize=QUEUE_SIZE), close_queue)
        self._operations = Operations(self)
        self._started_at = clock()
        self._last_tick = self._started_at
        self._pause = TICK_S
        self._last_recycle: float | None = None
        self._paper: dict[str, Any] = {}
        self._committed: dict[str, int] = {}
        self._watch = StoreWatch(plan.lag_alert)
        self._settled = False
        self._stop_mode: str | None = None
        self._forced = False
        self._writer_asked = False
        self._signalled_at: float | None = None
        self._finished = asyncio.Event()

    # --- life ---------------------------------------------------------------------------------------------------

    async def run(self) -> ExitCode:
        """Start, supervise, stop. Raises CommandError when the data directory is taken, OSError without a socket."""
        self._lock.acquire()
        self.journal.open()
        loop = asyncio.get_running_loop()
        control = ControlServer(self.plan.data_dir, self._operations.handle)
        crash_log = self.plan.data_dir / "logs" / "crash.log"
        self.children = [Child(s, loop, crash_log, self._on_message, self._on_exit) for s in self.plan.children]
        try:
            await control.open()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self._on_signal, number)
            loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
            self._tick(loop)
            await self._finished.wait()
        finally:
            for child in self.children:
                child.kill_now()
            await control.close()
            self.journal.close()
            self._lock.release()
        log.info("stopped%s", " by force" if self._forced else "")
        return ExitCode.FORCED if self._forced else ExitCode.OK

    def stop(self, mode: str | None = None, *, force: bool = False) -> None:
        """Begin the end. `mode` is keep, cancel or flatten (default: as configured); `force` kills everything now."""
        if self._stop_mode is None:
            self._stop_mode = mode or self.plan.on_stop
            log.info("stopping: workers first (orders: %s), then the writer", self._stop_mode)
        if force and not self._forced:
            self._forced = True
            log.warning("stopping by force: every process is killed; resting orders stay on the exchange")
            for child in self.children:
                self.advance(child, Stop(force=True))
        self._tend()

    def _on_signal(self, number: signal.Signals) -> None:
        now = self._clock()
        if self._stop_mode is None:
            log.info("%s received; a second one ends everything by force", signal.Signals(number).name)
            self.journal.command("stop", {"signal": signal.Signals(number).name}, {"ok": True})
            self._signalled_at = now
            self.stop()
        elif self._signalled_at is None or now - self._signalled_at > SAME_SIGNAL_S:
            self.stop(force=True)

    def _on_hangup(self) -> None:
        log.info("SIGHUP received and ignored; a changed configuration needs stop and start")

    # --- the loop -----------------------------------------------------------------------------------------------

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = self._clock()
        if now - self._last_tick > self._pause + STALL_S:
            log.warning("this process did not run for %.1f s; children get that time on top", now - self._last_tick)
            for child in self.children:
                self.advance(child, Report())
        late_s, self._last_tick = max(0.0, now - self._last_tick - self._pause), now
        try:
            self._tend()
            self.journal.sample(now, late_s, self.status)
            self._pause = TICK_S
        except Exception:  # the fleet trades on without us for a while; silence would be worse than a late tick
            self._pause = min(LONGEST_PAUSE_S, max(1.0, 2 * self._pause))
            log.exception("unexpected error in the supervisor's loop, next look in %.0f s", self._pause)
        if not self._finished.is_set():
            loop.call_later(self._pause, self._tick, loop)

    def _tend(self) -> None:
        """Give the time to every child, and start or stop what is due."""
        for child in self.children:
            self.advance(child)
        if not any(child.state.process is ProcessState.STARTING for child in self.children):
            self._queues.bury()
        if self._stop_mode is None:
            self._start_due()
            self._refresh_writer()
        else:
            self._stop_due()

    def _start_due(self) -> None:
        for child in self.children:
            if child.state.process is not ProcessState.STOPPED:
                continue
            if child.spec.needs_paper and not self._paper:
                child.state = replace(child.state, reason="waits for the paper exchange")
            elif child.spec.kind is ChildKind.WORKER and not self._writer_has_been_asked():
                child.state = replace(child.state, reason="waits for the writer")
            else:
                self.advance(child, Start())
        if not self._settled and all(self._has_settled(child) for child in self.children):
            self._settled = True
            down = [child.spec.name for child in self.children if child.state.process is not ProcessState.RUNNING]
            text = f"; not running: {', '.join(down)}" if down else ""
            log.info("%d of %d processes run%s", len(self.children) - len(down), len(self.children), text)
            self._on_settled()

    def _has_settled(self, child: Child) -> bool:
        """It runs and has said how it is, or has failed at least once (or waits for a paper exchange that has)."""
        if child.state.process is ProcessState.FATAL or child.state.failures > 0:
            return True
        if child.state.process is ProcessState.RUNNING:
            return child.spec.kind is not ChildKind.WORKER or "health" in child.health
        paper = self._first(ChildKind.PAPER)
        return child.spec.needs_paper and not self._paper and paper is not None and self._has_settled(paper)

    def _writer_has_been_asked(self) -> bool:
        """It has noted beside the journals what the database holds already, or it cannot: trading waits no longer."""
        writer = self._first(ChildKind.WRITER)
        self._writer_asked = self._writer_asked or writer is None or self._has_settled(writer)
        return self._writer_asked

    def _stop_due(self) -> None:
        for kind in (ChildKind.WORKER, ChildKind.WRITER, ChildKind.PAPER):
            group = [child for child in self.children if child.spec.kind is kind]
            for child in group:
                self.advance(child, Stop(force=self._forced))
            if any(child.state.alive for child in group) and not self._forced:
                return
            if kind is ChildKind.WORKER:  # while the writer is there to store it
                self.journal.end("stopped by force" if self._forced else "stopped")
        if not any(child.state.alive for child in self.children):
            self._finished.set()

    def _refresh_writer(self) -> None:
        """Restart the writer in order when there are queues it has not got."""
        writer = self._first(ChildKind.WRITER)
        now = self._clock()
        if (
            writer is not None
            and writer.state.process is ProcessState.RUNNING
            and (self._last_recycle is None or now - self._last_recycle >= RECYCLE_PAUSE_S)
            and self._queues.writer_outdated()
        ):
            self._last_recycle = now
            self.advance(writer, Restart("restarted in order for a new record queue"))

    def advance(self, child: Child, *events: Event) -> None:
        """Give events (or only the time) to the child's policy and do what it says."""
        before = child.state
        child.state, actions = step(self._clock(), before, events, policy=child.spec.policy, jitter=self._jitter())
        alerts = [action for action in actions if isinstance(action, Alert)]
        if child.state.process is not before.process and not alerts:
            self._log_edge(child)
        for alert in alerts:
            self.alert(child, alert.level, alert.text)
        for action in actions:
            if isinstance(action, Do):
                self._do(child, action)

    def _log_edge(self, child: Child) -> None:
        text = child.state.reason
        if child.state.process is ProcessState.STARTING:
            text = f"restart {child.state.restarts}" if child.state.failures else text
        suffix = f" ({text})" if text else ""
        log.info("%s: %s%s", child.spec.name, child.state.process, suffix, extra={"account": child.spec.account})

    def _do(self, child: Child, action: Do) -> None:
        match action:
            case Do.SPAWN:
                self._spawn(child)
            case Do.ASK_STOP:
                message = {"type": "stop", "mode": self._stop_mode or self.plan.on_stop}
                if child.spec.kind is not ChildKind.WORKER or not child.send(message):
                    child.signal(signal.SIGTERM)
            case Do.TERMINATE:
                child.signal(signal.SIGTERM)
            case Do.ABORT:
                child.signal(signal.SIGABRT)
            case Do.KILL:
                child.signal(signal.SIGKILL)

    def _spawn(self, child: Child) -> None:
        try:
            child.spawn(self._extra_arguments(child))
        except OSError as error:
            self._queue_ended(child, in_order=True)
            self.advance(child, SpawnFailed(str(error)))

    def _extra_arguments(self, child: Child) -> tuple[Any, ...]:
        match child.spec.kind:
            case ChildKind.PAPER:
                return (self._paper.get("port", 0),)
            case ChildKind.WRITER:
                return (self._queues.for_writer(),)
            case ChildKind.WORKER:
                url = self._paper.get("url") if child.spec.needs_paper else None
                return url, self._queues.for_worker(child.spec.account)

    # --- what children say and how they end -----------------------------------------------------------------------

    def _on_message(self, child: Child, message: Message) -> None:
        try:
            self._take(child, message)
        except Exception:  # one odd message must not cost the ones behind it
            log.exception("%s sent a message that could not be used: %r", child.spec.name, message.get("type"))

    def _take(self, child: Child, message: Message) -> None:
        match message.get("type"):
            case "ready":
                self._on_ready(child, message)
                self.advance(child, Ready())
                self._tend()
            case "health":
                child.health = message
                self.advance(child, Report())
                if child.spec.kind is ChildKind.WRITER:
                    self._on_stored(child, message)
            case "alert":
                level, recorded = str(message.get("level", "WARNING")).upper(), bool(message.get("recorded"))
                self.alert(child, level, str(message.get("text", "")), recorded=recorded)
            case "bye" | "refused":
                child.bye = str(message.get("reason") or "")
            case "queue":
                child.queue_clean = bool(message.get("clean"))
            case "answer":
                self._operations.on_answer(message)
            case other:
                log.warning("%s sent a message of unknown type %r", child.spec.name, other)

    def _on_ready(self, child: Child, message: Message) -> None:
        child.ready = message
        if child.spec.kind is ChildKind.PAPER:
            if self._paper and message.get("url") != self._paper.get("url"):
                self.alert(child, "CRITICAL", f"came back as {message.get('url')}, not {self._paper.get('url')}")
            self._paper = {"url": message.get("url"), "port": message.get("port")}
        elif child.spec.kind is ChildKind.WORKER and child.spec.account in self._committed:
            child.send({"type": "ack", "seq": self._committed[child.spec.account]})

    def _on_stored(self, writer: Child, report: Message) -> None:
        late = self._watch.heard(report)
        if late is not None:
            self.alert(writer, *late)
        committed = report.get("committed") or {}
        self.journal.ack(committed.get(SUPERVISOR, 0))
        for child in self.children:
            seq = committed.get(child.spec.account)
            if (
                child.spec.kind is ChildKind.WORKER
                and seq is not None
                and seq != self._committed.get(child.spec.account)
            ):
                self._committed[child.spec.account] = seq
                child.send({"type": "ack", "seq": seq})

    def _on_exit(self, child: Child, code: int) -> None:
        is_worker = child.spec.kind is ChildKind.WORKER
        self._queue_ended(child, in_order=child.queue_clean if is_worker else code == ExitCode.OK)
        if child.spec.ends_session and code == ExitCode.OK and self._stop_mode is None:
            log.info("%s has ended in order, and with it this session", child.spec.name)
            self.stop()
        elif child.spec.kind is ChildKind.PAPER and self._stop_mode is None:
            self.alert(child, "CRITICAL", "is gone, and with it the orders, positions and balances of its accounts")
        self.advance(child, Exited(code, child.last_exit))
        self._tend()

    def _queue_ended(self, child: Child, *, in_order: bool) -> None:
        if child.spec.kind is ChildKind.WORKER:
            self._queues.worker_ended(child.spec.account, in_order=in_order)
        elif child.spec.kind is ChildKind.WRITER:
            self._queues.writer_ended(in_order=in_order)

    def alert(self, child: Child, level: str, text: str, *, recorded: bool = False) -> None:
        """To the log, to `status` for a while, and to the records unless the child has `recorded` it itself."""
        number = logging.getLevelNamesMapping().get(level, logging.WARNING)
        log.log(number, "%s: %s", child.spec.name, text, extra={"account": child.spec.account})
        self.journal.alert(_utc_now(), level, child.spec.name, text, recorded=recorded)

    # --- status -------------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """The model of `supervisor.status.model`."""
        now = self._clock()
        own = SupervisorFacts(
            pid=os.getpid(),
            version=__version__,
            state="stopping" if self._stop_mode else "running" if self._settled else "starting",
            uptime_s=now - self._started_at,
            data_dir=str(self.plan.data_dir),
            config=self.plan.config_path,
            run_id=self.plan.run_id,
            rss=psutil.Process().memory_info().rss,
            time=_utc_now(),
            alerts=list(self.journal.alerts),
        )
        return status_of(now, own, self.children, self.plan, self._queues, paper_url=self._paper.get("url"))

    def _first(self, kind: ChildKind) -> Child | None:
        return next((child for child in self.children if child.spec.kind is kind), None)


def _utc_now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
