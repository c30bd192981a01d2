"""`gridbot-supervisor reload`: show what the changed file would do, have it confirmed, have it applied."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import click

from gridbot.commands.command_table import RELOAD
from gridbot.config.paths import data_directory, find_config, text_of
from supervisor.children.config_source import variables_in
from supervisor.cli.confirmation import require_confirmation
from supervisor.cli.declared_options import argument_options, declared_command
from supervisor.cli.options import place_options
from supervisor.cli.patient_client import PatientClient
from supervisor.cli.plain_output import print_json
from supervisor.cli.target_options import expect_option
from supervisor.control.control_client import ControlError, Refused
from supervisor.exit_codes import CommandError, ExitCode

__all__ = ["reload"]

LOOK_S = 60.0
APPLY_S = 400.0
"""Longer than all that a reload may wait for, its way back too."""


@declared_command(RELOAD)
@place_options()
@expect_option()
@click.option("--dry-run", is_flag=True, help="Show what it would do; nothing is changed.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with the difference and what was done.")
@argument_options(RELOAD)
def reload(
    config: str | None,
    data_dir: str | None,
    expect: int | None,
    dry_run: bool,
    as_json: bool,
    leave_positions: bool,
) -> None:
    try:
        answer = _reload(
            data_directory(data_dir, config), config, expect, dry_run=dry_run, as_json=as_json, leave=leave_positions
        )
    except (CommandError, ControlError) as error:
        if as_json:
            print_json({"command": RELOAD.name, "error": str(error), "applied": False})
        raise
    if as_json:
        print_json({"command": RELOAD.name, "dry_run": dry_run, **answer})
        return
    click.echo("\n".join(answer["lines"]))
    for text in answer["left_open"]:
        click.echo(f"! stays open with nobody to look after it: {text}")
    if answer["left_open"] and not answer["applied"]:
        click.echo("  so it will be refused: flatten these first, or say --leave-positions")
    click.echo(answer["result"])


def _reload(
    place: Path, config: str | None, expect: int | None, *, dry_run: bool, as_json: bool, leave: bool
) -> dict[str, Any]:
    with PatientClient(place) as client:
        file = Path(client.status()["supervisor"]["config"])
        if config is not None and not _same(file, find_config(config)):
            raise CommandError(
                f"expected {file}, the configuration of this supervisor, got {config}; change that file, or start with "
                "the other one",
                ExitCode.REFUSED,
            )
        variables = variables_in(text_of(file), os.environ)
        asked = {"leave_positions": leave, "variables": variables}
        shown = _ask(client, LOOK_S, dry_run=True, **asked)
        if dry_run:
            return _plain(shown)
        _confirm(client, shown, expect, as_json=as_json)
        return _plain(_ask(client, APPLY_S, plan=shown["plan"], **asked))


def _ask(client: PatientClient, timeout: float, **fields: Any) -> dict[str, Any]:
    try:
        return client.request("reload", timeout=timeout, **fields)
    except Refused as refusal:
        if refusal.kind == "configuration":
            raise CommandError(str(refusal), ExitCode.CONFIG) from None
        raise


def _confirm(client: PatientClient, shown: dict[str, Any], expect: int | None, *, as_json: bool) -> None:
    """When orders or accounts go; what its operator does not confirm is kept in the records as well."""
    accounts = shown["asks"]
    if not accounts and expect is None:
        return
    can_ask = not as_json and sys.stdin.isatty() and sys.stderr.isatty()
    if can_ask:
        click.echo("\n".join(shown["lines"]))
    ask = (lambda question: str(click.prompt(question, err=True))) if can_ask else None
    try:
        require_confirmation(RELOAD, accounts, expect, ask)
    except CommandError as error:
        with contextlib.suppress(ControlError):
            client.request("declined", name=RELOAD.name, args={"plan": shown["plan"]}, why=error.text)
        raise


def _plain(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: answer[name] for name in ("lines", "difference", "left_open", "asks", "applied", "result")}


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one == other.absolute()
