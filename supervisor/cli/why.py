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
from supervisor.control.control_client import AFAR_S, Refused, Unanswered
from supervisor.exit_codes import ExitCode
from supervisor.status.fleet_text import whose

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
    """Accounts of other hosts of a fleet that did not answer, each with who has it, and why."""

    def document(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "strategies": self.found,
            "unanswered": [{"account": row["account"], "error": error, "known": row} for row, error in self.silent],
            "elsewhere": [{"account": account, "where": where} for account, where in self.afar],
        }

    @property
    def code(self) -> ExitCode:
        """TIMEOUT when a worker did not answer, here or on another host, DEGRADED when something is held back."""
        from supervisor.status.why_text import is_held

        if self.silent or self.afar:
            return ExitCode.TIMEOUT
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

    Exit code 0: all is as it should be, 6: something is held back, 5: a worker did not answer, 3: not running. Accounts
    that are named are asked where they are, on whichever host of a fleet.
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
    asked_afar = [] if chosen is None else _asked_afar(status, chosen)
    explained = Explained()
    everybody = [*asked, *asked_afar]
    with ThreadPoolExecutor(max(1, min(AT_A_TIME, len(everybody))), thread_name_prefix="why") as pool:
        answers = pool.map(lambda each: _ask(place, *each), everybody)
    for (row, wanted), answer in zip(everybody, answers, strict=True):
        if not isinstance(answer, str):
            explained.found += [each for each in answer["strategies"] if "" in wanted or each["strategy"] in wanted]
        elif "host" in row:
            explained.afar.append((str(row["account"]), f"{whose(row)}: {answer}"))
        else:
            explained.silent.append((row, answer))
    return explained


def _asked_afar(status: Mapping[str, Any], chosen: Sequence[Addressed]) -> list[tuple[Mapping[str, Any], list[str]]]:
    """The accounts of other hosts that were named; without names only those of this host are asked."""
    rows = {str(row["account"]): row for row in status.get("elsewhere", ())}
    names: dict[str, list[str]] = {}
    for each in chosen:
        if each.account in rows:
            names.setdefault(each.account, []).append(each.strategy)
    return [(rows[account], strategies) for account, strategies in names.items()]


def _ask(place: Path, row: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any] | str:
    """The answer of one worker, or why there is none."""
    try:
        with PatientClient(place) as client:
            afar = {"timeout": AFAR_S} if "host" in row else {}
            return client.why(row["account"], names[0] if len(names) == 1 else "", **afar)
    except (Refused, Unanswered) as error:
        return str(error)


def lines_of(explained: Explained, *, in_full: bool) -> list[str]:
    """All lines, a blank one between strategies."""
    from supervisor.status.why_text import silent_lines, strategy_lines

    blocks = [list(strategy_lines(for_people(found), in_full=in_full)) for found in explained.found]
    blocks += [list(silent_lines(for_people(row), error)) for row, error in explained.silent]
    blocks += [[f"{account}: {where}"] for account, where in explained.afar]
    return [line for number, block in enumerate(blocks) for line in (*([""] if number and in_full else ()), *block)]
