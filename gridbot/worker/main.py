"""The process of one account: assembly, a report each second, commands, signals.

`run_worker` is what the supervisor spawns. It returns by ending the process: 0 after an orderly stop, 4 for a
configuration it cannot trade, 7 when the start was refused (nothing was sent), 1 for anything unexpected.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import orjson

from gridbot import logging_setup
from gridbot.config.models import GridbotConfig, OnStop
from gridbot.exchange.failures import ExchangeError
from gridbot.process_guard import exit_with_parent, exit_within
from gridbot.records.journal import JournalBusy
from gridbot.records.record_types import CommandRecord, Json
from gridbot.state.key_lock import KeyRefused, key_lock
from gridbot.worker.assembly import Assembly
from gridbot.worker.health import account_health, sample_of
from gridbot.worker.pipe import SupervisorPipe
from gridbot.worker.shutdown import cancel_everything, flatten
from gridbot.worker.startup import RETRY_WAITS_S, StartRefused, is_hopeless

__all__ = ["WorkerSpec", "run_worker"]

log = logging.getLogger(__name__)

EXIT_OK, EXIT_UNEXPECTED, EXIT_REFUSED = 0, 1, 7
LEAVE_S = 3.0
REPORT_S = 1.0
CHECKPOINT_S = 10.0


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """Everything a worker is started with; travels to the child through a pipe, never through arguments."""

    account: str
    settings: GridbotConfig
    data_dir: Path
    run_id: str
    """Of the supervisor's session; each worker process makes its own from it."""
    paper_url: str | None = None
    console: bool = True


def run_worker(spec: WorkerSpec, records: Any, conn: Connection[Any, Any]) -> None:
    """Process entry; ends by SystemExit. `records` is its own queue to the writer, `conn` leads to the supervisor."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C reaches everyone; the supervisor decides
    for secret in spec.settings.secrets():
        logging_setup.register_secret(secret)
    logging_setup.setup_logging(
        f"worker-{spec.account}", spec.settings.logging, spec.data_dir, console=spec.console, account=spec.account
    )
    exit_with_parent(os.getppid(), exit_code=EXIT_UNEXPECTED)  # also when the loop is stuck
    try:
        code = asyncio.run(_Worker(spec, records, conn).run())
    except Exception:
        log.exception("the worker ends because of something unexpected")
        code = EXIT_UNEXPECTED
    logging_setup.stop_logging()
    exit_within(LEAVE_S, exit_code=code)
    raise SystemExit(code)


class _Worker:
    """One life of an account's process."""

    def __init__(self, spec: WorkerSpec, records: Any, conn: Connection[Any, Any]) -> None:
        self._spec = spec
        self._records = records
        self._started_s = time.monotonic()
        self._sampled_s = float("-inf")
        self._pipe = SupervisorPipe(conn)
        self._stop = asyncio.Event()
        self._stop_mode = spec.settings.supervisor.on_stop
        self._orphaned = False
        self._state = "starting"
        self._assembly: Assembly | None = None

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        self._pipe.listen(loop, self._command, self._supervisor_gone)
        account = self._spec.settings.account(self._spec.account)
        scope = self._spec.paper_url or str(account.environment)
        try:
            with key_lock(account.api_key.get_secret_value(), scope):
                return await self._life()
        except (KeyRefused, JournalBusy, StartRefused) as refusal:
            return self._refuse(str(refusal))
        except OSError as error:
            return self._refuse(f"expected to write state and journal in {self._spec.data_dir}, got: {error}")
        finally:
            self._pipe.close()

    async def _life(self) -> int:
        report = asyncio.create_task(self._report(), name="report")
        assembly = self._assembly = Assembly(self._spec, self._records, alert=self._tell)
        reason, code = "stopped", EXIT_OK
        try:
            if not await self._start(assembly):
                reason, code = (reason, EXIT_OK) if self._stop.is_set() else ("start refused", EXIT_REFUSED)
                return code
            self._state = "trading"
            self._report_now()
            self._pipe.send({"type": "ready", "account": self._spec.account, "pid": os.getpid()})
            await self._until_stopped(assembly)
            failure = assembly.orchestrator.failed()
            if failure is not None:
                raise failure
            self._state = "stopping"
            await self._wind_down(assembly)
        except BaseException as error:
            reason = f"{type(error).__name__}: {error}"
            raise
        finally:
            report.cancel()
            await assembly.close(reason)
            self._assembly = None  # its records are complete; what is still to be told only the supervisor can keep
            self._pipe.send({"type": "bye", "reason": reason, "exit_code": code})
        return code

    async def _start(self, assembly: Assembly) -> bool:
        """Four tries; each takes down what it opened. False when stopped meanwhile or when all failed."""
        for wait_s in (*RETRY_WAITS_S, None):
            started = asyncio.create_task(assembly.start())
            stopped = asyncio.create_task(self._stop.wait())
            await asyncio.wait({started, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if not started.done():
                started.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await started
                return False
            try:
                started.result()
                return True
            except ExchangeError as error:
                await assembly.undo_start()
                if wait_s is None or is_hopeless(error):
                    self._refuse(f"the exchange could not be read, no order was sent: {error}")
                    return False
                log.warning("start failed, again in %.0f s: %s", wait_s, error)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), wait_s)
                    return False
        return False

    async def _until_stopped(self, assembly: Assembly) -> None:
        last_checkpoint = time.monotonic()
        while not self._stop.is_set() and assembly.orchestrator.failed() is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), 0.5)
            assembly.guard_losses()
            if time.monotonic() - last_checkpoint > CHECKPOINT_S:
                last_checkpoint = time.monotonic()
                assembly.checkpoint.written()
                assembly.checkpoint.save(assembly.context.ledger)

    async def _wind_down(self, assembly: Assembly) -> None:
        """What becomes of the orders. An orphan leaves them: it has two seconds, and its successor adopts them."""
        if self._orphaned or self._stop_mode is OnStop.KEEP:
            return
        deadline_s = max(2.0, self._spec.settings.supervisor.stop_timeout - 5.0)
        left = await cancel_everything(assembly.orchestrator, deadline_s / 2)
        if self._stop_mode is OnStop.FLATTEN:
            left += await flatten(assembly.orchestrator, deadline_s / 2)
        for text in left:
            self._alert("error", "stop", text)

    # ------------------------------------------------------------------ the supervisor

    def _supervisor_gone(self) -> None:
        log.warning("the supervisor is gone; stopping, orders stay as they are")
        self._orphaned = True
        self._stop.set()

    def _command(self, message: dict[str, Any]) -> None:
        match message.get("type"):
            case "stop":
                self._stop_mode = OnStop(message.get("mode") or self._stop_mode)
                self._stop.set()
            case "ack" if self._assembly is not None:
                self._assembly.recorder.ack(int(message["seq"]))
            case "command":
                self._pipe.send({"type": "answer", "id": message.get("id"), **self._obey(message)})

    def _obey(self, message: dict[str, Any]) -> dict[str, Any]:
        """Carry out an operator's command, and keep it with what came of it and what it changed."""
        try:
            answer = {"ok": True, "result": self._operate(message)}
        except (LookupError, ValueError) as error:
            answer = {"ok": False, "error": str(error)}
        if self._assembly is not None:
            args = message.get("args") or {}
            self._assembly.recorder.record(
                CommandRecord(
                    strategy=str(args.get("strategy") or ""),
                    name=str(message.get("name")),
                    args=Json(orjson.dumps(args).decode()),
                    ok=bool(answer["ok"]),
                    result=str(answer.get("result") or answer.get("error")),
                )
            )
            if self._assembly.ready:
                self._assembly.orchestrator.record_state()
        return answer

    def _operate(self, message: dict[str, Any]) -> str:
        """Operator commands go the same way as everything else: they change what the gate knows."""
        if self._assembly is None or self._state != "trading":
            raise ValueError(f"expected a trading worker, it is {self._state}; try again in a moment")
        name, args = message.get("name"), message.get("args") or {}
        assembly = self._assembly
        runners = list(assembly.orchestrator.runners.values())
        if args.get("strategy"):
            runners = [runner for runner in runners if runner.strat_id == args["strategy"]]
            if not runners:
                raise LookupError(f"expected a strategy of {self._spec.account}, got {args['strategy']!r}")
        if name == "pause":
            for runner in runners:
                runner.risk_state.paused = True
                if args.get("cancel"):
                    runner.orders.cancel_all("paused")
            return f"{len(runners)} paused"
        if name == "resume":
            if not args.get("strategy"):
                assembly.clear_latch()
            for runner in runners:
                runner.risk_state.paused, runner.risk_state.halted = False, ""
                runner.risk_state.epoch += 1
            return f"{len(runners)} active"
        if name == "reconcile":
            assembly.orchestrator.reconcile("asked by the operator")
            return "under way"
        raise ValueError(f"expected pause, resume or reconcile, got {name!r}")

    def _refuse(self, text: str) -> int:
        log.error("start refused: %s", text)
        self._alert("error", "start", text)
        self._pipe.send({"type": "bye", "reason": text, "exit_code": EXIT_REFUSED})
        return EXIT_REFUSED

    def _alert(self, level: str, key: str, text: str) -> None:
        """Record it where there are records yet; the supervisor hears it in any case."""
        (self._assembly.alert if self._assembly is not None else self._tell)(level, key, text)

    def _tell(self, level: str, key: str, text: str, strategy: str = "") -> None:
        log.log(logging.ERROR if level == "error" else logging.WARNING, "[alert] %s", text)
        message = {"level": level, "key": key, "text": text, "recorded": self._assembly is not None}
        self._pipe.send({"type": "alert", "account": self._spec.account, **message})

    async def _report(self) -> None:
        while True:
            self._report_now()
            await asyncio.sleep(REPORT_S)

    def _report_now(self) -> None:
        if self._assembly is not None and self._assembly.ready:
            report = account_health(self._assembly.orchestrator, state=self._state, started_s=self._started_s)
            self._pipe.send(report)
            self._sample(report)
            return
        self._pipe.send(
            {
                "type": "health",
                "account": self._spec.account,
                "pid": os.getpid(),
                "state": self._state,
                "uptime_s": round(time.monotonic() - self._started_s, 1),
                "strategies": [],
            }
        )

    def _sample(self, report: dict[str, Any]) -> None:
        interval_s, now_s = self._spec.settings.storage.health_interval, time.monotonic()
        if self._assembly is not None and interval_s and now_s - self._sampled_s >= interval_s:
            self._sampled_s = now_s
            self._assembly.recorder.record(sample_of(report))
