"""`gridbot-supervisor start`: read the configuration, print what is going to happen, run the supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gridbot.command_line import pasteable, settle_program
from gridbot.config.paths import find_config
from supervisor.cli.options import Seconds, example, load_file_or_refuse, place_options, with_secrets
from supervisor.exit_codes import CommandError, ExitCode, unwritable

if TYPE_CHECKING:
    from gridbot.config.models import GridbotConfig
    from supervisor.children.launch_plan import Plan
    from supervisor.children.launcher import ForkServer

__all__ = ["run_supervisor", "start"]


@click.command(epilog=example("start -c conf/gridbot.yaml --detach"))
@place_options()
@click.option("--detach", is_flag=True, help="Run in the background; return when it works or has failed.")
@click.option("--timeout", type=Seconds(), default=90.0, show_default=True, help="With --detach: seconds to wait.")
@click.option("--paused", is_flag=True, help="Begin with every strategy paused, until it is resumed.")
@click.option("--detached", is_flag=True, hidden=True)
def start(config: str | None, data_dir: str | None, detach: bool, timeout: float, paused: bool, detached: bool) -> None:
    """Start the supervisor: paper exchange (if used), writer, one worker per account.

    In the foreground Ctrl-C stops it in order, a second Ctrl-C by force.
    """
    if detach:
        from supervisor.cli.detached_start import start_detached

        raise SystemExit(start_detached(config, data_dir, timeout, paused=paused))
    raise SystemExit(run_supervisor(config, data_dir, console=not detached, paused=paused))


def run_supervisor(config: str | None, data_dir: str | None, *, console: bool, paused: bool = False) -> ExitCode:
    """Run until stopped. `console` is false for a detached one: its log lines go to files only.

    `paused`: all strategies begin paused.
    """
    from supervisor.process.adopted import end_at_sigterm

    end_at_sigterm(ExitCode.OK)
    from gridbot import logging_setup
    from gridbot.config.paper_secrets import forget_variables
    from gridbot.config.secret_files import secret_file_warnings
    from gridbot.process_guard import close_memory, leave_no_core
    from gridbot.state.data_formats import newer_data
    from supervisor.children.config_source import ConfigSource
    from supervisor.children.launch_plan import plan_of
    from supervisor.cli.database_age import newer_database
    from supervisor.control.operator_name import user_at_host
    from supervisor.process.file_rights import settle_rights
    from supervisor.process.service_notify import ServiceManager
    from supervisor.store.left_behind import left_behind

    service = ServiceManager(os.environ)
    settle_program()
    config_file = find_config(config)
    environ = dict(os.environ)
    file = load_file_or_refuse(config_file, data_dir)
    home = file.config.storage.data_dir
    if (newer := newer_data(home) or newer_database(home)) is not None:
        raise CommandError(newer, ExitCode.REFUSED)
    if file.config.fleet.is_host:
        from supervisor.cli.fleet_start import run_host

        return run_host(file, config_file, data_dir, environ, service, console=console, paused=paused)
    warned = tuple(secret_file_warnings(file, config_file))
    settings, token = with_secrets(file.config)
    forget_variables(settings)
    leave_no_core()
    if any(account.environment != "paper" for account in settings.accounts):
        close_memory()
    storage = settings.storage
    with contextlib.ExitStack() as ends:
        # It imports for a second, and we for a quarter of one more.
        forks = _begin_forks(storage.data_dir / "logs" / "crash.log", settings)
        ends.callback(lambda: None if forks is None else forks.end())
        from supervisor.process.loop import Supervisor

        try:
            rights = settle_rights(storage.data_dir, storage.group, settings.paper.state_file)
        except OSError as error:
            raise unwritable(error) from None
        warnings = (*rights, *warned, *left_behind(settings))
        path = config_file.absolute()
        held = f"started paused by {user_at_host(os.getuid())}" if paused else ""
        plan = plan_of(
            *(settings, str(path)),
            console=console,
            warnings=warnings,
            control_token=token,
            paused=held,
            source=ConfigSource(path, data_dir and str(Path(data_dir).absolute()), environ),
        )
        for secret in settings.secrets():
            logging_setup.register_secret(secret)
        try:
            logging_setup.setup_logging("supervisor", settings.logging, plan.data_dir, console=console)
        except OSError as error:
            raise unwritable(error) from None
        if console:
            line = functools.partial(pasteable, config=config, data_dir=data_dir)
            click.echo(_greeting(settings, plan, line), err=True)
        try:
            return asyncio.run(Supervisor(plan, service=service, forks=forks).run())
        finally:
            logging_setup.stop_logging()
            sys.stderr.flush()


def _begin_forks(crash_log: Path, settings: GridbotConfig) -> ForkServer | None:
    """None where there is no room for it: the supervisor tries again, and says so."""
    from supervisor.children.launch_plan import preload_of
    from supervisor.children.launcher import ForkServer

    try:
        return ForkServer(crash_log, preload_of(settings))
    except OSError:
        return None


def _greeting(config: GridbotConfig, plan: Plan, line: Callable[[str], str]) -> str:
    """`line` makes a command line that reaches this bot."""
    from gridbot.version import __version__

    names = ", ".join(f"{account.name} ({account.environment})" for account in config.accounts)
    grids = len(config.strategies)
    query = line('sql "SELECT * FROM fills"')
    is_live = any(account.environment != "paper" for account in config.accounts)
    doctor = (f"  keys   `{line('doctor')}` looks at keys, accounts and this machine",) if is_live else ()
    return "\n".join(
        (
            f"gridbot {__version__}: {_plural(len(config.accounts), 'account')}, {names}; "
            f"{_plural(grids, 'strategy', 'strategies')} of {plan.config_path}",
            f"  data   {plan.data_dir}",
            f"  stop   Ctrl-C, or `{line('stop')}`; a second Ctrl-C ends it by force",
            f"  look   `{line('status')}`, `{query}`",
            *doctor,
        )
    )


def _plural(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
