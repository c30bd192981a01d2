"""`gridbot-supervisor pause` and `resume`: whether the gate of an account's worker lets new orders pass."""

from __future__ import annotations

import click

from gridbot.config.paths import data_directory
from supervisor.cli.options import place_options
from supervisor.control.control_client import ControlClient
from supervisor.exit_codes import CommandError, ExitCode

__all__ = ["pause", "resume"]

_places = place_options("Data directory of the running supervisor.")
_strategy = click.option("--strategy", help="Only this strategy (its strat_id).")


@click.command()
@_places
@click.argument("account")
@_strategy
@click.option("--cancel", is_flag=True, help="Also cancel its resting orders.")
def pause(config: str | None, data_dir: str | None, account: str, strategy: str | None, cancel: bool) -> None:
    """Send no new order for an account, or for one of its strategies, until `resume`."""
    _send(data_dir, config, account, "pause", strategy=strategy, cancel=cancel)


@click.command()
@_places
@click.argument("account")
@_strategy
def resume(config: str | None, data_dir: str | None, account: str, strategy: str | None) -> None:
    """Let a paused, halted or latched account trade again. The loss of its session counts from here."""
    _send(data_dir, config, account, "resume", strategy=strategy)


def _send(data_dir: str | None, config: str | None, account: str, name: str, **args: object) -> None:
    """Send a command to one account's worker and print its answer."""
    with ControlClient(data_directory(data_dir, config)) as client:
        answer = client.worker(account, name, {key: value for key, value in args.items() if value})
    if not answer.get("ok"):
        raise CommandError(str(answer.get("error")), ExitCode.UNEXPECTED)
    click.echo(f"{account}: {answer.get('result')}")
