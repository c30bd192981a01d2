"""What may be asked for from afar in a command: the table of commands, as forms.

Whatever a target or the supervisor itself gives is no field of a form: strategies are named as ACCOUNT/STRATEGY, and
the variables of a `reload`, which may be secrets, can never come from a browser or a message.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from pydantic.fields import FieldInfo

from gridbot.commands.arguments import OnCommandLine, arguments_model, choices, read_arguments
from gridbot.commands.command import Command
from gridbot.commands.command_table import COMMANDS, RESTART
from gridbot.commands.wording import CommandMistake, did_you_mean, one_of, shown

__all__ = ["arguments_of", "command_forms", "known_arguments", "takes_targets"]

BY_TARGET: Final = "strategy"


def takes_targets(command: Command) -> bool:
    """Whether accounts, strategies or processes are named in it; a command for the whole fleet has none."""
    return command.for_worker or command is RESTART


@cache
def command_forms() -> list[dict[str, Any]]:
    """A form for each command of the table, in its order."""
    return [
        {
            "name": command.name,
            "target": str(command.target),
            "takes_targets": takes_targets(command),
            "summary": command.summary,
            "help": command.help,
            "dangerous": command.dangerous,
            "one_at_a_time": command.one_at_a_time,
            "fields": [_form(name, field) for name, field in _fields(command).items()],
        }
        for command in COMMANDS
    ]


def arguments_of(command: Command, given: Any) -> dict[str, Any]:
    """The arguments that came, checked. Raises CommandMistake, which says what may be given."""
    if not isinstance(given, dict):
        raise CommandMistake(f"expected args as an object, got {shown(given)}")
    fields = _fields(command)
    for name, value in given.items():
        if name not in fields:
            there = f"{one_of(list(fields))} in args" if fields else "no args"
            raise CommandMistake(
                f"expected {there} of {command.name}, got {shown(name)}{did_you_mean(name, [*fields])}"
            )
        kind = bool if fields[name].annotation is bool else str
        if not isinstance(value, kind):
            words = "true or false" if kind is bool else "text"
            raise CommandMistake(f"expected {words} for {name} of {command.name}, got {shown(value)}")
    args = {name: value for name, value in given.items() if value not in (False, "")}
    placeholder = {"child": "."} if command is RESTART else {}
    read_arguments(command, {**args, **placeholder})
    return args


def known_arguments(command: Command, given: Any) -> dict[str, str | bool]:
    """What of the arguments that came may stand in a record, whatever is wrong with the others."""
    fields = _fields(command) if isinstance(given, dict) else {}
    return {name: given[name] for name in fields if isinstance(given.get(name), str | bool)}


def _fields(command: Command) -> dict[str, FieldInfo]:
    fields = arguments_model(command).model_fields
    return {name: each for name, each in fields.items() if name != BY_TARGET and not _look(each).by_target}


def _look(field: FieldInfo) -> OnCommandLine:
    return next((hint for hint in field.metadata if isinstance(hint, OnCommandLine)), OnCommandLine())


def _form(name: str, field: FieldInfo) -> dict[str, Any]:
    words = choices(field.annotation)
    kind = "flag" if field.annotation is bool else "choice" if words else "text"
    return {
        "name": name,
        "kind": kind,
        "choices": list(words),
        "required": field.is_required(),
        "help": field.description or "",
        "longest": next((hint.max_length for hint in field.metadata if hasattr(hint, "max_length")), None),
    }
