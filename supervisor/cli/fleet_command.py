"""One command for every account and strategy that is named: find them, have it confirmed, send it, tell the outcome."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from gridbot.commands.command import Command
from gridbot.commands.targets import Addressed, FleetMember, TargetWords, accounts_of, fleet_of, listed, members_of
from gridbot.commands.wording import CommandMistake
from gridbot.doors.plain_text import for_people, one_line
from supervisor.cli.confirmation import require_confirmation
from supervisor.cli.dry_run import dry_text
from supervisor.cli.patient_client import PatientClient
from supervisor.cli.plain_output import print_json
from supervisor.cli.side_by_side import exit_code
from supervisor.cli.target_options import addressed
from supervisor.control.command_targets import command_targets
from supervisor.control.control_client import ControlError, answered_by
from supervisor.control.dry_rows import dry_rows
from supervisor.control.target_outcomes import Outcome, outcomes
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.status.other_version import version_note

__all__ = [
    "Given",
    "Send",
    "Unfolded",
    "conclude",
    "confirm_for_all",
    "give",
    "show_dry_run",
    "show_outcome",
    "tell_error",
    "to_worker",
]

Json = Mapping[str, Any]
LONGEST_LINE = 2000
Send = Callable[[PatientClient, Addressed], str]
"""Sends the command for one target; returns what was done, as a sentence."""


@dataclass(frozen=True, slots=True)
class Unfolded:
    """How an answer that is no sentence is shown: `text` of target and answer for people, `document` for `--json`."""

    text: Callable[[str, str], str]
    document: Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Given:
    """A command as it was typed: with its arguments (those that were given), for whom, and how."""

    command: Command
    args: Mapping[str, Any]
    written: TargetWords
    expect: int | None = None
    dry_run: bool = False
    as_json: bool = False
    unfolded: Unfolded | None = None


def to_worker(given: Given) -> Send:
    """Sends it to the worker of the account."""

    def send(client: PatientClient, target: Addressed) -> str:
        args = {**given.args, **({"strategy": target.strategy} if target.strategy else {})}
        answer = client.worker(target.account, given.command.name, args, takes_s=given.command.takes_s)
        return f"{answer.get('result')}{answered_by(answer)}"

    return send


def give(
    place: Path, given: Given, send: Send, processes: Callable[[Json], Mapping[str, str]] = lambda _: {}
) -> ExitCode:
    """Do it, and print what came of it; the exit code. Raises CommandError or ControlError when nothing was sent.

    Also raises the failure itself when there is one target alone. `processes` has what may be named beside accounts,
    and what it is called in the request.
    """
    try:
        with PatientClient(place) as client:
            status = client.status()
        targets = _targets(given, fleet_of(status), processes(status))
        if given.dry_run:
            if other := version_note(status):
                click.echo(f"! {other}", err=True)
            return show_dry_run(given, targets, dry_rows(given.command, given.args, targets, status))
        _confirm(place, given, targets)
    except (CommandError, ControlError) as error:
        tell_error(given, error)
        raise
    return _send(place, given, targets, send)


def tell_error(given: Given, error: Exception) -> None:
    """Whoever reads JSON gets JSON, whatever there is to say."""
    if given.as_json:
        _tell({"command": given.command.name, "error": str(error), "targets": []})


def confirm_for_all(place: Path, command: Command, args: Json, expect: int | None, *, as_json: bool) -> None:
    """Have a command for all accounts of this supervisor confirmed, of which other hosts of its fleet have none.

    Raises CommandError; harmless where nobody answers.
    """
    with contextlib.suppress(ControlError):
        with PatientClient(place) as client:
            fleet = members_of(client.status()["accounts"])
        given = Given(command, args, TargetWords(everything=True), expect, as_json=as_json)
        _confirm(place, given, [Addressed(member.account) for member in fleet])


def _targets(given: Given, fleet: Sequence[FleetMember], processes: Mapping[str, str]) -> tuple[Addressed, ...]:
    try:
        return command_targets(given.command, given.written, fleet, processes, addressed)
    except CommandMistake as mistake:
        raise CommandError(str(mistake), ExitCode.USAGE) from None


def _confirm(place: Path, given: Given, targets: Sequence[Addressed]) -> None:
    """What its operator does not confirm is kept in the records as well."""
    can_ask = not given.as_json and sys.stdin.isatty() and sys.stderr.isatty()
    ask = (lambda question: str(click.prompt(question, err=True))) if can_ask else None
    try:
        require_confirmation(given.command, accounts_of(targets), given.expect, ask)
    except CommandError as error:
        args = {**given.args, "targets": " ".join(map(str, targets))}
        with contextlib.suppress(ControlError), PatientClient(place) as client:
            client.request("declined", name=given.command.name, args=args, why=error.text)
        raise


def show_dry_run(given: Given, targets: Sequence[Addressed], rows: Sequence[Mapping[str, Any]]) -> ExitCode:
    """Print what the command would do."""
    if given.as_json:
        _tell(_document(given, targets, rows))
    else:
        click.echo(dry_text(given.command, targets, rows))
    return ExitCode.OK


def _send(place: Path, given: Given, targets: Sequence[Addressed], send: Send) -> ExitCode:
    by_name = {str(target): target for target in targets}

    def one(name: str) -> str:
        with PatientClient(place) as client:  # a connection each: answers come when they come
            return send(client, by_name[name])

    found: dict[str, Outcome] = {}
    try:
        for outcome in outcomes(list(by_name), one):
            found[outcome.target] = outcome
            show_outcome(given, targets, outcome)
    except KeyboardInterrupt:
        open_ones = listed([name for name in by_name if name not in found])
        click.echo(f"nothing is taken back by Ctrl-C: not answered yet, and perhaps carried out: {open_ones}", err=True)
        raise
    return conclude(given, targets, found)


def show_outcome(given: Given, targets: Sequence[Addressed], outcome: Outcome) -> None:
    """Print what came of one target, as soon as it is known; a single failure is told at the end."""
    if not given.as_json and (outcome.done or len(targets) > 1):
        unfolded = given.unfolded if outcome.done else None
        click.echo(_line(outcome) if unfolded is None else unfolded.text(outcome.target, outcome.result))


def conclude(given: Given, targets: Sequence[Addressed], found: Mapping[str, Outcome]) -> ExitCode:
    """Print what came of all; the exit code. Raises the failure itself when there is one target alone."""
    by_name = {str(target): target for target in targets}
    code = exit_code(list(found.values()))
    if given.as_json:
        rows = [_row(by_name[name], found[name], given.unfolded) for name in by_name]
        done = sum(outcome.done for outcome in found.values())
        _tell({**_document(given, targets, rows), "done": done, "not_done": len(rows) - done, "exit_code": code})
    elif len(targets) > 1:
        click.echo(_summary([found[name] for name in by_name]))
    elif failure := found[str(targets[0])].failure:
        raise failure
    return code


def _line(outcome: Outcome) -> str:
    text = outcome.result if outcome.done else f"NOT DONE: {outcome.failure}"
    return f"{outcome.target}: {one_line(text, LONGEST_LINE)}"


def _summary(found: Sequence[Outcome]) -> str:
    failed = [outcome.target for outcome in found if not outcome.done]
    return f"done for {len(found) - len(failed)} of {len(found)}" + (
        f"; NOT done: {' '.join(failed)}" if failed else ""
    )


def _row(target: Addressed, outcome: Outcome, unfolded: Unfolded | None) -> dict[str, Any]:
    told = unfolded.document if unfolded is not None else str
    return {
        "target": str(target),
        "account": target.account,
        "strategy": target.strategy,
        "ok": outcome.done,
        "result": told(outcome.result) if outcome.done else None,
        "error": None if outcome.done else str(outcome.failure),
        "unanswered": outcome.unanswered,
        "took_s": round(outcome.took_s, 3),
    }


def _document(given: Given, targets: Sequence[Addressed], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "command": given.command.name,
        "args": dict(given.args),
        "dry_run": given.dry_run,
        "accounts": len(accounts_of(targets)),
        "targets": list(rows),
    }


def _tell(document: Json) -> None:
    print_json(for_people(document))
