"""`gridbot-supervisor`: the command line. Imports little at the top, so that `status` answers at once."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gridbot.config.paths import config_path, data_directory
from supervisor.exit_codes import CommandError, ExitCode

if TYPE_CHECKING:
    from supervisor.control.control_client import ControlClient

__all__ = ["cli", "main"]

WATCH_S = 1.0


class LazyGroup(click.Group):
    """A group whose heavy commands are imported when they are used: {name: ("module:command", short help)}."""

    LAZY: dict[str, tuple[str, str]] = {  # noqa: RUF012 - filled once, here
        "sql": ("supervisor.cli.sql:sql", "Ask the records a question in SQL, also while it runs."),
        "check": ("supervisor.cli.check:check", "Read the configuration and print what would be traded."),
        "pause": ("supervisor.cli.pause_resume:pause", "Send no new orders for an account or a strategy."),
        "resume": ("supervisor.cli.pause_resume:resume", "Let a paused, halted or latched account trade again."),
        "paper": ("supervisor.cli.paper:paper", "Run the paper exchange alone, for other programs."),
        "rebuild": ("supervisor.cli.maintenance_commands:rebuild", "Make the database anew from the journals."),
        "backup": ("supervisor.cli.maintenance_commands:backup", "Copy the database to a file, also while it runs."),
        "vacuum": ("supervisor.cli.maintenance_commands:vacuum", "Give back the database's free space."),
        "ledger": ("supervisor.cli.ledger:ledger", "Compare balances with executions."),
        "export": ("supervisor.cli.maintenance_commands:export", "Write the records as Parquet files."),
    }

    OFFLINE = frozenset({"supervisor.cli.ledger", "supervisor.cli.maintenance_commands", "supervisor.cli.sql"})
    """Modules of commands that read a data directory themselves."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self.LAZY})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.LAZY:
            return super().get_command(ctx, cmd_name)
        import importlib

        module, _, attribute = self.LAZY[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        if module in self.OFFLINE and not os.environ.get("GRIDBOT_DATA_DIR"):
            place = {"data_dir": str(data_directory())}
            ctx.default_map = {cmd_name: {**place, "check": place}}  # `ledger check` is one level deeper
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = []
        for name in self.list_commands(ctx):
            known = self.commands.get(name)
            rows.append((name, known.get_short_help_str(70) if known else self.LAZY[name][1]))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from gridbot.version import __version__

        click.echo(f"gridbot {__version__}")
        ctx.exit()


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """-c/--config and --data-dir, as every command has them."""
    command = click.option(
        "--data-dir", envvar="GRIDBOT_DATA_DIR", help="Where everything is written [default: of the configuration]."
    )(command)
    return click.option(
        "-c", "--config", envvar="GRIDBOT_CONFIG_PATH", help="Configuration file [default: conf/demo.yaml]."
    )(command)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def cli() -> None:
    """Grid trading on Bybit USDT perpetuals: one supervised process per account.

    Exit codes: 0 ok, 1 unexpected, 2 usage, 3 not running, 4 configuration, 5 timeout, 6 degraded, 7 start refused,
    130 forced.
    """


@cli.command(short_help="Start the supervisor and all its processes.")
@place_options
@click.option("--detach", is_flag=True, help="Run in the background; return when it works or has failed.")
@click.option("--timeout", default=90.0, show_default=True, help="With --detach: seconds to wait for it.")
@click.option("--detached", is_flag=True, hidden=True)
def start(config: str | None, data_dir: str | None, detach: bool, timeout: float, detached: bool) -> None:
    """Start the supervisor: paper exchange (if used), writer, one worker per account.

    In the foreground Ctrl-C stops it in order, a second Ctrl-C by force.
    """
    if detach:
        from supervisor.cli.detached_start import start_detached

        raise SystemExit(start_detached(config_path(config), data_dir, timeout))
    from supervisor.cli.start import run_supervisor

    raise SystemExit(run_supervisor(config_path(config), data_dir, console=not detached))


@cli.command(short_help="Stop everything in order and wait for it.")
@place_options
@click.option("--timeout", default=60.0, show_default=True, help="Seconds to wait until everything has ended.")
@click.option("--force", is_flag=True, help="Kill everything at once; resting orders stay on the exchange.")
@click.option(
    "--orders", type=click.Choice(["keep", "cancel", "flatten"]), help="What becomes of orders [default: on_stop]."
)
def stop(config: str | None, data_dir: str | None, timeout: float, force: bool, orders: str | None) -> None:
    """Stop the supervisor and wait until all its processes have ended."""
    from supervisor.cli.stop import stop_supervisor

    click.echo(stop_supervisor(data_directory(data_dir, config), timeout=timeout, force=force, mode=orders))


@cli.command(short_help="Show processes, accounts and strategies.")
@place_options
@click.argument("account", required=False)
@click.option("--json", "as_json", is_flag=True, help="The whole status model as JSON.")
@click.option("--watch", is_flag=True, help="Show it again each second, until Ctrl-C.")
def status(config: str | None, data_dir: str | None, account: str | None, as_json: bool, watch: bool) -> None:
    """Show processes, accounts and strategies. Exit code 0 healthy, 6 degraded, 3 not running."""
    with _client(data_directory(data_dir, config)) as client:
        code = _show_status(client, account, as_json)
        with contextlib.suppress(KeyboardInterrupt):
            while watch:
                time.sleep(WATCH_S)
                if sys.stdout.isatty():
                    click.clear()
                code = _show_status(client, account, as_json)
    raise SystemExit(code)


def _show_status(client: ControlClient, account: str | None, as_json: bool) -> ExitCode:
    from supervisor.status import tables as view

    everything = client.status()
    chosen = view.select(everything, account)
    if chosen is None:
        known = ", ".join(row["account"] for row in everything["accounts"])
        raise CommandError(f"no account {account!r} here; there are {known}", ExitCode.USAGE)
    if as_json:
        import json

        click.echo(json.dumps(chosen, indent=None if not sys.stdout.isatty() else 2))
    else:
        view.render(chosen, sys.stdout)
    return view.exit_code(chosen)


@cli.command(short_help="Restart one process in order.")
@place_options
@click.argument("process")
def restart(config: str | None, data_dir: str | None, process: str) -> None:
    """Restart one process in order: an account's worker, the writer, or paper. Also revives a FATAL one."""
    with _client(data_directory(data_dir, config)) as client:
        answer = client.request("restart", child=process)
    click.echo(f"{answer['child']} restarts; `gridbot-supervisor status` shows how it goes")


@cli.command(short_help="Show the log of a process.")
@place_options
@click.argument("process", required=False, default="supervisor")
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines until Ctrl-C.")
@click.option("-n", "--lines", default=40, show_default=True, help="How many of the last lines to show.")
@click.option("--level", default="DEBUG", show_default=True, help="Least severe level to show.")
def logs(config: str | None, data_dir: str | None, process: str, follow: bool, lines: int, level: str) -> None:
    """Show the log of a process: supervisor, writer, paper, or an account's name."""
    from supervisor.cli.logs import show_log

    with contextlib.suppress(KeyboardInterrupt):
        show_log(data_directory(data_dir, config), process, lines=lines, follow=follow, level=level)


def _client(data_dir: Path) -> ControlClient:
    from supervisor.control.control_client import ControlClient

    return ControlClient(data_dir)


def main() -> None:
    """The console script. Whatever happens, the user sees a sentence and not a traceback."""
    try:
        code = cli.main(prog_name="gridbot-supervisor", standalone_mode=False)
    except SystemExit as end:
        code = end.code
    except click.exceptions.Abort:
        code = ExitCode.FORCED
    except KeyboardInterrupt:
        code = ExitCode.FORCED
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except BrokenPipeError:  # the reader of a pipe has seen enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - so that the interpreter's last flush is quiet
        code = ExitCode.OK
    except Exception as error:  # noqa: BLE001 - the outermost shell
        code = _explain(error)
    sys.exit(int(code) if isinstance(code, int) else ExitCode.OK if code is None else ExitCode.UNEXPECTED)


def _explain(error: Exception) -> ExitCode:
    from supervisor.control.control_client import NotRunning, Refused, Unanswered

    if isinstance(error, CommandError):
        click.echo(f"gridbot-supervisor: {error.text}", err=True)
        return error.code
    for kind, code in (
        (NotRunning, ExitCode.NOT_RUNNING),
        (Unanswered, ExitCode.TIMEOUT),
        (Refused, ExitCode.USAGE),
    ):
        if isinstance(error, kind):
            click.echo(f"gridbot-supervisor: {error}", err=True)
            return code
    click.echo(f"gridbot-supervisor: unexpected {type(error).__name__}: {error}; {_keep_details()}", err=True)
    return ExitCode.UNEXPECTED


def _keep_details() -> str:
    """Write the traceback being handled where the user finds it."""
    import tempfile

    for directory in (_logs_directory, lambda: Path(tempfile.gettempdir())):
        with contextlib.suppress(OSError):
            path = directory() / "gridbot-error.log"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(f"--- {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {sys.argv[1:2]}\n")
                traceback.print_exc(file=file)
            return f"details are in {path}"
    return "its details could not be written anywhere"


def _logs_directory() -> Path:
    option = next((b for a, b in zip(sys.argv, sys.argv[1:], strict=False) if a == "--data-dir"), None)
    return data_directory(option) / "logs"
