"""`start` in the foreground: read the configuration, say what is going to happen, run the loop."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from supervisor.exit_codes import CommandError, ExitCode

if TYPE_CHECKING:
    from gridbot.config.loading import GridbotConfig
    from supervisor.children.launch_plan import Plan

__all__ = ["load", "run_supervisor"]


def load(config_file: Path, data_dir: str | None) -> GridbotConfig:
    """The checked configuration. Raises CommandError (exit code 4) with every problem of the file."""
    from gridbot.config.loading import ConfigError, load_config

    try:
        return load_config(config_file, data_dir=data_dir)
    except ConfigError as error:
        raise CommandError(str(error), ExitCode.CONFIG) from None


def run_supervisor(config_file: Path, data_dir: str | None, *, console: bool) -> ExitCode:
    """Run until stopped. `console` is false for a detached one: its log lines go to files only."""
    from gridbot import logging_setup
    from supervisor.children.launch_plan import plan_of
    from supervisor.process.loop import Supervisor

    config = load(config_file, data_dir)
    plan = plan_of(config, str(config_file.absolute()), console=console)
    for secret in config.secrets():
        logging_setup.register_secret(secret)
    try:
        logging_setup.setup_logging("supervisor", config.logging, plan.data_dir, console=console)
    except OSError as error:
        text = f"expected a data directory that can be written, got: {error}; choose another one with --data-dir"
        raise CommandError(text, ExitCode.REFUSED) from None
    if console:
        click.echo(_greeting(config, plan), err=True)
    try:
        return asyncio.run(Supervisor(plan).run())
    finally:
        logging_setup.stop_logging()
        sys.stderr.flush()


def _greeting(config: GridbotConfig, plan: Plan) -> str:
    from gridbot.version import __version__

    names = ", ".join(f"{account.name} ({account.environment})" for account in config.accounts)
    grids = len(config.strategies)
    return "\n".join(
        (
            f"gridbot {__version__}: {_plural(len(config.accounts), 'account')}, {names}; "
            f"{_plural(grids, 'strategy', 'strategies')} of {plan.config_path}",
            f"  data   {plan.data_dir}",
            "  stop   Ctrl-C, or `gridbot-supervisor stop`; a second Ctrl-C ends it by force",
            '  look   `gridbot-supervisor status`, `gridbot-supervisor sql "SELECT * FROM fills"`',
        )
    )


def _plural(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
