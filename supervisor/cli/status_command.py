"""`gridbot-supervisor status`: ask the supervisor and print its answer, as tables or JSON."""

from __future__ import annotations

import contextlib
import sys
import time

import click

from gridbot.config.paths import data_directory
from supervisor.cli.options import place_options
from supervisor.cli.patient_client import PatientClient
from supervisor.cli.value_completion import complete_accounts
from supervisor.exit_codes import CommandError, ExitCode

__all__ = ["status"]

WATCH_S = 1.0


@click.command()
@place_options()
@click.argument("account", required=False, shell_complete=complete_accounts)
@click.option("--json", "as_json", is_flag=True, help="The whole status model as JSON.")
@click.option("--watch", is_flag=True, help="Show it again each second, until Ctrl-C.")
def status(config: str | None, data_dir: str | None, account: str | None, as_json: bool, watch: bool) -> None:
    """Show processes, accounts and strategies. Exit code 0 healthy, 6 degraded, 3 not running."""
    with PatientClient(data_directory(data_dir, config)) as client:
        code = _show(client, account, as_json)
        with contextlib.suppress(KeyboardInterrupt):
            while watch:
                time.sleep(WATCH_S)
                if sys.stdout.isatty():
                    click.clear()
                code = _show(client, account, as_json)
    raise SystemExit(code)


def _show(client: PatientClient, account: str | None, as_json: bool) -> ExitCode:
    everything = client.status()
    from supervisor.status import tables  # not earlier: rich takes time to load

    chosen = tables.select(everything, account)
    if chosen is None:
        known = ", ".join(row["account"] for row in everything["accounts"])
        raise CommandError(f"no account {account!r} here; there are {known}", ExitCode.USAGE)
    if as_json:
        import json

        click.echo(json.dumps(chosen, indent=None if not sys.stdout.isatty() else 2))
    else:
        tables.render(chosen, sys.stdout)
    return tables.exit_code(chosen)
