"""`gridbot-supervisor ping`: whether the supervisor answers, in one line and an exit code, for any watchdog."""

from __future__ import annotations

import click

from gridbot.config.paths import data_directory
from gridbot.doors.plain_text import for_people
from supervisor.cli.options import Seconds, example, place_options
from supervisor.cli.patient_client import PatientClient
from supervisor.cli.plain_output import print_lines
from supervisor.exit_codes import ExitCode

__all__ = ["ping"]


@click.command(epilog=example("ping --healthy"))
@place_options()
@click.option("--healthy", is_flag=True, help="Ask whether all is healthy, too: exit code 6 when something is not.")
@click.option("--timeout", type=Seconds(), default=5.0, show_default=True, help="Seconds to wait for the answer.")
def ping(config: str | None, data_dir: str | None, healthy: bool, timeout: float) -> None:
    """Say whether the supervisor answers: its loop turns, and takes commands.

    Exit code 0 it does, 3 none runs, 5 it runs and did not answer. One that does not answer ought to be ended and
    started again; one that is degraded ought not: it is at work on it.
    """
    with PatientClient(data_directory(data_dir, config), timeout=timeout) as client:
        answer = client.ping()
        revision = f" of revision {answer['revision']}" if answer.get("revision") else ""
        lines, code = [f"{answer['state']}: gridbot {answer['version']}{revision}, pid {answer['pid']}"], ExitCode.OK
        if healthy:
            model = client.status()
            if model["health"] != "healthy":
                lines, code = [*lines, f"health: {model['health']}", *for_people(model)["reasons"]], ExitCode.DEGRADED
    print_lines(lines)
    raise SystemExit(code)
