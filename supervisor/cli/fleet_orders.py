"""`gridbot-supervisor fleet drain`, `undrain`, `forget`, `move`, `spread`: which hosts there are to be, and where
accounts are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from gridbot.command_line import pasteable
from supervisor.cli.fleet_access import FleetAccess, access, asked, no_configuration
from supervisor.cli.options import example, place_options
from supervisor.control.operator_name import user_at_host
from supervisor.exit_codes import CommandError, ExitCode

if TYPE_CHECKING:
    from supervisor.fleet.host_store import HostStore

__all__ = ["drain", "forget", "move", "spread", "undrain"]

_PLACE = place_options("Data directory in place of the file's own.")


@click.command(epilog=example("fleet drain h2 -c host.yaml"))
@_PLACE
@click.argument("host")
def drain(config: str | None, data_dir: str | None, host: str) -> None:
    """Have HOST hand its accounts over to the others, in order and one by one; it takes none until `undrain`.

    Orders stay where they are: each account is without trading for a few seconds. What nobody else may have, stays.
    """
    fleet = _drain(config, data_dir, host, on=True)
    click.echo(f"{host} drains: its accounts go to other hosts one by one; {_look(fleet)}")


@click.command(epilog=example("fleet undrain h2 -c host.yaml"))
@_PLACE
@click.argument("host")
def undrain(config: str | None, data_dir: str | None, host: str) -> None:
    """Let HOST take accounts again. What went from it stays where it is."""
    _drain(config, data_dir, host, on=False)
    click.echo(f"{host} takes accounts again")


@click.command(epilog=example("fleet forget h2 -c host.yaml"))
@_PLACE
@click.option("--anyway", is_flag=True, help="Also a host whose last records are not in the fleet's database.")
@click.argument("host")
def forget(config: str | None, data_dir: str | None, host: str, anyway: bool) -> None:
    """Remove HOST, which has left for good, from `fleet status` and the page. One that starts later joins anew.

    Refused while it lives, while it has leases or accounts that nobody has taken over, and when not all of its records
    are in the fleet's database: --anyway leaves those in its own data directory, from where they are shipped when it
    comes back.
    """
    fleet = access(config, data_dir)

    from gridbot.config.host_config import checked_shared
    from supervisor.fleet import host_forgetting

    async def work(store: HostStore) -> tuple[str | None, list[str]]:
        view = await store.view()
        version = await store.config(view.force) if view.force else None
        shared = None if version is None else checked_shared(version.body, f"version {version.version}")
        accounts = {account.name for account in shared.accounts} if shared is not None else set()
        return await host_forgetting.forget(store.link, host, accounts, anyway=anyway), [row.name for row in view.hosts]

    why, known = asked(fleet, work)
    if why is None:
        _no_host(host, known)
    if why:
        raise CommandError(why, ExitCode.REFUSED)
    rest = "; records that it has not shipped stay in its data directory, and come when it does" if anyway else ""
    click.echo(f"{host} is forgotten{rest}; a host of that name that starts joins anew")


def _look(fleet: FleetAccess) -> str:
    return f"{pasteable('fleet status', config=fleet.file)} shows it"


def _drain(config: str | None, data_dir: str | None, host: str, *, on: bool) -> FleetAccess:
    fleet = access(config, data_dir)
    if not asked(fleet, lambda store: store.drain(host, on=on)):
        _no_host(host, [row.name for row in asked(fleet, lambda store: store.view()).hosts])
    return fleet


def _no_host(host: str, known: list[str]) -> None:
    there = ", ".join(known) or "none has joined yet"
    raise CommandError(f"expected the name of a host of the fleet ({there}), got {host!r}", ExitCode.USAGE)


@click.command(epilog=example("fleet move alice h2 -c host.yaml"))
@_PLACE
@click.argument("account")
@click.argument("host")
def move(config: str | None, data_dir: str | None, account: str, host: str) -> None:
    """Have ACCOUNT go to HOST, in order. Where that host may not have it, it stays where it is."""
    fleet = access(config, data_dir)

    from supervisor.fleet.fleet_section import seen

    view = asked(fleet, lambda store: store.view())
    hosts = {each.name: each for each in seen(view.hosts)}
    if host not in hosts:
        _no_host(host, list(hosts))
    if account not in {name for each in hosts.values() for name in each.offers} | {
        each.account for each in view.leases
    }:
        known = ", ".join(sorted({name for each in hosts.values() for name in each.offers})) or "none"
        raise CommandError(f"expected an account of the fleet ({known}), got {account!r}", ExitCode.USAGE)
    if account not in hosts[host].offers:
        known = ", ".join(sorted(hosts[host].offers)) or "none"
        look = f"the status of {host} itself says why it has not the others"
        text = f"expected an account whose keys {host} has ({known}), got {account!r}; {look}"
        raise CommandError(text, ExitCode.REFUSED)
    asked(fleet, lambda store: store.wish({account: host}, user_at_host(os.getuid())))
    click.echo(f"{account} goes to {host} as soon as it may; {_look(fleet)}")


@click.command(epilog=example("fleet spread -c host.yaml"))
@_PLACE
@click.option("--dry-run", is_flag=True, help="Only print what would go where.")
def spread(config: str | None, data_dir: str | None, dry_run: bool) -> None:
    """Spread the accounts evenly over the hosts, with the fewest moves; each host hands over one at a time.

    Nothing is ever moved for the sake of order by itself: after a host has joined or come back, this is what does it.
    """
    fleet = access(config, data_dir)

    from gridbot.config.host_config import checked_shared
    from supervisor.fleet.fleet_section import holders_of, seen
    from supervisor.fleet.host_placement import Wanted, evened

    view = asked(fleet, lambda store: store.view())
    version = asked(fleet, lambda store: store.config(view.force)) if view.force else None
    if version is None:
        raise no_configuration(fleet)
    shared = checked_shared(version.body, f"version {version.version}")
    moves = evened(
        seen(view.hosts), [Wanted(account.name, account.hosts) for account in shared.accounts], holders_of(view)
    )
    for account, host in sorted(moves.items()):
        click.echo(f"{account} -> {host}")
    if not moves:
        click.echo("they are spread evenly already")
    elif not dry_run:
        asked(fleet, lambda store: store.wish(moves, user_at_host(os.getuid())))
        click.echo(f"{len(moves)} accounts move, one of each host at a time; {_look(fleet)}")
