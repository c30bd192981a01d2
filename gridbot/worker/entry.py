"""The process of one account: signals, the pipe to the supervisor, the key lock, and the end of the process.

The entry of the worker: the system's clock and randomness are made here and passed on, and threads are started here and
in `supervisor_pipe`. What the process does is in `worker_session`.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import logging
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from gridbot import background, logging_setup
from gridbot.bybit.line_choice import name_of_lines, prepare_lines
from gridbot.process_guard import exit_with_parent, exit_within
from gridbot.records.block_reader import NewerJournal
from gridbot.records.journal import JournalBusy
from gridbot.records.record_block import prepare_layouts
from gridbot.shortage import is_shortage
from gridbot.state.key_lock import KeyRefused, KeyShare, key_lock
from gridbot.system_ports import OwnProcess, SystemClock, SystemIds
from gridbot.worker.spec import WorkerSpec
from gridbot.worker.startup import StartRefused
from gridbot.worker.supervisor_pipe import SupervisorPipe
from gridbot.worker.worker_session import EXIT_NO_ROOM, EXIT_REFUSED, WorkerSession

__all__ = ["prepare", "run_worker"]

log = logging.getLogger(__name__)

EXIT_UNEXPECTED = 1
LEAVE_S = 3.0


def run_worker(spec: WorkerSpec, records: Any, conn: Connection[Any, Any]) -> None:
    """Run until the worker ends, then raise SystemExit.

    Codes: 0 after an orderly stop, 7 when the start was refused (nothing was sent), 10 when the machine has no room, on
    its disk for example. Anything unexpected is raised: whoever has started us tells it (`supervisor.children`).
    `records` is the worker's own queue to the writer, `conn` leads to the supervisor.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches all processes; the supervisor decides
    for secret in spec.settings.secrets():
        logging_setup.register_secret(secret)
    logging_setup.setup_logging(
        f"worker-{spec.account}", spec.settings.logging, spec.data_dir, console=spec.console, account=spec.account
    )
    exit_with_parent(os.getppid(), exit_code=EXIT_UNEXPECTED)  # also when the loop is stuck
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            code = runner.run(_run(spec, records, conn))
    except Exception as error:
        log.exception("the worker ends because of something unexpected")
        exit_within(LEAVE_S, exit_code=EXIT_NO_ROOM if is_shortage(error) else EXIT_UNEXPECTED)
        raise
    logging_setup.stop_logging()
    exit_within(LEAVE_S, exit_code=code)
    raise SystemExit(code)


def prepare() -> None:
    """In the fork server: make and import once what each worker would for itself before it connects."""
    importlib.import_module("gridbot.bybit.pybit_client")
    prepare_lines()
    prepare_layouts()
    _loop_factory()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where it is installed (the extra `fast`); None for asyncio's own."""
    if importlib.util.find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop


async def _run(spec: WorkerSpec, records: Any, conn: Connection[Any, Any]) -> int:
    loop = asyncio.get_running_loop()
    kind = type(loop).__module__.split(".")[0]
    log.info("this worker reads WebSockets with %s, and its loop is %s's", name_of_lines(), kind)
    pipe = SupervisorPipe(conn)
    session = WorkerSession(spec, records, pipe.send, clock=SystemClock(), ids=SystemIds(), process=OwnProcess())
    loop.add_signal_handler(signal.SIGTERM, session.stop)
    pipe.listen(loop, session.on_message, session.on_supervisor_gone)
    account = spec.settings.account(spec.account)
    scope = spec.paper_url or str(account.environment)
    locked = key_lock(account.api_key.get_secret_value(), scope, KeyShare.of(spec.settings.fleet))
    try:
        with background.watch(loop, session.on_fault), locked:
            return await session.run()
    except (KeyRefused, JournalBusy, NewerJournal, StartRefused) as refusal:
        return session.refuse(str(refusal), EXIT_NO_ROOM if is_shortage(refusal) else EXIT_REFUSED)
    finally:
        pipe.close()
