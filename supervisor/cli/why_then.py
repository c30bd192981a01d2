"""`why --at`: what held a strategy at a time of the past, from the records alone; the bot need not run."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from gridbot.commands.targets import Addressed, FleetMember, TargetWords
from gridbot.doors.plain_text import for_people
from supervisor.cli.answer_output import plain_document
from supervisor.cli.plain_output import print_json, print_lines
from supervisor.cli.target_options import addressed
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.status.past_text import is_empty, past_lines
from supervisor.store.moment import moment_of, questions
from supervisor.store.query import Answer, Limits, SqlFailed, ask_all
from supervisor.store.recorded_fleet import FLEET, fleet_of

__all__ = ["show_past"]

LIMITS = Limits(timeout_s=30.0)


def show_past(place: Path, written: TargetWords, at: datetime, *, as_json: bool) -> ExitCode:
    """Print it; NOTHING when nothing is recorded of that time. Raises CommandError."""
    moments = [_moment(place, each, at) for each in _strategies(place, written)]
    if as_json:
        print_json({"format": 1, "at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "strategies": plain_document(moments)})
    else:
        for number, moment in enumerate(moments):
            print_lines([*([""] if number else ()), *past_lines(for_people(moment))])
    return ExitCode.NOTHING if all(map(is_empty, moments)) else ExitCode.OK


def _strategies(place: Path, written: TargetWords) -> list[Addressed]:
    [rows] = _ask(place, [FLEET])
    fleet = fleet_of(rows.rows)
    whole = TargetWords(everything=True) if written.are_none else written
    return [strategy for each in addressed(whole, fleet) for strategy in _each(each, fleet)]


def _each(target: Addressed, fleet: tuple[FleetMember, ...]) -> list[Addressed]:
    if target.strategy:
        return [target]
    [member] = [member for member in fleet if member.account == target.account]
    return [Addressed(member.account, name) for name in member.strategies]


def _moment(place: Path, target: Addressed, at: datetime) -> dict[str, Any]:
    at = at.replace(tzinfo=None)
    asked = questions(target.account, target.strategy, at)
    answers = _ask(place, list(asked.values()))
    rows = {
        name: [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
        for name, answer in zip(asked, answers, strict=True)
    }
    return moment_of(target.account, target.strategy, at, rows)


def _ask(place: Path, statements: list[str]) -> list[Answer]:
    try:
        return ask_all(place, statements, LIMITS)
    except SqlFailed as error:
        raise CommandError(str(error), error.exit_code) from None
