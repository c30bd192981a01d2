"""`gridbot-supervisor`: the command line. A command is imported when it is used, so that `status` answers at once."""

from __future__ import annotations

import importlib
import os
import sys

import click

from gridbot.commands.command_table import RELOAD, RESTART, STOP, WORKER_COMMANDS
from gridbot.commands.wording import closest
from gridbot.private_files import PRIVATE_UMASK
from supervisor.cli import standard_streams
from supervisor.exit_codes import MEANINGS, ExitCode

__all__ = ["cli", "main"]

COMMANDS = {
    "alerts": ("alerts:alerts", "Show open alerts; acknowledge or mute them."),
    "backtest": ("backtest:backtest", "Run the strategies on market data of the past."),
    "backup": ("maintenance_commands:backup", "Copy the database to a file, also while it runs."),
    "bundle": ("bundle:bundle", "Pack what a bug report needs, without secrets."),
    "check": ("check:check", "Read the configuration and print what would be traded."),
    "doctor": ("doctor:doctor", "Look at keys, accounts, exchange and machine before a start."),
    "compare": ("compare:compare", "Set two strategies, or a strategy and a log, side by side."),
    "completion": ("completion:completion", "Print the completion script of bash, zsh or fish."),
    "config": ("config_commands:config", "Show the values in force and their sources; migrate the original bot's."),
    "data": ("data_commands:data", "Market data of the past, for backtests: fetch, import, list, check."),
    "fleet": ("fleet_group:fleet", "Several machines on one PostgreSQL: hosts, configuration, placement."),
    "fills": ("record_commands:fills", "Show trades, also those that come."),
    "export": ("maintenance_commands:export", "Write the records as Parquet files."),
    "init": ("init:init", "Ask a few questions and write a first configuration file."),
    "journal": ("journal_command:journal", "Look into the journals: records as they were written."),
    "ledger": ("ledger:ledger", "Compare balances with executions."),
    "logs": ("logs:logs", "Show the log of a process."),
    "metrics": ("metrics:metrics", "Print what Prometheus scrapes, for those who read files."),
    "notify": ("notify_command:notify", "Messages about alerts: send a test."),
    "open": ("open_page:open_page", "Open the page in a browser, logged in."),
    "orders": ("record_commands:orders", "Show orders that rest, or what became of others."),
    "paper": ("paper:paper", "Run the paper exchange alone, for other programs."),
    "ping": ("ping:ping", "Say whether the supervisor answers; for watchdogs."),
    "pnl": ("record_commands:pnl", "Show profit and loss by strategy, account, symbol or day."),
    "positions": ("record_commands:positions", "Show open positions."),
    "rebuild": ("maintenance_commands:rebuild", "Build a new database from the journals."),
    "reload": ("reload:reload", RELOAD.summary),
    "report": ("report:report", "Write a report of an account as one HTML file."),
    "restart": ("restart:restart", RESTART.summary),
    "secret": ("secret_commands:secret", "Keys of an account in the system keyring: set, check, remove."),
    "sql": ("sql:sql", "Ask the records a question in SQL, also while it runs."),
    "start": ("start:start", "Start the supervisor and all its processes."),
    "status": ("status_command:status", "Show processes, accounts and strategies."),
    "stop": ("stop:stop", STOP.summary),
    "vacuum": ("maintenance_commands:vacuum", "Give back the database's free space."),
    "why": ("why:why", "Say why orders are missing, now or at a time of the past."),
    "verdict": ("day_verdict:verdict", "Compare a day of an account with its backtest."),
}
"""Each command: the module below `supervisor.cli` and the function in it, and the line that --help shows.

The commands for workers are not here: they are made from the table of operator commands.
"""
WORKER = {command.name: command for command in WORKER_COMMANDS}
SUMMARIES = {name: line for name, (_, line) in COMMANDS.items()} | {name: c.summary for name, c in WORKER.items()}


INSTANCE_OPTIONS = ("-c", "--config", "--data-dir")
"""Those that every command has."""


class Interrupted(Exception):
    """Ctrl-C, before click makes something of it."""


class LazyGroup(click.Group):
    """A group that knows its commands by `SUMMARIES` alone and imports the one that is asked for."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted from None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.option_name in INSTANCE_OPTIONS:
                ctx.fail(f"Expected {error.option_name} after the command, got it before.")
            raise

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(SUMMARIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in WORKER:
            from supervisor.cli.worker_command import worker_command

            return worker_command(WORKER[cmd_name])
        if cmd_name not in COMMANDS:
            return None
        module, _, function = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(f"supervisor.cli.{module}"), function)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        meant = None if name in SUMMARIES or name.startswith("-") else closest(name, list(SUMMARIES))
        if meant is not None and not ctx.resilient_parsing:
            ctx.fail(f"No such command {name!r}. Did you mean {meant!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUMMARIES[name]) for name in self.list_commands(ctx)])


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from gridbot.version import __version__

        click.echo(f"gridbot {__version__}")
        ctx.exit()


EXIT_CODES = "Exit codes: " + ", ".join(f"{code} {name}" for code, (name, _) in MEANINGS.items()) + "."


@click.group(
    cls=LazyGroup, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def cli() -> None:
    """Grid trading on Bybit USDT perpetuals: one supervised process per account."""


def main() -> None:
    """The console script. Whatever happens, the user sees a sentence and not a traceback.

    What ends any command is handled here and nowhere else: Ctrl-C, and a standard output that takes nothing more.
    """
    standard_streams.guard()
    os.umask(PRIVATE_UMASK)  # for what libraries make; our own files do not depend on it
    code: object
    try:
        code = cli.main(prog_name="gridbot-supervisor", standalone_mode=False)
    except SystemExit as ended:
        code = ended.code
    except (Interrupted, click.exceptions.Abort, KeyboardInterrupt):
        after_echo = "\n" if sys.stderr.isatty() else ""  # a terminal has shown ^C
        click.echo(f"{after_echo}gridbot-supervisor: interrupted", err=True)
        code = ExitCode.FORCED
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except standard_streams.OutputGone:
        code = ExitCode.OUTPUT_GONE
    except Exception as error:  # noqa: BLE001 - the outermost frame
        from supervisor.cli.error_report import explain

        code = explain(error)
    standard_streams.end(int(code) if isinstance(code, int) else ExitCode.OK if code is None else ExitCode.UNEXPECTED)
