"""`gridbot-supervisor config show`: the values in force, and where each comes from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gridbot.command_line import pasteable
from gridbot.config.paths import DATA_DIR_VARIABLE, data_directory, find_config
from supervisor.cli.options import example, load_file_or_refuse, place_options
from supervisor.cli.patient_client import PatientClient
from supervisor.cli.plain_output import print_json
from supervisor.cli.target_options import addressed, target_options, target_words
from supervisor.status.screen_width import screen_width

if TYPE_CHECKING:
    from gridbot.commands.targets import Addressed
    from gridbot.config.loading import LoadedFile
    from gridbot.config.value_sources import Sourced

__all__ = ["show"]

FORMAT: Final = 1
SWITCHED_OFF: Final = frozenset({"max_notional", "max_drawdown", "session_loss_limit"})
"""Keys of caps: the file writes `off` where they have no value."""
WIDEST_VALUE: Final = 24
"""Columns of values; a wider one pushes its source to the right."""

Section = tuple[str, str, list["Sourced"]]
"""What it is (whole file, account or strategy), its name, its values."""


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
    chosen = None if written.are_none else addressed(written, fleet)
    sections = list(_sections(file, chosen, data_dir))
    if running:
        sections = [*_running(sections, file, snapshots), *_gone(file, snapshots, chosen)]
    if only_set:
        kept = [(kind, name, [each for each in values if each.kind != "built-in"]) for kind, name, values in sections]
        sections = [section for section in kept if section[2]]
    if as_json:
        document = [
            {"section": kind, "name": name, "values": [each.as_json() for each in values]}
            for kind, name, values in sections
        ]
        print_json({"format": FORMAT, "config": str(path), "running": running, "sections": document})
    else:
        click.echo("\n".join(_lines(sections, path, screen_width())))
        if any(each.kind == "running" for _, _, values in sections for each in values):
            more = pasteable("reload", config=config, data_dir=data_dir)
            click.echo(f"\nthe file says something else by now: `{more}` puts it in force")


def _sections(file: LoadedFile, chosen: Sequence[Addressed] | None, data_dir: str | None) -> Iterator[Section]:
    from gridbot.config.value_sources import account_values, root_values, strategy_values

    if chosen is None:
        environment = f"environment variable {DATA_DIR_VARIABLE}" if os.environ.get(DATA_DIR_VARIABLE) else None
        # click reads the variable, too, so the option is only known by what the variable has
        given = "--data-dir" if data_dir and data_dir != os.environ.get(DATA_DIR_VARIABLE) else environment
        yield "file", "", list(root_values(file, os.environ, given))
    for account in file.config.accounts:
        mine = [each for each in chosen or () if each.account == account.name]
        if chosen is not None and not mine:
            continue
        named = {each.strategy for each in mine}
        if chosen is None or "" in named:
            yield "account", account.name, list(account_values(file, account.name, os.environ))
        for strategy in file.config.strategies_of(account.name):
            if chosen is None or "" in named or strategy.strat_id in named:
                name = f"{account.name}/{strategy.strat_id}"
                yield "strategy", name, list(strategy_values(file, strategy.strat_id, os.environ))


def _snapshots(place: Path) -> dict[str, dict[str, Any]]:
    """What each account runs with, without secrets. Raises ControlError."""
    with PatientClient(place) as client:
        return {row["account"]: client.running_config(row["account"]) for row in client.status()["accounts"]}


def _gone(
    file: LoadedFile, snapshots: Mapping[str, dict[str, Any]], chosen: Sequence[Addressed] | None
) -> Iterator[Section]:
    """What runs, and the file has no more."""
    there = [account.name for account in file.config.accounts]
    kept = [f"{strategy.account}/{strategy.strat_id}" for strategy in file.config.strategies]
    wanted = None if chosen is None else list(map(str, chosen))
    for account, snapshot in snapshots.items():
        whole = wanted is None or account in wanted
        if whole and account not in there:
            yield "account", account, _of_snapshot(file, snapshot.get("account") or {})
        for strategy in snapshot.get("strategies") or ():
            name = f"{account}/{strategy['strat_id']}"
            if name not in kept and (whole or name in (wanted or ())):
                yield "strategy", name, _of_snapshot(file, strategy)


def _of_snapshot(file: LoadedFile, values: Mapping[str, Any]) -> list[Sourced]:
    from gridbot.config.value_sources import Sourced, hidden, leaves

    source = "as it runs; the file has none"
    return [Sourced(".".join(place), hidden(file, place, value), "running", source) for place, value in leaves(values)]


def _running(
    sections: Sequence[Section], file: LoadedFile, snapshots: Mapping[str, dict[str, Any]]
) -> Iterator[Section]:
    """The sections as the supervisor runs them; a value that the file has otherwise says so in its source."""
    from gridbot.config.value_sources import hidden, leaves

    for kind, name, values in sections:
        account, _, strategy = name.partition("/")
        snapshot: dict[str, Any] | None
        if kind == "file":
            snapshot = next(iter(snapshots.values()), None)
        elif kind == "account":
            snapshot = snapshots.get(account, {}).get("account")
        else:
            known = snapshots.get(account, {}).get("strategies") or ()
            snapshot = next((each for each in known if each["strat_id"] == strategy), None)
        if snapshot is None:
            yield kind, f"{name} (does not run: only the file has it)", values
            continue
        runs = {".".join(place): hidden(file, place, value) for place, value in leaves(snapshot)}
        yield kind, name, [_marked(each, runs) for each in values]


def _marked(value: Sourced, runs: dict[str, Any]) -> Sourced:
    if value.key not in runs or runs[value.key] == value.value:
        return value
    line = "" if value.line is None else f", line {value.line}"
    source = f"as it runs; the file has {_value(value)} now ({value.source or 'own key'}{line})"
    return replace(value, value=runs[value.key], kind="running", source=source, line=None, origins=())


def _lines(sections: Sequence[Section], path: Path, width: int) -> Iterator[str]:
    if not sections:
        yield "nothing is set: all is built-in defaults"
    for at, (kind, name, values) in enumerate(sections):
        if at:
            yield ""
        yield click.style(f"{kind} {name}".strip() if kind != "file" else str(path), bold=True)
        keys = max(len(each.key) for each in values)
        room = min(WIDEST_VALUE, max(len(_value(each)) for each in values))
        for each in values:
            begin = f"  {each.key.ljust(keys)}  {_value(each).ljust(room)}"
            source = _source(each, path)
            if len(begin) + 2 + len(source) <= width:
                yield f"{begin}  {source}"
            else:
                yield begin.rstrip()
                yield f"      {source}"


def _source(value: Sourced, path: Path) -> str:
    place = "" if value.line is None else f"{path}:{value.line}"
    return ", ".join(filter(None, (value.source, place, *value.origins)))


def _value(value: Sourced) -> str:
    """As the file would write it."""
    is_off = value.value is None and value.key.rpartition(".")[2] in SWITCHED_OFF
    return "off" if is_off else _text(value.value)


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    return "{}" if value == {} else str(value)
