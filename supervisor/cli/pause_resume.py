"""What an operator may tell a running worker: pause, resume. The worker's gate obeys; nothing else changes."""

from __future__ import annotations

import click

from gridbot.config.paths import data_directory
from supervisor.control.control_client import ControlClient
from supervisor.exit_codes import CommandError, ExitCode

__all__ = ["pause", "resume"]


def _tell(data_dir: str | None, config: str | None, account: str, name: str, **args: object) -> None:
    """Send a command to one account's worker and print its answer."""
    with ControlClient(data_directory(data_dir, config)) as client:
        answer = client.worker(account, name, {key: value for key, value in args.items() if value})
    if not answer.get("ok"):
        raise CommandError(str(answer.get("error")), ExitCode.UNEXPECTED)
    click.echo(f"{account}: {answer.get('result')}")


@click.command()
@click.option("-c", "--config", envvar="GRIDBOT_CONFIG_PATH", help="Configuration file [default: conf/demo.yaml].")
@click.option("--data-dir", envvar="GRIDBOT_DATA_DIR", help="Data directory of the running supervisor.")
@click.argument("account")
@click.option("--strategy", help="Only this strategy (its strat_id).")
@click.option("--cancel", is_flag=True, help="Also cancel its resting orders.")
def pause(config: str | None, data_dir: str | None, account: str, strategy: str | None, cancel: bool) -> None:
    """Send no new order for an account, or for one of its strategies, until `resume`."""
    _tell(data_dir, config, account, "pause", strategy=strategy, cancel=cancel)


@click.command()
@click.option("-c", "--config", envvar="GRIDBOT_CONFIG_PATH", help="Configuration file [default: conf/demo.yaml].")
@click.option("--data-dir", envvar="GRIDBOT_DATA_DIR", help="Data directory of the running supervisor.")
@click.argument("account")
@click.option("--strategy", help="Only this strategy (its strat_id).")
def resume(config: str | None, data_dir: str | None, account: str, strategy: str | None) -> None:
    """Let a paused, halted or latched account trade again. The loss of its session counts from here."""
    _tell(data_dir, config, account, "resume", strategy=strategy)
