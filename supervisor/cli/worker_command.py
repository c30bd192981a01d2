"""The commands for one account's worker, such as `gridbot-supervisor pause`: each made from its declaration."""

from __future__ import annotations

import click

from gridbot.commands.command import Command
from gridbot.config.paths import data_directory
from gridbot.doors.plain_text import one_line
from supervisor.cli.declared_options import argument_options, declared_command
from supervisor.cli.options import place_options
from supervisor.cli.patient_client import PatientClient
from supervisor.cli.value_completion import complete_accounts

__all__ = ["worker_command"]


def worker_command(command: Command) -> click.Command:
    """A click command that sends a declared one to the worker of an account and prints its answer."""

    @declared_command(command)
    @place_options("Data directory of the running supervisor.")
    @click.argument("account", shell_complete=complete_accounts)
    @argument_options(command)
    def send(config: str | None, data_dir: str | None, account: str, **args: object) -> None:
        with PatientClient(data_directory(data_dir, config)) as client:
            given = {key: value for key, value in args.items() if value}
            answer = client.worker(account, command.name, given, takes_s=command.takes_s)
        click.echo(f"{account}: {one_line(str(answer.get('result')), 2000)}")

    return send
