"""Values that a shell completes: accounts, strategies and processes of the running supervisor, none without one."""

from __future__ import annotations

import contextlib
from typing import Any

import click

from gridbot.config.paths import data_directory
from supervisor.control.control_client import ControlClient

__all__ = ["complete_accounts", "complete_processes", "complete_strategies"]

PATIENCE_S = 0.5
"""How long the Tab key may wait for the supervisor."""


def complete_accounts(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    return _beginning(begun, (row["account"] for row in _accounts(_status(context))))


def complete_strategies(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Those of the account that is already on the line, or all."""
    account = context.params.get("account") or next(
        iter(context.args), None
    )  # not assigned before the last option ends
    accounts = [row for row in _accounts(_status(context)) if account in (None, row["account"])]
    return _beginning(begun, (strategy["strat_id"] for row in accounts for strategy in row["strategies"]))


def complete_processes(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """Accounts stand for their workers; the other processes go by their names."""
    status = _status(context)
    others = [row["process"]["name"] for row in (status.get("writer"), status.get("paper")) if row]
    return _beginning(begun, (*(row["account"] for row in _accounts(status)), *others))


def _beginning(begun: str, words: Any) -> list[str]:
    return [word for word in words if word.startswith(begun)]


def _accounts(status: dict[str, Any]) -> list[dict[str, Any]]:
    return list(status.get("accounts", ()))


def _status(context: click.Context) -> dict[str, Any]:
    """The status model, or {} when no supervisor answers: a Tab key never fails."""
    with contextlib.suppress(Exception):  # such as a configuration that does not say where
        place = data_directory(context.params.get("data_dir"), context.params.get("config"))
        with ControlClient(place, timeout=PATIENCE_S) as client:
            return client.status()
    return {}
