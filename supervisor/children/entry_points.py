"""Entry functions of the children: each turns the arguments of a launch into what its part expects.

Imported in the child; each imports its own part only, so that the supervisor and the other children stay light.
"""

from __future__ import annotations

import errno
import os
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from gridbot.shortage import is_of_system, is_shortage
from gridbot.state.unkept_holds import BEGINS_PAUSED, UNKEPT
from supervisor.children.launch_arguments import CAPS, LEASE, TAKES_OVER
from supervisor.children.launch_plan import ChildLogs
from supervisor.exit_codes import ExitCode

if TYPE_CHECKING:
    from gridbot.config.account_models import AccountConfig
    from gridbot.config.models import GridbotConfig
    from gridbot.paper.server.paper_spec import PaperAccount, PaperSpec
    from gridbot.records.record_queue import QueueReceiver, QueueSender
    from gridbot.worker.spec import WorkerSpec
    from supervisor.store.writer import WriterSpec

__all__ = ["paper", "paper_spec", "prepare", "rescue", "set_up_logging", "worker", "writer", "writer_spec"]

DAY_S = 86_400
NO_DOCUMENTS = (CAPS, BEGINS_PAUSED, LEASE, UNKEPT, TAKES_OVER)
"""Of what goes to a worker beside what stops its orders; `spec.KNOWN` too."""


def prepare() -> None:
    """In the fork server: make once what each child would make for itself when it is given its configuration."""
    from gridbot.config.strategy_kinds import make_all_models

    make_all_models()


def worker(
    account: str,
    config: GridbotConfig,
    run_id: str,
    logs: ChildLogs,
    paper_url: str | None,
    queue: QueueSender,
    held: dict[str, Any],
    conn: Connection[Any, Any],
) -> None:
    """The process of one account."""
    from gridbot.worker.entry import run_worker

    run_worker(_worker_spec(account, config, run_id, logs, paper_url, held), queue, conn)


def rescue(
    account: str,
    config: GridbotConfig,
    run_id: str,
    logs: ChildLogs,
    paper_url: str | None,
    queue: QueueSender,
    held: dict[str, Any],
    conn: Connection[Any, Any],
) -> None:
    """The process that cancels and closes for an account without a worker."""
    from gridbot.rescue.rescue_entry import run_rescue

    run_rescue(_worker_spec(account, config, run_id, logs, paper_url, held), queue, conn)


def _worker_spec(
    account: str, config: GridbotConfig, run_id: str, logs: ChildLogs, paper_url: str | None, held: dict[str, Any]
) -> WorkerSpec:
    from gridbot.bybit.dialling import send_from
    from gridbot.process_guard import close_memory
    from gridbot.worker.spec import KNOWN, WorkerSpec

    if config.account(account).environment != "paper":
        close_memory()
    if config.fleet.is_host:
        send_from(config.fleet.address)
    leased = held.get(LEASE, {})
    return WorkerSpec(
        account=account,
        settings=config,
        data_dir=config.storage.data_dir,
        run_id=run_id,
        paper_url=paper_url,
        console=logs.console,
        held={name: document for name, document in held.items() if name not in (*NO_DOCUMENTS, KNOWN)},
        unkept=held.get(UNKEPT, {}),
        shares=True,
        caps=held.get(CAPS),
        paused=str(held.get(BEGINS_PAUSED, "")),
        lease=leased.get("term"),
        takes_over=TAKES_OVER in held,
        known=held.get(KNOWN, {}),
        cancels_when_lost=bool(leased.get("cancels")),
    )


def writer(
    config: GridbotConfig,
    logs: ChildLogs,
    queues: dict[str, QueueReceiver],
    report: Connection[Any, Any],
    life: Connection[Any, Any],
) -> None:
    """The process that puts records into DuckDB. It alone imports more than the fork server has."""
    from supervisor.children.program_files import are_changed

    if are_changed():
        report.send({"type": "refused", "reason": _two_versions(config)})
        raise SystemExit(ExitCode.REFUSED)
    from gridbot.private_files import SHARED_UMASK
    from supervisor.store.writer_process import run_writer

    if config.storage.group is not None:
        os.umask(SHARED_UMASK)  # the database is made by DuckDB
    set_up_logging("writer", config, logs)
    run_writer(writer_spec(config), queues, report, life)


def _two_versions(config: GridbotConfig) -> str:
    from gridbot.command_line import pasteable

    place = config.storage.data_dir
    return (
        "expected the program's files as at the supervisor's start, got changed ones; records wait in the journals "
        f"until `{pasteable('stop', data_dir=place)}` and `{pasteable('start --detach', data_dir=place)}`"
    )


def writer_spec(config: GridbotConfig) -> WriterSpec:
    """The writer's settings from a configuration."""
    from supervisor.store.writer import WriterSpec

    return WriterSpec(
        data_dir=config.storage.data_dir,
        accounts=tuple(account.name for account in config.accounts),
        flush_interval=config.storage.flush_interval,
        keep_days={table: age.total_seconds() / DAY_S for table, age in config.storage.keep.items()},
        fleet=config.fleet if config.fleet.is_host else None,
    )


def paper(
    config: GridbotConfig,
    logs: ChildLogs,
    control_token: str,
    port: int,
    report: Connection[Any, Any],
    life: Connection[Any, Any],
) -> None:
    """The embedded exchange; `port` is the one it had before, 0 at its first start."""
    from gridbot.paper.server.paper_process import run_paper_exchange
    from gridbot.paper.server.paper_server import ReplayError, SetupError

    set_up_logging("paper", config, logs)
    try:
        run_paper_exchange(paper_spec(config, port or None, control_token), report, life)
    except (SetupError, ReplayError, OSError) as error:
        report.send({"type": "bye", "reason": _words_of(error)})
        raise SystemExit(_code_of(error)) from None


def _words_of(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"expected a free port, got: {error.strerror}; end what has it, or set paper.port to another one or to 0"
    return str(error)


def _code_of(error: Exception) -> ExitCode:
    """Wrong settings stay wrong; a taken port or state file may become free, a disk and a network come back."""
    if is_shortage(error):
        return ExitCode.NO_ROOM
    return ExitCode.REFUSED if is_of_system(error) else ExitCode.CONFIG


def paper_spec(config: GridbotConfig, port: int | None = None, control_token: str = "") -> PaperSpec:
    """The exchange that the paper accounts of a configuration trade on."""
    from gridbot.paper.server.paper_spec import PaperSpec

    accounts = [_paper_account(account) for account in config.accounts if account.environment == "paper"]
    return PaperSpec(config=config.paper, accounts=accounts, port=port, control_token=control_token)


def _paper_account(account: AccountConfig) -> PaperAccount:
    """An account of the exchange. Of an RSA key it has the public half alone, as Bybit does."""
    from gridbot.exchange.rsa_keys import is_rsa_key, public_half
    from gridbot.paper.server.paper_spec import PaperAccount

    key, secret = account.api_key.get_secret_value(), account.api_secret.get_secret_value()
    if is_rsa_key(secret):
        return PaperAccount(account.name, key, "", account.balance, rsa_public_key=public_half(secret))
    return PaperAccount(account.name, key, secret, account.balance)


def set_up_logging(process: str, config: GridbotConfig, logs: ChildLogs) -> None:
    """Log file and console of a child, with its secrets hidden in both."""
    from gridbot.logging_setup import register_secret, setup_logging

    for secret in config.secrets():
        register_secret(secret)
    setup_logging(process, config.logging, config.storage.data_dir, console=logs.console)
