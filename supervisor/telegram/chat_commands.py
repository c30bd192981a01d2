"""What can be written to the bot: its words, who may use them, and how a text becomes a command of the table. Pure.

A command is written as on the command line: `/pause alice/alice-btc --reason too fast`. Phones make one long dash of
two short ones and turn quotes; both are read as what was meant.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gridbot.commands.arguments import OnCommandLine, arguments_model
from gridbot.commands.command import Command
from gridbot.commands.command_table import COMMANDS
from gridbot.commands.wording import CommandMistake, did_you_mean, one_of, shown
from gridbot.config.telegram import ROLES
from supervisor.remote.command_forms import takes_targets

__all__ = [
    "GIVEN",
    "READ",
    "Verb",
    "Written",
    "document_of",
    "may",
    "option_lines",
    "read_text",
    "verb_of",
    "verbs_of",
]

MOST_WORDS: Final = 100
_QUOTES: Final = str.maketrans({"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "—": "--"})
_ROLE_OF: Final[Mapping[str, str]] = {
    "pause": "operate",
    "reduce": "operate",
    "cancel": "operate",
    "resume": "operate",
    "mute": "operate",
    "unmute": "operate",
    "ack": "operate",
    "flatten": "flatten",
    "kill": "flatten",
}


@dataclass(frozen=True, slots=True)
class Verb:
    """What a message begins with. `command` is that of the table; None for what only reads."""

    name: str
    role: str
    help: str
    usage: str = ""
    command: Command | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A text that begins with a verb: the words after it, as they stand there."""

    verb: str
    words: tuple[str, ...] = ()
    bot: str = field(default="")
    """Which bot it names, as `/status@other_bot`; empty for none."""


def _given(command: Command) -> Verb:
    usage = "TARGET..." if takes_targets(command) else "ID|KEY" if command.name != "ack" else "ID"
    return Verb(command.name, _ROLE_OF[command.name], command.summary, usage, command)


READ: Final = (
    Verb("status", "see", "The fleet, or some accounts, in a few lines.", "[TARGET...]"),
    Verb("health", "see", "What is wrong, and the open alerts."),
    Verb("why", "see", "Why orders are missing.", "TARGET"),
    Verb("pnl", "see", "Money of each account, of all time.", "[TARGET...]"),
    Verb("daily", "see", "Money of each of the last days, from the records."),
    Verb("positions", "see", "What is open.", "[TARGET...]"),
    Verb("logs", "see", "The newest lines of the supervisor or of an account.", "[ACCOUNT] [LINES]"),
    Verb("help", "see", "This list, or what a command takes.", "[COMMAND]"),
)
GIVEN: Final = tuple(_given(command) for command in COMMANDS if command.name in _ROLE_OF)
_VERBS: Final[Mapping[str, Verb]] = {verb.name: verb for verb in (*READ, *GIVEN)}


def may(role: str, needed: str) -> bool:
    """Whether somebody of this role may what needs the other one."""
    return ROLES.index(role) >= ROLES.index(needed)


def verbs_of(role: str) -> list[Verb]:
    """What somebody of this role may use, in the order of the help."""
    return [verb for verb in _VERBS.values() if may(role, verb.role)]


def verb_of(name: str, role: str) -> Verb:
    """The verb of that name; those of other roles exist, too. Raises CommandMistake, which names those of this role."""
    if name in _VERBS:
        return _VERBS[name]
    names = [f"/{verb.name}" for verb in verbs_of(role)]
    raise CommandMistake(f"expected {one_of(names)}, got {shown('/' + name)}{did_you_mean('/' + name, names)}")


def read_text(text: str) -> Written:
    """The verb and words of a message. Raises CommandMistake."""
    first, _, rest = text.strip().partition(" ")
    first, newline, more = first.partition("\n")
    if not first.startswith("/") or len(first) < 2:
        raise CommandMistake(f"expected a command such as /status or /help, got {shown(text.strip())}")
    verb, _, bot = first[1:].partition("@")
    rest = f"{more} {rest}" if newline else rest
    try:
        words = shlex.split(rest.translate(_QUOTES))
    except ValueError:
        raise CommandMistake("expected each quote twice, got one that is left open") from None
    if len(words) > MOST_WORDS:
        raise CommandMistake(f"expected at most {MOST_WORDS} words, got {len(words)}")
    return Written("help" if verb.lower() == "start" else verb.lower(), tuple(words), bot)


def document_of(command: Command, words: Sequence[str]) -> dict[str, Any]:
    """What `remote_commands.prepare` reads: the command, its targets and its arguments. Raises CommandMistake.

    A text goes on until the next `--`, so that a reason needs no quotes.
    """
    options = _options(command)
    document: dict[str, Any] = {"command": command.name}
    targets, groups = [], []
    args: dict[str, str | bool] = {}
    positional = next((name for name, each in options.items() if each.positional), "")
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            if positional and positional not in args:
                args[positional] = word
            elif takes_targets(command):
                targets.append(word)
            else:
                raise CommandMistake(f"expected {_known(command, options)} of {command.name}, got {shown(word)}")
            continue
        name, equals, value = word.partition("=")
        if name == "--all":
            document["everything"] = True
            continue
        if name != "--group" and name not in (each.option for each in options.values()):
            known = _known(command, options)
            raise CommandMistake(f"expected {known} of {command.name}, got {shown(name)}")
        field_name = next((key for key, each in options.items() if each.option == name), "")
        if field_name and options[field_name].is_flag:
            args[field_name] = True
            continue
        value = value if equals else " ".join(_value(rest, one=not (field_name and options[field_name].is_long)))
        if not value:
            raise CommandMistake(f"expected a value after {name}, got none")
        if name == "--group":
            groups.append(value)
        else:
            args[field_name] = value
    return {**document, "targets": targets, "groups": groups, "args": args}


@dataclass(frozen=True, slots=True)
class _Option:
    option: str
    positional: str = ""
    is_flag: bool = False
    is_long: bool = False
    """Whether its value goes on until the next option."""


def _options(command: Command) -> dict[str, _Option]:
    found = {}
    for name, each in arguments_model(command).model_fields.items():
        hint = next((part for part in each.metadata if isinstance(part, OnCommandLine)), OnCommandLine())
        if hint.by_target or name == "strategy":
            continue
        option = "" if hint.positional else hint.option or f"--{name.replace('_', '-')}"
        found[name] = _Option(option, hint.positional, each.annotation is bool, name == "reason")
    return found


def option_lines(command: Command) -> list[str]:
    """What may be written after a command of the table beside targets, each with what it is for."""
    fields = arguments_model(command).model_fields
    return [f"{each.positional or each.option}: {fields[name].description}" for name, each in _options(command).items()]


def _known(command: Command, options: Mapping[str, _Option]) -> str:
    words = [each.positional or each.option for each in options.values()]
    words += ["--group", "--all", "TARGET"] if takes_targets(command) else []
    return one_of(words)


def _value(rest: list[str], *, one: bool) -> list[str]:
    taken: list[str] = []
    while rest and not rest[0].startswith("--") and not (one and taken):
        taken.append(rest.pop(0))
    return taken
