"""A failed command in one sentence with its exit code; the traceback of an unexpected error goes into a file."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import traceback
from pathlib import Path

import click

from gridbot.command_line import pasteable
from gridbot.config.paths import data_directory
from gridbot.doors.plain_text import one_line, printable_lines
from gridbot.private_files import open_private
from gridbot.shortage import is_shortage
from supervisor.control.control_client import ControlClient, Denied, Failed, NotRunning, Refused, Unanswered
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.utc_time import utc_now

__all__ = ["explain"]

_CODES = (
    (NotRunning, ExitCode.NOT_RUNNING),
    (Unanswered, ExitCode.TIMEOUT),
    (Denied, ExitCode.REFUSED),
    (Failed, ExitCode.UNEXPECTED),
)
_LAST = (Refused, ExitCode.USAGE)
UNREADABLE = (LookupError, TypeError, ValueError, AttributeError)
"""What an answer of another shape than ours makes of whoever reads it."""
OTHER_S = 2.0
"""How long the supervisor may take to say of which version it is."""


def explain(error: Exception) -> ExitCode:
    """Print what happened to standard error; call it while the error is being handled."""
    if isinstance(error, CommandError):
        click.echo(f"gridbot-supervisor: {printable_lines(error.text)}", err=True)
        return error.code
    for kind, code in (*_CODES, _LAST):
        if isinstance(error, kind):
            hint = _without_supervisor() if kind is NotRunning else ""
            click.echo(f"gridbot-supervisor: {printable_lines(str(error))}{hint}", err=True)
            return code
    from gridbot.config.errors import ConfigError  # not earlier: `status` is quick

    if isinstance(error, ConfigError):
        click.echo(f"{error}\ngridbot-supervisor: which data directory is not known; --data-dir names it", err=True)
        return ExitCode.CONFIG
    if isinstance(error, PermissionError):
        what = error.filename or "a file of the bot"
        text = f"expected to be allowed to use {what}, got: permission denied; run this as the user who started the bot"
        click.echo(f"gridbot-supervisor: {text}", err=True)
        return ExitCode.REFUSED
    if expected := _asked_of_the_machine(error):
        click.echo(f"gridbot-supervisor: expected {expected}, got: {error}", err=True)
        return ExitCode.UNEXPECTED
    from gridbot.hidden_words import redacted  # not earlier: `status` is quick

    told = f"{type(error).__name__}: {redacted(one_line(str(error), 2000))}"
    if isinstance(error, UNREADABLE) and (other := _other_version()):
        text = f"expected an answer of this version, got one that it cannot read ({told}; {_keep_details()}). {other}"
        click.echo(f"gridbot-supervisor: {text}", err=True)
        return ExitCode.REFUSED
    click.echo(f"gridbot-supervisor: unexpected {told}; {_keep_details()}", err=True)
    return ExitCode.UNEXPECTED


def _other_version() -> str:
    """Which other version than this one runs where the command was sent, in words: then no fault of ours is known."""
    with contextlib.suppress(Exception), ControlClient(_place(), timeout=OTHER_S) as client:
        return client.other_version()  # whatever becomes of it, the error that is being told matters more
    return ""


def _without_supervisor() -> str:
    """What there is to do where no supervisor runs: start one, or what needs none."""
    from gridbot.commands.command_table import WORKER_COMMANDS  # not earlier: `ping` is quick

    place = {"config": _given("-c", "--config"), "data_dir": _given("--data-dir")}
    hint = f"; `{pasteable('start --detach', **place)}` starts one"
    direct = next((each.name for each in WORKER_COMMANDS if each.rescued and each.name in sys.argv[1:2]), "")
    if direct:
        hint += f"; `{pasteable(f'{direct} --direct', **place)}` with the same targets needs none"
    return hint


def _asked_of_the_machine(error: Exception) -> str:
    """What the machine does not give; empty when the error may be a fault of ours, whose details are to be kept."""
    if is_shortage(error):
        return "room on this machine"
    if isinstance(error, FileNotFoundError) and not _has_working_directory():
        return "a working directory that is there"
    return ""


def _has_working_directory() -> bool:
    try:
        os.getcwd()
    except OSError:
        return False
    return True


def _keep_details() -> str:
    """Write the traceback of the error being handled to a file; return a sentence with its path."""
    from gridbot.hidden_words import redacted

    for directory in (_logs_directory, lambda: Path(tempfile.gettempdir())):
        with contextlib.suppress(OSError):
            path = directory() / "gridbot-error.log"  # where no bot ever ran nothing is made
            with open_private(path, "a", encoding="utf-8") as file:
                file.write(f"--- {utc_now()} {sys.argv[1:2]}\n")
                file.write(redacted(traceback.format_exc()))
            return f"details are in {path}"
    return "its details could not be written anywhere"


def _logs_directory() -> Path:
    try:
        return _place() / "logs"
    except Exception as error:  # noqa: BLE001 - the error that is being told matters more
        raise OSError(str(error)) from None


def _place() -> Path:
    return data_directory(_given("--data-dir"), _given("-c", "--config"))


def _given(*names: str) -> str | None:
    """What the command line gives for an option, whatever became of the command."""
    for word, following in zip(sys.argv, [*sys.argv[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name in names:
            return value if equals else following
    return None
