"""Answers to what only reads: the supervisor's status and explanations, records, logs. Blocks: for threads."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gridbot.commands.targets import Addressed, TargetWords, accounts_of, members_of, resolve
from gridbot.commands.wording import CommandMistake, did_you_mean, one_of, shown
from gridbot.core.strict_numbers import whole_or_none
from gridbot.doors.bounded_json import JsonMistake, read_json
from gridbot.logging_setup import log_path
from supervisor.control.control_client import AFAR_S, ControlClient, ControlError, Unanswered
from supervisor.status.model import SERVICES
from supervisor.status.whole_fleet import whole_fleet
from supervisor.telegram.chat_commands import may, option_lines, verb_of, verbs_of
from supervisor.telegram.chat_text import bold, line
from supervisor.telegram.fleet_lines import (
    daily_lines,
    health_lines,
    log_line,
    pnl_lines,
    positions_lines,
    status_lines,
)

__all__ = ["NotRead", "answer_lines", "is_our_turn"]

Json = Mapping[str, Any]
ASK_S: Final = 5.0
RECORDS_S: Final = 60.0
DAYS: Final = "7d"
MOST_ASKED: Final = 6
"""Strategies of one /why: workers trade between two answers."""
TAIL_BYTES: Final = 256 << 10
LINES: Final = 15
MOST_LINES: Final = 40


class NotRead(Exception):
    """Why there is no answer, in words."""


def answer_lines(data_dir: Path, verb: str, words: Sequence[str], role: str, who: str) -> list[str]:
    """The lines of the answer, as markup. Raises CommandMistake, ControlError and NotRead."""
    if verb == "help":
        return list(_help(role, words))
    if verb == "daily":
        if words:
            raise CommandMistake(f"expected /daily alone, got {shown(words[0])} after it")
        return list(daily_lines(_days(data_dir)))
    with ControlClient(data_dir, timeout=ASK_S, who=who) as client:
        status = client.status()
        if verb == "logs":
            return _logs(data_dir, status, words)
        status = whole_fleet(status)
        if verb == "why":
            return list(_why(client, status, words))
        if verb == "health":
            return list(health_lines(status))
    targets = _targets(status, words)
    return list(_VIEWS[verb](status, None if targets is None else accounts_of(targets)))


_VIEWS: Final[Mapping[str, Callable[..., Iterator[str]]]] = {
    "status": status_lines,
    "pnl": pnl_lines,
    "positions": positions_lines,
}


def is_our_turn(data_dir: Path) -> bool:
    """Whether this host of a fleet is the one that listens; not while its supervisor does not say so."""
    try:
        with ControlClient(data_dir, timeout=ASK_S) as client:
            services = (client.status()["fleet"] or {}).get("services", ())
    except ControlError:
        return False
    return any(row["service"] == "telegram" and row["here"] for row in services)


def _help(role: str, words: Sequence[str]) -> Iterator[str]:
    """All that the role may; of a command that is named what it takes."""
    named = verb_of(words[0].removeprefix("/").lower(), role) if words else None
    if len(words) > 1:
        raise CommandMistake(f"expected one command after /help, got {shown(words[1])} too")
    yield bold("gridbot" if named is None else f"/{named.name}")
    for verb in verbs_of(role) if named is None else [named]:
        needs = " (asks first)" if verb.command is not None and verb.command.dangerous else ""
        yield line(f"/{verb.name}{' ' if verb.usage else ''}{verb.usage}: {verb.help}{needs}")
    if named is not None and named.command is not None:
        yield line(named.command.help)
        yield from map(line, option_lines(named.command))
    if named is not None and not may(role, named.role):
        yield line(f"it needs the role {named.role}")
    if named is None or "TARGET" in named.usage:
        yield line("TARGET: ACCOUNT, ACCOUNT/STRATEGY, a pattern such as al*, --group NAME, or --all")
    yield line(f"your role: {role}")


def _targets(status: Json, words: Sequence[str]) -> tuple[Addressed, ...] | None:
    """None for the whole fleet."""
    named, groups, everything = [], [], False
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--all":
            everything = True
        elif word == "--group" and rest:
            groups.append(rest.pop(0))
        elif word.startswith("--"):
            raise CommandMistake(f"expected TARGET, --group NAME or --all, got {shown(word)}")
        else:
            named.append(word)
    written = TargetWords(tuple(named), tuple(groups), everything=everything)
    return None if written.are_none else resolve(written, members_of(status["accounts"]))


def _why(client: ControlClient, status: Json, words: Sequence[str]) -> Iterator[str]:
    from supervisor.status.why_text import silent_lines, strategy_lines  # not earlier: it loads the tables of `status`

    fleet = members_of(status["accounts"])
    targets = _targets(status, words)
    if targets is None:
        if len(fleet) > 1:
            raise CommandMistake(f"expected ACCOUNT or ACCOUNT/STRATEGY, got none; there are {len(fleet)} accounts")
        targets = tuple(Addressed(member.account) for member in fleet)
    if len(targets) > MOST_ASKED:
        raise CommandMistake(f"expected {MOST_ASKED} targets at most, got {len(targets)}")
    rows = {row["account"]: row for row in status["accounts"]}
    for target in targets:
        try:
            told = client.why(target.account, target.strategy, timeout=AFAR_S)
        except Unanswered as why:
            yield from map(line, silent_lines(rows[target.account], str(why)))
            continue
        for found in told["strategies"]:
            yield from map(line, strategy_lines(found, in_full=bool(target.strategy)))


def _logs(data_dir: Path, status: Json, words: Sequence[str]) -> list[str]:
    accounts = [str(row["account"]) for row in status["accounts"]]
    others = ["supervisor", *(name for name in SERVICES if status.get(name))]
    name, count = "supervisor", LINES
    for word in words:
        if word in accounts or word in others:
            name = word
        elif (number := whole_or_none(word)) is not None and 0 < number <= MOST_LINES:
            count = number
        else:
            known = [*others, *accounts]
            most = f"or 1 to {MOST_LINES} lines"
            raise CommandMistake(f"expected {one_of(known[:20])}, {most}, got {shown(word)}{did_you_mean(word, known)}")
    path = log_path(f"worker-{name}" if name in accounts else name, data_dir)
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES), os.SEEK_SET)
            tail = file.read(TAIL_BYTES)
    except OSError as error:
        raise NotRead(f"the log of {name} cannot be read: {error.strerror}") from None
    lines: list[str] = []
    for raw in reversed(tail.splitlines()):
        if len(lines) == count:
            break
        try:
            row = read_json(raw)
        except JsonMistake:
            continue
        if isinstance(row, dict):
            lines.append(log_line(row))
    return [bold(name), *reversed(lines)]


def _days(data_dir: Path) -> list[Json]:
    """By the command line, in a process of its own: nothing here needs a database but this."""
    words = (sys.executable, "-m", "supervisor", "pnl", "--by", "day", "--from", DAYS, "--no-grid", "--json")
    try:
        done = subprocess.run(
            [*words, "--data-dir", str(data_dir)],
            capture_output=True,
            timeout=RECORDS_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        rows = read_json(done.stdout)["rows"] if done.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired, JsonMistake, KeyError, TypeError):
        rows = None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise NotRead("the records cannot be read now; /pnl has the money of all time")
    return rows
