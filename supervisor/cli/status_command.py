"""`gridbot-supervisor status`: ask the supervisor and print its answer, as tables or JSON, once or again and again."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

import click

from gridbot.commands.targets import TargetWords, fleet_of
from gridbot.config.paths import data_directory
from supervisor.cli.options import example, place_options
from supervisor.cli.patient_client import PatientClient
from supervisor.cli.plain_output import print_json, print_lines
from supervisor.cli.target_options import addressed, target_options, target_words
from supervisor.control.control_client import ControlError, NotRunning
from supervisor.exit_codes import ExitCode

__all__ = ["status"]

WATCH_S = 1.0


@click.command(epilog=example("status alice/alice-btc"))
@place_options()
@target_options()
@click.option("--json", "as_json", is_flag=True, help="The whole status model as JSON.")
@click.option("--watch", is_flag=True, help="A table that fills the screen, until q; in a pipe again each second.")
def status(
    config: str | None,
    data_dir: str | None,
    targets: tuple[str, ...],
    groups: tuple[str, ...],
    everything: bool,
    as_json: bool,
    watch: bool,
) -> None:
    """Show processes, accounts and strategies; of ACCOUNT/STRATEGY also why orders are missing.

    Exit code 0 healthy, 6 degraded, 3 not running.
    """
    place = data_directory(data_dir, config)
    written = target_words(targets, groups, everything)
    if watch and not as_json and sys.stdout.isatty() and sys.stdin.isatty():
        from supervisor.cli.watch_screen import watch_fleet

        raise SystemExit(watch_fleet(place, written))
    try:
        with PatientClient(place) as client:
            code = _show(client, place, written, as_json)
            with contextlib.suppress(KeyboardInterrupt):
                while watch:
                    time.sleep(WATCH_S)
                    code = _show(client, place, written, as_json)
    except (ControlError, PermissionError) as error:
        if as_json:  # whoever reads it gets JSON, whatever there is to say
            running = False if isinstance(error, NotRunning) else None
            print_json({"running": running, "health": "unknown", "data_dir": str(place), "reasons": [str(error)]})
        raise
    raise SystemExit(code)


def _show(client: PatientClient, place: Path, written: TargetWords, as_json: bool) -> ExitCode:
    everything = client.status()
    chosen = None if written.are_none else addressed(written, fleet_of(everything))
    from supervisor.status import selection, tables  # not earlier: rich takes time to load

    shown = selection.select(everything, chosen)
    strategies = [each for each in chosen or () if each.strategy]
    if not strategies:
        if as_json:
            print_json(shown)
        else:
            tables.render(shown, sys.stdout)
        return tables.exit_code(shown)
    from supervisor.cli import why

    explained = why.ask_workers(place, everything, strategies)
    if as_json:
        print_json({**shown, "why": explained.document()})
    else:
        tables.render(shown, sys.stdout)
        click.echo()
        print_lines(why.lines_of(explained, in_full=True))
    return tables.exit_code(shown)
