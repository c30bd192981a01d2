"""`gridbot-supervisor start` on a host of a fleet: join it, then run the supervisor with the accounts it is given."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gridbot import logging_setup
from gridbot.config.loading import LoadedFile
from gridbot.config.paper_secrets import forget_variables
from gridbot.config.secret_files import secret_file_warnings
from gridbot.process_guard import close_memory, leave_no_core
from supervisor.children.launch_plan import plan_of
from supervisor.cli.fleet_access import without_client
from supervisor.exit_codes import CommandError, ExitCode, unwritable
from supervisor.process.directory_lock import DirectoryLock
from supervisor.process.file_rights import settle_rights
from supervisor.process.joining import Joining
from supervisor.process.loop import Supervisor
from supervisor.process.service_notify import ServiceManager

if TYPE_CHECKING:
    from supervisor.fleet.fleet_begin import Begun

__all__ = ["run_host"]

log = logging.getLogger("supervisor")


def run_host(
    file: LoadedFile,
    config_file: Path,
    data_dir: str | None,
    environ: Mapping[str, str],
    service: ServiceManager,
    *,
    console: bool,
    paused: bool,
) -> ExitCode:
    """Run until stopped. Raises CommandError when this host may not join."""
    try:
        from supervisor.fleet.fleet_begin import NameTaken
    except ImportError as error:
        raise without_client(error) from None
    own, path = file.config, config_file.absolute()
    forget_variables(own)
    leave_no_core()
    close_memory()
    try:
        rights = settle_rights(own.storage.data_dir, own.storage.group, None)
    except OSError as error:
        raise unwritable(error) from None
    for secret in own.secrets():
        logging_setup.register_secret(secret)
    try:
        logging_setup.setup_logging("supervisor", own.logging, own.storage.data_dir, console=console)
    except OSError as error:
        raise unwritable(error) from None
    warnings = (*rights, *secret_file_warnings(file, config_file))
    try:
        return asyncio.run(_run(file, path, data_dir, environ, service, warnings, console=console, paused=paused))
    except NameTaken as error:
        raise CommandError(str(error), ExitCode.REFUSED) from None
    finally:
        logging_setup.stop_logging()
        sys.stderr.flush()


async def _run(
    file: LoadedFile,
    path: Path,
    data_dir: str | None,
    environ: Mapping[str, str],
    service: ServiceManager,
    warnings: tuple[str, ...],
    *,
    console: bool,
    paused: bool,
) -> ExitCode:
    from gridbot.config.host_config import held_by
    from supervisor.control.operator_name import user_at_host
    from supervisor.fleet.fleet_begin import begin
    from supervisor.process.fleet_source import FleetSource

    own = file.config

    lock, joining = DirectoryLock(own.storage.data_dir), Joining(own.storage.data_dir)
    lock.acquire()

    def say(text: str, by_hand: bool) -> None:
        log.warning("%s", text)
        service.turned(0.0, text)
        joining.say(text, by_hand)

    if console:
        _greet(f"host {own.fleet.host} of fleet {own.fleet.name}: joins it, with at most {own.fleet.capacity} accounts")
    begun: Begun | None = None
    try:
        begun = await joining.until(begin(own, path, environ, say))
    finally:
        if begun is None:
            lock.release()
    if begun is None:
        return ExitCode.OK
    settings = begun.settings
    for secret in settings.config.secrets():
        logging_setup.register_secret(secret)
    absolute = data_dir and str(Path(data_dir).absolute())
    source = FleetSource(path, absolute, environ, settings)
    held = f"host {own.fleet.host} was started paused by {user_at_host(os.getuid())}" if paused else ""
    plan = plan_of(held_by(settings, ()), str(path), console=console, warnings=warnings, source=source, paused=held)
    if console:
        count, offered = len(settings.config.accounts), len(settings.offers)
        _greet(f"version {settings.version} of its configuration: {count} accounts, {offered} with keys on this host")
    return await Supervisor(plan, service=service, begun=begun, lock=lock).run()


def _greet(text: str) -> None:
    click.echo(text, err=True)
