"""`gridbot-supervisor config show`: the values in force, and where each comes from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gridbot.command_line import pasteable
from gridbot.config.paths import DATA_DIR_VARIABLE, data_directory, find_config
from supervisor.cli.options import example, load_file_or_refuse, place_options
from supervisor.cli.patient_client import PatientClient
from supervisor.cli.plain_output import print_json
from supervisor.cli.target_options import addressed, target_options, target_words
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.status.config_sections import Section, as_it_runs, file_value, sections, sections_document
from supervisor.status.screen_width import screen_width

if TYPE_CHECKING:
    from gridbot.config.value_sources import Sourced

__all__ = ["show"]

FORMAT: Final = 1
WIDEST_VALUE: Final = 24
"""Columns of values; a wider one pushes its source to the right."""


@click.command(epilog=example("config show alice"))
@place_options("Data directory in place of the file's own.")
@target_options()
@click.option("--set", "only_set", is_flag=True, help="Only what somebody has set: without built-in defaults.")
@click.option("--running", is_flag=True, help="What the running supervisor has in force, and what the file says now.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show(
    config: str | None,
    data_dir: str | None,
    targets: tuple[str, ...],
    groups: tuple[str, ...],
    everything: bool,
    only_set: bool,
    running: bool,
    as_json: bool,
) -> None:
    """Print the values in force, and where each comes from: a line of the file, a template, the defaults, a variable.

    Without a target: everything. Secrets are shown as set or not set. With --running a value that the supervisor runs
    with is marked where the file says something else by now. Exit code 4: the file is refused.
    """
    from gridbot.commands.targets import FleetMember

    path = find_config(config)
    file = load_file_or_refuse(path, data_dir)
    snapshots = _snapshots(data_directory(data_dir, config)) if running else {}
    names = {a.name: tuple(s.strat_id for s in file.config.strategies_of(a.name)) for a in file.config.accounts}
    for name, snapshot in snapshots.items():
        runs = [each["strat_id"] for each in snapshot.get("strategies") or ()]
        names[name] = tuple(dict.fromkeys((*names.get(name, ()), *runs)))
    groups_of = {a.name: a.groups for a in file.config.accounts}
    fleet = tuple(FleetMember(name, strategies, groups_of.get(name, ())) for name, strategies in names.items())
    written = target_words(targets, groups, everything)
    if file.config.fleet.is_host and not names and not written.are_none:
        do = pasteable("fleet config show", config=path)
        text = f"expected a file with accounts, got that of a host of a fleet, whose accounts are in PostgreSQL; `{do}`"
        raise CommandError(f"{text} prints them", ExitCode.USAGE)
    chosen = None if written.are_none else addressed(written, fleet)
    found = list(sections(file, os.environ, chosen, _override(data_dir)))
    if running:
        found = list(as_it_runs(found, file, snapshots, chosen))
    if only_set:
        kept = [(kind, name, [each for each in values if each.kind != "built-in"]) for kind, name, values in found]
        found = [section for section in kept if section[2]]
    if as_json:
        print_json({"format": FORMAT, "config": str(path), "running": running, "sections": sections_document(found)})
    else:
        click.echo("\n".join(_lines(found, path, screen_width())))
        if any(each.kind == "running" for _, _, values in found for each in values):
            more = pasteable("reload", config=config, data_dir=data_dir)
            click.echo(f"\nthe file says something else by now: `{more}` puts it in force")


def _override(data_dir: str | None) -> str | None:
    """What stands above the file's own data directory, in words."""
    environment = f"environment variable {DATA_DIR_VARIABLE}" if os.environ.get(DATA_DIR_VARIABLE) else None
    # click reads the variable, too, so the option is only known by what the variable has
    return "--data-dir" if data_dir and data_dir != os.environ.get(DATA_DIR_VARIABLE) else environment


def _snapshots(place: Path) -> dict[str, dict[str, Any]]:
    """What each account runs with, without secrets. Raises ControlError."""
    with PatientClient(place) as client:
        return {row["account"]: client.running_config(row["account"]) for row in client.status()["accounts"]}


def _lines(found: Sequence[Section], path: Path, width: int) -> Iterator[str]:
    if not found:
        yield "nothing is set: all is built-in defaults"
    for at, (kind, name, values) in enumerate(found):
        if at:
            yield ""
        yield click.style(f"{kind} {name}".strip() if kind != "file" else str(path), bold=True)
        keys = max(len(each.key) for each in values)
        room = min(WIDEST_VALUE, max(len(file_value(each)) for each in values))
        for each in values:
            begin = f"  {each.key.ljust(keys)}  {file_value(each).ljust(room)}"
            source = _source(each, path)
            if len(begin) + 2 + len(source) <= width:
                yield f"{begin}  {source}"
            else:
                yield begin.rstrip()
                yield f"      {source}"


def _source(value: Sourced, path: Path) -> str:
    place = "" if value.line is None else f"{path}:{value.line}"
    return ", ".join(filter(None, (value.source, place, *value.origins)))
