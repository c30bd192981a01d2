"""`gridbot-supervisor why`: why a strategy has not all its orders, now or at a time of the past."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from gridbot.commands.targets import Addressed, fleet_of
from gridbot.config.paths import data_directory
from gridbot.doors.plain_text import for_people
from supervisor.cli.options import PastTime, example, place_options
from supervisor.cli.patient_client import PatientClient
from supervisor.cli.plain_output import print_json, print_lines
from supervisor.cli.target_options import addressed, target_options, target_words
from supervisor.control.control_client import Refused, Unanswered
from supervisor.exit_codes import ExitCode
from supervisor.status.fleet_text import asked_elsewhere

__all__ = ["Explained", "ask_workers", "lines_of", "why"]

FORMAT = 1
AT_A_TIME = 64
"""Workers that are asked at once: one that hangs holds up nobody else."""


@dataclass
class Explained:
    """What was answered: an explanation per strategy, and of accounts that did not answer what is known of them."""

    found: list[dict[str, Any]] = field(default_factory=list)
    silent: list[tuple[Mapping[str, Any], str]] = field(default_factory=list)
    afar: list[tuple[str, str]] = field(default_factory=list)
    """Accounts of other hosts of a fleet, each with where to ask: their workers answer there alone."""

    def document(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "strategies": self.found,
            "unanswered": [{"account": row["account"], "error": error, "known": row} for row, error in self.silent],
            "elsewhere": [{"account": account, "where": where} for account, where in self.afar],
        }

    @property
    def code(self) -> ExitCode:
        """TIMEOUT when a worker did not answer, REFUSED when all that was asked about is on other hosts, DEGRADED when
        something is held back."""
        from supervisor.status.why_text import is_held

        if self.silent:
            return ExitCode.TIMEOUT
        if self.afar and not self.found:
            return ExitCode.REFUSED
        return ExitCode.DEGRADED if any(map(is_held, self.found)) else ExitCode.OK


@click.command(epilog=example("why alice/alice-btc"))
@place_options()
@target_options()
@click.option("--at", "at", type=PastTime(), help="As it was at that time, from the records: 03:12, or a day and time.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def why(
    config: str | None,
    data_dir: str | None,
    targets: tuple[str, ...],
    groups: tuple[str, ...],
    everything: bool,
    at: datetime | None,
    as_json: bool,
) -> None:
    """Say why orders are missing: what holds each, since when, when it is tried again, and what lifts it.

    Exit code 0: all is as it should be, 6: something is held back, 5: a worker did not answer, 3: not running,
    7: another host of the fleet has all of these accounts.
    """
    place = data_directory(data_dir, config)
    written = target_words(targets, groups, everything)
    if at is not None:
        from supervisor.cli.why_then import show_past  # not earlier: DuckDB takes time to load

        raise SystemExit(show_past(place, written, at, as_json=as_json))
    with PatientClient(place) as client:
        status = client.status()
    chosen = None if written.are_none else addressed(written, fleet_of(status))
    explained = ask_workers(place, status, chosen)
    if as_json:
        print_json(explained.document())
    else:
        in_full = chosen is not None and len(explained.found) <= 1
        print_lines(lines_of(explained, in_full=in_full))
    raise SystemExit(explained.code)


def ask_workers(place: Path, status: Mapping[str, Any], chosen: Sequence[Addressed] | None) -> Explained:
    """Ask the worker of each account once, all side by side; `chosen` None: all of them."""
    asked: list[tuple[Mapping[str, Any], list[str]]] = []
    for row in status["accounts"]:
        names = [""] if chosen is None else [each.strategy for each in chosen if each.account == row["account"]]
        if names:
            asked.append((row, names))
    named = None if chosen is None else {each.account for each in chosen}
    explained = Explained(afar=[each for each in asked_elsewhere(status) if named is not None and each[0] in named])
    with ThreadPoolExecutor(max(1, min(AT_A_TIME, len(asked))), thread_name_prefix="why") as pool:
        answers = pool.map(lambda each: _ask(place, *each), asked)
    for (row, wanted), answer in zip(asked, answers, strict=True):
        if isinstance(answer, str):
            explained.silent.append((row, answer))
        else:
            explained.found += [each for each in answer["strategies"] if "" in wanted or each["strategy"] in wanted]
    return explained


def _ask(place: Path, row: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any] | str:
    """The answer of one worker, or why there is none."""
    try:
        with PatientClient(place) as client:
            return client.why(row["account"], names[0] if len(names) == 1 else "")
    except (Refused, Unanswered) as error:
        return str(error)


def lines_of(explained: Explained, *, in_full: bool) -> list[str]:
    """All lines, a blank one between strategies."""
    from supervisor.status.why_text import silent_lines, strategy_lines

    blocks = [list(strategy_lines(for_people(found), in_full=in_full)) for found in explained.found]
    blocks += [list(silent_lines(for_people(row), error)) for row, error in explained.silent]
    blocks += [[f"{account}: {where}"] for account, where in explained.afar]
    return [line for number, block in enumerate(blocks) for line in (*([""] if number and in_full else ()), *block)]
