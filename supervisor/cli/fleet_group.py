"""`gridbot-supervisor fleet`: several machines on one PostgreSQL (docs/fleet-hosts.md). A module for each family."""

from __future__ import annotations

import importlib

import click

__all__ = ["fleet"]

COMMANDS = {
    "config": ("fleet_config:fleet_config", "What all hosts share: push, compare, show."),
    "demo": ("fleet_demo:demo", "Three hosts, a PostgreSQL and a paper exchange on this machine."),
    "drain": ("fleet_orders:drain", "Have a host hand its accounts over, one by one."),
    "forget": ("fleet_orders:forget", "Remove a host that has left for good."),
    "init": ("fleet_init:init", "Make the fleet's tables and roles in PostgreSQL."),
    "move": ("fleet_orders:move", "Have an account go to a host."),
    "spread": ("fleet_orders:spread", "Spread the accounts evenly over the hosts, one by one."),
    "status": ("fleet_status:status", "Show hosts, accounts and leases, as the database has them."),
    "undrain": ("fleet_orders:undrain", "Let a host take accounts again."),
}
"""Each command: the module below `supervisor.cli` and the function in it, and the line that --help shows."""


class FleetGroup(click.Group):
    """Imports the command that is asked for alone: all but its list need a client of PostgreSQL."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, function = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(f"supervisor.cli.{module}"), function)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.command(cls=FleetGroup)
def fleet() -> None:
    """Several machines that share accounts by leases in PostgreSQL: hosts, configuration, placement."""
