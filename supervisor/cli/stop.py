"""`gridbot-supervisor stop`: ask, wait until every process is gone, and print what happened."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import psutil

from gridbot.commands.command_table import STOP
from gridbot.config.paths import data_directory
from supervisor.cli.declared_options import argument_options, declared_command
from supervisor.cli.fleet_command import confirm_for_all
from supervisor.cli.options import Seconds, place_options
from supervisor.cli.patient_client import PatientClient
from supervisor.cli.plain_output import print_json
from supervisor.cli.target_options import expect_option
from supervisor.control.control_client import ControlClient, NotRunning, Refused, Unanswered
from supervisor.control.socket_protocol import JOINING, JOINING_BY_HAND
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.polling import wait_until
from supervisor.process.directory_lock import holder

__all__ = ["in_words", "processes_of", "stop", "stop_supervisor"]

POLL_S = 0.02
FORCE_GRACE_S = 5.0
NOTHING_LEFT = "nothing is left running"


@declared_command(STOP)
@place_options()
@click.option(
    "--timeout",
    type=Seconds(least=0),
    default=60.0,
    show_default=True,
    help="Seconds to wait for the end.",
)
@expect_option()
@click.option("--json", "as_json", is_flag=True, help="One JSON object with what happened.")
@argument_options(STOP)
def stop(
    config: str | None,
    data_dir: str | None,
    timeout: float,
    expect: int | None,
    as_json: bool,
    force: bool,
    mode: str | None,
) -> None:
    place = data_directory(data_dir, config)
    try:
        if expect is not None or mode == "flatten":  # without positions to close a stop harms nobody, and asks nobody
            confirm_for_all(place, STOP, {"mode": mode}, expect, as_json=as_json)
        told = stop_supervisor(place, timeout=timeout, force=force, mode=mode)
    except CommandError as error:
        if as_json:
            print_json({"command": STOP.name, "error": error.text, "exit_code": error.code})
        raise
    if as_json:
        print_json({"command": STOP.name, "result": told, "exit_code": ExitCode.OK})
    else:
        click.echo(told)


def stop_supervisor(data_dir: Path, *, timeout: float, force: bool, mode: str | None) -> str:
    """What happened, as a sentence. Raises CommandError: 3 nothing runs, 5 not all ended in time,
    11 what was to be cancelled or closed is not for some accounts."""
    began = time.monotonic()
    pid = holder(data_dir)
    if pid is None:
        raise CommandError(f"no supervisor runs in {data_dir}", ExitCode.NOT_RUNNING)
    everyone: list[psutil.Process] = []
    farewell: dict[str, list[str]] = {}
    try:
        with PatientClient(data_dir) as client:
            everyone = _everyone(client, pid)
            client.stop(mode=mode, force=force)
            gone = client.wait_closed(timeout)
            farewell = client.farewell
    except (NotRunning, Unanswered) as error:
        gone = _without_answer(data_dir, pid, force, str(error))
    left = _outlasting(everyone, max(0.5, timeout - (time.monotonic() - began)) if gone else 0.0)
    if not gone or left:
        pids = ", ".join(str(process.pid) for process in left)
        raise CommandError(
            f"still running after {timeout:g} s: pid {pids or pid}; wait longer with --timeout, or use --force",
            ExitCode.TIMEOUT,
        )
    told = in_words(time.monotonic() - began, farewell, force)
    if farewell.get("left"):
        raise CommandError(told, ExitCode.PARTLY)
    return told


def _everyone(client: ControlClient, pid: int) -> list[psutil.Process]:
    """All its processes; a host that waits for its fleet is alone."""
    try:
        return processes_of(client.status())
    except Refused as refusal:
        if refusal.kind not in (JOINING, JOINING_BY_HAND):
            raise
        return [psutil.Process(pid)] if psutil.pid_exists(pid) else []


def in_words(seconds: float, farewell: dict[str, list[str]], force: bool) -> str:
    """How it ended, from the supervisor's farewell (nothing, when it was killed before it said any)."""
    killed = ", ".join(farewell.get("killed", []))
    if killed and not force:
        told = f"stopped in {seconds:.1f} s; {killed} did not stop in time and was killed; {NOTHING_LEFT}"
    else:
        told = f"stopped {'by force' if force else 'in order'} in {seconds:.1f} s; {NOTHING_LEFT}"
    return "\n! ".join([told, *farewell.get("unsaved", []), *farewell.get("left", [])])


def processes_of(status: dict[str, Any]) -> list[psutil.Process]:
    """The supervisor and its children, as handles that no later process with the same pid can be mistaken for."""
    parts = (
        *status["accounts"],
        status["writer"],
        status["paper"],
        status.get("web"),
        status.get("notify"),
        status.get("telegram"),
    )
    rows = [row["process"]["pid"] for row in parts if row]
    found = []
    for pid in (status["supervisor"]["pid"], *rows):
        with contextlib.suppress(psutil.NoSuchProcess):
            if pid is not None:
                found.append(psutil.Process(pid))
    return found


def _without_answer(data_dir: Path, pid: int, force: bool, text: str) -> bool:
    """The holder of the lock does not answer: kill it when `force`; the children follow within two seconds."""
    if not force:
        raise CommandError(f"{text}, although pid {pid} holds its lock; --force kills it", ExitCode.TIMEOUT)
    children: list[psutil.Process] = []
    with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
        if pid > 0:
            children = psutil.Process(pid).children(recursive=True)
            os.kill(pid, signal.SIGKILL)
    for child in _outlasting(children, FORCE_GRACE_S):  # a frozen one notices nothing
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    return wait_until(lambda: holder(data_dir) is None, timeout_s=FORCE_GRACE_S, every_s=POLL_S)


def _outlasting(processes: Iterable[psutil.Process], timeout: float) -> list[psutil.Process]:
    """Those that still do something after `timeout` seconds. A zombie does nothing: its parent is slow to notice."""
    everyone = list(processes)

    def alive() -> list[psutil.Process]:
        return [process for process in everyone if _really_alive(process)]

    wait_until(lambda: not alive(), timeout_s=timeout, every_s=POLL_S)
    return alive()


def _really_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
