"""`gridbot-supervisor status`: ask the supervisor and print its answer, as tables or JSON."""

from __future__ import annotations

import contextlib
import sys
import time

import click

from gridbot.config.paths import data_directory
from supervisor.cli.options import example, place_options
from supervisor.cli.patient_client import PatientClient
from supervisor.cli.value_completion import complete_accounts
from supervisor.control.control_client import ControlError, NotRunning
from supervisor.exit_codes import CommandError, ExitCode

__all__ = ["status"]

WATCH_S = 1.0


@click.command(epilog=example("status alice --watch"))
@place_options()
@click.argument("account", required=False, shell_complete=complete_accounts)
@click.option("--json", "as_json", is_flag=True, help="The whole status model as JSON.")
@click.option("--watch", is_flag=True, help="Show it again each second, until Ctrl-C.")
def status(config: str | None, data_dir: str | None, account: str | None, as_json: bool, watch: bool) -> None:
    """Show processes, accounts and strategies. Exit code 0 healthy, 6 degraded, 3 not running."""
    place = data_directory(data_dir, config)
    try:
        with PatientClient(place) as client:
            code = _show(client, account, as_json)
            with contextlib.suppress(KeyboardInterrupt):
                while watch:
                    time.sleep(WATCH_S)
                    if sys.stdout.isatty():
                        click.clear()
                    code = _show(client, account, as_json)
    except (ControlError, PermissionError) as error:
        if as_json:  # whoever reads it gets JSON, whatever there is to say
            running = False if isinstance(error, NotRunning) else None
            _print_json({"running": running, "health": "unknown", "data_dir": str(place), "reasons": [str(error)]})
        raise
    raise SystemExit(code)


def _print_json(document: object) -> None:
    import json

    click.echo(json.dumps(document, indent=2 if sys.stdout.isatty() else None))


def _show(client: PatientClient, account: str | None, as_json: bool) -> ExitCode:
    everything = client.status()
    from supervisor.status import tables  # not earlier: rich takes time to load

    chosen = tables.select(everything, account)
    if chosen is None:
        known = ", ".join(row["account"] for row in everything["accounts"])
        raise CommandError(f"no account {account!r} here; there are {known}", ExitCode.USAGE)
    if as_json:
        _print_json(chosen)
    else:
        tables.render(chosen, sys.stdout)
    return tables.exit_code(chosen)
