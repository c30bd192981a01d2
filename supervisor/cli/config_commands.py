"""`gridbot-supervisor config`: the configuration file as a thing of its own. A module for each of its commands."""

from __future__ import annotations

import click

from supervisor.cli.config_migrate import migrate
from supervisor.cli.config_show import show

__all__ = ["config"]


@click.group()
def config() -> None:
    """The configuration file: what is in force and why, and what becomes of the original bot's."""


config.add_command(migrate)
config.add_command(show)
