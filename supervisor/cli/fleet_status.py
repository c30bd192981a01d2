"""`gridbot-supervisor fleet status`: hosts, accounts and leases as the database has them, from any host."""

from __future__ import annotations

from typing import Any

import click

from supervisor.cli.fleet_access import access, asked
from supervisor.cli.options import example, place_options
from supervisor.cli.plain_output import print_json
from supervisor.exit_codes import ExitCode
from supervisor.status.fleet_text import fleet_text

__all__ = ["status"]


@click.command(epilog=example("fleet status -c host.yaml"))
@place_options("Data directory in place of the file's own.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def status(config: str | None, data_dir: str | None, as_json: bool) -> None:
    """Print hosts, who has which account, how long each lease lives yet, and what is wrong.

    Exit code 6: an account has no host that lives and holds its lease.
    """
    fleet = access(config, data_dir)

    from gridbot.config.host_config import checked_shared
    from supervisor.caps.host_caps import over_rows
    from supervisor.fleet.cap_store import CapStore
    from supervisor.fleet.fleet_begin import times_of
    from supervisor.fleet.fleet_section import account_rows, dead_accounts, host_rows, placed, takeover_s
    from supervisor.fleet.host_placement import Wanted

    async def read(store):  # type: ignore[no-untyped-def]
        view = await store.view()
        newest = await store.config()
        version = newest if newest is None or newest.version == view.force else await store.config(view.force)
        shared = None if version is None else checked_shared(version.body, f"version {version.version}")
        names = [] if shared is None else sorted(shared.cap_scopes())
        scopes = await CapStore(store.link).scopes(names) if names else []
        return view, shared, newest, await store.records_behind(), scopes

    view, shared, newest, behind, scopes = asked(fleet, read)
    accounts = [] if shared is None else shared.accounts
    wanted = [Wanted(account.name, account.hosts) for account in accounts]
    found, times = placed(view, wanted), times_of(fleet.own)
    document: dict[str, Any] = {
        "name": fleet.own.fleet.name,
        "host": fleet.own.fleet.host,
        "ttl_s": times.ttl_s,
        "takeover_s": takeover_s(times),
        "in_force": view.force,
        "newest": 0 if newest is None else newest.version,
        "hosts": [row | {"records_s": _rounded(behind.get(row["host"]))} for row in host_rows(view, None)],
        "accounts": account_rows(view, wanted, found),
        "caps": over_rows(scopes, str(fleet.own.fleet.host)),
        "dead": dead_accounts(view, [each.name for each in wanted]),
    }
    if as_json:
        print_json(document)
    else:
        click.echo(fleet_text(document))
    if document["dead"] or any(row["state"] != "held" for row in document["accounts"]):
        raise SystemExit(ExitCode.DEGRADED)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
