"""The commands for accounts and strategies, such as `gridbot-supervisor pause`: each made from its declaration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from gridbot.commands.command import Command
from gridbot.commands.command_table import ADOPT
from gridbot.config.paths import data_directory
from supervisor.cli.declared_options import argument_options, declared_command
from supervisor.cli.fleet_command import Given, Unfolded, give, to_worker
from supervisor.cli.options import place_options
from supervisor.cli.target_options import acting_options, target_options, target_words

__all__ = ["worker_command"]

DIRECT = "By this process alone, with the keys of the file: for when the supervisor is dead."


def worker_command(command: Command) -> click.Command:
    """A click command that sends a declared one to the workers of the accounts and strategies that are named."""

    direct: Callable[[Callable[..., Any]], Callable[..., Any]] = (
        click.option("--direct", is_flag=True, help=DIRECT) if command.rescued else _none
    )

    @declared_command(command)
    @place_options("Data directory of the running supervisor.")
    @target_options()
    @acting_options()
    @direct
    @argument_options(command)
    def send(
        config: str | None,
        data_dir: str | None,
        targets: tuple[str, ...],
        groups: tuple[str, ...],
        everything: bool,
        expect: int | None,
        dry_run: bool,
        as_json: bool,
        strategy: str | None = None,
        direct: bool = False,
        **args: object,
    ) -> None:
        written = target_words(targets, groups, everything, strategy)
        asked = {key: value for key, value in args.items() if value}
        given = Given(command, asked, written, expect, dry_run, as_json)
        if direct:
            from supervisor.cli.direct_command import give_directly

            raise SystemExit(give_directly(config, data_dir, given))
        if command is ADOPT:
            from supervisor.cli.adoption_table import document_of, table_of

            given = replace(given, unfolded=Unfolded(table_of, document_of))
        raise SystemExit(give(data_directory(data_dir, config), given, to_worker(given)))

    return send


def _none(function: Callable[..., Any]) -> Callable[..., Any]:
    return function
