"""Values that a shell completes: accounts, strategies, groups and processes.

They are those of the running supervisor; when none answers at once, those that the configuration names. A Tab key never
fails: where neither can be read there is nothing to complete.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from typing import Any

import click

from gridbot.commands.targets import FleetMember, fleet_of
from gridbot.config.paths import data_directory, find_config
from supervisor.cli.known_fleet import configured_fleet
from supervisor.control.control_client import ControlClient

__all__ = ["complete_accounts", "complete_groups", "complete_processes", "complete_strategies", "complete_targets"]

PATIENCE_S = 0.5
"""How long the Tab key may wait for the supervisor."""
SERVICES = ("writer", "paper")


def complete_targets(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Accounts that are not on the line yet, and the strategies of the only one that is meant: a shell then completes
    its name and leaves the place after it free for `/` or a blank.
    """
    given, whose = set(_given(context)), begun.partition("/")[0]
    meant = [member for member in _fleet(context) if member.account not in given]
    meant = [member for member in meant if member.account.startswith(whose)]
    exact = [member for member in meant if member.account == whose]
    only = exact or (meant if len(meant) == 1 else [])
    parts = [f"{member.account}/{name}" for member in only for name in member.strategies]
    return _beginning(begun, (*(member.account for member in meant), *(part for part in parts if part not in given)))


def complete_accounts(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    return _beginning(begun, () if _given(context) else (member.account for member in _fleet(context)))


def complete_groups(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    return _beginning(begun, dict.fromkeys(label for member in _fleet(context) for label in member.groups))


def complete_strategies(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Those of the account that is already on the line, or all."""
    given = _given(context)
    members = [member for member in _fleet(context) if not given or member.account in given]
    return _beginning(begun, (strategy for member in members for strategy in member.strategies))


def complete_processes(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Accounts stand for their workers; the other processes go by their names."""
    status, given = _status(context), set(_given(context))
    fleet = fleet_of(status) if status else _configured(context)
    others = [row["process"]["name"] for row in map(status.get, SERVICES) if row] if status else list(SERVICES)
    names = [*(member.account for member in fleet), *others] if fleet else []
    return _beginning(begun, (name for name in names if name not in given))


def _beginning(begun: str, words: Iterable[str]) -> list[str]:
    return [word for word in words if word.startswith(begun)]


def _given(context: click.Context) -> tuple[str, ...]:
    """What is on the line already; click has assigned it, or not yet when an option is not ended."""
    given = context.params.get("targets") or context.params.get("account") or ()
    return (given,) if isinstance(given, str) else (*given, *context.args)


def _fleet(context: click.Context) -> tuple[FleetMember, ...]:
    status = _status(context)
    return fleet_of(status) if status else _configured(context)


def _status(context: click.Context) -> dict[str, Any]:
    """The status model, or {} when no supervisor answers."""
    with contextlib.suppress(Exception):  # such as a configuration that does not say where
        place = data_directory(context.params.get("data_dir"), context.params.get("config"))
        with ControlClient(place, timeout=PATIENCE_S) as client:
            return client.status()
    return {}


def _configured(context: click.Context) -> tuple[FleetMember, ...]:
    with contextlib.suppress(Exception):
        return configured_fleet(find_config(context.params.get("config")), os.environ)
    return ()
