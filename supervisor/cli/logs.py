"""`gridbot-supervisor logs`: the JSON lines of a process in the form that the console has."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from gridbot.config.paths import data_directory
from gridbot.core.strict_numbers import whole_or_none
from gridbot.doors.bounded_json import read_json
from gridbot.doors.plain_text import one_line
from gridbot.log_lines import LONGEST_SHOWN
from supervisor.cli.options import example, place_options
from supervisor.exit_codes import CommandError, ExitCode

__all__ = ["human", "last_lines", "logs", "show_log"]

POLL_S = 0.2
LONGEST_HEAD = 200
"""Characters of time, level, process and strategy of a line."""


@click.command(epilog=example("logs alice -f --level WARNING"))
@place_options()
@click.argument("process", required=False, default="supervisor")
@click.option("-f", "--follow", is_flag=True, help="Print new lines too, until Ctrl-C.")
@click.option(
    "-n", "--lines", type=click.IntRange(0), default=40, show_default=True, help="How many of the last lines."
)
@click.option("--level", default="DEBUG", show_default=True, help="Least severe level to show.")
def logs(config: str | None, data_dir: str | None, process: str, follow: bool, lines: int, level: str) -> None:
    """Show the log of a process: supervisor, writer, paper, or an account's name."""
    with contextlib.suppress(KeyboardInterrupt):
        show_log(data_directory(data_dir, config), process, lines=lines, follow=follow, level=level)


def show_log(data_dir: Path, process: str, *, lines: int, follow: bool, level: str) -> None:
    """Print to standard output. Raises CommandError for a log or level that is not there, OSError if it is not ours."""
    least = logging.getLevelNamesMapping().get(level.upper())
    if least is None:
        raise CommandError(f"expected a level such as INFO or WARNING, got {level!r}", ExitCode.USAGE)
    path = _find(data_dir / "logs", process)
    path.open("rb").close()  # whoever may not read it is told so
    for line in last_lines(path, lines, least):
        click.echo(line)
    if follow:
        for raw in _new_lines(path):
            text = human(raw, least)
            if text is not None:
                click.echo(text)


def last_lines(path: Path, count: int, least: int = 0) -> list[str]:
    """The newest `count` lines of a log in human form; [] when it cannot be read."""
    kept: deque[str] = deque(maxlen=max(0, count))
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            kept.extend(text for text in (human(line, least) for line in file) if text is not None)
    except OSError:
        return []
    return list(kept)


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


def _find(directory: Path, process: str) -> Path:
    for name in (process, f"worker-{process}"):
        path = directory / f"{name}.jsonl"
        if os.path.basename(name) == name and path.is_file():
            return path
    known = ", ".join(_known(directory)) or "none yet"
    raise CommandError(f"no log of {process!r} in {directory}; there are: {known}", ExitCode.USAGE)


def _known(directory: Path) -> Iterable[str]:
    return sorted(path.stem.removeprefix("worker-") for path in directory.glob("*.jsonl"))


def _new_lines(path: Path) -> Iterator[str]:
    """Lines written from now on, also across the rotation of the file."""
    file = path.open(encoding="utf-8", errors="replace")
    try:
        file.seek(0, os.SEEK_END)
        rest = ""
        while True:
            data = file.read()
            if not data:
                if _rotated(path, file.fileno()):
                    file.close()
                    file = path.open(encoding="utf-8", errors="replace")
                else:
                    time.sleep(POLL_S)
                continue
            *complete, rest = (rest + data).split("\n")
            yield from complete
    finally:
        file.close()


def _rotated(path: Path, fd: int) -> bool:
    try:
        return os.fstat(fd).st_ino != path.stat().st_ino
    except OSError:
        return False
