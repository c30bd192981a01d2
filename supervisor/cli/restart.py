"""`gridbot-supervisor restart`: processes in order, each by its account or its name."""

from __future__ import annotations

import click

from gridbot.command_line import pasteable
from gridbot.commands.command_table import RESTART
from gridbot.commands.targets import Addressed
from gridbot.config.paths import data_directory
from supervisor.cli.declared_options import argument_options, declared_command
from supervisor.cli.fleet_command import Given, give
from supervisor.cli.options import place_options
from supervisor.cli.patient_client import PatientClient
from supervisor.cli.target_options import acting_options, target_options, target_words
from supervisor.cli.value_completion import complete_processes
from supervisor.control.command_targets import named_processes
from supervisor.control.control_client import AFAR_S, answered_by
from supervisor.exit_codes import ExitCode

__all__ = ["restart"]


@declared_command(RESTART)
@place_options()
@target_options("PROCESS", complete_processes)
@acting_options()
@argument_options(RESTART)
def restart(
    config: str | None,
    data_dir: str | None,
    targets: tuple[str, ...],
    groups: tuple[str, ...],
    everything: bool,
    expect: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    given = Given(RESTART, {}, target_words(targets, groups, everything), expect, dry_run, as_json)
    code = give(data_directory(data_dir, config), given, _send, named_processes)
    if code is ExitCode.OK and not (dry_run or as_json):
        click.echo(f"`{pasteable('status', config=config, data_dir=data_dir)}` shows how it goes")
    raise SystemExit(code)


def _send(client: PatientClient, target: Addressed) -> str:
    answer = client.request("restart", timeout=AFAR_S, child=target.account)
    return f"{answer['child']} restarts{answered_by(answer)}"
