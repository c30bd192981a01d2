"""`gridbot-supervisor logs`: the JSON lines of processes in the form that the console has, searched and followed.

Lines of several processes are merged by their times. What a rotation has put aside is read too, as far as it is there.
"""

from __future__ import annotations

import contextlib
import heapq
import logging
import os
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, TextIO

import click

from gridbot.commands.targets import TargetWords, is_pattern
from gridbot.config.paths import data_directory
from gridbot.core.strict_numbers import whole_or_none
from gridbot.doors.bounded_json import read_json
from gridbot.doors.plain_text import one_line
from gridbot.log_lines import LONGEST_SHOWN
from supervisor.cli.known_fleet import known_fleet
from supervisor.cli.options import PastTime, example, place_options
from supervisor.cli.target_options import addressed
from supervisor.cli.value_completion import complete_groups, complete_processes
from supervisor.exit_codes import CommandError, ExitCode

__all__ = ["Wanted", "human", "last_lines", "logs", "show_logs"]

POLL_S: Final = 0.2
LONGEST_HEAD: Final = 200
"""Characters of time, level, process and strategy of a line."""
MOST_ROTATED: Final = 1000
TIME_CHARACTERS: Final = 23
"""Of a line that people read: what it is sorted by."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines are shown: at least this severe, with the pattern in what is shown, of the strategy, not older."""

    least: int = 0
    pattern: re.Pattern[str] | None = None
    strategy: str = ""
    since: str = ""
    strategies: frozenset[str] = frozenset()
    """Where not all of an account are wanted."""

    def shown(self, line: str) -> str | None:
        """The line as people read it; None when it is not wanted."""
        text = human(line, self.least)
        if text is None or text < self.since:
            return None
        if self.pattern is not None and not self.pattern.search(text):
            return None
        head, wanted = text[:LONGEST_HEAD], self.strategies or ({self.strategy} if self.strategy else ())
        return text if not wanted or any(f"/{strategy}: " in head for strategy in wanted) else None


ALL: Final = Wanted()


class Pattern(click.ParamType[re.Pattern[str]]):
    """A regular expression; without a capital letter it finds both cases, as in `less` and ripgrep."""

    name = "pattern"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> re.Pattern[str]:
        text = str(value)
        try:
            return re.compile(text, 0 if any(map(str.isupper, text)) else re.IGNORECASE)
        except re.error as error:
            self.fail(f"expected a regular expression, got {text!r:.60}: {error}", param, ctx)


@click.command(epilog=example("logs alice -f --grep 'retcode 1100|refused'"))
@place_options()
@click.argument("process", metavar="[PROCESS|TARGET]...", nargs=-1, shell_complete=complete_processes)
@click.option(
    "--group",
    "groups",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_groups,
    help="Of accounts with this label.",
)
@click.option("--all", "everything", is_flag=True, help="Of all processes, merged by time.")
@click.option("-f", "--follow", is_flag=True, help="Print new lines too, until Ctrl-C.")
@click.option(
    "-n", "--lines", type=click.IntRange(0), default=40, show_default=True, help="How many of the last lines."
)
@click.option("--level", default="DEBUG", show_default=True, help="Least severe level to show.")
@click.option("-g", "--grep", "pattern", type=Pattern(), help="Only lines with this regular expression.")
@click.option("--strategy", default="", help="Only lines about this strategy.")
@click.option("--from", "since", type=PastTime(), help="Not older than that: 2h, 03:12 or 2026-11-01T12:30.")
def logs(
    config: str | None,
    data_dir: str | None,
    process: tuple[str, ...],
    groups: tuple[str, ...],
    everything: bool,
    follow: bool,
    lines: int,
    level: str,
    pattern: re.Pattern[str] | None,
    strategy: str,
    since: datetime | None,
) -> None:
    """Show the log of processes: supervisor (the default), writer, paper, or accounts by their names.

    Of ACCOUNT/STRATEGY only the lines about this strategy; patterns and --group mean accounts.
    """
    least = logging.getLevelNamesMapping().get(level.upper())
    if least is None:
        raise CommandError(f"expected a level such as INFO or WARNING, got {level!r}", ExitCode.USAGE)
    if everything and (process or groups):
        got = ", ".join((*process, *groups))
        raise CommandError(f"expected --all or names, got both ({got})", ExitCode.USAGE)
    begin = "" if since is None else f"{since:%Y-%m-%d %H:%M:%S}"
    place = data_directory(data_dir, config)
    parts = {} if everything else _processes(place, config, process, groups) or {"supervisor": frozenset()}
    with contextlib.suppress(KeyboardInterrupt):
        wanted = Wanted(least, pattern, strategy, begin)
        show_logs(place, parts, wanted, lines=lines, follow=follow)


def _processes(
    place: Path, config: str | None, words: Sequence[str], groups: Sequence[str]
) -> dict[str, frozenset[str]]:
    """Whose logs are meant, and of each the strategies whose lines are (none: all lines).

    Names of processes are taken as they are, also of accounts that are not there any more. Raises CommandError.
    """
    found: dict[str, frozenset[str]] = {word: frozenset() for word in words if "/" not in word and not is_pattern(word)}
    others = TargetWords(tuple(word for word in words if word not in found), tuple(groups))
    for target in () if others.are_none else addressed(others, known_fleet(place, config)):
        strategies = found.get(target.account)
        if strategies is None or not target.strategy:
            found[target.account] = frozenset({target.strategy} - {""})
        elif strategies:
            found[target.account] = strategies | {target.strategy}
    return found


def show_logs(
    data_dir: Path, processes: Mapping[str, frozenset[str]], wanted: Wanted, *, lines: int, follow: bool
) -> None:
    """Print to standard output. Raises CommandError for a log that is not there, OSError if it is not ours.

    `processes` has of each the strategies whose lines are wanted (none: all lines); empty: every process there is.
    """
    directory = data_dir / "logs"
    names = list(processes or _known(directory))
    wants = [replace(wanted, strategies=processes.get(name, frozenset())) for name in names]
    paths = [_find(directory, process) for process in names]
    if not paths:
        raise CommandError(f"no logs are in {directory}", ExitCode.USAGE)
    for path in paths:
        path.open("rb").close()  # whoever may not read it is told so
    with contextlib.ExitStack() as opened:
        tails = [opened.enter_context(contextlib.closing(_Tail(path))) for path in paths] if follow else []
        ends: list[int | None] = [tail.begins_at for tail in tails] or [None] * len(
            paths
        )  # what comes after is told once, by the tail
        last = [last_lines(path, lines, each, end=end) for path, each, end in zip(paths, wants, ends, strict=True)]
        found = heapq.merge(*last, key=_time_of)
        for line in deque(found, maxlen=lines):
            click.echo(line)
        while follow:
            news = [list(filter(None, map(each.shown, tail.lines()))) for tail, each in zip(tails, wants, strict=True)]
            for line in heapq.merge(*news, key=_time_of):
                click.echo(line)
            if not any(news):
                time.sleep(POLL_S)


def last_lines(path: Path, count: int, wanted: Wanted = ALL, *, end: int | None = None) -> list[str]:
    """The newest `count` lines of a log in human form, also of what was rotated; [] when it cannot be read.

    `end` is where the log ended, in bytes, when somebody began to follow it; None: it is read to its end.
    """
    kept: list[str] = []
    for each in _newest_first(path):
        left: deque[str] = deque(maxlen=max(0, count - len(kept)))
        try:
            with each.open("rb") as file:
                upto = end if each == path else None
                left.extend(filter(None, map(wanted.shown, _text_lines(file, upto))))
        except OSError:
            break
        kept[:0] = left
        if len(kept) >= count:
            break
    return kept


def _text_lines(file: BinaryIO, upto: int | None) -> Iterator[str]:
    read = 0
    for raw in file:
        read += len(raw)
        if upto is not None and read > upto:
            return
        yield raw.decode("utf-8", "replace")


def _newest_first(path: Path) -> Iterator[Path]:
    """The log, and what its rotations have put aside."""
    yield path
    for number in range(1, MOST_ROTATED):
        older = path.with_name(f"{path.name}.{number}")
        if not older.exists():
            return
        yield older


def human(line: str, least: int = 0) -> str | None:
    """One JSON line as the console would have shown it; None below the level `least`. Other lines stay as they are."""
    try:
        entry = read_json(line)
        level = str(entry["level"])
        if logging.getLevelNamesMapping().get(level, logging.CRITICAL) < least:
            return None
        moment = str(entry["time"])
        who = "/".join(str(entry[key]) for key in ("account", "strategy") if entry.get(key))
        text = f"{moment[:10]} {moment[11:23]} {level:<7} {entry['process']:<12} {who}{': ' if who else ''}"
        lost = sum(whole_or_none(entry.get(key)) or 0 for key in ("lines_lost_before", "lines_dropped_before"))
        text = one_line(text, LONGEST_HEAD) + one_line(str(entry["message"]), LONGEST_SHOWN)
        return text + (f" ({lost} lines before this one are lost)" if lost else "")
    except (ValueError, KeyError, TypeError):
        return one_line(line.rstrip("\n"), LONGEST_SHOWN) or None


def _time_of(line: str) -> str:
    return line[:TIME_CHARACTERS]


def _find(directory: Path, process: str) -> Path:
    for name in (process, f"worker-{process}"):
        path = directory / f"{name}.jsonl"
        if os.path.basename(name) == name and path.is_file():
            return path
    known = ", ".join(_known(directory)) or "none yet"
    raise CommandError(f"no log of {process!r} in {directory}; there are: {known}", ExitCode.USAGE)


def _known(directory: Path) -> Iterable[str]:
    return sorted(path.stem.removeprefix("worker-") for path in directory.glob("*.jsonl"))


class _Tail:
    """What is written to a log from now on, also across its rotations: no line is missed, and none comes twice."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO = self._open()
        self.begins_at = self._file.seek(0, os.SEEK_END)
        self._rest = ""

    def lines(self) -> list[str]:
        """The lines that are complete by now and were not given yet."""
        is_rotated = self._is_rotated()  # before the last reading: what comes after the rotation is in the new file
        found = self._complete()
        if is_rotated:
            self._file.close()
            self._file = self._open()
            found += self._complete()
        return found

    def close(self) -> None:
        self._file.close()

    def _complete(self) -> list[str]:
        *complete, self._rest = (self._rest + self._file.read()).split("\n")
        return complete

    def _open(self) -> TextIO:
        return self._path.open(encoding="utf-8", errors="replace")

    def _is_rotated(self) -> bool:
        try:
            return os.fstat(self._file.fileno()).st_ino != self._path.stat().st_ino
        except OSError:
            return False
