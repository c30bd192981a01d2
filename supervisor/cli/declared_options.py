"""From the table of operator commands to click: help, arguments and options of a declared command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from pydantic.fields import FieldInfo

from gridbot.commands.arguments import OnCommandLine, Values, arguments_model, choices
from gridbot.commands.command import Command
from supervisor.cli.options import example
from supervisor.cli.value_completion import complete_strategies

__all__ = ["argument_options", "declared_command"]

_COMPLETE = {Values.STRATEGY: complete_strategies}


def declared_command(command: Command) -> Callable[[Callable[..., Any]], click.Command]:
    """`click.command` with the name, the help and the example of a declared command."""
    return click.command(command.name, help=command.help, epilog=example(command.example))


def argument_options(command: Command) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """An option or a positional argument for each field of the command's arguments that no target gives, in order.

    The decorated function gets each under the field's name; what the user did not give is None or False.
    """
    fields = arguments_model(command).model_fields

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for name, field in reversed(fields.items()):  # click keeps the order of decorators, and the last comes first
            look = next((hint for hint in field.metadata if isinstance(hint, OnCommandLine)), OnCommandLine())
            if not look.by_target:
                function = _parameter(name, field, look)(function)
        return function

    return decorate


def _parameter(name: str, field: FieldInfo, look: OnCommandLine) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    complete = _COMPLETE[look.values] if look.values else None
    if look.positional:
        return click.argument(name, metavar=look.positional, shell_complete=complete)
    spelled = look.option or f"--{name.replace('_', '-')}"
    if field.annotation is bool:
        return click.option(spelled, name, is_flag=True, help=field.description)
    listed = choices(field.annotation)
    kind = click.Choice(listed) if listed else click.STRING
    return click.option(spelled, name, type=kind, help=field.description, shell_complete=complete)
