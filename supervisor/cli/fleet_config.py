"""`gridbot-supervisor fleet config`: what all hosts of a fleet share, in versions in PostgreSQL; never a secret."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import click

from gridbot.command_line import pasteable
from gridbot.config.errors import ConfigError
from gridbot.config.fleet_document import Pushed, pushed_text
from gridbot.config.paths import text_of
from supervisor.cli.fleet_access import access, asked, no_configuration
from supervisor.cli.options import example, place_options
from supervisor.cli.plain_output import print_json
from supervisor.control.operator_name import user_at_host
from supervisor.exit_codes import CommandError, ExitCode

__all__ = ["fleet_config"]


@click.group("config")
def fleet_config() -> None:
    """The configuration that all hosts of a fleet share: accounts, strategies, templates, caps."""


@fleet_config.command(epilog=example("fleet config push conf/gridbot.yaml -c host.yaml"))
@place_options("Data directory in place of the file's own.")
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--note", default="", help="Why, for whoever looks at the versions later.")
def push(config: str | None, data_dir: str | None, file: str, note: str) -> None:
    """Keep FILE as the newest version. The first one counts at once, a later one after a reload on any host.

    At once counts also what is pushed while hosts wait for a configuration they can use and none runs.
    What belongs to each host (storage, logging, web, ...) is left out. A file with a key or secret of an account, or
    with a variable, is refused with the line.
    """
    fleet = access(config, data_dir)
    pushed = _checked(file)
    who = user_at_host(os.getuid())
    version, counts = asked(fleet, lambda store: store.push(pushed.text, who, note[:500]))
    if pushed.left_out:
        told = ", ".join(f"{key} (line {line})" for key, line in pushed.left_out)
        click.echo(f"left out, as each host has its own: {told}")
    click.echo(f"version {version} of fleet {fleet.own.fleet.name}" + (", in force at once" if counts else ""))
    if not counts:
        click.echo(f"it counts after {pasteable('reload', config=fleet.file, data_dir=data_dir)} on any host")


@fleet_config.command(epilog=example("fleet config diff conf/gridbot.yaml -c host.yaml"))
@place_options("Data directory in place of the file's own.")
@click.argument("file", type=click.Path(dir_okay=False), required=False)
def diff(config: str | None, data_dir: str | None, file: str | None) -> None:
    """What FILE, or without one the newest version, would change against the version in force.

    Exit code 8: they differ.
    """
    fleet = access(config, data_dir)

    async def both(store):  # type: ignore[no-untyped-def]
        force, _ = await store.versions()
        return await store.config(force) if force else None, await store.config()

    now, newest = asked(fleet, both)
    if now is None or newest is None:
        raise no_configuration(fleet)
    text, name = (newest.body, f"version {newest.version}") if file is None else (_checked(file).text, file)
    lines = list(
        difflib.unified_diff(
            now.body.splitlines(), text.splitlines(), f"version {now.version} in force", name, lineterm="", n=2
        )
    )
    same = f"{name} is the same as version {now.version}, which is in force"
    if file is None and newest.version == now.version:
        same = f"version {now.version} is in force, and none was pushed after it"
    click.echo("\n".join(lines) if lines else same)
    if lines:
        raise SystemExit(ExitCode.DIFFERS)


@fleet_config.command(epilog=example("fleet config show -c host.yaml"))
@place_options("Data directory in place of the file's own.")
@click.option("--version", type=click.IntRange(1), help="That version [default: the one in force].")
@click.option("--versions", is_flag=True, help="The list of versions instead.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show(config: str | None, data_dir: str | None, version: int | None, versions: bool, as_json: bool) -> None:
    """Print a version as it was pushed, or the list of versions."""
    fleet = access(config, data_dir)
    force, known = asked(fleet, lambda store: store.versions())
    if versions:
        rows = [
            {
                "version": each.version,
                "at": each.at,
                "who": each.who,
                "note": each.note,
                "in_force": each.version == force,
            }
            for each in known
        ]
        if as_json:
            print_json({"fleet": fleet.own.fleet.name, "versions": rows})
            return
        for row in rows:
            mark = "  in force" if row["in_force"] else ""
            click.echo(f"{row['version']:>4}  {row['at']}  {row['who']}{mark}  {row['note']}".rstrip())
        return
    wanted = version or force
    found = asked(fleet, lambda store: store.config(wanted)) if wanted else None
    if wanted is None:
        raise no_configuration(fleet)
    if found is None:
        look = f"{pasteable('fleet config show --versions', config=fleet.file)} lists them"
        raise CommandError(f"expected a version that was pushed, got {wanted}; {look}", ExitCode.NOTHING)
    if as_json:
        document = {"version": found.version, "at": found.at, "who": found.who, "note": found.note, "text": found.body}
        print_json({"fleet": fleet.own.fleet.name, "in_force": force, **document})
    else:
        click.echo(found.body.rstrip("\n"))


def _checked(file: str) -> Pushed:
    """Raises CommandError (exit code 4) with every line that is wrong or must not be in PostgreSQL."""
    from gridbot.config.host_config import checked_shared

    try:
        pushed = pushed_text(text_of(Path(file)), file)
        checked_shared(pushed.text, file)
    except ConfigError as error:
        raise CommandError(str(error), ExitCode.CONFIG) from None
    return pushed
