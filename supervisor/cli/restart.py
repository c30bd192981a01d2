"""`gridbot-supervisor restart`: one process in order."""

from __future__ import annotations

import click

from gridbot.config.paths import data_directory
from supervisor.cli.options import place_options
from supervisor.control.control_client import ControlClient

__all__ = ["restart"]


@click.command()
@place_options()
@click.argument("process")
def restart(config: str | None, data_dir: str | None, process: str) -> None:
    """Restart one process in order: an account's worker, the writer, or paper. Also revives a FATAL one."""
    with ControlClient(data_directory(data_dir, config)) as client:
        answer = client.request("restart", child=process)
    click.echo(f"{answer['child']} restarts; `gridbot-supervisor status` shows how it goes")
