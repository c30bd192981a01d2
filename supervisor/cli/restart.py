"""`gridbot-supervisor restart`: one process in order."""

from __future__ import annotations

import click

from gridbot.command_line import pasteable
from gridbot.commands.command_table import RESTART
from gridbot.config.paths import data_directory
from supervisor.cli.declared_options import argument_options, declared_command
from supervisor.cli.options import place_options
from supervisor.cli.patient_client import PatientClient

__all__ = ["restart"]


@declared_command(RESTART)
@place_options()
@argument_options(RESTART)
def restart(config: str | None, data_dir: str | None, child: str) -> None:
    with PatientClient(data_directory(data_dir, config)) as client:
        answer = client.request("restart", child=child)
    look = pasteable("status", config=config, data_dir=data_dir)
    click.echo(f"{answer['child']} restarts; `{look}` shows how it goes")
