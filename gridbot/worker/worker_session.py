"""One run of an account's worker, from the first attempt to start to the last record. Its process is `entry`.

::

    starting ──► trading ──► stopping
        │            │            │
        └────────────┴────────────┴──► closed

`stop` may come at any time. The worker also stops when its supervisor is gone; then all orders stay as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable
from typing import Any

from gridbot import background
from gridbot.config.models import OnStop
from gridbot.exchange.failures import ErrorKind, ExchangeError
from gridbot.fault_words import cause_of, in_words, sentence
from gridbot.incidents import Change
from gridbot.lease.lease_term import LeaseTerm
from gridbot.ports import Clock, Ids
from gridbot.worker.assembly import Assembly
from gridbot.worker.bounded_wait import is_set_within
from gridbot.worker.commands import Answer, Commands, answer_to, record_of, told, too_late
from gridbot.worker.flatten_commands import Told
from gridbot.worker.fleet_link import FleetLink
from gridbot.worker.operator_alerts import Alerts
from gridbot.worker.orchestrator import Orchestrator
from gridbot.worker.outside import Outside
from gridbot.worker.reload_messages import reload_step
from gridbot.worker.reporting import Process, Reporting
from gridbot.worker.shared_documents import sharer
from gridbot.worker.shutdown import cancel_everything, flatten
from gridbot.worker.spec import WorkerSpec
from gridbot.worker.startup import RETRY_WAITS_S, is_hopeless, refused_by_disk

__all__ = ["EXIT_NO_ROOM", "EXIT_OK", "EXIT_REFUSED", "WorkerSession"]

log = logging.getLogger(__name__)

EXIT_OK, EXIT_REFUSED, EXIT_NO_ROOM = 0, 7, 10
LOG_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

Message = dict[str, Any]


class WorkerSession:
    """`records` is the worker's own queue to the writer; `send` passes a message to the supervisor and never blocks.

    `outside` makes what reaches the exchange and the disk; without it, the real ones.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        records: Any,
        send: Callable[[Message], None],
        *,
        clock: Clock,
        ids: Ids,
        process: Process,
        outside: Outside | None = None,
    ) -> None:
        self._spec = spec
        self._records = records
        self._send = send
        self._clock = clock
        self._ids = ids
        self._process = process
        self._outside = outside
        self._reporting = Reporting(
            spec.account,
            self._account,
            clock,
            process,
            send,
            sample_interval_s=spec.settings.storage.health_interval,
        )
        scope = str(spec.settings.account(spec.account).environment)
        self._fleet = FleetLink(clock, scope, send if spec.shares else None, takes_over=spec.takes_over)
        self._shutdown = asyncio.Event()
        self._stop_mode = spec.settings.supervisor.on_stop
        self._left: list[str] | None = None
        """What a stop that cancels or flattens could not do; None until it has been tried."""
        self._orphaned = False
        self._begins_anew = False
        self._assembly: Assembly | None = None
        self._commands: Commands | None = None
        self._early_alerts = Alerts(None, self._tell, clock)
        """Of the time when no records are open."""

    async def run(self) -> int:
        """Start, trade until stopped, close; the exit code.

        Raises StartRefused, JournalBusy, and whatever unexpected ends the trading, also an OSError.
        """
        report = background.start(self._reporting.run(), name="the reports to the supervisor")
        self._fleet.budget.starting()
        self._fleet.budget.open()
        try:
            assembly = self._assembly = self._assemble()
        except BaseException:
            report.cancel()
            raise
        self._send({"type": "assembled", "account": self._spec.account})  # from here on it is others who are waited for
        reason, code = "stopped", EXIT_OK
        try:
            if not await self._start(assembly):
                reason, code = (reason, EXIT_OK) if self._shutdown.is_set() else ("start refused", EXIT_REFUSED)
                return code
            self._fleet.budget.started()
            await self._trade(assembly)
        except BaseException as error:
            reason = in_words(error)
            raise
        finally:
            report.cancel()
            self._fleet.budget.close()
            self._commands = None
            unsaved = await assembly.close(reason)
            self._assembly = None  # its records are complete; from here on only the supervisor records alerts
            if unsaved:
                self._alerts("error", "unsaved", unsaved)
            last: Message = {"unsaved": unsaved} if unsaved else {}
            if self._left is not None:
                last["left"] = self._left
            self._send({"type": "bye", "reason": reason, "exit_code": code, **last})
        return code

    def _assemble(self) -> Assembly:
        """Open journal and state. A disk that refuses them refuses the start: nothing was sent, and it may pass."""
        try:
            return Assembly(
                self._spec,
                self._records,
                alert=self._tell,
                clock=self._clock,
                ids=self._ids,
                outside=self._outside,
                begin_anew=self._begin_anew,
                hand=self._hand,
                share=sharer(self._spec.account, self._send),
                fleet=self._fleet,
            )
        except OSError as error:
            raise refused_by_disk(self._spec.data_dir, error) from error

    def refuse(self, text: str, code: int = EXIT_REFUSED) -> int:
        """Give up before anything was sent; returns the exit code.

        For want of room there is no alert of ours: the supervisor raises one for all the tries there will be.
        """
        log.error("start refused: %s", text)
        if code != EXIT_NO_ROOM:
            self._alerts("error", "start", text)
        self._send({"type": "bye", "reason": text, "exit_code": code})
        return code

    # ------------------------------------------------------------------ from outside

    def stop(self) -> None:
        """Stop in an orderly way."""
        self._shutdown.set()

    def on_supervisor_gone(self) -> None:
        """Stop and leave all orders: there are only two seconds, and the next worker adopts the orders."""
        log.warning("the supervisor is gone; stopping, orders stay as they are")
        self._orphaned = True
        self._shutdown.set()

    def _begin_anew(self, reason: str) -> None:
        """Ask for another start of this worker, which keeps its orders: the next one reads everything afresh."""
        self._begins_anew = True
        self._send({"type": "restart", "account": self._spec.account, "reason": reason})

    def _hand(self, name: str, document: Message) -> None:
        """Give what stops orders to the supervisor too: the disk may take it nowhere before this process dies."""
        self._send({"type": "held", "account": self._spec.account, "name": name, "document": document})

    def on_fault(self, part: str, error: BaseException) -> None:
        """Something raised that nobody else catches: a timer, a reader, a thread. Everything goes on."""
        orchestrator = self._account()
        if orchestrator is not None:
            orchestrator.context.faults.report(part, error)
        elif self._alerts("error", "fault", sentence(part, error), cause=cause_of(part, error)) == 1:
            log.error("%s failed", part, exc_info=error)

    def on_message(self, message: Message) -> None:
        """A message of the supervisor; what is not about this account alone is for the `FleetLink`."""
        match message.get("type"):
            case "stop":
                asked = OnStop(message.get("mode") or self._stop_mode)
                self._stop_mode = OnStop.KEEP if self._begins_anew else asked
                self._shutdown.set()
            case "ack" if self._assembly is not None:
                self._assembly.recorder.ack(int(message["seq"]))
            case "command":
                self._on_command(message)
            case "question":
                self._on_question(message)
            case "reload":
                background.start(self._reload(message), name="a reload")
            case "lease_term":
                self._on_lease(LeaseTerm.from_message(message))
            case "lease" | "fact" | "read_fact" | "fact_coming" | "line_start":
                self._fleet.on_message(message)
            case "caps":
                orchestrator = self._account()
                if orchestrator is not None:  # before that nothing is opened, and it comes again
                    orchestrator.take_caps(message)

    def _on_lease(self, term: LeaseTerm) -> None:
        """The account's lease was renewed, and holds so long. What waited for it goes on at once."""
        if self._assembly is None or self._assembly.lease is None:
            return
        self._assembly.lease.extend(term)
        orchestrator = self._account()
        if orchestrator is not None:
            orchestrator.lease_guard.look()

    def _superseded(self, text: str) -> None:
        """Another holder trades the account: leave, with all orders as they are."""
        self._send({"type": "superseded", "account": self._spec.account, "reason": text})
        self._stop_mode = OnStop.KEEP
        self._shutdown.set()

    def _on_command(self, message: Message) -> None:
        """Carry out a command, and record it, its result and what it changed.

        A report goes before the answer, so that the next `status` shows what it did.
        One that is read too late is not carried out: the operator has been told so.
        """
        try:
            late_s = self._clock.monotonic_s() - message.get("expires_s", math.inf)
            answer = too_late(late_s) if late_s > 0 else answer_to(message, self._commands, self._reporting.state)
        except Exception as error:  # noqa: BLE001 - reported with its traceback; the operator gets an answer
            self.on_fault(f"the command {message.get('name')!r}", error)
            text = f"unexpected {in_words(error)}; the worker's log has the traceback"
            answer = {"ok": False, "fault": True, "error": text}
        if isinstance(result := answer.get("result"), asyncio.Future):
            self._send({"type": "taken", "id": message.get("id")})
            self._reporting.report_safely()
            background.start(self._answer_later(message, result), name="a command that takes long")
        else:
            self._answer(message, answer)

    async def _answer_later(self, message: Message, result: Told) -> None:
        self._answer(message, told(*await result))

    def _answer(self, message: Message, answer: Answer) -> None:
        is_recorded = self._assembly is not None
        if self._assembly is not None:
            self._assembly.recorder.record(record_of(message, answer))
            orchestrator = self._account()
            if orchestrator is not None:
                orchestrator.records.record_state()
            self._assembly.recorder.write()
            if answer["ok"]:
                answer["result"] += self._assembly.disk.only_in_memory()
        self._reporting.report_safely()
        self._send({"type": "answer", "id": message.get("id"), "recorded": is_recorded, **answer})

    def _on_question(self, message: Message) -> None:
        """Say why orders are missing. Nothing is changed, so nothing is recorded."""
        orchestrator = self._account()
        try:
            if orchestrator is None:
                raise ValueError(f"the worker is {self._reporting.state}: it knows nothing of its orders yet")
            answer = {"ok": True, "result": orchestrator.explanations.answer(str(message.get("strategy") or ""))}
        except (LookupError, ValueError) as error:
            answer = {"ok": False, "error": str(error)}
        except Exception as error:  # noqa: BLE001 - reported with its traceback; the operator gets an answer
            self.on_fault("the explanation of missing orders", error)
            answer = {"ok": False, "error": f"unexpected {in_words(error)}; the worker's log has the traceback"}
        self._send({"type": "answer", "id": message.get("id"), **answer})

    async def _reload(self, message: Message) -> None:
        """A step of a reload. The supervisor records the whole."""
        assembly = self._assembly
        if assembly is None or self._commands is None:
            answer = {"ok": False, "error": f"the worker is {self._reporting.state}; try again in a moment"}
        else:
            answer = await reload_step(assembly.reloading, message, self.on_fault)
            assembly.recorder.write()
            self._reporting.report_safely()
        self._send({"type": "answer", "id": message.get("id"), "recorded": True, **answer})

    # ------------------------------------------------------------------ start, trade, wind down

    def _account(self) -> Orchestrator | None:
        assembly = self._assembly
        return assembly.orchestrator if assembly is not None and assembly.ready else None

    async def _start(self, assembly: Assembly) -> bool:
        """Four tries; a failed one closes what it opened. False when stopped meanwhile or when all failed.

        A ban of our address is waited for, and is no try.
        """
        waits_s = iter(RETRY_WAITS_S)
        while True:
            try:
                return await self._try_start(assembly)
            except ExchangeError as error:
                await assembly.undo_start()
                is_banned = error.kind is ErrorKind.IP_BAN
                wait_s = error.silence_s if is_banned else next(waits_s, None)
                if wait_s is None or is_hopeless(error):
                    self.refuse(f"the exchange could not be read, no order was sent: {error}")
                    return False
                log.warning("start failed, again in %.0f s: %s", wait_s, error)
                if is_banned:
                    self._alerts("warning", "start", f"this account starts in {wait_s:.0f} s: {error}")
                if await is_set_within(self._shutdown, wait_s, self._clock):
                    return False

    async def _try_start(self, assembly: Assembly) -> bool:
        """False when the worker was stopped before the start had ended. Raises ExchangeError or StartRefused."""
        started = background.awaited(assembly.start(), name="the start")
        stopped = background.awaited(self._shutdown.wait(), name="a stop")
        await asyncio.wait({started, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not started.done():
            started.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await started
            return False
        started.result()
        return True

    async def _trade(self, assembly: Assembly) -> None:
        orchestrator = assembly.orchestrator
        orchestrator.lease_guard.tell(self._superseded)
        self._commands = Commands(
            self._spec.account,
            orchestrator.runners.values(),
            orchestrator.context.requests,
            orchestrator.losses,
            orchestrator.money,
            orchestrator.context.recorded,
            orchestrator.flattening,
            orchestrator.refused,
            self._spec.data_dir,
            orchestrator.caps,
            orchestrator.adoption,
            orchestrator.context.gate.account_latch,
        )
        self._reporting.enter("trading")
        self._reporting.report()
        self._send({"type": "ready", "account": self._spec.account, "pid": self._process.pid})
        await orchestrator.run_until_shutdown(self._shutdown)
        self._commands = None
        self._reporting.enter("stopping")
        await self._wind_down(assembly)

    async def _wind_down(self, assembly: Assembly) -> None:
        """Cancel orders and close positions as `on_stop` says; an orphan leaves both."""
        if self._orphaned or self._stop_mode is OnStop.KEEP:
            return
        deadline_s = max(2.0, self._spec.settings.supervisor.stop_timeout - 5.0)
        left = await cancel_everything(assembly.orchestrator, deadline_s / 2)
        if self._stop_mode is OnStop.FLATTEN:
            left += await flatten(assembly.orchestrator, deadline_s / 2)
        self._left = left
        for text in left:
            self._alerts("error", "stop", text)

    # ------------------------------------------------------------------ alerts

    @property
    def _alerts(self) -> Alerts:
        """Recorded while there is a recorder, sent to the supervisor in any case."""
        return self._assembly.alerts if self._assembly is not None else self._early_alerts

    def _tell(self, change: Change) -> None:
        log.log(LOG_LEVELS[change.level], "[alert] %s", change.text)
        message = {
            **change.incident.row(),
            "level": change.level,
            "severity": change.incident.level,
            "phase": str(change.phase),
            "text": change.text,
            "recorded": self._assembly is not None,
        }
        self._send({"type": "alert", "account": self._spec.account, **message})
