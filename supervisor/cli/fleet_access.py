"""How the `fleet` commands reach the fleet's database: by the file of a host."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gridbot.command_line import install_line, pasteable
from gridbot.config.paths import find_config
from supervisor.cli.options import load_file_or_refuse
from supervisor.exit_codes import CommandError, ExitCode

if TYPE_CHECKING:
    from gridbot.config.models import GridbotConfig
    from supervisor.fleet.host_store import HostStore

__all__ = ["FleetAccess", "access", "asked", "no_configuration", "without_client"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FleetAccess:
    """A host's file, what it has, and the way to the fleet's database."""

    file: Path
    own: GridbotConfig = field(repr=False)
    store: HostStore


def without_client(error: ImportError) -> CommandError:
    """What to say when the client of PostgreSQL is not installed."""
    do = f"`{install_line('psycopg')}` installs it"
    text = f"expected the package psycopg, for a fleet on PostgreSQL, got: {error}; {do}"
    return CommandError(text, ExitCode.CONFIG)


def no_configuration(fleet: FleetAccess) -> CommandError:
    """What to say before anything was pushed."""
    do = f"{pasteable('fleet config push FILE', config=fleet.file)} gives it one"
    return CommandError(f"expected a configuration in the fleet's database, got none yet; {do}", ExitCode.NOTHING)


def access(config: str | None, data_dir: str | None) -> FleetAccess:
    """By the file of a host. Raises CommandError: the file is refused, is of no host, or there is no client."""
    file = find_config(config)
    own = load_file_or_refuse(file, data_dir).config
    if not own.fleet.is_host:
        raise CommandError(
            f"expected the file of a host of a fleet, with `fleet: {{name, host, dsn_file}}`, got {file} without "
            "`fleet.host`; name another with -c (docs/fleet-hosts.md)",
            ExitCode.CONFIG,
        )
    try:
        from supervisor.fleet.fleet_begin import link_of
        from supervisor.fleet.fleet_store import FleetAway
        from supervisor.fleet.host_store import HostStore
    except ImportError as error:
        raise without_client(error) from None
    try:
        return FleetAccess(file, own, HostStore(link_of(own, f"command {os.getpid()}")))
    except FleetAway as error:
        raise CommandError(str(error), ExitCode.CONFIG) from None


def asked(fleet: FleetAccess, question: Callable[[HostStore], Awaitable[T]], *, check: bool = True) -> T:
    """What the database answers. Raises CommandError when it is away, or none of this fleet."""
    import asyncio  # here: a command without a fleet needs it not

    from supervisor.fleet.fleet_store import FleetAway, NeedsHands, OtherTables

    async def ask() -> T:
        try:
            if check:
                await fleet.store.check(str(fleet.own.fleet.name))
            return await question(fleet.store)
        finally:
            await fleet.store.link.close()

    try:
        return asyncio.run(ask())
    except OtherTables as error:
        do = f"; {pasteable('fleet init', config=fleet.file)}" if error.init_helps else ""
        raise CommandError(f"{error}{do}", ExitCode.TIMEOUT) from None
    except NeedsHands as error:
        raise CommandError(str(error), ExitCode.CONFIG) from None
    except FleetAway as error:
        raise CommandError(str(error), ExitCode.TIMEOUT) from None
