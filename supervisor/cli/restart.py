"""`gridbot-supervisor restart`: one process in order."""

from __future__ import annotations

import click

from gridbot.commands.command_table import RESTART
from gridbot.config.paths import data_directory
from supervisor.cli.declared_options import argument_options, declared_command
from supervisor.cli.options import pasteable, place_options
from supervisor.cli.patient_client import PatientClient

__all__ = ["restart"]


@declared_command(RESTART)
@place_options()
@argument_options(RESTART)
def restart(config: str | None, data_dir: str | None, child: str) -> None:
    with PatientClient(data_directory(data_dir, config)) as client:
        answer = client.request("restart", child=child)
    click.echo(f"{answer['child']} restarts; `{pasteable('status', config, data_dir)}` shows how it goes")
