"""`gridbot-supervisor fleet init`: the tables and roles of a fleet, once."""

from __future__ import annotations

import os
from dataclasses import replace

import click

from gridbot.command_line import pasteable
from gridbot.config.variables import value_of_file
from gridbot.doors.fleet_dsn import dsn_parts, dsn_problem, place_of
from supervisor.cli.fleet_access import access, asked
from supervisor.cli.options import example, place_options
from supervisor.exit_codes import CommandError, ExitCode

__all__ = ["init"]


@click.command(epilog=example("fleet init -c host.yaml"))
@place_options("Data directory in place of the file's own.")
@click.option(
    "--admin-dsn-file",
    help="A file with the DSN of somebody who may make schemas and roles [default: the host's own DSN].",
)
def init(config: str | None, data_dir: str | None, admin_dsn_file: str | None) -> None:
    """Make the fleet's tables and roles in its database, or bring older tables up to date.

    The login of the host's own DSN gets the rights of a host and no others; it is made when there is none. Roles
    without login are for others: gridbot_operator gives commands and configurations, gridbot_reader reads.

    When the fleet's database was lost or set back to a backup: leases and state of accounts that this host knows better
    are brought there. Do it on every host before one of them is started.
    """
    fleet = access(config, data_dir)

    from gridbot.hidden_words import register_secret
    from supervisor.fleet import fleet_roles
    from supervisor.fleet.fleet_begin import LIMIT_S
    from supervisor.fleet.host_store import HostStore
    from supervisor.fleet.postgres_link import PostgresLink

    own = dsn_parts(fleet.own.fleet.dsn.get_secret_value())
    admin = fleet.own.fleet.dsn.get_secret_value()
    if admin_dsn_file is not None:
        admin, why = value_of_file(admin_dsn_file)
        write = "write it into the file (chmod 600)"
        wrong = dsn_problem(admin, os.environ) if admin else ("a file with a DSN", why, write)
        if wrong is not None:
            raise CommandError(f"--admin-dsn-file: expected {wrong[0]}, got {wrong[1]}; {wrong[2]}", ExitCode.CONFIG)
        register_secret(admin)
        link = PostgresLink(admin, name=f"init {os.getpid()}", limit_s=LIMIT_S)
        fleet = replace(fleet, store=HostStore(link))
    name, login = str(fleet.own.fleet.name), own.get("user", "")
    host, place = str(fleet.own.fleet.host), fleet.own.storage.data_dir
    before, is_new, brought = asked(
        fleet,
        lambda store: fleet_roles.init(store.link, name, login, own.get("password", ""), host=host, data_dir=place),
        check=False,
    )
    what = "the tables are there already" if before else "tables made"
    user = f"; login {login} {'made' if is_new else 'may be a host'}" if login else ""
    click.echo(f"fleet {name} on {place_of(admin)}: {what}{user}")
    if brought:
        click.echo(f"brought from {place}, which knew more than this database: {', '.join(brought)}")
        click.echo("do the same on every other host of this fleet before one of them is started (docs/fleet-lost.md)")
    click.echo(f"next: give it a configuration, {pasteable('fleet config push FILE', config=fleet.file)}")
