"""`start --detach`: run the same program in a session of its own; wait until it works or has clearly failed."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import click

from gridbot.command_line import pasteable
from gridbot.config.paths import find_config
from gridbot.doors.plain_text import one_line
from gridbot.private_files import make_directory, open_private
from supervisor.cli.logs import last_lines
from supervisor.cli.options import load_or_refuse
from supervisor.control.control_client import ControlClient, ControlError, Refused
from supervisor.control.socket_protocol import JOINING, JOINING_BY_HAND
from supervisor.exit_codes import CommandError, ExitCode, unwritable
from supervisor.polling import wait_until
from supervisor.process.directory_lock import holder

__all__ = ["finding_us", "outcome", "start_detached", "warned"]

POLL_S = 0.1
SAYS_AFTER_S = 3.0
"""For so long a host waits for its fleet before that is said."""
LOG_LINES = 12
LONGEST_WARNING = 500
STDERR_LIMIT = 5_000_000
SMALLEST_ROOM = 4096
"""Bytes; a process that ends without a word on a disk with less could not write it."""


def start_detached(config: str | None, data_dir: str | None, timeout: float, *, paused: bool = False) -> ExitCode:
    """Start it and print how it went. Raises CommandError when it did not start."""
    config_file = find_config(config)
    home = load_or_refuse(config_file, data_dir).storage.data_dir  # its problems are shown here, not in a file
    look = pasteable("status", config=config, data_dir=data_dir)
    running = holder(home)
    if running is not None:
        raise CommandError(
            f"a gridbot-supervisor (pid {running}) already works in {home}; `{look}` shows it",
            ExitCode.REFUSED,
        )
    errors = home / "logs" / "stderr.log"
    where = ("-c", str(config_file), "--data-dir", str(home))
    with _opened(errors) as stream:
        began = stream.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "supervisor", "start", "--detached", *where, *(["--paused"] if paused else [])],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            env=finding_us(),
        )
    status = _started(process, home, timeout, errors, began, look)
    if isinstance(status, str):
        raise CommandError(_by_hand(status, process.pid, config_file), ExitCode.DEGRADED)
    code, text = outcome(status)
    click.echo(f"gridbot-supervisor runs in the background (pid {process.pid}), data in {home}")
    for line in (*warned(status), *text.splitlines()):
        click.echo(line, err=True)
    click.echo(f"  look   {look}\n         {pasteable('logs -f', config=config, data_dir=data_dir)}")
    click.echo(f"  stop   {pasteable('stop', config=config, data_dir=data_dir)}")
    return code


def _by_hand(text: str, pid: int, config_file: Path) -> str:
    """What to do for a host of a fleet that waits for it, with the command."""
    commands = [f"  {pasteable(each, config=config_file)}" for each in ("fleet init", "fleet config push FILE")]
    wanted = [line for line, word in zip(commands, ("fleet init", "fleet config push"), strict=True) if word in text]
    return "\n".join([f"{text}\nit goes on by itself when that is done (pid {pid})", *wanted])


def warned(status: Mapping[str, Any]) -> list[str]:
    """What the supervisor itself had to say at its start, such as a secret that others can read: a line for each."""
    rows = [row for row in status["incidents"] if row["child"] == "supervisor" and row["key"] == "news"]
    return [f"! {one_line(str(row['text']), LONGEST_WARNING)}" for row in rows]


def outcome(status: Mapping[str, Any]) -> tuple[ExitCode, str]:
    """OK when every process runs and no strategy is halted; otherwise DEGRADED, with a line for each."""
    rows = [row for row in (*status["accounts"], status["writer"], status["paper"]) if row is not None]
    down = [row["process"] for row in rows if row["process"]["state"] != "RUNNING"]
    strategies = [strategy for account in status["accounts"] for strategy in account.get("strategies", ())]
    halted = [strategy for strategy in strategies if strategy["state"] == "halted"]
    if not (down or halted):
        return ExitCode.OK, ""
    lines = [f"! {process['name']} is {process['state']}: {process['reason'] or 'no reason known'}" for process in down]
    lines += [f"! {strategy['strat_id']} is halted: {strategy['reason']}" for strategy in halted]
    return ExitCode.DEGRADED, "\n".join([*lines, "  the others work on; the supervisor tries again what can be tried"])


def _started(
    process: subprocess.Popen[bytes], home: Path, timeout: float, errors: Path, began: int, hint: str
) -> Mapping[str, Any] | str:
    """The status once everything has started or failed. Raises CommandError when the process ends or time is up.

    `hint` is the command that shows what is missing. A text: it waits for somebody to do what that says.
    """
    waits = ""
    quiet_until_s = time.monotonic() + SAYS_AFTER_S

    def look() -> Mapping[str, Any] | str | None:
        nonlocal waits, quiet_until_s
        try:
            with ControlClient(home) as client:
                status = client.status()
            if status["supervisor"]["pid"] == process.pid and status["supervisor"]["state"] != "starting":
                return status
        except Refused as refusal:
            if refusal.kind == JOINING_BY_HAND:
                return str(refusal)
            waits = f"; {refusal}" if refusal.kind == JOINING else ""
            if waits and time.monotonic() >= quiet_until_s:
                quiet_until_s = math.inf
                click.echo(f"{refusal}; looked at for {timeout:g} s, and it goes on trying after Ctrl-C, too", err=True)
        except ControlError:
            pass  # it does not listen yet
        code = process.poll()
        if code is not None:
            raise _ended(code, home, errors, began)
        return None

    status = wait_until(look, timeout_s=timeout, every_s=POLL_S)
    if status is None:
        raise CommandError(
            f"not everything has started within {timeout:g} s (pid {process.pid} goes on trying; "
            f"`{hint}` shows what is missing){waits}; last lines:\n{_last_lines(home, errors)}",
            ExitCode.TIMEOUT,
        )
    return status


def _ended(code: int, home: Path, errors: Path, began: int) -> CommandError:
    """Why the new process ended: its own words if it left any, else the newest lines of the log."""
    words = "" if code < 0 else _since(errors, began).removeprefix("gridbot-supervisor: ")
    if not words and shutil.disk_usage(home).free < SMALLEST_ROOM:
        return unwritable(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(home)))
    text = words or f"the supervisor ended with exit code {code}; its last lines:\n{_last_lines(home, errors)}"
    return CommandError(text, ExitCode(code) if code in set(ExitCode) and code else ExitCode.UNEXPECTED)


def _opened(path: Path) -> IO[bytes]:
    """The file for standard output and error; a large one of earlier runs is set aside first."""
    try:
        make_directory(path.parent)
        if path.exists() and path.stat().st_size > STDERR_LIMIT:
            path.replace(path.with_suffix(".log.1"))
        return open_private(path, "ab")
    except OSError as error:
        raise unwritable(error) from None


def finding_us() -> dict[str, str]:
    """This process's environment, with a PYTHONPATH that finds this package from any working directory."""
    root = str(Path(__file__).resolve().parents[2])
    paths = (
        [root, os.environ.get("PYTHONPATH", "")] if "site-packages" not in root else [os.environ.get("PYTHONPATH", "")]
    )
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def _since(path: Path, offset: int) -> str:
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(offset)
        return file.read(10_000).decode(errors="replace").strip()
    return ""


def _last_lines(home: Path, errors: Path) -> str:
    lines = last_lines(home / "logs" / "supervisor.jsonl", LOG_LINES)
    return "\n".join(f"  {line}" for line in lines) or f"  (none; see {errors})"
