"""The process of a rescue: signals, the pipe to the supervisor, the lock of the key, one command, the end.

It waits for the lock: the worker that had it was killed a moment ago. Whoever else has it is named, and nothing is
done. It ends with its supervisor: what is unfinished the next process of the account goes on with.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

from gridbot import background, logging_setup
from gridbot.lease.lease_term import LeaseTerm
from gridbot.lease.lease_watch import LeaseWatch
from gridbot.ports import Clock
from gridbot.process_guard import exit_within
from gridbot.records.journal import JournalBusy
from gridbot.rescue.rescue import Rescue, Said
from gridbot.state.key_lock import KeyBusy, KeyRefused, KeyShare, key_lock
from gridbot.system_ports import SystemClock, SystemIds, boot_ns
from gridbot.worker.commands import too_late
from gridbot.worker.fleet_link import FleetLink
from gridbot.worker.shared_documents import sharer
from gridbot.worker.spec import WorkerSpec
from gridbot.worker.supervisor_pipe import SupervisorPipe

__all__ = ["LOCK_WAIT_S", "locked", "run_rescue"]

log = logging.getLogger(__name__)

LOCK_WAIT_S = 10.0
POLL_S = 0.05
LEAVE_S = 3.0
REPORT_S = 1.0
EXIT_OK, EXIT_LEFT, EXIT_REFUSED = 0, 1, 7


def run_rescue(spec: WorkerSpec, records: Any, conn: Connection[Any, Any]) -> None:
    """Carry out the one command that comes by the pipe, then raise SystemExit.

    Codes: 0 when all is done, 1 when something is left, 7 when the account is not ours to touch.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for secret in spec.settings.secrets():
        logging_setup.register_secret(secret)
    logging_setup.setup_logging(
        f"rescue-{spec.account}", spec.settings.logging, spec.data_dir, console=spec.console, account=spec.account
    )
    with asyncio.Runner() as runner:
        code = runner.run(_run(spec, records, conn))
    logging_setup.stop_logging()
    exit_within(LEAVE_S, exit_code=code)
    raise SystemExit(code)


async def locked(stack: contextlib.ExitStack, spec: WorkerSpec, clock: Clock, wait_s: float) -> None:
    """Take the lock of the account's key; wait for one that was just killed. Raises KeyRefused."""
    config = spec.settings.account(spec.account)
    key, scope = config.api_key.get_secret_value(), spec.paper_url or str(config.environment)
    deadline_s = clock.monotonic_s() + wait_s
    while True:
        try:
            stack.enter_context(key_lock(key, scope, KeyShare.of(spec.settings.fleet)))
            return
        except KeyBusy:
            if clock.monotonic_s() >= deadline_s:
                raise
        await clock.sleep(POLL_S)


async def _run(spec: WorkerSpec, records: Any, conn: Connection[Any, Any]) -> int:
    loop, clock = asyncio.get_running_loop(), SystemClock()
    pipe = SupervisorPipe(conn)
    scope = str(spec.settings.account(spec.account).environment)
    fleet = FleetLink(clock, scope, pipe.send)
    lease = None if spec.lease is None else LeaseWatch(spec.lease, boot_ns, clock.wall_ms)
    asked: asyncio.Future[dict[str, Any]] = loop.create_future()

    def on_message(message: dict[str, Any]) -> None:
        match message.get("type"):
            case "command" if not asked.done():
                asked.set_result(message)
            case "lease_term" if lease is not None:
                lease.extend(LeaseTerm.from_message(message))
            case "lease" | "fact" | "read_fact" | "fact_coming":
                fleet.on_message(message)

    def on_gone() -> None:
        """Nobody hears the answer any more, and this process is about to be ended."""
        log.warning("the supervisor is gone; what is unfinished the next process goes on with")
        if not asked.done():
            asked.cancel()

    pipe.listen(loop, on_message, on_gone)
    pipe.send({"type": "ready", "account": spec.account, "pid": os.getpid()})
    reports = background.start(_report(pipe, clock), name="the reports to the supervisor")
    stopping = background.awaited(_rescue(spec, records, clock, fleet, pipe, asked, lease), name="the rescue")
    loop.add_signal_handler(signal.SIGTERM, stopping.cancel)
    try:
        return await stopping
    except asyncio.CancelledError:
        return EXIT_LEFT
    finally:
        reports.cancel()
        pipe.close()


async def _report(pipe: SupervisorPipe, clock: Clock) -> None:
    """Whoever hangs is silent, and is ended for it."""
    while True:
        pipe.send({"type": "health"})
        await clock.sleep(REPORT_S)


async def _rescue(
    spec: WorkerSpec,
    records: Any,
    clock: Clock,
    fleet: FleetLink,
    pipe: SupervisorPipe,
    asked: asyncio.Future[dict[str, Any]],
    lease: LeaseWatch | None,
) -> int:
    message = await asked
    account = spec.account

    def answer(given: dict[str, Any]) -> None:
        pipe.send({"type": "answer", "id": message.get("id"), **given})

    def alert(level: str, key: str, text: str) -> None:
        log.log(logging.ERROR if level == "error" else logging.WARNING, "[alert] %s", text)
        pipe.send({"type": "alert", "account": account, "level": level, "key": key, "text": text})

    def hand(name: str, document: dict[str, Any]) -> None:
        pipe.send({"type": "held", "account": account, "name": name, "document": document})

    said = Said(
        answer,
        taken=lambda: pipe.send({"type": "taken", "id": message.get("id")}),
        alert=alert,
        hand=hand,
        share=None if lease is None else sharer(account, pipe.send),
    )
    rescue = Rescue(spec, records, clock, SystemIds(), said, fleet, lease=lease)
    with contextlib.ExitStack() as stack, _watched(rescue):
        try:
            await locked(stack, spec, clock, LOCK_WAIT_S)
            late_s = clock.monotonic_s() - message.get("expires_s", math.inf)
            if late_s > 0:  # the operator has been told that it is not carried out
                answer(too_late(late_s))
                return EXIT_REFUSED
            return EXIT_OK if await rescue.run(message) else EXIT_LEFT
        except (KeyRefused, JournalBusy) as refusal:
            answer({"ok": False, "denied": True, "error": f"nothing was done: {refusal}"})
            return EXIT_REFUSED


@contextlib.contextmanager
def _watched(rescue: Rescue) -> Iterator[None]:
    with background.watch(asyncio.get_running_loop(), rescue.on_fault):
        yield
